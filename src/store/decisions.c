#include "store/decisions.h"

#include "store_sql.h"

#define AT(field) offsetof(struct decision_record, field)
static const struct column decision_columns[] = {
    { "id", COLUMN_ID, AT(id), true },
    { "incident_id", COLUMN_ID, AT(incident_id) },
    { "alert_id", COLUMN_ID, AT(alert_id) },
    { "trace_id", COLUMN_TEXT, AT(trace_id) },
    { "created_at", COLUMN_TIME, AT(created_at), true },
    { "provider", COLUMN_TEXT, AT(provider), true },
    { "model", COLUMN_TEXT, AT(model), true },
    { "model_sha256", COLUMN_TEXT, AT(model_sha256) },
    { "prompt_version", COLUMN_TEXT, AT(prompt_version) },
    { "prompt_sha256", COLUMN_TEXT, AT(prompt_sha256) },
    { "prompt_tokens", COLUMN_INT, AT(prompt_tokens) },
    { "prompt_token_ids", COLUMN_JSON, AT(prompt_token_ids) },
    { "seed", COLUMN_INT, AT(seed) },
    { "route", COLUMN_TEXT, AT(route) },
    { "action", COLUMN_TEXT, AT(action), true },
    { "parameters", COLUMN_JSON, AT(parameters), true },
    { "confidence", COLUMN_NUMBER, AT(confidence) },
    { "abstained", COLUMN_FLAG, AT(abstained), true },
    { "reasoning", COLUMN_TEXT, AT(reasoning), true },
    { "feasible", COLUMN_JSON, AT(feasible) },
    { "distribution", COLUMN_JSON, AT(distribution) },
    { "factors", COLUMN_JSON, AT(factors) },
    { "evidence", COLUMN_JSON, AT(evidence) },
    { "alternatives", COLUMN_JSON, AT(alternatives) },
    { "hashes", COLUMN_JSON, AT(hashes) },
    { "learned_from", COLUMN_JSON, AT(learned_from) },
    { "context", COLUMN_TEXT, AT(context) },
    { "duration_ms", COLUMN_NUMBER, AT(duration_ms) },
    { "details", COLUMN_JSON, AT(details) },
    { "work", COLUMN_TEXT, AT(work) },
    { 0 },
};
#undef AT
static struct table_text decisions_text;
const struct table decisions_table = { "decisions", "id", decision_columns, &decisions_text };

bool decision_insert(struct tx *tx, const struct decision_record *record, struct error **err)
{
    return table_insert(tx, &decisions_table, record, err);
}

bool decision_get(struct tx *tx, struct arena *arena, const char *id, struct decision_record *record,
                  bool *found, struct error **err)
{
    return table_get(tx, &decisions_table, arena, id, record, found, err);
}

bool decision_of_work(struct tx *tx, struct arena *arena, const char *incident_id, const char *work,
                      struct decision_record *record, bool *found, struct error **err)
{
    const char *id = NULL;
    {
        AUTO(rows)
        struct rows *rows =
            tx_query(tx, &decision_of_work_sql, VALUES(V_TEXT(incident_id), V_TEXT(work)), err);
        if (!rows || !rows_next(rows, found, err))
            return false;
        if (*found)
            id = arena_text(arena, rows_text(rows, 0));
    }
    return !*found || decision_get(tx, arena, id, record, found, err);
}

#define AT(field) offsetof(struct verdict_record, field)
static const struct column verdict_columns[] = {
    { "id", COLUMN_ID, AT(id), true },
    { "decision_id", COLUMN_ID, AT(decision_id) },
    { "execution_id", COLUMN_ID, AT(execution_id) },
    { "incident_id", COLUMN_ID, AT(incident_id) },
    { "created_at", COLUMN_TIME, AT(created_at), true },
    { "verdict", COLUMN_TEXT, AT(verdict), true },
    { "rule", COLUMN_TEXT, AT(rule) },
    { "reason", COLUMN_TEXT, AT(reason), true },
    { "policy_sha256", COLUMN_TEXT, AT(policy_sha256) },
    { "details", COLUMN_JSON, AT(details) },
    { 0 },
};
#undef AT
static struct table_text verdicts_text;
const struct table verdicts_table = { "verdicts", "id", verdict_columns, &verdicts_text };
