/* The assessment as it is kept, and what is learned from it. */
#include <math.h>

#include "effectiveness/effectiveness_internal.h"
#include "history/history.h"
#include "store/decisions.h"
#include "store/memory.h"

static void add_value(struct strbuf *out, const char *name, double value)
{
    strbuf_addf(out, "%s\"%s\":", out->len > 1 && out->ptr[out->len - 1] != '{' ? "," : "", name);
    if (isnan(value) || isinf(value))
        strbuf_add_text(out, "null");
    else
        strbuf_addf(out, "%.6g", value);
}

static const char *criteria_json(struct arena *arena, const struct gathered *g)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '{');
    for (int i = 0; i < CRITERION_COUNT; i++)
        add_value(&out, criterion_names[i], g->evidence.criteria[i]);
    strbuf_add_char(&out, '}');
    return arena_text(arena, strbuf_str(&out));
}

static const char *factors_json(struct arena *arena, const struct gathered *g)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '{');
    if (g->metric) {
        strbuf_add_text(&out, "\"metric\":");
        strbuf_add_json(&out, str_of(g->metric));
    }
    add_value(&out, "metric_before", g->metric_before);
    add_value(&out, "metric_after", g->metric_after);
    add_value(&out, "metric_threshold", g->threshold);
    add_value(&out, "new_alerts", (double)g->new_alerts);
    add_value(&out, "side_effects", (double)g->side_effects);
    add_value(&out, "resolved_after_seconds",
              g->resolved_after_ms < 0 ? NAN : (double)g->resolved_after_ms / 1000);
    add_value(&out, "restarts", g->workload.restarts < 0 ? NAN : (double)g->workload.restarts);
    strbuf_add_char(&out, '}');
    return arena_text(arena, strbuf_str(&out));
}

static const char *cost_json(struct arena *arena, const struct cost_evidence *cost)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    if (isnan(cost->cpu_before) && isnan(cost->cpu_after) && isnan(cost->memory_before) &&
        isnan(cost->memory_after))
        return NULL;
    strbuf_add_char(&out, '{');
    add_value(&out, "cpu_before", cost->cpu_before);
    add_value(&out, "cpu_after", cost->cpu_after);
    add_value(&out, "memory_before", cost->memory_before);
    add_value(&out, "memory_after", cost->memory_after);
    strbuf_add_char(&out, '}');
    return arena_text(arena, strbuf_str(&out));
}

static void improve(struct strbuf *out, bool when, const char *text)
{
    if (!when)
        return;
    strbuf_add_text(out, out->len > 1 ? "," : "");
    strbuf_add_json(out, str_of(text));
}

static const char *improvements_json(struct arena *arena, const struct gathered *g)
{
    const double *c = g->evidence.criteria;
    const struct cost_evidence *cost = &g->cost;
    bool dearer = cost->cpu_after > cost->cpu_before || cost->memory_after > cost->memory_before;
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    improve(&out, g->evidence.failed, "the action failed: see the execution's error");
    improve(&out, c[CRITERION_ALERT_RESOLVED] == 0, "the alert still fires: another action is due");
    improve(&out, c[CRITERION_METRIC_IMPROVED] > 0 && c[CRITERION_METRIC_IMPROVED] < 1,
            "the metric moved, not far enough: more of the same may do");
    improve(&out, c[CRITERION_METRIC_IMPROVED] == 0, "the metric did not move");
    improve(&out, c[CRITERION_NO_NEW_ALERTS] == 0, "new alerts began on the resource");
    improve(&out, c[CRITERION_STABILIZED] < 1,
            "the workload is not stable: look at its rollout and restarts");
    improve(&out, c[CRITERION_SIDE_EFFECTS] < 1, "alerts began nearby: it may have side effects");
    improve(&out, dearer && c[CRITERION_ALERT_RESOLVED] == 0, "it costs more and did not help: undo it");
    strbuf_add_char(&out, ']');
    return arena_text(arena, strbuf_str(&out));
}

