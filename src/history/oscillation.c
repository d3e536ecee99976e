/* From findings to what is done about them. The score of a whole is the sum of its findings' severities over the number
 * of detectors that found something, as a share of the highest; the predecessor's could exceed 1, ours does not. */
#include "history/oscillation.h"

#include <math.h>
#include <stdlib.h>

#include "history/oscillation_internal.h"

const char *const pattern_names[PATTERN_COUNT] = { "scale-oscillation", "resource-thrashing",
                                                   "ineffective-loop",  "cascading-failure",
                                                   "restart-loop",      "hpa-fight" };
const char *const pattern_descriptions[PATTERN_COUNT] = {
    "replicas go up and down in turns",
    "resources and replicas are changed in turns",
    "the same action is repeated although it does not help",
    "new alerts follow upon the action",
    "restarted over and over",
    "an autoscaler undoes the scaling",
};
const char *const pattern_severity_names[PATTERN_SEVERITY_COUNT] = { "none", "low", "medium", "high",
                                                                     "critical" };
const char *const prevention_names[PREVENTION_COUNT] = { "none", "alternative-action", "cooling-period",
                                                         "escalate-human", "block-action" };

enum { SCALINGS = BIT(ACTION_SCALE_DEPLOYMENT) | BIT(ACTION_SCALE_STATEFULSET) };
static const uint32_t looked_at[PATTERN_COUNT] = {
    [PATTERN_SCALE] = SCALINGS,
    [PATTERN_THRASHING] = SCALINGS | BIT(ACTION_INCREASE_RESOURCES),
    [PATTERN_INEFFECTIVE] = ACTION_SET_ALL & ~BIT(ACTION_NOTIFY_ONLY), /* telling a person again is no loop */
    [PATTERN_CASCADE] = ACTION_SET_ALL & ~BIT(ACTION_NOTIFY_ONLY),
    [PATTERN_RESTART] = BIT(ACTION_RESTART_POD) | BIT(ACTION_RESTART_DAEMONSET),
    [PATTERN_HPA_FIGHT] = SCALINGS,
};

uint32_t pattern_actions(enum pattern pattern)
{
    return looked_at[pattern];
}

const struct config_detector *detector_of(const struct config_oscillation *config, enum pattern pattern)
{
    const struct config_detector *detectors[PATTERN_COUNT] = {
        [PATTERN_SCALE] = &config->scale,
        [PATTERN_THRASHING] = &config->thrashing,
        [PATTERN_INEFFECTIVE] = &config->ineffective,
        [PATTERN_RESTART] = &config->restart,
        [PATTERN_HPA_FIGHT] = &config->hpa_fight,
    };
    return detectors[pattern];
}

/* By time; ids sort by time too, and make the order a total one. */
static int compare_past(const void *a, const void *b)
{
    const struct past *x = *(const struct past *const *)a, *y = *(const struct past *const *)b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    int order = strcmp(x->id, y->id);
    return order ? order : (x->action > y->action) - (x->action < y->action);
}

static void gather(struct detection *d)
{
    const struct oscillation_input *input = d->input;
    d->past = ARENA_ARRAY(d->arena, const struct past *, MAX(input->past_count, 1));
    for (size_t i = 0; i < input->past_count; i++)
        if (input->past[i].at > input->now - d->config->window_ms && input->past[i].at <= input->now)
            d->past[d->count++] = &input->past[i];
    qsort(d->past, d->count, sizeof *d->past, compare_past);
}

static double confidence_of(const struct oscillation *result)
{
    unsigned found = 0;
    double sum = 0;
    for (size_t i = 0; i < result->count; i++) {
        found |= BIT(result->findings[i].pattern);
        sum += result->findings[i].severity;
    }
    return found ? MIN(sum / __builtin_popcount(found) / PATTERN_SEVERITY_CRITICAL, 1) : 0;
}

static enum prevention prevention_of(enum pattern_severity severity, double confidence)
{
    switch (severity) {
    case PATTERN_SEVERITY_CRITICAL:
        return confidence > 0.8 ? PREVENTION_BLOCK : PREVENTION_ESCALATE;
    case PATTERN_SEVERITY_HIGH:
        return confidence > 0.7 ? PREVENTION_COOLING : PREVENTION_ALTERNATIVE;
    case PATTERN_SEVERITY_MEDIUM:
        return PREVENTION_ALTERNATIVE;
    default:
        return PREVENTION_NONE;
    }
}

/* A rest and a block count from the newest execution that takes part, and end. */
static void hold_back(struct detection *d)
{
    struct oscillation *result = d->result;
    int64_t last = 0, rest = 0;
    for (size_t i = 0; i < result->count; i++)
        if (result->findings[i].severity >= PATTERN_SEVERITY_MEDIUM) {
            result->held_back |= result->findings[i].actions;
            last = MAX(last, result->findings[i].last_at);
        }
    if (result->prevention == PREVENTION_COOLING)
        rest = d->config->cooling_period_ms;
    if (result->prevention == PREVENTION_BLOCK)
        rest = d->config->block_ms;
    if (rest)
        result->until = last + rest;
    if (result->prevention == PREVENTION_NONE || (result->until && result->until <= d->input->now))
        result->held_back = 0;
}

