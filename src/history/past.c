/* A resource's past, read from the store. */
#include "history/history_internal.h"

#include <math.h>
#include <stdio.h>
#include <yyjson.h>

#include "alert/alert.h"
#include "history_sql.h"

enum { STATE_DEPTH_MAX = 12, PAST_MAX = 200 };
#define DAY_MS INT64_C(86400000)

static bool find_replicas(yyjson_val *value, int depth, int64_t *replicas)
{
    size_t i, max;
    yyjson_val *key, *item;
    if (depth == 0)
        return false;
    if (yyjson_is_obj(value)) {
        yyjson_val *own = yyjson_obj_get(value, "replicas");
        if (!own)
            own = yyjson_obj_get(value, "/spec/replicas"); /* as the executor records fields */
        if (yyjson_is_int(own)) {
            *replicas = yyjson_get_sint(own);
            return true;
        }
        yyjson_obj_foreach(value, i, max, key,
                           item) if (find_replicas(item, depth - 1, replicas)) return true;
    }
    if (yyjson_is_arr(value))
        yyjson_arr_foreach(value, i, max, item) if (find_replicas(item, depth - 1, replicas)) return true;
    return false;
}

static bool find_autoscaler(yyjson_val *value, int depth)
{
    size_t i, max;
    yyjson_val *key, *item;
    if (depth == 0)
        return false;
    if (yyjson_is_obj(value)) {
        if (yyjson_equals_str(yyjson_obj_get(value, "kind"), "HorizontalPodAutoscaler") ||
            yyjson_is_true(yyjson_obj_get(value, "autoscaled")))
            return true;
        yyjson_obj_foreach(value, i, max, key, item) if (find_autoscaler(item, depth - 1)) return true;
    }
    if (yyjson_is_arr(value))
        yyjson_arr_foreach(value, i, max, item) if (find_autoscaler(item, depth - 1)) return true;
    return false;
}

int64_t past_replicas_asked(struct str parameters)
{
    int64_t replicas = -1;
    yyjson_doc *doc = yyjson_read(parameters.ptr, parameters.len, 0);
    yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(doc), "replicas");
    if (yyjson_is_int(value))
        replicas = yyjson_get_sint(value);
    yyjson_doc_free(doc);
    return replicas;
}

/* What the executor saw of the object before it acted. */
static void read_state(struct str state, struct past *past)
{
    yyjson_doc *doc = yyjson_read(state.ptr, state.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    past->replicas_before = -1;
    find_replicas(root, STATE_DEPTH_MAX, &past->replicas_before);
    past->autoscaled = find_autoscaler(root, STATE_DEPTH_MAX);
    yyjson_doc_free(doc);
}

static void read_past(struct rows *rows, struct arena *arena, struct past *past)
{
    *past = (struct past){ .state = arena_text(arena, rows_text(rows, 2)),
                           .alert_name = arena_text(arena, rows_text(rows, 3)),
                           .parameters = arena_text(arena, rows_text(rows, 4)),
                           .at = rows_int(rows, 6),
                           .score = rows_is_null(rows, 7) ? NAN : rows_number(rows, 7),
                           .score_confidence = rows_is_null(rows, 8) ? NAN : rows_number(rows, 8) };
    snprintf(past->id, sizeof past->id, STR_FMT, STR_ARG(rows_text(rows, 0)));
    past->replicas = past_replicas_asked(rows_text(rows, 4));
    read_state(rows_text(rows, 5), past);
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

struct alert_target history_owner(const struct history_target *target)
{
    struct alert_target named = { str_of(text_or_empty(target->cluster)),
                                  str_of(text_or_empty(target->namespace)),
                                  str_of(text_or_empty(target->kind)), str_of(text_or_empty(target->name)) };
    return alert_target_owner(&named);
}

bool past_read(struct tx *tx, struct arena *arena, const struct past_wanted *wanted, struct past **past,
               size_t *count, struct error **err)
{
    const struct history_target *target = wanted->target;
    struct alert_target owner = history_owner(target);
    size_t max = MIN(wanted->max ? wanted->max : PAST_MAX, PAST_MAX);
    *past = ARENA_ARRAY(arena, struct past, max);
    *count = 0;
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &past_sql,
                 VALUES(V_TEXT(text_or_empty(target->namespace)), V_TEXT(text_or_empty(target->kind)),
                        V_TEXT(text_or_empty(target->name)), V_TEXT(text_or_empty(target->cluster)),
                        V_INT((int64_t)max), V_INT(wanted->since), V_STR(owner.kind), V_STR(owner.name),
                        V_INT(MAX(wanted->since, wanted->now - DAY_MS))),
                 err);
    bool more = rows != NULL;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        struct past *one = &(*past)[*count];
        read_past(rows, arena, one);
        if (action_parse(rows_text(rows, 1), &one->action))
            ++*count;
    }
    return false;
}

bool past_alerts_read(struct tx *tx, struct arena *arena, const struct past_wanted *wanted,
                      struct past_alert **alerts, size_t *count, struct error **err)
{
    enum { ALERTS_MAX = 500 }; /* as in the statement */
    struct alert_target owner = history_owner(wanted->target);
    *alerts = ARENA_ARRAY(arena, struct past_alert, ALERTS_MAX);
    *count = 0;
    AUTO(rows)
    struct rows *rows = tx_query(tx, &past_alerts_sql,
                                 VALUES(V_STR(owner.namespace), V_STR(owner.kind), V_STR(owner.name),
                                        V_INT(wanted->since), V_STR(owner.cluster)),
                                 err);
    bool more = rows != NULL;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        (*alerts)[(*count)++] =
            (struct past_alert){ arena_text(arena, rows_text(rows, 0)), rows_int(rows, 1) };
    }
    return false;
}
