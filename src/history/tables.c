/* What an export holds: every table of the past, in an order in which it can be read in again. Those whose rows are
 * structs elsewhere say there what their columns are. */
#include "history/history_internal.h"

#include "store/decisions.h"
#include "store/memory.h"
#include "store/outcomes.h"

static const struct column incidents_columns[] = {
    { "id", COLUMN_TEXT, 0, true },
    { "status", COLUMN_TEXT, 0, true },
    { "target_key", COLUMN_TEXT, 0, true },
    { "cluster", COLUMN_TEXT, 0, true },
    { "namespace", COLUMN_TEXT, 0, true },
    { "kind", COLUMN_TEXT, 0, true },
    { "name", COLUMN_TEXT, 0, true },
    { "node", COLUMN_TEXT, 0, true },
    { "rule", COLUMN_TEXT, 0, true },
    { "title", COLUMN_TEXT, 0, true },
    { "severity", COLUMN_TEXT, 0, true },
    { "severity_rank", COLUMN_INT, 0, true },
    { "root_alert_id", COLUMN_TEXT, 0, false },
    { "parent_id", COLUMN_TEXT, 0, false },
    { "alerts", COLUMN_INT, 0, true },
    { "firing", COLUMN_INT, 0, true },
    { "flapping", COLUMN_INT, 0, true },
    { "work", COLUMN_TEXT, 0, true },
    { "opened_at", COLUMN_TIME, 0, true },
    { "updated_at", COLUMN_TIME, 0, true },
    { "resolved_at", COLUMN_TIME, 0, false },
    { "trace_id", COLUMN_TEXT, 0, false },
    { 0 },
};
static struct table_text incidents_text;
static const struct table incidents_table = { "incidents", "id", incidents_columns, &incidents_text };

static const struct column incident_keys_columns[] = {
    { "incident_id", COLUMN_TEXT, 0, true },
    { "correlation_key", COLUMN_TEXT, 0, true },
    { "last_at", COLUMN_TIME, 0, true },
    { 0 },
};
static struct table_text incident_keys_text;
static const struct table incident_keys_table = { "incident_keys", "correlation_key, incident_id",
                                                  incident_keys_columns, &incident_keys_text };

static const struct column alerts_columns[] = {
    { "id", COLUMN_TEXT, 0, true },
    { "fingerprint", COLUMN_TEXT, 0, true },
    { "current", COLUMN_INT, 0, true },
    { "status", COLUMN_TEXT, 0, true },
    { "name", COLUMN_TEXT, 0, true },
    { "severity", COLUMN_TEXT, 0, true },
    { "severity_rank", COLUMN_INT, 0, true },
    { "namespace", COLUMN_TEXT, 0, true },
    { "resource", COLUMN_TEXT, 0, true },
    { "description", COLUMN_TEXT, 0, true },
    { "cluster", COLUMN_TEXT, 0, true },
    { "target_namespace", COLUMN_TEXT, 0, true },
    { "target_kind", COLUMN_TEXT, 0, true },
    { "target_name", COLUMN_TEXT, 0, true },
    { "labels", COLUMN_TEXT, 0, true },
    { "annotations", COLUMN_TEXT, 0, true },
    { "generator_url", COLUMN_TEXT, 0, true },
    { "receiver", COLUMN_TEXT, 0, true },
    { "group_key", COLUMN_TEXT, 0, true },
    { "starts_at", COLUMN_TIME, 0, false },
    { "ends_at", COLUMN_TIME, 0, false },
    { "received_at", COLUMN_TIME, 0, true },
    { "last_seen_at", COLUMN_TIME, 0, true },
    { "deliveries", COLUMN_INT, 0, true },
    { "changes", COLUMN_TEXT, 0, true },
    { "flapping", COLUMN_INT, 0, true },
    { "filtered", COLUMN_INT, 0, true },
    { "incident_id", COLUMN_TEXT, 0, false },
    { "trace_id", COLUMN_TEXT, 0, false },
    { 0 },
};
static struct table_text alerts_text;
static const struct table alerts_table = { "alerts", "id", alerts_columns, &alerts_text };