static const char *method_of(const struct gathered *g)
{
    return g->evidence.failed ? "immediate_failure" : "evidence";
}

/* The decision's promise beside what came of it. */
static bool add_calibration(struct tx *tx, const struct config *config, struct arena *arena,
                            const struct execution *e, const struct assessment_record *a, struct error **err)
{
    struct decision_record decision = { .provider = "", .model = "", .confidence = e->confidence };
    struct rates rates;
    enum action action;
    bool found;
    if (!e->decision_id || !action_parse(str_of(e->action), &action))
        return true;
    if (!decision_get(tx, arena, e->decision_id, &decision, &found, err) ||
        !rates_get(tx, e->alert_name ? e->alert_name : "", e->kind, e->namespace, &rates, err))
        return false;
    struct calibration_record record = {
        .at = a->assessed_at,
        .provider = decision.provider,
        .model = decision.model,
        .action = e->action,
        .alert_name = e->alert_name ? e->alert_name : "",
        .confidence = decision.confidence,
        .score = a->score,
        .predicted = predict(&rates, action, &config->learning, a->assessed_at).rate,
        .weight = a->confidence,
    };
    memcpy(record.execution_id, e->id, sizeof record.execution_id);
    memcpy(record.decision_id, e->decision_id, MIN(strlen(e->decision_id) + 1, sizeof record.decision_id));
    return calibration_add(tx, &record, err);
}

static bool learn(struct tx *tx, const struct config *config, const struct execution *e,
                  const struct assessment_record *a, struct error **err)
{
    struct outcome outcome = { .alert_name = e->alert_name ? e->alert_name : "",
                               .kind = e->kind,
                               .namespace = e->namespace,
                               .score = a->score,
                               .weight = a->confidence,
                               .at = a->assessed_at,
                               .half_life_ms = config->learning.half_life_ms };
    return !action_parse(str_of(e->action), &outcome.action) || rates_add(tx, &outcome, err);
}

static bool is_undo_action(const struct config *config, const char *action)
{
    const struct config_texts *names = &config->effectiveness.undo_actions;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], action) == 0 || strcmp(names->items[i], "*") == 0)
            return true;
    return false;
}

static bool should_undo(struct effectiveness_service *service, const struct config *config,
                        const struct execution *e, const struct assessment_record *a)
{
    const struct effectiveness_sources *sources = &service->options.sources;
    if (!sources->undo || !e->inverse || e->undone_by || e->state != EXECUTION_COMPLETED ||
        !(a->score < config->effectiveness.undo_below))
        return false;
    return is_undo_action(config, e->action) &&
           (!sources->may_undo || sources->may_undo(sources->context, e));
}

bool record_assessment(struct effectiveness_service *service, const struct config *config,
                       struct arena *arena, const struct execution *e, struct assessment_record *a,
                       struct gathered *g, const struct job *job, struct error **err)
{
    struct effectiveness result = effectiveness_score(&g->evidence);
    a->score = result.score;
    a->confidence = result.confidence;
    a->assessed_at = clock_utc_ms();
    a->method = method_of(g);
    a->criteria = criteria_json(arena, g);
    a->factors = factors_json(arena, g);
    a->improvements = improvements_json(arena, g);
    a->cost = cost_json(arena, &g->cost);
    a->notes = g->unknown.len ? arena_text(arena, strbuf_str(&g->unknown)) : NULL;
    AUTO(tx) struct tx *tx = tx_begin(service->options.store, TX_WRITE, err);
    if (!tx || !assessment_finish(tx, a, err))
        return false;
    if (!isnan(a->score) && a->confidence > 0 &&
        (!add_calibration(tx, config, arena, e, a, err) || !learn(tx, config, e, a, err)))
        return error_wrap(err, "learn from execution %s", e->id);
    struct job_request undo = { .kind = JOB_AUTO_UNDO, .subject = e->id, .severity = SEVERITY_CRITICAL };
    if (should_undo(service, config, e, a) && !job_request(tx, &undo, err))
        return false;
    return job_finish(tx, job, err) && tx_commit(STEAL(tx), err);
}
