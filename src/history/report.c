/* What people ask of the past, as JSON. */
#include "history/history_internal.h"

#include <math.h>

#include "history_sql.h"
#include "store/memory.h"

enum { SHOW_DEFAULT = 50 };

static struct value any(const char *text)
{
    return V_TEXT(text ? text : "");
}
static struct value upper(int64_t to)
{
    return V_INT(to ? to : INT64_MAX / 2);
}

bool history_target_parse(struct arena *arena, const char *text, struct history_target *target,
                          struct error **err)
{
    struct str rest = str_of(text), parts[4];
    size_t count = 0;
    while (count < 4 && str_split(&rest, '/', &parts[count]))
        count++;
    if (rest.len || count < 2 || !parts[count - 1].len)
        return error_set(err, ERROR_INVALID,
                         "\"%.100s\" is no resource: write NAMESPACE/KIND/NAME, as in shop/Deployment/web",
                         text);
    enum kind kind;
    *target = (struct history_target){ "", "", "", "" };
    target->name = arena_text(arena, parts[count - 1]);
    target->kind =
        kind_parse(parts[count - 2], &kind) && kind ? kind_name(kind) : arena_text(arena, parts[count - 2]);
    if (count > 2)
        target->namespace = arena_text(arena, parts[count - 3]);
    if (count > 3)
        target->cluster = arena_text(arena, parts[0]);
    return true;
}

static void add_past(struct strbuf *out, const struct past *past)
{
    strbuf_addf(out, "{\"id\":\"%s\",\"action\":\"%s\"", past->id, action_name(past->action));
    history_json_text(out, "state", past->state);
    history_json_text(out, "alert_name", past->alert_name);
    strbuf_addf(out, ",\"parameters\":%s", *past->parameters ? past->parameters : "{}");
    history_json_number(out, "score", past->score);
    history_json_number(out, "score_confidence", past->score_confidence);
    history_json_time(out, "created_at", past->at);
    strbuf_add_char(out, '}');
}

static void add_oscillation(struct strbuf *out, const struct oscillation *found)
{
    strbuf_addf(out, ",\"oscillation\":{\"severity\":\"%s\",\"confidence\":%.3f,\"prevention\":\"%s\"",
                pattern_severity_names[found->severity], found->confidence,
                prevention_names[found->prevention]);
    history_json_text(out, "text", found->text);
    history_json_time(out, "until", found->until);
    strbuf_add_text(out, ",\"findings\":[");
    for (size_t i = 0; i < found->count; i++) {
        strbuf_add_text(out, i ? "," : "");
        finding_write(out, &found->findings[i]);
    }
    strbuf_add_text(out, "]}");
}

static bool add_detections(struct tx *tx, const struct history_target *target, int64_t limit,
                           struct strbuf *out, struct error **err)
{
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &show_detections_sql,
                 VALUES(any(target->namespace), any(target->kind), any(target->name), V_INT(limit)), err);
    bool more = rows != NULL;
    strbuf_add_text(out, ",\"detections\":[");
    for (int64_t n = 0; more && rows_next(rows, &more, err); n++) {
        if (!more) {
            strbuf_add_char(out, ']');
            return true;
        }
        strbuf_addf(out, "%s{\"id\":\"" STR_FMT "\"", n ? "," : "", STR_ARG(rows_text(rows, 0)));
        static const char *const texts[] = { "pattern", "severity", "prevention" };
        for (int i = 0; i < 3; i++) {
            strbuf_addf(out, ",\"%s\":", texts[i]);
            strbuf_add_json(out, rows_text(rows, i + 1));
        }
        strbuf_addf(out, ",\"enforced\":%s", rows_int(rows, 4) ? "true" : "false");
        history_json_time(out, "detected_at", rows_int(rows, 5));
        history_json_time(out, "last_at", rows_int(rows, 6));
        history_json_time(out, "resolved_at", rows_int(rows, 7));
        strbuf_add_text(out, ",\"resolution\":");
        strbuf_add_json(out, rows_text(rows, 8));
        strbuf_addf(out, ",\"evidence\":" STR_FMT "}", STR_ARG(rows_text(rows, 9)));
    }
    return false;
}

