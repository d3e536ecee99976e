/* `history show|patterns|effectiveness|predict|export|import` and `insights`: read from the store directly, beside a
 * running server. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <string.h>

#include "effectiveness/insights.h"
#include "history/history.h"
#include "store/store.h"

enum { DAY_MS = 24 * 3600 * 1000 };

#define FLAG_SINCE { "since", 0, "TIME", "only what is younger than this: 24h, 7d (default 30d)" }
#define FLAG_NAMESPACE { "namespace", 0, "NAME", "only this namespace" }
#define FLAG_ALERT { "alert", 0, "NAME", "only this alert" }
#define FLAG_ACTION { "action", 0, "NAME", "only this action" }
#define FLAG_KIND { "kind", 0, "KIND", "only resources of this kind" }

static const struct cli_flag pattern_flags[] = { CLI_FLAG_OUTPUT, FLAG_SINCE,  FLAG_NAMESPACE,
                                                 FLAG_ALERT,      FLAG_ACTION, { 0 } };
static const struct cli_flag effectiveness_flags[] = {
    CLI_FLAG_OUTPUT,
    FLAG_SINCE,
    FLAG_NAMESPACE,
    FLAG_ALERT,
    FLAG_ACTION,
    FLAG_KIND,
    { "name", 0, "NAME", "only the resource of this name" },
    { 0 },
};
static const struct cli_flag predict_flags[] = { CLI_FLAG_OUTPUT, FLAG_NAMESPACE, FLAG_ALERT,
                                                 FLAG_ACTION,     FLAG_KIND,      { 0 } };

static const struct cli_column effectiveness_columns[] = {
    { "ACTION", "action" },
    { "EXECUTIONS", "executions" },
    { "ASSESSED", "assessed" },
    { "SCORE", "average_score" },
    { "LEAST", "minimum" },
    { "MOST", "maximum" },
    { "COMPLETED", "completed_share", true },
    { "UNDONE", "rolled_back", true },
    { "CONFIDENCE", "average_confidence", true },
    { 0 },
};
static const struct cli_column predict_columns[] = {
    { "ACTION", "action" },     { "RATE", "rate" },
    { "LOW", "low" },           { "HIGH", "high" },
    { "CASES", "cases" },       { "SAMPLES", "samples", true },
    { "USUAL", "usual", true }, { 0 },
};
static const struct cli_column insight_columns[] = {
    { "KIND", "kind" }, { "NAMESPACE", "namespace" }, { "NAME", "name" }, { "WHAT", "text" }, { 0 },
};

static bool filter_of(struct cli *cli, struct history_filter *filter, struct error **err)
{
    int64_t since;
    *filter = (struct history_filter){ .namespace = cli_flag(cli, "namespace", NULL),
                                       .kind = cli_flag(cli, "kind", NULL),
                                       .name = cli_flag(cli, "name", NULL),
                                       .alert_name = cli_flag(cli, "alert", NULL),
                                       .action = cli_flag(cli, "action", NULL) };
    if (!cli_flag_duration(cli, "since", INT64_C(30) * DAY_MS, &since, err))
        return false;
    filter->period.from = clock_utc_ms() - since;
    return true;
}

static int show(struct cli *cli)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    struct history_target target;
    int64_t limit;
    if (!history_target_parse(arena, cli_arg(cli, 0), &target, &err) ||
        !cli_flag_int(cli, "limit", 50, 0, 200, &limit, &err))
        return cli_fail(&err);
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    return store && history_show(store, cli_config(cli, NULL), &target, limit, &json, &err) &&
                   cli_show_object(cli, strbuf_str(&json), &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int patterns(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    struct history_filter filter;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    return store && filter_of(cli, &filter, &err) &&
                   history_patterns(store, cli_config(cli, NULL), &filter, &json, &err) &&
                   cli_show_object(cli, strbuf_str(&json), &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int effectiveness(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    struct history_filter filter;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    return store && filter_of(cli, &filter, &err) && history_effectiveness(store, &filter, &json, &err) &&
                   cli_show_list(cli, strbuf_str(&json), "effectiveness", effectiveness_columns, &err)
               ? CLI_OK
               : cli_fail(&err);
}

static int predict_rates(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    struct history_filter filter;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    return store && filter_of(cli, &filter, &err) &&
                   history_predict(store, cli_config(cli, NULL), &filter, &json, &err) &&
                   cli_show_list(cli, strbuf_str(&json), "predictions", predict_columns, &err)
               ? CLI_OK
               : cli_fail(&err);
}

static FILE *open_file(const char *path, const char *mode, FILE *otherwise, struct error **err)
{
    if (strcmp(path, "-") == 0)
        return otherwise;
    FILE *file = fopen(path, mode);
    if (!file)
        error_errno(err, errno, "open %s", path);
    return file;
}

static int export_rows(struct cli *cli)
{
    struct error *err = NULL;
    const char *path = cli_args(cli) ? cli_arg(cli, 0) : "-";
    int64_t rows = 0;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    FILE *file = store ? open_file(path, "wxe", stdout, &err) : NULL;
    bool ok = file && history_export(store, file, &rows, &err);
    if (file && file != stdout && fclose(file) != 0 && ok)
        ok = error_errno(&err, errno, "write %s", path);
    if (!ok)
        return cli_fail(&err);
    fprintf(stderr, "%lld rows exported\n", (long long)rows);
    return CLI_OK;
}

static int import_rows(struct cli *cli)
{
    struct error *err = NULL;
    struct history_imported imported;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    FILE *file = store ? open_file(cli_arg(cli, 0), "re", NULL, &err) : NULL;
    if (store && !file && !err)
        error_set(&err, ERROR_INVALID, "give a file: an import reads it twice");
    bool ok = file && history_import(store, file, cli_arg(cli, 0), &imported, &err);
    if (file)
        fclose(file);
    if (!ok)
        return cli_fail(&err);
    printf("%lld rows read, %lld added, %lld were there\n", (long long)imported.rows,
           (long long)imported.added, (long long)(imported.rows - imported.added));
    return CLI_OK;
}

static int insights(struct cli *cli)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(strbuf) struct strbuf json = { 0 };
    struct error *err = NULL;
    struct insights found;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    if (!store || !insights_find(store, arena, cli_config(cli, NULL), &found, &err))
        return cli_fail(&err);
    insights_write(&found, &json);
    if (*found.missing && cli_output(cli) != CLI_JSON && cli_output(cli) != CLI_YAML)
        fprintf(stderr, "%s\n", found.missing);
    return cli_show_list(cli, strbuf_str(&json), "insights", insight_columns, &err) ? CLI_OK : cli_fail(&err);
}

const struct cli_command cli_history[] = {
    { "history show", "RESOURCE", "show what was done to a resource, and whether it turns in circles", show,
      1, 1, .flags = cli_list_flags,
      .details = "RESOURCE is NAMESPACE/KIND/NAME, as in shop/Deployment/web." },
    { "history patterns", "", "show which actions help against which alerts, which never do, and what recurs",
      patterns, .flags = pattern_flags },
    { "history effectiveness", "", "show what came of actions", effectiveness, .flags = effectiveness_flags },
    { "history predict", "", "show how likely each action is to help", predict_rates,
      .flags = predict_flags },
    { "history export", "[FILE]", "write the history as JSON lines", export_rows, 0, 1 },
    { "history import", "FILE", "read an export; rows that are there stay as they are", import_rows, 1, 1 },
    { 0 },
};

const struct cli_command cli_insights[] = {
    { "insights", "", "show alerts out of their usual rate, and what will run full", insights,
      .flags = cli_output_flags },
    { 0 },
};
