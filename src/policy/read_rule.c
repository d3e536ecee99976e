/* The entries of a policy file: rules with their conditions, limits, bounds, examples. */
#include "policy/policy_internal.h"

#include <math.h>

typedef bool parse_one(struct str text, int *value);

static bool parse_risk(struct str text, int *value)
{
    enum risk risk;
    if (!risk_parse(text, &risk))
        return false;
    *value = (int)risk;
    return true;
}

static bool parse_category(struct str text, int *value)
{
    for (*value = 0; *value < CATEGORY_COUNT; ++*value)
        if (str_eq(text, str_of(category_name((enum category) * value))))
            return true;
    return false;
}

static bool read_set(const struct reading *in, const struct yaml *map, const char *key, parse_one *parse,
                     const char *known, unsigned *set)
{
    struct patterns names = { 0 };
    if (!policy_read_patterns(in, map, key, &names))
        return false;
    for (size_t i = 0; i < names.count; i++) {
        int value;
        if (!parse(names.items[i], &value))
            return policy_read_fail(in, yaml_get(map, key), "`%s` is one of %s", key, known);
        *set |= BIT(value);
    }
    return true;
}

static bool read_labels(const struct reading *in, const struct yaml *map, struct label_condition **list)
{
    const struct yaml *labels = yaml_get(map, "labels");
    if (!labels || labels->kind == YAML_NULL)
        return true;
    if (labels->kind != YAML_MAP)
        return policy_read_fail(in, labels, "`labels` is a mapping of label names to patterns");
    for (const struct yaml *node = labels->first; node; node = node->next) {
        struct label_condition *condition = ARENA_NEW(in->policy->arena, struct label_condition);
        condition->name = node->key;
        if (!policy_read_patterns(in, labels, arena_text(in->policy->arena, node->key), &condition->patterns))
            return false;
        if (!condition->patterns.count)
            return policy_read_fail(in, node, "label `%.*s` has no pattern", (int)MIN(node->key.len, 64),
                                    node->key.ptr);
        condition->next = *list;
        *list = condition;
    }
    return true;
}

static bool unit(struct str text, double *number)
{
    return str_to_double(str_trim(text), number) && *number >= 0 && *number <= 1;
}

/* ">= 0.8", "> 0.8", "< 0.5", "<= 0.5", "0.5..0.8" (both included), or a bare number: at least that. */
static bool parse_confidence(struct rule *rule, struct str text)
{
    size_t at;
    rule->has_confidence = true;
    rule->low = 0;
    rule->high = 1;
    text = str_trim(text);
    if (str_find(text, STR(".."), &at))
        return unit(str_slice(text, 0, at), &rule->low) &&
               unit(str_slice(text, at + 2, text.len), &rule->high) && rule->low <= rule->high;
    if (str_starts_with(text, STR(">=")))
        return unit(str_slice(text, 2, text.len), &rule->low);
    if (str_starts_with(text, STR("<=")))
        return unit(str_slice(text, 2, text.len), &rule->high);
    rule->low_open = str_starts_with(text, STR(">"));
    rule->high_open = str_starts_with(text, STR("<"));
    if (rule->high_open)
        return unit(str_slice(text, 1, text.len), &rule->high);
    return unit(str_slice(text, rule->low_open, text.len), &rule->low);
}

static bool read_rule_window(const struct reading *in, const struct yaml *when, const char *key,
                             struct rule *rule)
{
    struct str name;
    if (!policy_read_text(in, when, key, false, &name))
        return false;
    if (!name.len)
        return true;
    if (rule->window)
        return policy_read_fail(in, yaml_get(when, key), "give `window` or `outside_window`, not both");
    for (const struct window *window = in->policy->windows; window; window = window->next)
        if (str_eq(window->name, name))
            rule->window = window;
    return rule->window ||
           policy_read_fail(in, yaml_get(when, key), "there is no window `%.*s`: add it under `windows`",
                            (int)MIN(name.len, 64), name.ptr);
}

/* A rule is about what is changed; telling people changes nothing, and that they are told is what is left where all else
 * is denied. So only a rule that names notify_only concerns it: neither one without `action` nor one with `*`. */
static bool read_rule_actions(const struct reading *in, const struct yaml *when, struct rule *rule)
{
    struct patterns patterns = { 0 };
    bool named = false;
    if (!policy_read_actions(in, when, "action", &rule->actions) ||
        !policy_read_patterns(in, when, "action", &patterns))
        return false;
    for (size_t i = 0; i < patterns.count; i++)
        named = named || (!str_eq(patterns.items[i], STR("*")) &&
                          policy_pattern_matches(patterns.items[i], STR("notify_only")));
    if (!named)
        rule->actions &= ~BIT(ACTION_NOTIFY_ONLY);
    return true;
}

