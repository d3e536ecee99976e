/* Detections as rows: one open row for a pattern on a resource, from its first finding to its end. */
#include "history/history_internal.h"

#include <stdio.h>

#include "history_sql.h"
#include "store/outcomes.h"

struct open_detection {
    char id[ULID_LEN + 1];
    int64_t detected_at;
    bool is_open, enforced, still_there;
};

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static bool read_open(struct tx *tx, const struct history_target *target,
                      struct open_detection open[PATTERN_COUNT], struct error **err)
{
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &detections_open_sql,
                 VALUES(V_TEXT(text_or_empty(target->namespace)), V_TEXT(text_or_empty(target->kind)),
                        V_TEXT(text_or_empty(target->name)), V_TEXT(text_or_empty(target->cluster))),
                 err);
    bool more = rows != NULL;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        for (int p = 0; p < PATTERN_COUNT; p++)
            if (str_eq(rows_text(rows, 1), str_of(pattern_names[p]))) {
                snprintf(open[p].id, sizeof open[p].id, STR_FMT, STR_ARG(rows_text(rows, 0)));
                open[p].enforced = rows_int(rows, 2);
                open[p].detected_at = rows_int(rows, 3);
                open[p].is_open = true;
            }
    }
    return false;
}

static bool record_one(struct tx *tx, struct arena *arena, const struct history_finding_of *of,
                       const struct oscillation *found, const struct finding *finding,
                       struct open_detection *open, struct error **err)
{
    AUTO(strbuf) struct strbuf evidence = { 0 };
    finding_write(&evidence, finding);
    struct detection_record record = {
        .pattern = pattern_names[finding->pattern],
        .severity = pattern_severity_names[finding->severity],
        .confidence = found->confidence,
        .cluster = text_or_empty(of->target.cluster),
        .namespace = text_or_empty(of->target.namespace),
        .kind = text_or_empty(of->target.kind),
        .name = text_or_empty(of->target.name),
        .detected_at = clock_utc_ms(),
        .last_at = clock_utc_ms(),
        .prevention = prevention_names[found->prevention],
        .enforced = of->enforced || open->enforced,
        .evidence = arena_text(arena, strbuf_str(&evidence)),
    };
    snprintf(record.incident_id, sizeof record.incident_id, "%s", text_or_empty(of->incident_id));
    snprintf(record.execution_id, sizeof record.execution_id, "%s", text_or_empty(of->execution_id));
    open->still_there = true;
    if (open->is_open) {
        memcpy(record.id, open->id, sizeof record.id);
        return detection_update(tx, &record, err);
    }
    ulid_new(record.id);
    memcpy(open->id, record.id, sizeof open->id);
    open->is_open = true; /* two loops of one pattern share a row */
    open->enforced = record.enforced;
    return detection_insert(tx, &record, err);
}

bool history_record_detections(struct tx *tx, struct arena *arena, const struct history_finding_of *of,
                               const struct oscillation *found, struct error **err)
{
    struct open_detection open[PATTERN_COUNT] = { 0 };
    if (!read_open(tx, &of->target, open, err))
        return false;
    for (size_t i = 0; i < found->count; i++) {
        /* Of one pattern's findings the severest speaks for all. */
        const struct finding *worst = &found->findings[i];
        for (size_t j = 0; j < found->count; j++)
            if (found->findings[j].pattern == worst->pattern && found->findings[j].severity > worst->severity)
                worst = &found->findings[j];
        if (worst == &found->findings[i] &&
            !record_one(tx, arena, of, found, worst, &open[worst->pattern], err))
            return error_wrap(err, "record a detection");
    }
    for (int p = 0; p < PATTERN_COUNT; p++)
        if (open[p].is_open && !open[p].still_there &&
            !tx_exec(tx, &detection_resolve_sql,
                     VALUES(V_TEXT(open[p].id), V_INT(clock_utc_ms()), V_TEXT("automatic")), err))
            return false;
    return true;
}

bool history_resolve_detections(struct store *store, const struct config *config, int64_t *resolved,
                                struct error **err)
{
    int64_t now = clock_utc_ms();
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx &&
           tx_exec_count(
               tx, &detections_resolve_sql,
               VALUES(V_INT(now), V_TEXT("timeout"), V_INT(now - config->oscillation.resolve_after_ms)),
               resolved, err) &&
           tx_commit(STEAL(tx), err);
}
