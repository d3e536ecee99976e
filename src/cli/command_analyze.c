/* analyze: what would be decided about an alert, and how good decisions are over labelled ones. Nothing is executed. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "slm/report.h"
#include "slm/scenario.h"
#include "slm/slm.h"

enum { INPUT_MAX = 64 * 1024 * 1024, BAR_WIDTH = 40, TOGETHER = 8 };

static bool read_standard_input(struct strbuf *text, struct error **err)
{
    for (;;) {
        strbuf_reserve(text, 64 * 1024);
        ssize_t got = read(STDIN_FILENO, text->ptr + text->len, 64 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "read standard input");
        text->len += (size_t)got;
        if (text->len > INPUT_MAX)
            return error_set(err, ERROR_LIMIT, "standard input is larger than %d bytes", INPUT_MAX);
        if (got == 0)
            return true;
    }
}

static bool read_alerts(struct arena *arena, const char *path, struct alert_payload *payload, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    bool ok = strcmp(path, "-") == 0 ? read_standard_input(&text, err) : file_read(path, INPUT_MAX, &text, err);
    if (ok && !alert_parse(arena, strbuf_str(&text), payload, err))
        return error_wrap(err, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
    return ok && (payload->count || error_set(err, ERROR_INVALID, "%s holds no alert", path));
}

static struct slm_question question_of(const struct alert *alert)
{
    enum kind kind = KIND_NONE;
    kind_parse(alert->target.kind, &kind);
    return (struct slm_question){ .alert = alert,
                                  .alerts = 1,
                                  .kind = kind,
                                  .feasible = ACTION_SET_ALL,
                                  .priority = SEVERITY_COUNT - (int)alert->severity };
}

/* {"decisions":[{"alert":…, decision…}],"next_cursor":null}: decisions of several alerts are shown as a list. */
static char *as_list(const struct alert_payload *payload, const struct decision *decisions)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_text(&out, "{\"decisions\":[");
    for (size_t i = 0; i < payload->count; i++) {
        AUTO(text) char *json = decision_json(&decisions[i]);
        strbuf_addf(&out, "%s{\"alert\":", i ? "," : "");
        strbuf_add_json(&out, payload->alerts[i].name);
        strbuf_add_text(&out, ",\"fingerprint\":");
        strbuf_add_json(&out, str_of(payload->alerts[i].fingerprint));
        strbuf_addf(&out, ",%s", json + 1);
    }
    strbuf_add_text(&out, "],\"next_cursor\":null}");
    return strbuf_take(&out);
}

static const struct cli_column columns[] = {
    { "ALERT", "alert" },           { "ACTION", "action" },   { "CONFIDENCE", "confidence" },
    { "RANKED FIRST", "ranked_first" }, { "PARAMETERS", "parameters" }, { "SUMMARY", "reasoning.summary", .wide = true },
    { "MODEL", "model", .wide = true }, { 0 },
};

static void explain(const struct decision *decision, struct strbuf *out)
{
    strbuf_addf(out, "%s\n%s\n%s\noscillation: %s\n\n", decision->summary, decision->primary_reason,
                decision->historical_context, decision->oscillation_risk);
    if (decision->injection)
        strbuf_addf(out, "The alert tried to instruct; left out:\n%s\n", decision->injection_text);
    if (decision->degraded[0])
        strbuf_addf(out, "degraded: %s\n\n", decision->degraded);
    strbuf_addf(out, "%-24s %8s", "action", "fused");
    for (int s = 0; s < EVIDENCE_COUNT; s++)
        if (!isnan(decision->evidence[s][0]))
            strbuf_addf(out, " %8s", evidence_names[s]);
    strbuf_add_char(out, '\n');
    uint32_t left = decision->feasible;
    while (left) {
        int best = __builtin_ctz(left);
        for (int a = best; a < ACTION_COUNT; a++)
            if (left & BIT(a) && decision->probabilities[a] > decision->probabilities[best])
                best = a;
        left &= ~BIT(best);
        strbuf_addf(out, "%-24s %8.4f", actions[best].name, decision->probabilities[best]);
        for (int s = 0; s < EVIDENCE_COUNT; s++)
            if (!isnan(decision->evidence[s][0]))
                strbuf_addf(out, " %8.4f", exp(decision->evidence[s][best]));
        strbuf_add_char(out, '\n');
    }
    strbuf_add_text(out, "\nfactors:\n");
    for (size_t i = 0; i < decision->factor_count; i++)
        strbuf_addf(out, "  %-32s %8.4f\n", decision->factors[i].name, decision->factors[i].value);
}

