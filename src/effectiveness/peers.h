/* What the configured Prometheus and Alertmanager know: the metric behind an alert, and whether the alert is active. */
#ifndef EFFECTIVENESS_PEERS_H
#define EFFECTIVENESS_PEERS_H

#include "alert/alert.h"
#include "config/config.h"
#include "effectiveness/promql.h"

struct http_client;

struct http_client *peer_client(const struct config_peer *peer,
                                int64_t timeout_ms); /* NULL: none is configured */

/* The rule of this alert, by its name; of several with one name the one with the alert's severity. *found is false where
 * there is none, or its root is no comparison with a number. The expression comes from Prometheus, never from an alert. */
bool prometheus_find_rule(struct http_client *prometheus, struct arena *arena, const struct alert *alert,
                          struct promql_root *root, bool *found, struct error **err);

/* The expression at a time (UTC ms), of the series whose labels are the alert's; of several the one worst for `root`.
 * NAN: there is no such series. */
bool prometheus_value(struct http_client *prometheus, const struct promql_root *root,
                      const struct label_list *labels, int64_t at, double *value, struct error **err);

/* A range, for trends: up to `max` points of each of up to `series_max` series. */
struct prometheus_series {
    struct label_list labels;
    double *times, *values; /* seconds, UTC */
    size_t count;
};
bool prometheus_range(struct http_client *prometheus, struct arena *arena, const char *query, int64_t from,
                      int64_t to, int64_t step_ms, struct prometheus_series **series, size_t *count,
                      struct error **err);

bool alertmanager_is_active(struct http_client *alertmanager, struct arena *arena, const struct alert *alert,
                            bool *active, struct error **err);

#endif
