/* `alerts list|show` and `incidents list|show`: read from the store directly, beside a running server. */
#include "cli/cli_internal.h"

#include "api/api.h"

struct store *cli_open_store(struct cli *cli, struct error **err)
{
    const struct config *config = cli_config(cli, err);
    if (!config)
        return NULL;
    const struct store_options options = { .url = config->store.url,
                                           .password = config->database.password,
                                           .ssl_mode = config->database.ssl_mode };
    return store_open(&options, err);
}

static const char *const alert_statuses[] = { "firing", "resolved", NULL };
static const char *const incident_statuses[] = { "open", "resolved", NULL };

/* Filters are flags of the same names as the API's parameters. */
#define FLAG_SEVERITY { "severity", 0, "NAME", "only those of this severity" }
#define FLAG_NAMESPACE { "namespace", 0, "NAME", "only those of this namespace" }
#define FLAG_CURSOR { "cursor", 0, "ID", "the page after this one: next_cursor of a list" }

static const struct cli_flag alert_flags[] = {
    CLI_FLAG_OUTPUT,
    CLI_FLAG_LIMIT,
    { "status", 0, "STATUS", "firing or resolved", alert_statuses },
    FLAG_SEVERITY,
    FLAG_NAMESPACE,
    { "name", 0, "NAME", "only those of this alert name" },
    { "fingerprint", 0, "HEX", "only those of this fingerprint" },
    { "incident", 0, "ID", "only those of this incident" },
    FLAG_CURSOR,
    { 0 },
};

static const struct cli_flag incident_flags[] = {
    CLI_FLAG_OUTPUT,
    CLI_FLAG_LIMIT,
    { "status", 0, "STATUS", "open or resolved", incident_statuses },
    FLAG_SEVERITY,
    FLAG_NAMESPACE,
    { "kind", 0, "KIND", "only those of resources of this kind" },
    { "name", 0, "NAME", "only those of the resource of this name" },
    FLAG_CURSOR,
    { 0 },
};

static const struct cli_column alert_columns[] = {
    { "ID", "id" },
    { "STATUS", "status" },
    { "SEVERITY", "severity" },
    { "NAME", "name" },
    { "NAMESPACE", "namespace" },
    { "RESOURCE", "resource" },
    { "STARTS_AT", "starts_at" },
    { "ENDS_AT", "ends_at", true },
    { "FINGERPRINT", "fingerprint", true },
    { "DELIVERIES", "deliveries", true },
    { "INCIDENT", "incident_id", true },
    { "DESCRIPTION", "description", true },
    { 0 },
};

static const struct cli_column incident_columns[] = {
    { "ID", "id" },
    { "STATUS", "status" },
    { "SEVERITY", "severity" },
    { "TITLE", "title" },
    { "NAMESPACE", "namespace" },
    { "KIND", "kind" },
    { "NAME", "name" },
    { "FIRING", "firing_count" },
    { "WORK", "work" },
    { "ACTION", "decision.action" },
    { "STATE", "execution.state" },
    { "OPENED_AT", "opened_at", true },
    { "RESOLVED_AT", "resolved_at", true },
    { "CONFIDENCE", "decision.confidence", true },
    { "VERDICT", "verdict.verdict", true },
    { "SCORE", "assessment.score", true },
    { "RULE", "rule", true },
    { 0 },
};

static bool limit_of(const struct cli *cli, int64_t *limit, struct error **err)
{
    return cli_flag_int(cli, "limit", API_LIMIT_DEFAULT, 0, INT32_MAX, limit, err);
}

static bool list_alerts_into(struct cli *cli, struct strbuf *json, struct error **err)
{
    struct alert_query query = {
        .status = cli_flag(cli, "status", NULL),
        .severity = cli_flag(cli, "severity", NULL),
        .namespace = cli_flag(cli, "namespace", NULL),
        .name = cli_flag(cli, "name", NULL),
        .fingerprint = cli_flag(cli, "fingerprint", NULL),
        .incident_id = cli_flag(cli, "incident", NULL),
        .before_id = cli_flag(cli, "cursor", NULL),
    };
    if (!limit_of(cli, &query.limit, err))
        return false;
    AUTO(store) struct store *store = cli_open_store(cli, err);
    return store && api_write_alerts(store, &query, json, err);
}

static bool list_incidents_into(struct cli *cli, struct strbuf *json, struct error **err)
{
    struct incident_query query = {
        .status = cli_flag(cli, "status", NULL),
        .severity = cli_flag(cli, "severity", NULL),
        .namespace = cli_flag(cli, "namespace", NULL),
        .kind = cli_flag(cli, "kind", NULL),
        .name = cli_flag(cli, "name", NULL),
        .before_id = cli_flag(cli, "cursor", NULL),
    };
    if (!limit_of(cli, &query.limit, err))
        return false;
    AUTO(store) struct store *store = cli_open_store(cli, err);
    return store && api_write_incidents(store, &query, json, err);
}

static int list_alerts(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    return list_alerts_into(cli, &json, &err) &&
                   cli_show_list(cli, strbuf_str(&json), "alerts", alert_columns, &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int list_incidents(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    return list_incidents_into(cli, &json, &err) &&
                   cli_show_list(cli, strbuf_str(&json), "incidents", incident_columns, &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int show_alert(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    return store && api_write_alert(store, cli_arg(cli, 0), &json, &err) &&
                   cli_show_object(cli, strbuf_str(&json), &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int show_incident(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    AUTO(strbuf) struct strbuf screen = { 0 };
    struct error *err = NULL;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    if (!store || !api_write_incident(store, cli_arg(cli, 0), &json, &err))
        return cli_fail(&err);
    if (cli_output(cli) == CLI_JSON || cli_output(cli) == CLI_YAML)
        return cli_show_object(cli, strbuf_str(&json), &err) ? CLI_OK : cli_fail(&err);
    if (!cli_write_story(strbuf_str(&json), &screen, &err))
        return cli_fail(&err);
    cli_print(strbuf_str(&screen));
    return CLI_OK;
}

const struct cli_command cli_alerts[] = {
    { "alerts list", "", "list alerts, newest first", list_alerts, .flags = alert_flags },
    { "alerts show", "ID", "show one alert", show_alert, .args_min = 1, .args_max = 1,
      .flags = cli_output_flags },
    { 0 },
};

const struct cli_command cli_incidents[] = {
    { "incidents list", "", "list incidents, newest first", list_incidents, .flags = incident_flags },
    { "incidents show", "ID", "tell the story of one incident", show_incident, .args_min = 1, .args_max = 1,
      .flags = cli_output_flags },
    { 0 },
};
