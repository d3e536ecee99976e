/* Counting. Each metric has a lock of its own, a list of its series, and a table to find them in. */
#include "metrics/metrics_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct metric_state metric_states[METRIC_COUNT] = {
    [0 ... METRIC_COUNT - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER },
};

struct collector {
    metrics_collect_fn *collect;
    void *context;
    struct collector *next;
};
static pthread_mutex_t collectors_lock = PTHREAD_MUTEX_INITIALIZER; /* guards collectors */
static struct collector *collectors;

const char *metric_severity(struct str severity)
{
    static const char *const names[] = { "critical", "warning", "info", "none" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(severity, str_of(names[i])))
            return names[i];
    return "other";
}

static size_t labels_len(const struct metric_row *row)
{
    size_t len = 0;
    while (row->labels[len])
        len++;
    return len;
}

static struct series **bucket_of(struct metric_state *state, const char *const *values, size_t len)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < len; i++)
        hash = str_hash(str_of(values[i]), hash);
    if (!state->table)
        state->table = xcalloc(METRIC_TABLE, sizeof(struct series *));
    return &state->table[hash % METRIC_TABLE];
}

static bool has_values(const struct series *series, const char *const *values, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strcmp(series->values[i], values[i]) != 0)
            return false;
    return true;
}

static struct series *find(struct metric_state *state, const char *const *values, size_t len)
{
    struct series *series = len ? *bucket_of(state, values, len) : state->first;
    while (series && !has_values(series, values, len))
        series = series->next_in_bucket;
    return series;
}

/* The value itself, kept, while there is room for it; else "other". */
static const char *bounded(struct metric_state *state, size_t label, const char *value)
{
    struct label_values *known = state->labels[label];
    if (!known)
        known = state->labels[label] = xcalloc(1, sizeof *known);
    for (size_t i = 0; i < known->len; i++)
        if (strcmp(known->values[i], value) == 0)
            return known->values[i];
    if (known->len == METRIC_VALUES_MAX)
        return "other";
    return known->values[known->len++] = xstrdup(value);
}

static struct series *add(struct metric_state *state, const char *const *values, size_t len)
{
    struct series *series = xcalloc(1, sizeof *series);
    memcpy(series->values, values, len * sizeof *values);
    if (!state->first)
        state->tail = &state->first;
    *state->tail = series;
    state->tail = &series->next;
    if (len) {
        struct series **bucket = bucket_of(state, values, len);
        series->next_in_bucket = *bucket;
        *bucket = series;
    }
    return series;
}

static size_t read_values(const struct metric_row *row, const char *const *given,
                          const char *values[METRIC_LABELS_MAX])
{
    size_t len = labels_len(row), at = 0;
    for (size_t i = 0; i < len; i++) {
        values[i] = given[at] ? given[at++] : "";
        if (strcmp(row->labels[i], "severity") == 0)
            values[i] = metric_severity(str_of(values[i]));
        else if (strlen(values[i]) > METRIC_VALUE_LEN_MAX)
            values[i] = "other";
    }
    return len;
}

/* With the state's lock held. A known series is found at once; only a stranger is held against the bounds. */
static struct series *series_of(enum metric_id id, const char *const *given)
{
    struct metric_state *state = &metric_states[id];
    const char *values[METRIC_LABELS_MAX];
    size_t len = read_values(&metric_rows[id], given, values);
    struct series *series = find(state, values, len);
    if (series)
        return series;
    for (size_t i = 0; i < len; i++)
        values[i] = bounded(state, i, values[i]);
    series = find(state, values, len);
    return series ? series : add(state, values, len);
}

void metric_add_labels(enum metric_id id, double n, const char *const *labels)
{
    pthread_mutex_lock(&metric_states[id].lock);
    series_of(id, labels)->value += n;
    pthread_mutex_unlock(&metric_states[id].lock);
}

