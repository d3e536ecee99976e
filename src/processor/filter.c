/* Filters: which alerts are worked on. OR over filters, AND over conditions, OR over a condition's patterns. A condition
 * on a value that the alert does not have is not met (the predecessor skipped it). */
#include "processor/processor.h"

#include "processor/processor_internal.h"

/* The last `*` seen takes one more character whenever what follows it does not fit: no recursion, no backtracking
 * over earlier stars, so time is at most pattern times value. */
bool processor_pattern_matches(struct str pattern, struct str value)
{
    size_t p = 0, v = 0, star = SIZE_MAX, resume = 0;
    while (v < value.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            resume = v;
        } else if (p < pattern.len && pattern.ptr[p] == value.ptr[v]) {
            p++;
            v++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            v = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static struct str value_of(const struct alert *alert, struct str key)
{
    const struct {
        struct str key, value;
    } own[] = {
        { STR("severity"), alert->severity_text },
        { STR("namespace"), alert->namespace },
        { STR("status"), str_of(alert_status_names[alert->status]) },
        { STR("alertname"), alert->name },
        { STR("alert_name"), alert->name },
        { STR("name"), alert->name },
        { STR("resource"), alert->resource },
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_eq_nocase(key, own[i].key))
            return own[i].value;
    struct str value = label_get(&alert->labels, key);
    return str_is_empty(value) ? label_get(&alert->annotations, key) : value;
}

static bool condition_is_met(const struct config_texts_pair *condition, const struct alert *alert)
{
    struct str value = value_of(alert, str_of(condition->name));
    for (size_t i = 0; !str_is_empty(value) && i < condition->texts.count; i++)
        if (processor_pattern_matches(str_of(condition->texts.items[i]), value))
            return true;
    return false;
}

bool conditions_are_met(const struct config_texts_map *conditions, const struct alert *alert)
{
    for (size_t i = 0; i < conditions->count; i++)
        if (!condition_is_met(&conditions->items[i], alert))
            return false;
    return true;
}

bool processor_filters_accept(const struct config_filters *filters, const struct alert *alert)
{
    for (size_t i = 0; i < filters->count; i++)
        if (conditions_are_met(&filters->items[i].conditions, alert))
            return true;
    return filters->count == 0;
}