static const struct column executions_columns[] = {
    { "id", COLUMN_TEXT, 0, true },
    { "incident_id", COLUMN_TEXT, 0, false },
    { "decision_id", COLUMN_TEXT, 0, false },
    { "alert_id", COLUMN_TEXT, 0, false },
    { "alert_name", COLUMN_TEXT, 0, false },
    { "trace_id", COLUMN_TEXT, 0, false },
    { "state", COLUMN_TEXT, 0, true },
    { "action", COLUMN_TEXT, 0, true },
    { "parameters", COLUMN_TEXT, 0, true },
    { "cluster", COLUMN_TEXT, 0, true },
    { "namespace", COLUMN_TEXT, 0, true },
    { "kind", COLUMN_TEXT, 0, true },
    { "name", COLUMN_TEXT, 0, true },
    { "uid", COLUMN_TEXT, 0, false },
    { "dry_run", COLUMN_TEXT, 0, true },
    { "idempotency_key", COLUMN_TEXT, 0, true },
    { "requested_by", COLUMN_TEXT, 0, true },
    { "created_at", COLUMN_TIME, 0, true },
    { "started_at", COLUMN_TIME, 0, false },
    { "finished_at", COLUMN_TIME, 0, false },
    { "duration_ms", COLUMN_NUMBER, 0, false },
    { "state_before", COLUMN_TEXT, 0, false },
    { "state_after", COLUMN_TEXT, 0, false },
    { "inverse", COLUMN_TEXT, 0, false },
    { "operations", COLUMN_TEXT, 0, false },
    { "error", COLUMN_TEXT, 0, false },
    { "undo_of", COLUMN_TEXT, 0, false },
    { "undone_by", COLUMN_TEXT, 0, false },
    { "owner", COLUMN_TEXT, 0, false },
    { "lease_until", COLUMN_INT, 0, true },
    { "fence", COLUMN_INT, 0, true },
    { "updated_at", COLUMN_TIME, 0, true },
    { "details", COLUMN_TEXT, 0, false },
    { "affected", COLUMN_INT, 0, true },
    { "undo_at", COLUMN_TIME, 0, false },
    { "severity", COLUMN_TEXT, 0, false },
    { "confidence", COLUMN_NUMBER, 0, false },
    { 0 },
};
static struct table_text executions_text;
static const struct table executions_table = { "executions", "id", executions_columns, &executions_text };

static const struct column resources_columns[] = {
    { "id", COLUMN_TEXT, 0, true },
    { "cluster", COLUMN_TEXT, 0, true },
    { "namespace", COLUMN_TEXT, 0, true },
    { "kind", COLUMN_TEXT, 0, true },
    { "name", COLUMN_TEXT, 0, true },
    { "api_version", COLUMN_TEXT, 0, false },
    { "uid", COLUMN_TEXT, 0, false },
    { "created_at", COLUMN_TIME, 0, true },
    { "deleted_at", COLUMN_TIME, 0, false },
    { "last_seen_at", COLUMN_TIME, 0, true },
    { 0 },
};
static struct table_text resources_text;
static const struct table resources_table = { "resources", "id", resources_columns, &resources_text };

static const struct column approvals_columns[] = {
    { "id", COLUMN_TEXT, 0, true },          { "execution_id", COLUMN_TEXT, 0, true },
    { "state", COLUMN_TEXT, 0, true },       { "requested_at", COLUMN_TIME, 0, true },
    { "expires_at", COLUMN_TIME, 0, false }, { "decided_at", COLUMN_TIME, 0, false },
    { "decided_by", COLUMN_TEXT, 0, false }, { "reason", COLUMN_TEXT, 0, false },
    { "details", COLUMN_TEXT, 0, false },    { 0 },
};
static struct table_text approvals_text;
static const struct table approvals_table = { "approvals", "id", approvals_columns, &approvals_text };

static const struct column cooldowns_columns[] = {
    { "subject", COLUMN_TEXT, 0, true },    { "until", COLUMN_TIME, 0, true },
    { "started_at", COLUMN_TIME, 0, true }, { "execution_id", COLUMN_TEXT, 0, false },
    { "reason", COLUMN_TEXT, 0, false },    { 0 },
};
static struct table_text cooldowns_text;
static const struct table cooldowns_table = { "cooldowns", "subject", cooldowns_columns, &cooldowns_text };

static const struct column success_rates_columns[] = {
    { "alert_name", COLUMN_TEXT, 0, true },
    { "kind", COLUMN_TEXT, 0, true },
    { "namespace", COLUMN_TEXT, 0, true },
    { "action", COLUMN_TEXT, 0, true },
    { "helped", COLUMN_NUMBER, 0, true },
    { "tried", COLUMN_NUMBER, 0, true },
    { "cases", COLUMN_INT, 0, true },
    { "as_of", COLUMN_TIME, 0, true },
    { 0 },
};
static struct table_text success_rates_text;
static const struct table success_rates_table = { "success_rates", "alert_name, kind, namespace, action",
                                                  success_rates_columns, &success_rates_text };

static const struct column retention_runs_columns[] = {
    { "id", COLUMN_TEXT, 0, true },
    { "at", COLUMN_TIME, 0, true },
    { "reason", COLUMN_TEXT, 0, true },
    { "rows_deleted", COLUMN_INT, 0, true },
    { "oldest_kept", COLUMN_INT, 0, false },
    { "duration_ms", COLUMN_NUMBER, 0, true },
    { 0 },
};
static struct table_text retention_runs_text;
static const struct table retention_runs_table = { "retention_runs", "id", retention_runs_columns,
                                                   &retention_runs_text };

const struct table *const history_tables[] = {
    &incidents_table,     &incident_keys_table, &alerts_table,         &resources_table,
    &decisions_table,     &executions_table,    &verdicts_table,       &approvals_table,
    &assessments_table,   &notifications_table, &detections_table,     &cooldowns_table,
    &success_rates_table, &calibration_table,   &retention_runs_table, NULL,
};

const struct table *history_table(struct str name)
{
    for (const struct table *const *table = history_tables; *table; table++)
        if (str_eq(name, str_of((*table)->name)))
            return *table;
    return NULL;
}