static void describe(struct detection *d)
{
    struct oscillation *result = d->result;
    AUTO(strbuf) struct strbuf text = { 0 };
    for (size_t i = 0; i < result->count; i++) {
        const struct finding *f = &result->findings[i];
        strbuf_addf(&text, "%s%s: %s (%s, %.10g in %lld min", i ? "; " : "", pattern_names[f->pattern],
                    pattern_descriptions[f->pattern], pattern_severity_names[f->severity], f->count,
                    (long long)((f->last_at - f->first_at) / 60000));
        if (!isnan(f->score))
            strbuf_addf(&text, ", average score %.2f", f->score);
        strbuf_add_text(&text, ")");
    }
    if (result->held_back)
        strbuf_addf(&text, ". Recommended: %s", prevention_names[result->prevention]);
    result->text = result->count ? arena_text(d->arena, strbuf_str(&text)) : "no oscillation is seen";
}

static void (*const detectors[PATTERN_COUNT])(struct detection *d) = {
    [PATTERN_SCALE] = detect_scale,
    [PATTERN_THRASHING] = detect_thrashing,
    [PATTERN_INEFFECTIVE] = detect_ineffective,
    [PATTERN_CASCADE] = detect_cascade,
    [PATTERN_RESTART] = detect_restart,
    [PATTERN_HPA_FIGHT] = detect_hpa_fight,
};

void oscillation_analyse(struct arena *arena, const struct config_oscillation *config,
                         const struct oscillation_input *input, struct oscillation *result)
{
    struct detection d = { .arena = arena, .config = config, .input = input, .result = result };
    *result = (struct oscillation){ .findings = ARENA_ARRAY(arena, struct finding, FINDINGS_MAX) };
    gather(&d);
    for (int i = 0; i < PATTERN_COUNT && config->enabled; i++)
        detectors[i](&d);
    for (size_t i = 0; i < result->count; i++)
        result->severity = MAX(result->severity, result->findings[i].severity);
    result->confidence = confidence_of(result);
    result->prevention = prevention_of(result->severity, result->confidence);
    hold_back(&d);
    describe(&d);
}

enum prevention oscillation_judge(struct arena *arena, const struct config_oscillation *config,
                                  const struct oscillation_input *input, const struct past *proposal,
                                  struct oscillation *result)
{
    struct past *past = ARENA_ARRAY(arena, struct past, input->past_count + 1);
    if (input->past_count)
        memcpy(past, input->past, input->past_count * sizeof *past);
    struct past *next = &past[input->past_count];
    *next = *proposal;
    next->id[0] = '\0'; /* not yet begun: what counts outcomes leaves it out */
    next->at = input->now;
    next->score = NAN;
    struct oscillation_input with = *input;
    with.past = past;
    with.past_count++;
    oscillation_analyse(arena, config, &with, result);
    if (result->held_back & BIT(proposal->action))
        return result->prevention;

    /* What is held back by the past alone stays so: a proposal that is no part of a pattern does not lift it. */
    struct oscillation before;
    oscillation_analyse(arena, config, input, &before);
    if (!(before.held_back & BIT(proposal->action)))
        return PREVENTION_NONE;
    *result = before;
    return before.prevention;
}

static void add_number(struct strbuf *out, const char *name, double number)
{
    if (isnan(number))
        strbuf_addf(out, ",\"%s\":null", name);
    else
        strbuf_addf(out, ",\"%s\":%.6g", name, number);
}

void finding_write(struct strbuf *out, const struct finding *f)
{
    char first[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX];
    strbuf_addf(out, "{\"pattern\":\"%s\",\"severity\":\"%s\"", pattern_names[f->pattern],
                pattern_severity_names[f->severity]);
    add_number(out, "count", f->count);
    add_number(out, "average_score", f->score);
    if (f->pattern == PATTERN_INEFFECTIVE)
        add_number(out, "trend", f->trend);
    if (f->pattern == PATTERN_CASCADE)
        add_number(out, "recurrence", f->recurrence);
    if (f->pattern == PATTERN_THRASHING)
        add_number(out, "average_gap_minutes", f->gap_ms / 60000);
    strbuf_addf(out, ",\"first_at\":\"%s\",\"last_at\":\"%s\",\"executions\":[",
                clock_format(f->first_at, first), clock_format(f->last_at, last));
    for (size_t i = 0, n = 0; i < f->member_count; i++)
        if (f->members[i]->id[0])
            strbuf_addf(out, "%s\"%s\"", n++ ? "," : "", f->members[i]->id);
    strbuf_add_text(out, "],\"actions\":[");
    for (int a = 0, n = 0; a < ACTION_COUNT; a++)
        if (f->actions & BIT(a))
            strbuf_addf(out, "%s\"%s\"", n++ ? "," : "", action_name(a));
    strbuf_add_text(out, "]}");
}