void metric_set_labels(enum metric_id id, double value, const char *const *labels)
{
    pthread_mutex_lock(&metric_states[id].lock);
    series_of(id, labels)->value = value;
    pthread_mutex_unlock(&metric_states[id].lock);
}

static void keep_exemplar(struct series *series, size_t bucket, double value)
{
    if (!series->exemplars)
        series->exemplars = xcalloc(METRIC_BOUNDS_MAX + 1, sizeof *series->exemplars);
    struct exemplar *exemplar = &series->exemplars[bucket];
    snprintf(exemplar->trace_id, sizeof exemplar->trace_id, "%s", log_trace());
    exemplar->value = value;
    exemplar->at = clock_utc_ms();
}

void metric_observe_labels(enum metric_id id, double value, const char *const *labels)
{
    const double *bounds = metric_rows[id].bounds;
    size_t bucket = 0;
    while (bounds[bucket] > 0 && value > bounds[bucket])
        bucket++;
    pthread_mutex_lock(&metric_states[id].lock);
    struct series *series = series_of(id, labels);
    series->value += value;
    series->count++;
    series->buckets[bucket]++;
    if (log_trace()[0])
        keep_exemplar(series, bucket, value);
    pthread_mutex_unlock(&metric_states[id].lock);
}

double metric_value_labels(enum metric_id id, const char *const *given)
{
    const char *values[METRIC_LABELS_MAX];
    size_t len = read_values(&metric_rows[id], given, values);
    pthread_mutex_lock(&metric_states[id].lock);
    const struct series *series = find(&metric_states[id], values, len);
    double value = !series                                    ? 0
                   : metric_rows[id].type == METRIC_HISTOGRAM ? (double)series->count
                                                              : series->value;
    pthread_mutex_unlock(&metric_states[id].lock);
    return value;
}

double metric_total(enum metric_id id)
{
    double total = 0;
    pthread_mutex_lock(&metric_states[id].lock);
    for (const struct series *series = metric_states[id].first; series; series = series->next)
        total += metric_rows[id].type == METRIC_HISTOGRAM ? (double)series->count : series->value;
    pthread_mutex_unlock(&metric_states[id].lock);
    return total;
}

void metrics_on_collect(metrics_collect_fn *collect, void *context)
{
    struct collector *collector = xcalloc(1, sizeof *collector);
    pthread_mutex_lock(&collectors_lock);
    *collector = (struct collector){ collect, context, collectors };
    collectors = collector;
    pthread_mutex_unlock(&collectors_lock);
}

void metrics_off_collect(metrics_collect_fn *collect, void *context)
{
    pthread_mutex_lock(&collectors_lock);
    for (struct collector **at = &collectors; *at; at = &(*at)->next) {
        struct collector *collector = *at;
        if (collector->collect != collect || collector->context != context)
            continue;
        *at = collector->next;
        free(collector);
        break;
    }
    pthread_mutex_unlock(&collectors_lock);
}

void metrics_collect(void)
{
    process_collect();
    pthread_mutex_lock(&collectors_lock);
    for (struct collector *collector = collectors; collector; collector = collector->next)
        collector->collect(collector->context);
    pthread_mutex_unlock(&collectors_lock);
}

static void forget(struct metric_state *state)
{
    for (struct series *series = state->first, *next; series; series = next) {
        next = series->next;
        free(series->exemplars);
        free(series);
    }
    for (size_t label = 0; label < METRIC_LABELS_MAX; label++) {
        struct label_values *known = state->labels[label];
        for (size_t i = 0; known && i < known->len; i++)
            free(known->values[i]);
        free(known);
        state->labels[label] = NULL;
    }
    free(STEAL(state->table));
    state->first = NULL;
}

void metrics_reset(void)
{
    for (size_t id = 0; id < METRIC_COUNT; id++) {
        pthread_mutex_lock(&metric_states[id].lock);
        forget(&metric_states[id]);
        pthread_mutex_unlock(&metric_states[id].lock);
    }
}
