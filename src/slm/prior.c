/* File: "PASPRIOR", u32 version, u32 rows, f32 bias[27], then u64 keys[rows] (rising), f32 weights[rows][27]; all
 * little-endian. */
#include "slm/prior.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"

enum { VERSION = 1, RULES_MIN = 2, FILE_BYTES_MAX = 64 * 1024 * 1024, ROWS_MAX = 1 << 19, ITERATIONS = 150 };

/* Chosen by folds over the training scenarios. */
static const double L2 = 1e-5, UNSAFE_COST = 1.0, BEST_SHARE = 0.75;

struct prior {
    size_t rows;
    uint64_t *keys; /* rising */
    float *weights; /* [rows][ACTION_COUNT] */
    float bias[ACTION_COUNT];
    char sha256[SHA256_HEX_LEN + 1];
};

static bool find_row(const struct prior *prior, uint64_t key, size_t *row)
{
    size_t low = 0, high = prior->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (prior->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    *row = low;
    return low < prior->rows && prior->keys[low] == key;
}

/* ---- fitting ---- */

struct occurrence {
    uint64_t key, rule;
};

static int by_key_and_rule(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->rule > y->rule) - (x->rule < y->rule);
}

/* The keys that at least RULES_MIN different rules have. */
static void choose_keys(struct prior *prior, struct occurrence *seen, size_t count)
{
    qsort(seen, count, sizeof *seen, by_key_and_rule);
    prior->keys = xcalloc(count, sizeof *prior->keys);
    for (size_t i = 0; i < count;) {
        size_t rules = 0, j = i;
        for (; j < count && seen[j].key == seen[i].key; j++)
            rules += j == i || seen[j].rule != seen[j - 1].rule;
        if (rules >= RULES_MIN && prior->rows < ROWS_MAX)
            prior->keys[prior->rows++] = seen[i].key;
        i = j;
    }
}

/* `best` gets the larger share, the other acceptable actions divide the rest. */
static void set_target(const struct scenario *scenario, double target[ACTION_COUNT])
{
    int others = __builtin_popcount(scenario->acceptable) - 1;
    for (int a = 0; a < ACTION_COUNT; a++)
        target[a] = scenario->acceptable & BIT(a) && others > 0 ? (1 - BEST_SHARE) / others : 0;
    target[scenario->best] = others > 0 ? BEST_SHARE : 1;
}

static void data_new(struct dataset *data, const struct prior *prior, const struct scenario_list *scenarios,
                     const struct feature_list *features)
{
    size_t values = 0;
    for (size_t i = 0; i < scenarios->count; i++)
        values += features[i].count;
    *data = (struct dataset){ .count = scenarios->count,
                              .columns = prior->rows,
                              .starts = xcalloc(scenarios->count + 1, sizeof *data->starts),
                              .index = xcalloc(values, sizeof *data->index),
                              .value = xcalloc(values, sizeof *data->value),
                              .target = xcalloc(scenarios->count, sizeof *data->target),
                              .unsafe = xcalloc(scenarios->count, sizeof *data->unsafe),
                              .weight = xcalloc(scenarios->count, sizeof *data->weight) };
    size_t at = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        for (size_t k = 0; k < features[i].count; k++) {
            size_t row;
            if (!find_row(prior, features[i].items[k].key, &row))
                continue;
            data->index[at] = (uint32_t)row;
            data->value[at++] = features[i].items[k].value;
        }
        data->starts[i + 1] = at;
        data->weight[i] = scenarios->items[i].labelled;
        data->unsafe[i] = scenarios->items[i].unsafe;
        if (scenarios->items[i].labelled)
            set_target(&scenarios->items[i], data->target[i]);
    }
}

static void data_free(struct dataset *data)
{
    free(data->starts);
    free(data->index);
    free(data->value);
    free(data->target);
    free(data->unsafe);
    free(data->weight);
}

static void add_to_file(struct strbuf *out, const void *bytes, size_t len)
{
    strbuf_add(out, (struct str){ bytes, len });
}

static void write_file(const struct prior *prior, struct strbuf *out)
{
    uint32_t head[2] = { VERSION, (uint32_t)prior->rows };
    strbuf_add(out, STR("PASPRIOR"));
    add_to_file(out, head, sizeof head);
    add_to_file(out, prior->bias, sizeof prior->bias);
    add_to_file(out, prior->keys, prior->rows * sizeof *prior->keys);
    add_to_file(out, prior->weights, prior->rows * ACTION_COUNT * sizeof *prior->weights);
}