static int analyze_alerts(struct cli *cli, struct slm *slm, const char *path)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct alert_payload payload = { 0 };
    if (!read_alerts(arena, path, &payload, &err))
        return cli_fail(&err);
    struct slm_question *questions = ARENA_ARRAY(arena, struct slm_question, payload.count);
    struct decision *decisions = ARENA_ARRAY(arena, struct decision, payload.count);
    for (size_t i = 0; i < payload.count; i++)
        questions[i] = question_of(&payload.alerts[i]);
    slm_decide_batch(slm, arena, questions, payload.count, decisions);
    if (cli_has(cli, "explain")) {
        AUTO(strbuf) struct strbuf raw = { 0 }, out = { 0 };
        for (size_t i = 0; i < payload.count; i++)
            explain(&decisions[i], &raw);
        struct str rest = strbuf_str(&raw), line;
        while (str_split(&rest, '\n', &line)) {
            cli_print_safe(&out, line);
            strbuf_add_char(&out, '\n');
        }
        cli_print(strbuf_str(&out));
        return CLI_OK;
    }
    AUTO(text) char *list = payload.count == 1 ? decision_json(&decisions[0]) : as_list(&payload, decisions);
    bool shown = payload.count == 1 ? cli_show_object(cli, str_of(list), &err)
                                    : cli_show_list(cli, str_of(list), "decisions", columns, &err);
    return shown ? CLI_OK : cli_fail(&err);
}

/* ---- labelled scenarios ---- */

static void draw_bar(size_t done, size_t total)
{
    if (!isatty(STDERR_FILENO))
        return;
    size_t filled = total ? done * BAR_WIDTH / total : BAR_WIDTH;
    fprintf(stderr, "\r[%-*.*s] %zu/%zu%s", BAR_WIDTH, (int)filled, "########################################", done,
            total, done == total ? "\n" : "");
}

static void judge_all(struct slm *slm, const struct scenario_list *scenarios, struct report *report)
{
    for (size_t done = 0; done < scenarios->count; done += TOGETHER) {
        AUTO(arena) struct arena *arena = arena_new(1 << 18);
        size_t count = MIN(scenarios->count - done, (size_t)TOGETHER);
        for (size_t i = 0; i < count; i++) {
            struct slm_question question = question_of(&scenarios->items[done + i].alert);
            struct decision decision;
            slm_decide(slm, arena, &question, &decision);
            struct judged judged = { .scenario = &scenarios->items[done + i],
                                     .ranked_first = decision.ranked_first,
                                     .abstained = decision.abstained,
                                     .confidence = decision.confidence,
                                     .latency_ms = (double)decision.latency_us / 1000 };
            memcpy(judged.probabilities, decision.probabilities, sizeof judged.probabilities);
            report_add(report, &judged);
        }
        draw_bar(done + count, scenarios->count);
    }
}

static int analyze_scenarios(struct cli *cli, struct slm *slm, const char *path)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct scenario_list scenarios = { 0 };
    enum report_format format = REPORT_TABLE;
    if (!report_format_parse(str_of(cli_flag(cli, "output", "table")), &format))
        return cli_usage("a report is written as table, json, markdown or html");
    if (!scenarios_read(arena, path, &scenarios, &err))
        return cli_fail(&err);
    struct report report = { .model = slm_status(slm).model };
    judge_all(slm, &scenarios, &report);
    AUTO(strbuf) struct strbuf out = { 0 };
    report_write(&report, format, &out);
    cli_print(strbuf_str(&out));
    double wanted = 0, accuracy = report_figures(&report).accuracy;
    str_to_double(str_of(cli_flag(cli, "min-accuracy", "0")), &wanted);
    report_free(&report);
    free(scenarios.items);
    if (accuracy >= wanted)
        return CLI_OK;
    fprintf(stderr, "accuracy %.3f is below %.3f\n", accuracy, wanted);
    return CLI_FAILURE;
}

static int analyze(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    const char *scenarios = cli_flag(cli, "scenarios", NULL), *path = cli_arg(cli, 0);
    if (!scenarios == !path)
        return cli_usage("give one ALERT.json (or - for standard input), or --scenarios FILE");
    const struct config *config = cli_config(cli, &err);
    if (!config)
        return cli_fail(&err);
    log_configure(LOG_WARN, LOG_FORMAT_AUTO);
    AUTO(slm) struct slm *slm = slm_open(config, &err);
    if (!slm)
        return cli_fail(&err);
    return scenarios ? analyze_scenarios(cli, slm, scenarios) : analyze_alerts(cli, slm, path);
}

static const char *const output_choices[] = { "table", "wide", "json", "yaml", "markdown", "html", NULL };
static const struct cli_flag flags[] = {
    { "output", 'o', "FORMAT", "table, wide, json, yaml; of scenarios: table, json, markdown, html", output_choices },
    { "model", 'm', "MODEL", "a catalogue name or a path", .sets = "slm.model" },
    { "provider", 'p', "PROVIDER", "embedded, openai, ollama or none", .sets = "slm.provider" },
    { "explain", 0, NULL, "show every factor and every probability" },
    { "scenarios", 0, "FILE", "labelled alerts, one JSON object a line: report accuracy, safety and calibration" },
    { "min-accuracy", 0, "X", "exit with 1 below this share of acceptable actions" },
    { 0 },
};

const struct cli_command cli_analyze[] = {
    { "analyze", "[ALERT.json|-]", "say what would be decided about an alert, and why; nothing is executed", analyze,
      .args_max = 1, .flags = flags,
      .details = "ALERT.json is one alert, a webhook payload, or an Alertmanager API list." },
    { 0 },
};
