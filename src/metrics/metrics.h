/* Metrics: one table of all of them (table.c), counted anywhere, shown to Prometheus as text 0.0.4 or OpenMetrics.
 *
 *     metric_inc(METRIC_ALERTS_RECEIVED, alert->severity, alert->namespace);
 *     metric_observe(METRIC_STAGE_DURATION, seconds, "decide");
 *
 * To add one: a name in the enum below, and its row in table.c. Label values are bounded: each label takes so many
 * different values and counts the rest as "other", so that nothing from outside can grow the memory of whoever scrapes
 * us. Names are the product's interface. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum metric_id {
    /* intake */
    METRIC_ALERTS_RECEIVED,
    METRIC_ALERTS_PROCESSED,
    METRIC_ALERTS_FILTERED,
    METRIC_ALERTS_DEDUPLICATED,
    METRIC_ALERTS_EXPIRED,
    METRIC_ALERTS_FLAPPING,
    METRIC_ALERTS_IN_COOLDOWN,
    METRIC_WEBHOOK_REQUESTS,
    METRIC_WEBHOOK_REFUSED,
    METRIC_INBOX_ALERTS,
    METRIC_INBOX_OLDEST_AGE,
    METRIC_INBOX_COMMIT_DURATION,
    METRIC_INBOX_COMMIT_REQUESTS,
    METRIC_INCIDENTS_OPENED,
    METRIC_INCIDENTS_OPEN,
    METRIC_FETCH_REST,
    METRIC_STAGE_DURATION,
    /* store */
    METRIC_CLOCK_STEPS,
    METRIC_STORE_UP,
    METRIC_STORE_ERRORS,
    METRIC_STORE_SIZE,
    /* decisions and the model */
    METRIC_SLM_API_CALLS,
    METRIC_SLM_API_ERRORS,
    METRIC_SLM_ANALYSIS_DURATION,
    METRIC_SLM_REQUESTS_DURATION,
    METRIC_SLM_CONTEXT_BYTES,
    METRIC_SLM_CONTEXT_TOKENS,
    METRIC_MODEL_LOAD_DURATION,
    METRIC_MODEL_LOADED,
    /* actions */
    METRIC_ACTIONS_EXECUTED,
    METRIC_ACTION_ERRORS,
    METRIC_ACTION_DURATION,
    METRIC_ACTIONS_RUNNING,
    METRIC_K8S_API_CALLS,
    METRIC_K8S_ACTIONS,
    /* the process */
    METRIC_HTTP_REQUESTS,
    METRIC_HTTP_DURATION,
    METRIC_HTTP_CONNECTIONS,
    METRIC_HTTP_CUT,
    METRIC_CONFIG_RELOADS,
    METRIC_CONFIG_RELOAD_SUCCESSFUL,
    METRIC_BUILD_INFO,
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_MEMORY,
    METRIC_PROCESS_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_START,
    METRIC_COUNT
};

/* Label values follow in the order of the row's labels; a missing one counts as "". */
#define METRIC_LABELS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define metric_inc(id, ...) metric_add_labels((id), 1, METRIC_LABELS(__VA_ARGS__))
#define metric_add(id, n, ...) metric_add_labels((id), (n), METRIC_LABELS(__VA_ARGS__))
#define metric_set(id, value, ...) metric_set_labels((id), (value), METRIC_LABELS(__VA_ARGS__))
#define metric_observe(id, value, ...) metric_observe_labels((id), (value), METRIC_LABELS(__VA_ARGS__))
#define metric_value(id, ...) metric_value_labels((id), METRIC_LABELS(__VA_ARGS__))

void metric_add_labels(enum metric_id id, double n, const char *const *labels); /* counters and gauges */
void metric_set_labels(enum metric_id id, double value,
                       const char *const *labels); /* gauges, and counters kept elsewhere */
void metric_observe_labels(enum metric_id id, double value, const char *const *labels); /* histograms */
double metric_value_labels(enum metric_id id,
                           const char *const *labels); /* of a histogram its count; 0 if never counted */
double metric_total(enum metric_id id);                /* over all label values */

/* The severities that metrics tell apart: critical, warning, info, none, other. */
const char *metric_severity(struct str severity);

/* Called before every exposition, to set gauges that are asked for rather than kept. */
typedef void metrics_collect_fn(void *context);
void metrics_on_collect(metrics_collect_fn *collect, void *context);
void metrics_off_collect(metrics_collect_fn *collect, void *context);

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS };
enum metrics_format metrics_negotiate(struct str accept); /* by q-values; 0.0.4 where nothing fits */
const char *metrics_content_type(enum metrics_format format);
void metrics_write(enum metrics_format format, struct strbuf *out);
bool metrics_accepts_gzip(struct str accept_encoding);
bool metrics_gzip(struct str text, struct strbuf *out);

void metrics_write_reference(struct strbuf *out); /* docs/metrics.md */
void metrics_reset(void);                         /* tests: forget everything */

#endif
