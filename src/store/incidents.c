#include "store/incidents.h"

#include <stdio.h>

#include "store/list.h"
#include "store/store_internal.h"
#include "store_sql.h"

const char *const incident_status_names[INCIDENT_STATUS_COUNT] = { "open", "resolved" };

#define COLUMNS                                                                                              \
    "id, status, target_key, cluster, namespace, kind, name, node, rule, title, severity, severity_rank, "   \
    "root_alert_id, parent_id, alerts, firing, flapping, work, opened_at, updated_at, resolved_at, trace_id"

static void copy_id(char id[ULID_LEN + 1], struct str from)
{
    snprintf(id, ULID_LEN + 1, STR_FMT, STR_ARG(from));
}

static void read_incident(struct rows *rows, struct arena *arena, struct incident *incident)
{
    *incident = (struct incident){ 0 };
    copy_id(incident->id, rows_text(rows, 0));
    incident->status = str_eq(rows_text(rows, 1), STR("open")) ? INCIDENT_OPEN : INCIDENT_RESOLVED;
    incident->target_key = arena_text(arena, rows_text(rows, 2));
    incident->target = (struct alert_target){ .cluster = rows_keep(rows, 3, arena),
                                              .namespace = rows_keep(rows, 4, arena),
                                              .kind = rows_keep(rows, 5, arena),
                                              .name = rows_keep(rows, 6, arena) };
    incident->node = rows_keep(rows, 7, arena);
    incident->rule = arena_text(arena, rows_text(rows, 8));
    incident->title = rows_keep(rows, 9, arena);
    incident->severity = rows_keep(rows, 10, arena);
    incident->severity_rank = (enum severity)rows_int(rows, 11);
    copy_id(incident->root_alert_id, rows_text(rows, 12));
    copy_id(incident->parent_id, rows_text(rows, 13));
    incident->alerts = rows_int(rows, 14);
    incident->firing = rows_int(rows, 15);
    incident->flapping = rows_int(rows, 16);
    incident->work = rows_keep(rows, 17, arena);
    incident->opened_at = rows_int(rows, 18);
    incident->updated_at = rows_int(rows, 19);
    incident->resolved_at = rows_int(rows, 20);
    incident->trace_id = arena_text(arena, rows_text(rows, 21));
}

static bool read_one(struct rows *rows, struct arena *arena, struct incident *incident, bool *found,
                     struct error **err)
{
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (*found)
        read_incident(rows, arena, incident);
    return true;
}

bool incident_get(struct tx *tx, struct arena *arena, const char *id, struct incident *incident,
                  struct error **err)
{
    bool found = false;
    AUTO(rows) struct rows *rows = tx_query(tx, SQL_LOCKED(tx, incident_get), VALUES(V_TEXT(id)), err);
    return read_one(rows, arena, incident, &found, err) &&
           (found || error_set(err, ERROR_NOT_FOUND, "there is no incident %.40s", id));
}

bool incident_find_open(struct tx *tx, struct arena *arena, const char *target_key, struct incident *incident,
                        bool *found, struct error **err)
{
    AUTO(rows)
    struct rows *rows = tx_query(tx, SQL_LOCKED(tx, incident_find_open), VALUES(V_TEXT(target_key)), err);
    return read_one(rows, arena, incident, found, err);
}

bool incident_find_by_key(struct tx *tx, struct arena *arena, const char *key, int64_t since,
                          struct incident *incident, bool *found, struct error **err)
{
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, SQL_LOCKED(tx, incident_find_by_key), VALUES(V_TEXT(key), V_INT(since)), err);
    return read_one(rows, arena, incident, found, err);
}

bool incident_add_key(struct tx *tx, const char *incident_id, const char *key, int64_t at, struct error **err)
{
    return tx_post(tx, &incident_add_key_sql, VALUES(V_TEXT(incident_id), V_TEXT(key), V_INT(at)), NULL, err);
}

static struct value id_or_null(const char *id)
{
    return V_TEXT(id[0] ? id : NULL);
}

bool incident_insert(struct tx *tx, const struct incident *i, struct error **err)
{
    return tx_post(tx, &incident_insert_sql,
                   VALUES(V_TEXT(i->id), V_TEXT(incident_status_names[i->status]), V_TEXT(i->target_key),
                          V_STR(i->target.cluster), V_STR(i->target.namespace), V_STR(i->target.kind),
                          V_STR(i->target.name), V_STR(i->node), V_TEXT(i->rule), V_STR(i->title),
                          V_STR(i->severity), V_INT(i->severity_rank), id_or_null(i->root_alert_id),
                          id_or_null(i->parent_id), V_INT(i->alerts), V_INT(i->firing), V_BOOL(i->flapping),
                          V_STR(i->work), V_INT(i->opened_at), V_INT(i->updated_at), V_TIME(i->resolved_at),
                          V_TEXT(i->trace_id)),
                   NULL, err);
}