bool history_show(struct store *store, const struct config *config, const struct history_target *target,
                  int64_t limit, struct strbuf *out, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    struct past_wanted wanted = { .target = target,
                                  .now = clock_utc_ms(),
                                  .max = (size_t)(limit > 0 ? limit : SHOW_DEFAULT) };
    struct oscillation_input input;
    struct oscillation found;
    struct past *past;
    size_t count;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !past_read(tx, arena, &wanted, &past, &count, err) ||
        !oscillation_input_read(tx, arena, config, target, &input, err))
        return false;
    oscillation_analyse(arena, &config->oscillation, &input, &found);
    strbuf_add_text(out, "{\"resource\":{\"cluster\":");
    strbuf_add_json(out, str_of(target->cluster));
    history_json_text(out, "namespace", target->namespace);
    history_json_text(out, "kind", target->kind);
    history_json_text(out, "name", target->name);
    strbuf_add_text(out, "},\"executions\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_add_text(out, i ? "," : "");
        add_past(out, &past[i]);
    }
    strbuf_add_char(out, ']');
    add_oscillation(out, &found);
    if (!add_detections(tx, target, limit > 0 ? limit : SHOW_DEFAULT, out, err))
        return false;
    strbuf_add_char(out, '}');
    return true;
}

static void add_effect(struct strbuf *out, const struct rows *rows)
{
    double n = (double)rows_int(rows, 4), mean = rows_is_null(rows, 5) ? NAN : rows_number(rows, 5);
    double spread = n > 1 ? sqrt(MAX(rows_number(rows, 8) - n * mean * mean, 0) / (n - 1)) : NAN;
    int64_t total = rows_int(rows, 1);
    strbuf_addf(out, "{\"action\":\"" STR_FMT "\",\"executions\":%lld", STR_ARG(rows_text(rows, 0)),
                (long long)total);
    history_json_number(out, "completed_share", total ? (double)rows_int(rows, 2) / (double)total : NAN);
    history_json_int(out, "rolled_back", rows_int(rows, 3));
    history_json_int(out, "assessed", rows_int(rows, 4));
    history_json_number(out, "average_score", mean);
    history_json_number(out, "standard_deviation", spread);
    history_json_number(out, "minimum", rows_is_null(rows, 6) ? NAN : rows_number(rows, 6));
    history_json_number(out, "maximum", rows_is_null(rows, 7) ? NAN : rows_number(rows, 7));
    history_json_number(out, "average_confidence", rows_is_null(rows, 9) ? NAN : rows_number(rows, 9));
    strbuf_add_char(out, '}');
}

bool history_effectiveness(struct store *store, const struct history_filter *f, struct strbuf *out,
                           struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    AUTO(rows)
    struct rows *rows = tx ? tx_query(tx, &effectiveness_sql,
                                      VALUES(V_INT(f->period.from), upper(f->period.to), any(f->namespace),
                                             any(f->kind), any(f->name), any(f->alert_name), any(f->action)),
                                      err)
                           : NULL;
    bool more = rows != NULL;
    strbuf_add_text(out, "{\"effectiveness\":[");
    for (int64_t n = 0; more && rows_next(rows, &more, err); n++) {
        if (!more) {
            strbuf_add_text(out, "]}");
            return true;
        }
        strbuf_add_text(out, n ? "," : "");
        add_effect(out, rows);
    }
    return false;
}

/* --- patterns */

enum { ENOUGH_CASES = 3 };
#define HELPS_FROM 0.7
#define FAILS_TO 0.2