static bool read_when(const struct reading *in, const struct yaml *when, struct rule *rule)
{
    static const char *const keys[] = { "action", "risk",           "category", "cluster", "namespace",
                                        "kind",   "name",           "severity", "labels",  "confidence",
                                        "window", "outside_window", NULL };
    struct str confidence;
    if (!policy_read_known_keys(in, when, "`when`", keys) || !read_rule_actions(in, when, rule) ||
        !read_set(in, when, "risk", parse_risk, "low, medium, high, critical", &rule->risks) ||
        !read_set(in, when, "category", parse_category,
                  "core, storage, lifecycle, security, network, database, observability, resources",
                  &rule->categories) ||
        !policy_read_patterns(in, when, "cluster", &rule->cluster) ||
        !policy_read_patterns(in, when, "namespace", &rule->namespace) ||
        !policy_read_patterns(in, when, "kind", &rule->kind) ||
        !policy_read_patterns(in, when, "name", &rule->resource) ||
        !policy_read_patterns(in, when, "severity", &rule->severity) ||
        !read_labels(in, when, &rule->labels) ||
        !policy_read_text(in, when, "confidence", false, &confidence))
        return false;
    if (confidence.len && !parse_confidence(rule, confidence))
        return policy_read_fail(in, yaml_get(when, "confidence"),
                                "`confidence` is like \">= 0.8\", \"< 0.5\" or \"0.5..0.8\"");
    rule->outside = yaml_get(when, "outside_window") != NULL;
    return read_rule_window(in, when, "window", rule) && read_rule_window(in, when, "outside_window", rule);
}

bool policy_read_rule(const struct reading *in, const struct yaml *node, struct rule *rule)
{
    static const char *const keys[] = { "name", "when", "then", "reason", NULL };
    const struct yaml *when = yaml_get(node, "when");
    if (!policy_read_known_keys(in, node, "a rule", keys) ||
        !policy_read_text(in, node, "name", true, &rule->name) ||
        !policy_read_text(in, node, "reason", false, &rule->reason) ||
        !policy_read_verdict(in, node, "then", &rule->then))
        return false;
    for (const struct rule *other = in->policy->rules; other; other = other->next)
        if (other != rule && str_eq(other->name, rule->name))
            return policy_read_fail(in, yaml_get(node, "name"), "a rule named `%.*s` is here a second time",
                                    (int)MIN(rule->name.len, 64), rule->name.ptr);
    rule->actions &= ~BIT(ACTION_NOTIFY_ONLY); /* unless its `action` names it */
    return !when || when->kind == YAML_NULL || read_when(in, when, rule);
}

static bool read_count(const struct reading *in, const struct yaml *map, const char *key, int64_t *count)
{
    struct str text;
    *count = -1;
    if (!policy_read_text(in, map, key, false, &text))
        return false;
    return !text.len || (str_to_i64(text, count) && *count >= 0 && *count <= 1000000) ||
           policy_read_fail(in, yaml_get(map, key), "`%s` is a number from 0 to 1000000", key);
}

bool policy_read_limit(const struct reading *in, const struct yaml *node, struct limit *limit)
{
    static const char *const keys[] = { "name", "action", "per", "executions", "replicas", "within", NULL };
    static const char *const scopes[] = { "action", "namespace", "resource" };
    struct patterns per = { 0 };
    struct str within;
    limit->actions = ACTION_SET_ALL;
    if (!policy_read_known_keys(in, node, "a limit", keys) ||
        !policy_read_text(in, node, "name", true, &limit->name) ||
        !policy_read_actions(in, node, "action", &limit->actions) ||
        !policy_read_patterns(in, node, "per", &per) ||
        !read_count(in, node, "executions", &limit->executions) ||
        !read_count(in, node, "replicas", &limit->replicas) ||
        !policy_read_text(in, node, "within", true, &within))
        return false;
    for (size_t i = 0; i < per.count; i++) {
        unsigned bit = 0;
        for (size_t s = 0; s < ARRAY_LEN(scopes); s++)
            bit |= str_eq(per.items[i], str_of(scopes[s])) ? BIT(s) : 0;
        if (!bit && !str_eq(per.items[i], STR("cluster")))
            return policy_read_fail(in, yaml_get(node, "per"),
                                    "`per` is cluster, or some of action, namespace, resource");
        limit->per |= bit;
    }
    if (!duration_parse(within, &limit->within_ms) || limit->within_ms < 1000)
        return policy_read_fail(in, yaml_get(node, "within"), "`within` is a duration from 1s on, like 1h");
    return limit->executions >= 0 || limit->replicas >= 0 ||
           policy_read_fail(in, node, "a limit says `executions`, `replicas` or both");
}

static bool read_bound(const struct reading *in, const struct yaml *map, const char *key,
                       const struct action_parameter *parameter, int64_t *bound)
{
    struct str text;
    int64_t whole;
    if (!policy_read_text(in, map, key, false, &text))
        return false;
    if (!text.len)
        return true;
    if (parameter->type == PARAMETER_INTEGER    ? str_to_i64(text, &whole)
        : parameter->type == PARAMETER_DURATION ? duration_parse(text, &whole)
        : parameter->type == PARAMETER_CPU || parameter->type == PARAMETER_BYTES
            ? quantity_parse(text, &whole)
            : false) {
        *bound = whole;
        return true;
    }
    return policy_read_fail(in, yaml_get(map, key), "`%.*s` is no bound for %s", (int)MIN(text.len, 64),
                            text.ptr, parameter->name);
}

