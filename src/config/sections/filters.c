#include "config/sections/filters.h"

#define AT(field) offsetof(struct config_filter, field)
static const struct config_key filter_keys[] = {
    { "name", CONFIG_TEXT, AT(name), .flags = CONFIG_REQUIRED, .help = "Name in logs." },
    { "conditions", CONFIG_TEXTS_MAP, AT(conditions),
      .help =
          "severity, namespace, status, alertname, resource, or any label or annotation: list of patterns." },
    { 0 },
};
#undef AT
static const struct config_keys filter = { "filter", .size = sizeof(struct config_filter),
                                           .keys = filter_keys };

const struct config_key config_keys_filters[] = {
    { "", CONFIG_LIST, 0, .element = &filter, .flags = CONFIG_RELOADABLE,
      .help =
          "Which alerts are worked on: those that one filter accepts. A filter accepts an alert that meets every one of "
          "its conditions; a condition is met by one of its patterns (`*`, `pre*`, `*suf`, `a*b`). A condition on a value "
          "that the alert does not have is not met. No filters: every alert." },
    { 0 },
};

enum { HOUR_MS = 3600 * 1000 };

#define AT(field) offsetof(struct config_correlation_rule, field)
static const struct config_key rule_keys[] = {
    { "name", CONFIG_TEXT, AT(name), .flags = CONFIG_REQUIRED, .help = "Name in logs and on the incident." },
    { "match", CONFIG_TEXTS_MAP, AT(match), .help = "Conditions as in a filter; empty: every alert." },
    { "same", CONFIG_TEXTS, AT(same), .flags = CONFIG_REQUIRED,
      .help = "Labels in which the alerts must agree." },
    { "window", CONFIG_DURATION, AT(window_ms), .def = "10m", .min = 1000, .max = 168.0 * HOUR_MS,
      .help = "Longest time between them." },
    { 0 },
};
#undef AT
static const struct config_keys rule = {
    "rule",
    .size = sizeof(struct config_correlation_rule),
    .keys = rule_keys,
};

#define AT(field) offsetof(struct config_correlation, field)
const struct config_key config_keys_correlation[] = {
    { "window", CONFIG_DURATION, AT(window_ms), .def = "30m", .min = 1000, .max = 168.0 * HOUR_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "Alerts that share a target join an open incident whose last alert is at most this old." },
    { "rules", CONFIG_LIST, AT(rules), .element = &rule, .flags = CONFIG_RELOADABLE,
      .help = "Further reasons to join alerts into one incident, asked in order." },
    { 0 },
};
