/* The first rule whose conditions all hold decides. */
#include "policy/policy_internal.h"

#include <math.h>

const char *const verdict_names[VERDICT_COUNT] = { "allow", "deny", "require_approval" };

/* Greedy with one step back: the last `*` takes one byte more whenever the rest does not fit. */
bool policy_pattern_matches(struct str pattern, struct str value)
{
    size_t p = 0, v = 0, star = SIZE_MAX, mark = 0;
    while (v < value.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = v;
        } else if (p < pattern.len && pattern.ptr[p] == value.ptr[v]) {
            p++;
            v++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            v = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static bool one_matches(const struct patterns *patterns, struct str value)
{
    if (patterns->count == 0)
        return true;
    for (size_t i = 0; value.len && i < patterns->count; i++)
        if (policy_pattern_matches(patterns->items[i], value))
            return true;
    return false;
}

static bool labels_match(const struct rule *rule, const struct label_list *labels)
{
    for (const struct label_condition *c = rule->labels; c; c = c->next) {
        struct str value = labels ? label_get(labels, c->name) : (struct str){ 0 };
        if (!one_matches(&c->patterns, value))
            return false;
    }
    return true;
}

static bool confidence_matches(const struct rule *rule, double confidence)
{
    if (!rule->has_confidence)
        return true;
    return !isnan(confidence) && (rule->low_open ? confidence > rule->low : confidence >= rule->low) &&
           (rule->high_open ? confidence < rule->high : confidence <= rule->high);
}

static bool rule_matches(const struct rule *rule, const struct policy_question *q)
{
    return (rule->actions & BIT(q->action)) && (!rule->risks || rule->risks & BIT(actions[q->action].risk)) &&
           (!rule->categories || rule->categories & BIT(actions[q->action].category)) &&
           one_matches(&rule->cluster, str_of(q->cluster)) &&
           one_matches(&rule->namespace, str_of(q->namespace)) && one_matches(&rule->kind, str_of(q->kind)) &&
           one_matches(&rule->resource, str_of(q->name)) &&
           one_matches(&rule->severity, str_of(q->severity)) && labels_match(rule, q->labels) &&
           confidence_matches(rule, q->confidence) &&
           (!rule->window || policy_window_holds(rule->window, q->at) != rule->outside);
}

bool policy_action_writes(enum action action)
{
    return action != ACTION_NOTIFY_ONLY && action != ACTION_COLLECT_DIAGNOSTICS &&
           action != ACTION_AUDIT_LOGS;
}

static const struct freeze *frozen_by(const struct policy *policy, const struct policy_question *q)
{
    if (!policy_action_writes(q->action))
        return NULL;
    for (const struct freeze *freeze = policy->freezes; freeze; freeze = freeze->next)
        if (!(freeze->except & BIT(q->action)) && policy_window_holds(freeze->window, q->at))
            return freeze;
    return NULL;
}

static void judge_by_default(struct arena *arena, const struct policy_question *q,
                             struct policy_verdict *verdict)
{
    enum risk risk = actions[q->action].risk;
    verdict->rule = "default";
    if (risk == RISK_LOW) {
        verdict->verdict = VERDICT_ALLOW;
        verdict->reason = arena_printf(arena, "%s is of low risk", action_name(q->action));
    } else if (risk == RISK_MEDIUM && !isnan(q->confidence) && q->confidence >= POLICY_CONFIDENCE_DEFAULT) {
        verdict->verdict = VERDICT_ALLOW;
        verdict->reason = arena_printf(arena, "%s is of medium risk and confidence is %.2f, at least %.2f",
                                       action_name(q->action), q->confidence, POLICY_CONFIDENCE_DEFAULT);
    } else if (risk == RISK_MEDIUM) {
        verdict->verdict = VERDICT_REQUIRE_APPROVAL;
        verdict->reason =
            isnan(q->confidence)
                ? arena_printf(arena, "%s is of medium risk and confidence is not known",
                               action_name(q->action))
                : arena_printf(arena, "%s is of medium risk and confidence is %.2f, below %.2f",
                               action_name(q->action), q->confidence, POLICY_CONFIDENCE_DEFAULT);
    } else {
        verdict->verdict = VERDICT_REQUIRE_APPROVAL;
        verdict->reason = arena_printf(arena, "%s is of %s risk", action_name(q->action), risk_name(risk));
    }
}

void policy_judge(const struct policy *policy, struct arena *arena, const struct policy_question *question,
                  struct policy_verdict *verdict)
{
    const struct freeze *freeze = frozen_by(policy, question);
    if (freeze) {
        verdict->verdict = VERDICT_DENY;
        verdict->rule = arena_printf(arena, "freeze " STR_FMT, STR_ARG(freeze->name));
        verdict->reason =
            arena_printf(arena, "nothing is changed during freeze " STR_FMT, STR_ARG(freeze->name));
        return;
    }
    for (const struct rule *rule = policy->rules; rule; rule = rule->next) {
        if (!rule_matches(rule, question))
            continue;
        verdict->verdict = rule->then;
        verdict->rule = arena_text(arena, rule->name);
        verdict->reason = rule->reason.len ? arena_text(arena, rule->reason)
                                           : arena_printf(arena, "rule " STR_FMT " says %s",
                                                          STR_ARG(rule->name), verdict_names[rule->then]);
        return;
    }
    judge_by_default(arena, question, verdict);
}

const struct action_bounds *policy_bounds(const struct policy *policy, enum action action)
{
    return policy->bounds[action].count ? &policy->bounds[action] : NULL;
}

/* ---- examples */

static bool run_example(const struct policy *policy, struct arena *arena, const struct example *example,
                        struct strbuf *report)
{
    struct policy_verdict verdict;
    policy_judge(policy, arena, &example->given, &verdict);
    bool passed = verdict.verdict == example->expect &&
                  (!example->rule.len || str_eq(example->rule, str_of(verdict.rule)));
    strbuf_addf(report, "%s  " STR_FMT, passed ? "passed" : "FAILED", STR_ARG(example->name));
    if (!passed)
        strbuf_addf(report, "\n        %s:%d: expected %s" STR_FMT STR_FMT ", got %s by %s: %s", policy->name,
                    example->line, verdict_names[example->expect],
                    STR_ARG(example->rule.len ? STR(" by ") : STR("")), STR_ARG(example->rule),
                    verdict_names[verdict.verdict], verdict.rule, verdict.reason);
    strbuf_add_char(report, '\n');
    return passed;
}

bool policy_run_tests(const struct policy *policy, struct strbuf *report, size_t *passed, size_t *failed)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    *passed = *failed = 0;
    for (const struct example *example = policy->examples; example; example = example->next) {
        bool ok = run_example(policy, arena, example, report);
        *passed += ok;
        *failed += !ok;
    }
    return *failed == 0;
}