bool incident_update(struct tx *tx, const struct incident *i, struct error **err)
{
    return tx_post(tx, &incident_update_sql,
                   VALUES(V_TEXT(i->id), V_TEXT(incident_status_names[i->status]), V_STR(i->node),
                          V_STR(i->title), V_STR(i->severity), V_INT(i->severity_rank),
                          id_or_null(i->root_alert_id), id_or_null(i->parent_id), V_INT(i->alerts),
                          V_INT(i->firing), V_BOOL(i->flapping), V_STR(i->work), V_INT(i->updated_at),
                          V_TIME(i->resolved_at), V_TEXT(i->rule)),
                   NULL, err);
}

bool incident_adopt(struct tx *tx, struct str node, const char *parent_id, int64_t since, struct error **err)
{
    return tx_post(tx, &incident_adopt_sql, VALUES(V_STR(node), V_TEXT(parent_id), V_INT(since)), NULL, err);
}

bool incident_set_work(struct tx *tx, const char *id, const char *work, struct error **err)
{
    return tx_post(tx, &incident_set_work_sql, VALUES(V_TEXT(id), V_TEXT(work)), NULL, err);
}

bool incident_list(struct tx *tx, struct arena *arena, const struct incident_query *query,
                   struct incidents *incidents, struct error **err)
{
    struct list_query list = { .select = "SELECT " COLUMNS " FROM incidents" };
    list_where(&list, "status = ?", V_TEXT(query->status));
    list_where(&list, "lower(severity) = lower(?)", V_TEXT(query->severity));
    list_where(&list, "namespace = ?", V_TEXT(query->namespace));
    list_where(&list, "lower(kind) = lower(?)", V_TEXT(query->kind));
    list_where(&list, "name = ?", V_TEXT(query->name));
    list_where(&list, "parent_id = ?", V_TEXT(query->parent_id));
    list_where(&list, "id < ?", V_TEXT(query->before_id));
    AUTO(rows) struct rows *rows = list_run(tx, &list, query->limit, err);
    size_t room = 0;
    bool more = rows != NULL;
    *incidents = (struct incidents){ 0 };
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (incidents->count == room) {
            struct incident *old = incidents->items;
            room = room ? room * 2 : 32;
            incidents->items = ARENA_ARRAY(arena, struct incident, room);
            if (old)
                memcpy(incidents->items, old, incidents->count * sizeof *old);
        }
        read_incident(rows, arena, &incidents->items[incidents->count++]);
    }
    return false;
}

static void add_text(struct strbuf *out, const char *name, struct str value)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, value);
}

static void add_optional(struct strbuf *out, const char *name, const char *text)
{
    if (text[0])
        add_text(out, name, str_of(text));
    else
        strbuf_addf(out, ",\"%s\":null", name);
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    add_optional(out, name, ms ? clock_format(ms, text) : "");
}

void incident_write_fields(struct strbuf *out, const struct incident *incident)
{
    strbuf_addf(out, "\"id\":\"%s\",\"status\":\"%s\"", incident->id,
                incident_status_names[incident->status]);
    add_text(out, "title", incident->title);
    add_text(out, "severity", incident->severity);
    add_text(out, "cluster", incident->target.cluster);
    add_text(out, "namespace", incident->target.namespace);
    add_text(out, "kind", incident->target.kind);
    add_text(out, "name", incident->target.name);
    add_text(out, "node", incident->node);
    add_text(out, "rule", str_of(incident->rule));
    add_optional(out, "root_alert_id", incident->root_alert_id);
    add_optional(out, "parent_id", incident->parent_id);
    strbuf_addf(out, ",\"alert_count\":%lld,\"firing_count\":%lld,\"flapping\":%s",
                (long long)incident->alerts, (long long)incident->firing,
                incident->flapping ? "true" : "false");
    add_text(out, "work", incident->work);
    add_time(out, "opened_at", incident->opened_at);
    add_time(out, "updated_at", incident->updated_at);
    add_time(out, "resolved_at", incident->resolved_at);
    add_text(out, "trace_id", str_of(incident->trace_id));
}
