/* Names, labels, severity, identity, and what is made of labels and annotations. */
#include "alert/alert.h"

#include <stdio.h>
#include <stdlib.h>

const char *const alert_status_names[ALERT_STATUS_COUNT] = { "firing", "resolved" };
const char *const severity_names[SEVERITY_COUNT] = { "critical", "warning", "info", "none", "other" };

/* What people write, and what it means. */
static const struct {
    const char *text;
    enum severity severity;
} severity_words[] = {
    { "critical", SEVERITY_CRITICAL },  { "page", SEVERITY_CRITICAL }, { "emergency", SEVERITY_CRITICAL },
    { "warning", SEVERITY_WARNING },    { "warn", SEVERITY_WARNING },  { "info", SEVERITY_INFO },
    { "informational", SEVERITY_INFO }, { "none", SEVERITY_NONE },
};

enum severity severity_of(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(severity_words); i++)
        if (str_eq_nocase(text, str_of(severity_words[i].text)))
            return severity_words[i].severity;
    return SEVERITY_OTHER;
}

struct str label_get(const struct label_list *labels, struct str name)
{
    size_t low = 0, high = labels->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(name, labels->items[middle].name);
        if (order == 0)
            return labels->items[middle].value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return (struct str){ 0 };
}

static uint64_t fnv_add(uint64_t hash, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * UINT64_C(1099511628211);
    return (hash ^ 0xff) * UINT64_C(1099511628211);
}

void alert_fingerprint(const struct label_list *labels, char text[17])
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < labels->count; i++)
        hash = fnv_add(fnv_add(hash, labels->items[i].name), labels->items[i].value);
    snprintf(text, 17, "%016llx", (unsigned long long)hash);
}

/* The first of these labels that is there and not empty, else `otherwise`. */
static struct str first_of(const struct label_list *labels, const struct str *names, size_t count,
                           struct str otherwise)
{
    for (size_t i = 0; i < count; i++) {
        struct str value = label_get(labels, names[i]);
        if (!str_is_empty(value))
            return value;
    }
    return otherwise;
}
#define FIRST_OF(labels, otherwise, ...)                                                                     \
    first_of((labels), (const struct str[]){ __VA_ARGS__ },                                                  \
             ARRAY_LEN(((const struct str[]){ __VA_ARGS__ })), (otherwise))

void alert_normalise(struct arena *arena, struct alert *alert)
{
    const struct label_list *labels = &alert->labels;
    alert->name = FIRST_OF(labels, STR("unknown"), STR("alertname"));
    alert->severity_text = FIRST_OF(labels, STR("info"), STR("severity"));
    alert->severity = severity_of(alert->severity_text);
    alert->namespace = FIRST_OF(labels, STR("default"), STR("namespace"), STR("exported_namespace"));
    alert->resource = FIRST_OF(labels, STR(""), STR("pod"), STR("deployment"), STR("service"));
    alert->target = alert_target_of(labels);
    if (str_is_empty(alert->resource))
        alert->resource = alert->target.name;
    alert->description = FIRST_OF(&alert->annotations, (struct str){ 0 }, STR("description"), STR("summary"));
    if (str_is_empty(alert->description))
        alert->description = str_of(arena_printf(arena, "Alert " STR_FMT " is %s", STR_ARG(alert->name),
                                                 alert_status_names[alert->status]));
}