struct prior *prior_fit(const struct scenario_list *scenarios, const uint8_t *use)
{
    struct prior *prior = xcalloc(1, sizeof *prior);
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct feature_list *features = ARENA_ARRAY(arena, struct feature_list, scenarios->count);
    struct occurrence *seen = NULL;
    size_t count = 0, cap = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        features[i] = features_of_alert(arena, &scenarios->items[i].alert);
        uint64_t rule = str_hash(scenarios->items[i].rule, 0);
        for (size_t k = 0; k < features[i].count && (!use || use[i]); k++) {
            if (count == cap) {
                cap = MAX(cap * 2, (size_t)4096);
                seen = xrealloc(seen, cap * sizeof *seen);
            }
            seen[count++] = (struct occurrence){ features[i].items[k].key, rule };
        }
    }
    choose_keys(prior, seen, count);
    free(seen);

    struct dataset data;
    struct softmax layer;
    data_new(&data, prior, scenarios, features);
    softmax_fit(&layer, &data,
                &(struct softmax_options){
                    .l2 = L2, .unsafe_cost = UNSAFE_COST, .iterations = ITERATIONS, .use = use });
    data_free(&data);
    prior->weights = xcalloc(prior->rows * ACTION_COUNT, sizeof *prior->weights);
    for (size_t i = 0; i < prior->rows * ACTION_COUNT; i++)
        prior->weights[i] = (float)layer.weights[i];
    for (int a = 0; a < ACTION_COUNT; a++)
        prior->bias[a] = (float)layer.bias[a];
    softmax_free(&layer);

    AUTO(strbuf) struct strbuf file = { 0 };
    write_file(prior, &file);
    sha256_hex(strbuf_str(&file), prior->sha256);
    return prior;
}

/* ---- the file ---- */

bool prior_save(const struct prior *prior, const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf file = { 0 };
    write_file(prior, &file);
    return file_replace(path, strbuf_str(&file), 0644, err);
}

static bool read_file(struct prior *prior, struct str text, struct error **err)
{
    struct reader in = reader_of(text.ptr, text.len);
    const char *magic = reader_bytes(&in, 8);
    uint32_t version = reader_u32(&in), rows = reader_u32(&in);
    if (!magic || memcmp(magic, "PASPRIOR", 8) != 0 || version != VERSION)
        return error_set(err, ERROR_INVALID, "not a prior of version %d", VERSION);
    const void *bias = reader_bytes(&in, sizeof prior->bias);
    if (rows > ROWS_MAX ||
        reader_left(&in) != rows * (sizeof *prior->keys + ACTION_COUNT * sizeof *prior->weights))
        return error_set(err, ERROR_CORRUPT, "it holds %zu bytes, which does not fit %u rows", text.len,
                         rows);
    prior->rows = rows;
    prior->keys = xcalloc(rows, sizeof *prior->keys);
    prior->weights = xcalloc((size_t)rows * ACTION_COUNT, sizeof *prior->weights);
    memcpy(prior->bias, bias, sizeof prior->bias);
    memcpy(prior->keys, reader_bytes(&in, rows * sizeof *prior->keys), rows * sizeof *prior->keys);
    size_t weight_bytes = (size_t)rows * ACTION_COUNT * sizeof *prior->weights;
    memcpy(prior->weights, reader_bytes(&in, weight_bytes), weight_bytes);
    for (size_t i = 0; i < (size_t)rows * ACTION_COUNT; i++)
        if (!isfinite(prior->weights[i]))
            return error_set(err, ERROR_CORRUPT, "weight %zu is not a number", i);
    for (size_t i = 1; i < rows; i++)
        if (prior->keys[i] <= prior->keys[i - 1])
            return error_set(err, ERROR_CORRUPT, "its keys are out of order at row %zu", i);
    return true;
}

struct prior *prior_open(const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, FILE_BYTES_MAX, &text, err))
        return NULL;
    AUTO(prior) struct prior *prior = xcalloc(1, sizeof *prior);
    if (!read_file(prior, strbuf_str(&text), err)) {
        error_wrap(err, "%s", path);
        return NULL;
    }
    sha256_hex(strbuf_str(&text), prior->sha256);
    return STEAL(prior);
}

void prior_free(struct prior *prior)
{
    if (!prior)
        return;
    free(prior->keys);
    free(prior->weights);
    free(prior);
}

const char *prior_sha256(const struct prior *prior)
{
    return prior->sha256;
}

/* ---- asking ---- */

void prior_log_probabilities(const struct prior *prior, const struct feature_list *features,
                             double log_probabilities[ACTION_COUNT])
{
    for (int a = 0; a < ACTION_COUNT; a++)
        log_probabilities[a] = prior->bias[a];
    for (size_t i = 0; i < features->count; i++) {
        size_t row;
        if (!find_row(prior, features->items[i].key, &row))
            continue;
        for (int a = 0; a < ACTION_COUNT; a++)
            log_probabilities[a] += (double)features->items[i].value * prior->weights[row * ACTION_COUNT + a];
    }
    log_normalise(log_probabilities, ACTION_SET_ALL);
}

static int by_weight(const void *a, const void *b)
{
    double x = ((const struct prior_word *)a)->weight, y = ((const struct prior_word *)b)->weight;
    return (x < y) - (x > y);
}

size_t prior_explain(const struct prior *prior, const struct feature_list *features, enum action action,
                     struct prior_word *words, size_t max)
{
    struct prior_word *all = xcalloc(features->count, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < features->count; i++) {
        size_t row;
        if (!find_row(prior, features->items[i].key, &row))
            continue;
        const float *weights = prior->weights + row * ACTION_COUNT;
        double mean = 0;
        for (int a = 0; a < ACTION_COUNT; a++)
            mean += weights[a] / ACTION_COUNT;
        all[count++] = (struct prior_word){ features->items[i].name,
                                            features->items[i].value * (weights[action] - mean) };
    }
    qsort(all, count, sizeof *all, by_weight);
    count = MIN(count, max);
    memcpy(words, all, count * sizeof *words);
    free(all);
    return count;
}