static bool read_action_bounds(const struct reading *in, const struct yaml *map, enum action action)
{
    static const char *const keys[] = { "min", "max", NULL };
    struct action_bounds *bounds = &in->policy->bounds[action];
    for (const struct yaml *node = map->first; node; node = node->next) {
        const struct action_parameter *parameter = action_parameter_find(action, node->key);
        if (!parameter)
            return policy_read_fail(in, node, "%s has no parameter `%.*s`", action_name(action),
                                    (int)MIN(node->key.len, 64), node->key.ptr);
        struct parameter_bounds *b = &bounds->bounds[bounds->count++];
        *b = (struct parameter_bounds){ parameter->name, parameter->minimum, parameter->maximum };
        int64_t low, high;
        if (!policy_read_known_keys(in, node, "a bound", keys) ||
            !read_bound(in, node, "min", parameter, &b->minimum) ||
            !read_bound(in, node, "max", parameter, &b->maximum))
            return false;
        if (!action_bounds_of(parameter, bounds, &low, &high))
            return policy_read_fail(in, node,
                                    "nothing is left between these bounds and those of the catalogue");
    }
    return true;
}

bool policy_read_bounds(const struct reading *in, const struct yaml *map)
{
    if (map->kind != YAML_MAP)
        return policy_read_fail(in, map, "`bounds` is a mapping of actions to parameters");
    for (const struct yaml *node = map->first; node; node = node->next) {
        enum action action;
        if (!action_parse(node->key, &action))
            return policy_read_fail(in, node, "there is no action `%.*s`: see `actions list`",
                                    (int)MIN(node->key.len, 64), node->key.ptr);
        if (node->kind != YAML_MAP)
            return policy_read_fail(in, node, "bounds of %s are a mapping of parameters to min and max",
                                    action_name(action));
        if (!read_action_bounds(in, node, action))
            return false;
    }
    return true;
}

static bool read_given_labels(const struct reading *in, const struct yaml *given,
                              struct policy_question *question)
{
    const struct yaml *map = yaml_get(given, "labels");
    struct label_list *labels = ARENA_NEW(in->policy->arena, struct label_list);
    question->labels = labels;
    if (!map || map->kind == YAML_NULL)
        return true;
    if (map->kind != YAML_MAP)
        return policy_read_fail(in, map, "`labels` is a mapping of names to values");
    labels->items = ARENA_ARRAY(in->policy->arena, struct label, yaml_count(map) + 1);
    for (const struct yaml *node = map->first; node; node = node->next) {
        size_t at = labels->count++;
        if (node->kind != YAML_SCALAR)
            return policy_read_fail(in, node, "a label's value is a text");
        for (; at > 0 && str_cmp(labels->items[at - 1].name, node->key) > 0; at--)
            labels->items[at] = labels->items[at - 1];
        labels->items[at] = (struct label){ node->key, node->text };
    }
    return true;
}

static bool read_given(const struct reading *in, const struct yaml *given, struct policy_question *question)
{
    static const char *const keys[] = { "action",   "cluster", "namespace",  "kind", "name",
                                        "severity", "labels",  "confidence", "at",   NULL };
    struct {
        const char *key;
        const char **field;
    } texts[] = {
        { "cluster", &question->cluster }, { "namespace", &question->namespace }, { "kind", &question->kind },
        { "name", &question->name },       { "severity", &question->severity },
    };
    struct str action, confidence, at;
    if (!policy_read_known_keys(in, given, "`given`", keys) ||
        !policy_read_text(in, given, "action", true, &action) || !read_given_labels(in, given, question) ||
        !policy_read_text(in, given, "confidence", false, &confidence) ||
        !policy_read_text(in, given, "at", false, &at))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str text;
        if (!policy_read_text(in, given, texts[i].key, false, &text))
            return false;
        *texts[i].field = arena_text(in->policy->arena, text);
    }
    question->confidence = NAN;
    question->at = clock_utc_ms();
    if (!action_parse(action, &question->action))
        return policy_read_fail(in, yaml_get(given, "action"), "there is no action `%.*s`",
                                (int)MIN(action.len, 64), action.ptr);
    if (confidence.len && !unit(confidence, &question->confidence))
        return policy_read_fail(in, yaml_get(given, "confidence"), "`confidence` is a number from 0 to 1");
    return !at.len || clock_parse(at, &question->at) ||
           policy_read_fail(in, yaml_get(given, "at"), "`at` is a time like 2026-12-24T12:00:00Z");
}

bool policy_read_example(const struct reading *in, const struct yaml *node, struct example *example)
{
    static const char *const keys[] = { "name", "given", "expect", "rule", NULL };
    const struct yaml *given = yaml_get(node, "given");
    example->line = node->line;
    return policy_read_known_keys(in, node, "a test", keys) &&
           policy_read_text(in, node, "name", true, &example->name) &&
           policy_read_text(in, node, "rule", false, &example->rule) &&
           policy_read_verdict(in, node, "expect", &example->expect) &&
           (given || policy_read_fail(in, node, "`given` is missing")) &&
           read_given(in, given, &example->given);
}
