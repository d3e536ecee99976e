#include "store/outcomes.h"

#include "store_sql.h"

#define AT(field) offsetof(struct assessment_record, field)
static const struct column assessment_columns[] = {
    { "id", COLUMN_ID, AT(id), true },
    { "execution_id", COLUMN_ID, AT(execution_id), true },
    { "state", COLUMN_TEXT, AT(state), true },
    { "due_at", COLUMN_TIME, AT(due_at), true },
    { "assessed_at", COLUMN_TIME, AT(assessed_at) },
    { "score", COLUMN_NUMBER, AT(score) },
    { "confidence", COLUMN_NUMBER, AT(confidence) },
    { "method", COLUMN_TEXT, AT(method) },
    { "criteria", COLUMN_JSON, AT(criteria) },
    { "factors", COLUMN_JSON, AT(factors) },
    { "improvements", COLUMN_JSON, AT(improvements) },
    { "cost", COLUMN_JSON, AT(cost) },
    { "notes", COLUMN_TEXT, AT(notes) },
    { "details", COLUMN_JSON, AT(details) },
    { 0 },
};
#undef AT
static struct table_text assessments_text;
const struct table assessments_table = { "assessments", "id", assessment_columns, &assessments_text };

bool assessment_plan(struct tx *tx, const char *execution_id, int64_t due_at, const char *details,
                     struct error **err)
{
    char id[ULID_LEN + 1];
    ulid_new(id);
    return tx_exec(tx, &assessment_plan_sql,
                   VALUES(V_TEXT(id), V_TEXT(execution_id), V_INT(due_at), V_TEXT(details)), err);
}

bool assessment_of(struct tx *tx, struct arena *arena, const char *execution_id,
                   struct assessment_record *record, bool *found, struct error **err)
{
    struct list_query query = { .select = table_select(&assessments_table) };
    list_where(&query, "execution_id = ?", V_TEXT(execution_id));
    AUTO(rows) struct rows *rows = list_run(tx, &query, 1, err);
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (*found)
        table_read(&assessments_table, rows, arena, record);
    return true;
}

static struct value number_or_null(double number)
{
    return number == number ? V_NUM(number) : V_NULL;
}

bool assessment_finish(struct tx *tx, const struct assessment_record *record, struct error **err)
{
    int64_t changed = 0;
    if (!tx_exec_count(tx, &assessment_finish_sql,
                       VALUES(V_TEXT(record->id), V_INT(record->assessed_at), number_or_null(record->score),
                              number_or_null(record->confidence), V_TEXT(record->method),
                              V_TEXT(record->criteria), V_TEXT(record->factors), V_TEXT(record->improvements),
                              V_TEXT(record->cost), V_TEXT(record->notes)),
                       &changed, err))
        return false;
    return changed == 1 || error_set(err, ERROR_CONFLICT, "the assessment of execution %s is already made",
                                     record->execution_id);
}

bool assessment_postpone(struct tx *tx, const char *id, int64_t due_at, const char *notes, struct error **err)
{
    return tx_exec(tx, &assessment_postpone_sql, VALUES(V_TEXT(id), V_INT(due_at), V_TEXT(notes)), err);
}

#define AT(field) offsetof(struct detection_record, field)
static const struct column detection_columns[] = {
    { "id", COLUMN_ID, AT(id), true },
    { "pattern", COLUMN_TEXT, AT(pattern), true },
    { "severity", COLUMN_TEXT, AT(severity), true },
    { "confidence", COLUMN_NUMBER, AT(confidence) },
    { "cluster", COLUMN_TEXT, AT(cluster), true },
    { "namespace", COLUMN_TEXT, AT(namespace), true },
    { "kind", COLUMN_TEXT, AT(kind), true },
    { "name", COLUMN_TEXT, AT(name), true },
    { "detected_at", COLUMN_TIME, AT(detected_at), true },
    { "last_at", COLUMN_TIME, AT(last_at), true },
    { "prevention", COLUMN_TEXT, AT(prevention), true },
    { "enforced", COLUMN_FLAG, AT(enforced), true },
    { "evidence", COLUMN_JSON, AT(evidence), true },
    { "incident_id", COLUMN_ID, AT(incident_id) },
    { "execution_id", COLUMN_ID, AT(execution_id) },
    { "resolved_at", COLUMN_TIME, AT(resolved_at) },
    { "resolution", COLUMN_TEXT, AT(resolution) },
    { "details", COLUMN_JSON, AT(details) },
    { 0 },
};
#undef AT
static struct table_text detections_text;
const struct table detections_table = { "detections", "id", detection_columns, &detections_text };

bool detection_insert(struct tx *tx, const struct detection_record *record, struct error **err)
{
    return table_insert(tx, &detections_table, record, err);
}

bool detection_update(struct tx *tx, const struct detection_record *d, struct error **err)
{
    return tx_exec(tx, &detection_update_sql,
                   VALUES(V_TEXT(d->id), V_TEXT(d->severity), number_or_null(d->confidence),
                          V_INT(d->last_at), V_TEXT(d->prevention), V_BOOL(d->enforced), V_TEXT(d->evidence),
                          V_TIME(d->resolved_at), V_TEXT(d->resolution),
                          V_TEXT(d->execution_id[0] ? d->execution_id : NULL)),
                   err);
}

#define AT(field) offsetof(struct notification_record, field)
static const struct column notification_columns[] = {
    { "id", COLUMN_ID, AT(id), true },
    { "incident_id", COLUMN_ID, AT(incident_id) },
    { "execution_id", COLUMN_ID, AT(execution_id) },
    { "channel", COLUMN_TEXT, AT(channel), true },
    { "level", COLUMN_TEXT, AT(level), true },
    { "title", COLUMN_TEXT, AT(title), true },
    { "message", COLUMN_TEXT, AT(message), true },
    { "state", COLUMN_TEXT, AT(state), true },
    { "attempts", COLUMN_INT, AT(attempts), true },
    { "created_at", COLUMN_TIME, AT(created_at), true },
    { "due_at", COLUMN_TIME, AT(due_at), true },
    { "sent_at", COLUMN_TIME, AT(sent_at) },
    { "error", COLUMN_TEXT, AT(error) },
    { "details", COLUMN_JSON, AT(details) },
    { 0 },
};
#undef AT
static struct table_text notifications_text;
const struct table notifications_table = { "notifications", "id", notification_columns, &notifications_text };

bool notification_insert(struct tx *tx, const struct notification_record *record, struct error **err)
{
    return table_insert(tx, &notifications_table, record, err);
}

bool notification_attempted(struct tx *tx, const char *id, const char *error, int64_t due_at,
                            struct error **err)
{
    const char *state = !error ? "sent" : due_at ? "pending" : "failed";
    int64_t now = clock_utc_ms(), changed = 0;
    if (!tx_exec_count(tx, &notification_attempted_sql,
                       VALUES(V_TEXT(id), V_TEXT(state), V_TEXT(error), V_INT(due_at ? due_at : now),
                              V_TIME(error ? 0 : now)),
                       &changed, err))
        return false;
    return changed == 1 || error_set(err, ERROR_CONFLICT, "notification %.40s is not pending", id);
}
