/* model train-head: teach a model its head from labelled alerts. */
#include "cli/cli_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "slm/files.h"
#include "slm/train.h"

static void show_progress(size_t done, size_t total, void *context)
{
    (void)context;
    if (isatty(STDERR_FILENO) || done == total || done % 200 < 8)
        fprintf(stderr, "%s%zu of %zu alerts read%s", isatty(STDERR_FILENO) ? "\r" : "", done, total,
                done == total || !isatty(STDERR_FILENO) ? "\n" : "");
}

/* Only the scenarios of the files given with --report are in the report. */
struct reported {
    const struct scenario *first, *end;
};

static bool is_reported(const struct scenario *scenario, void *context)
{
    const struct reported *reported = context;
    return scenario >= reported->first && scenario < reported->end;
}

static bool read_files(const struct cli *cli, const char *flag, struct arena *arena,
                       struct scenario_list *scenarios, struct error **err)
{
    for (size_t i = 0; i < cli_flag_count(cli, flag); i++)
        if (!scenarios_read(arena, cli_flag_at(cli, flag, i), scenarios, err))
            return false;
    return true;
}

static struct embedded *open_model(const struct config *config, const char *cache, struct error **err)
{
    AUTO(text) char *path = files_model_path(config);
    return embedded_open(path,
                         &(struct engine_options){ .isa = config->slm.isa[0] ? config->slm.isa : NULL,
                                                   .cache_dir = cache,
                                                   .threads = (unsigned)config->slm.threads },
                         err);
}

static int train_head(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    const struct config *config = cli_config(cli, &err);
    if (!config)
        return cli_fail(&err);
    struct scenario_list scenarios = { 0 };
    if (!read_files(cli, "report", arena, &scenarios, &err))
        return cli_fail(&err);
    size_t reported_count = scenarios.count;
    if (!read_files(cli, "scenarios", arena, &scenarios, &err))
        return cli_fail(&err);
    struct reported reported = { scenarios.items,
                                 scenarios.items + (reported_count ? reported_count : scenarios.count) };

    int64_t read_at_most;
    if (!cli_flag_int(cli, "read-at-most", 0, 0, INT32_MAX, &read_at_most, &err))
        return cli_fail(&err);
    bool without_model = config->slm.provider == CONFIG_PROVIDER_NONE;
    AUTO(text) char *cache = files_cache_directory(config), *fitted = files_fitted_directory();
    AUTO(text) char *name = without_model ? xstrdup("none") : files_model_name(config);
    AUTO(embedded) struct embedded *model = without_model ? NULL : open_model(config, cache, &err);
    if (!model && !without_model)
        return cli_fail(&err);
    struct report report = { 0 };
    bool ok = train(model,
                    &(struct train_options){ .scenarios = &scenarios,
                                             .confidence_threshold = config->slm.confidence_threshold,
                                             .read_at_most = (size_t)read_at_most,
                                             .cache_dir = cache,
                                             .out_dir = cli_flag(cli, "out", fitted),
                                             .model_name = name,
                                             .is_judged = is_reported,
                                             .progress = show_progress,
                                             .context = &reported },
                    &report, &err);
    AUTO(strbuf) struct strbuf out = { 0 };
    enum report_format format = REPORT_TABLE;
    report_format_parse(str_of(cli_flag(cli, "output", "table")), &format);
    if (ok)
        report_write(&report, format, &out);
    cli_print(strbuf_str(&out));
    report_free(&report);
    free(scenarios.items);
    return ok ? CLI_OK : cli_fail(&err);
}

static const char *const output_choices[] = { "table", "json", "markdown", "html", NULL };
static const struct cli_flag flags[] = {
    { "scenarios", 0, "FILE", "labelled alerts to learn from, one JSON object a line", .repeatable = true },
    { "report", 0, "FILE",
      "labelled alerts to learn from and to report on, each judged by what had not seen its rule",
      .repeatable = true },
    { "read-at-most", 0, "N", "let the model read only N alerts, a fair sample (default: all)" },
    { "out", 0, "DIR",
      "where to write what was fitted (default: the state directory, where it is used from)" },
    { "model", 'm', "MODEL", "a catalogue name or a path", .sets = "slm.model" },
    { "provider", 'p', "PROVIDER", "none: fit the prior alone", .sets = "slm.provider" },
    { "output", 'o', "FORMAT", "of the report: table, json, markdown or html", output_choices },
    { 0 },
};

const struct cli_command cli_train[] = {
    { "model train-head", "", "teach a model to choose, from labelled alerts, on a CPU", train_head,
      .flags = flags,
      .details =
          "Reads every alert with the model once (kept in slm.cache_dir), fits head, prior, fusion and\n"
          "calibration by folds grouped by rule, and prints how good they are on rules they had not seen." },
    { 0 },
};
