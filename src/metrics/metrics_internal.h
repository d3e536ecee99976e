/* What this folder's files tell each other. */
#ifndef METRICS_INTERNAL_H
#define METRICS_INTERNAL_H

#include <pthread.h>

#include "metrics/metrics.h"

enum {
    METRIC_LABELS_MAX = 3,
    METRIC_VALUES_MAX = 200,
    METRIC_VALUE_LEN_MAX = 128,
    METRIC_BOUNDS_MAX = 20,
    METRIC_TABLE = 256
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    const char *name, *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX + 1];
    const double *bounds; /* of a histogram's buckets, rising, ended by 0 */
};
extern const struct metric_row metric_rows[METRIC_COUNT];

struct exemplar { /* the last observation of a bucket that was made for somebody's trace */
    char trace_id[33];
    double value;
    int64_t at; /* UTC ms */
};

struct series {
    struct series *next; /* in the order of their first appearance */
    struct series *next_in_bucket;
    const char *values[METRIC_LABELS_MAX];
    double value; /* of a histogram the sum */
    uint64_t count;
    uint64_t buckets[METRIC_BOUNDS_MAX + 1]; /* not cumulative; the last is +Inf */
    struct exemplar *exemplars;              /* one each bucket, once there is one */
};

struct label_values { /* those told apart; one more is "other" */
    char *values[METRIC_VALUES_MAX];
    size_t len;
};

struct metric_state {
    pthread_mutex_t lock; /* guards what follows */
    struct series *first, **tail;
    struct series **table; /* METRIC_TABLE buckets, once there is a label to look up */
    struct label_values *labels[METRIC_LABELS_MAX];
};
extern struct metric_state metric_states[METRIC_COUNT];

void metrics_collect(void);
void process_collect(void); /* process.c */

#endif
