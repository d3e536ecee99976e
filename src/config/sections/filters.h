/* filters, correlation.* */
#ifndef CONFIG_SECTIONS_FILTERS_H
#define CONFIG_SECTIONS_FILTERS_H

#include "config/keys.h"

/* Filters are alternatives: an alert that one of them accepts passes. Within one, every condition must hold, and a
 * condition holds if one of its patterns does (one `*`: prefix*, *suffix, a*b). No filters: everything passes. */
struct config_filter {
    const char *name;
    struct config_texts_map conditions;
};
struct config_filters {
    struct config_filter *items;
    size_t count;
};

/* Alerts that match a rule and agree in all labels of `same` belong to one incident, where they come within `window`. */
struct config_correlation_rule {
    const char *name;
    struct config_texts_map match; /* conditions as in a filter; empty: every alert */
    struct config_texts same;      /* label names */
    int64_t window_ms;
};
struct config_correlation_rules {
    struct config_correlation_rule *items;
    size_t count;
};
struct config_correlation {
    int64_t window_ms;                     /* for alerts that share a target */
    struct config_correlation_rules rules; /* asked in order, after the targets */
};

extern const struct config_key config_keys_filters[], config_keys_correlation[];

#endif