static void add_helpful(struct strbuf *out, const struct rows *rows, int64_t now, int64_t half_life_ms)
{
    struct rate then = { rows_number(rows, 2), rows_number(rows, 3), rows_int(rows, 4), rows_int(rows, 5) };
    struct rate rate = rate_at(&then, now, half_life_ms);
    double share = rate.tried > 0 ? rate.helped / rate.tried : NAN;
    const char *finding = rate.cases < ENOUGH_CASES ? "too few cases"
                          : share >= HELPS_FROM     ? "helps"
                          : share <= FAILS_TO       ? "never helps"
                                                    : "sometimes helps";
    strbuf_add_text(out, "{\"alert_name\":");
    strbuf_add_json(out, rows_text(rows, 0));
    strbuf_addf(out, ",\"action\":\"" STR_FMT "\",\"finding\":\"%s\"", STR_ARG(rows_text(rows, 1)), finding);
    history_json_number(out, "rate", share);
    history_json_number(out, "samples", rate.tried);
    history_json_int(out, "cases", rate.cases);
    strbuf_add_char(out, '}');
}

static void add_sequence(struct strbuf *out, const struct rows *rows)
{
    strbuf_addf(out, "{\"first\":\"" STR_FMT "\",\"then\":\"" STR_FMT "\",\"count\":%lld",
                STR_ARG(rows_text(rows, 0)), STR_ARG(rows_text(rows, 1)), (long long)rows_int(rows, 2));
    history_json_number(out, "average_score", rows_is_null(rows, 3) ? NAN : rows_number(rows, 3));
    strbuf_add_char(out, '}');
}

static void add_hour(struct strbuf *out, const struct rows *rows)
{
    strbuf_addf(out, "{\"hour\":%lld,\"alerts\":%lld}", (long long)rows_int(rows, 0),
                (long long)rows_int(rows, 1));
}

static void add_open(struct strbuf *out, const struct rows *rows)
{
    static const char *const names[] = { "pattern", "severity", "cluster", "namespace", "kind", "name" };
    for (int i = 0; i < 6; i++) {
        strbuf_addf(out, "%s\"%s\":", i ? "," : "{", names[i]);
        strbuf_add_json(out, rows_text(rows, i));
    }
    history_json_time(out, "detected_at", rows_int(rows, 6));
    history_json_time(out, "last_at", rows_int(rows, 7));
    strbuf_add_text(out, ",\"prevention\":");
    strbuf_add_json(out, rows_text(rows, 8));
    strbuf_addf(out, ",\"enforced\":%s}", rows_int(rows, 9) ? "true" : "false");
}

struct part {
    const char *name;
    const struct str *sql;
    void (*add)(struct strbuf *out, const struct rows *rows);
    struct value values[4];
    size_t value_count;
};

static bool add_part(struct tx *tx, const struct part *part, const struct config *config, struct strbuf *out,
                     struct error **err)
{
    AUTO(rows)
    struct rows *rows = tx_query(tx, part->sql, (struct values){ part->values, part->value_count }, err);
    bool more = rows != NULL;
    strbuf_addf(out, "%s\"%s\":[", out->len > 1 ? "," : "", part->name);
    for (int64_t n = 0; more && rows_next(rows, &more, err); n++) {
        if (!more) {
            strbuf_add_char(out, ']');
            return true;
        }
        strbuf_add_text(out, n ? "," : "");
        if (part->add)
            part->add(out, rows);
        else
            add_helpful(out, rows, clock_utc_ms(), config->learning.half_life_ms);
    }
    return false;
}

bool history_patterns(struct store *store, const struct config *config, const struct history_filter *f,
                      struct strbuf *out, struct error **err)
{
    struct value from = V_INT(f->period.from), to = upper(f->period.to), namespace = any(f->namespace);
    const struct part parts[] = {
        { "actions", &patterns_helpful_sql, NULL, { any(f->alert_name), any(f->action) }, 2 },
        { "sequences", &patterns_sequences_sql, add_sequence, { from, to, namespace }, 3 },
        { "hours", &patterns_hours_sql, add_hour, { from, to, namespace, any(f->alert_name) }, 4 },
        { "oscillations", &patterns_open_sql, add_open, { namespace }, 1 },
    };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx)
        return false;
    strbuf_add_char(out, '{');
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!add_part(tx, &parts[i], config, out, err))
            return false;
    strbuf_add_char(out, '}');
    return true;
}
