#include "slm/prior.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { RULES_MIN = 2, ROWS_MAX = 1 << 19, ITERATIONS = 150 };

/* Chosen by folds over the training scenarios. */
static const double L2 = 1e-5, UNSAFE_COST = 1.0;

struct occurrence {
    uint64_t key, rule;
};

struct occurrence_list {
    struct occurrence *items;
    size_t count, cap;
};

static void add_occurrences(struct occurrence_list *seen, const struct feature_list *features, uint64_t rule)
{
    if (seen->count + features->count > seen->cap) {
        seen->cap = 2 * (seen->cap + features->count);
        seen->items = xrealloc(seen->items, seen->cap * sizeof *seen->items);
    }
    for (size_t k = 0; k < features->count; k++)
        seen->items[seen->count++] = (struct occurrence){ features->items[k].key, rule };
}

static int by_key_and_rule(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->rule > y->rule) - (x->rule < y->rule);
}

/* The keys that at least RULES_MIN different rules have, rising; the caller frees. */
static uint64_t *choose_keys(struct occurrence_list *seen, size_t *rows)
{
    qsort(seen->items, seen->count, sizeof *seen->items, by_key_and_rule);
    uint64_t *keys = xcalloc(seen->count, sizeof *keys);
    *rows = 0;
    for (size_t i = 0, j; i < seen->count; i = j) {
        size_t rules = 1;
        for (j = i + 1; j < seen->count && seen->items[j].key == seen->items[i].key; j++)
            rules += seen->items[j].rule != seen->items[j - 1].rule;
        if (rules >= RULES_MIN && *rows < ROWS_MAX)
            keys[(*rows)++] = seen->items[i].key;
    }
    return keys;
}

static void fill(struct dataset *data, const struct layer *columns, const struct scenario_list *scenarios,
                 const struct feature_list *features)
{
    size_t at = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        for (size_t k = 0; k < features[i].count; k++) {
            size_t row;
            if (!layer_find(columns, features[i].items[k].key, &row))
                continue;
            data->index[at] = (uint32_t)row;
            data->value[at++] = features[i].items[k].value;
        }
        data->starts[i + 1] = at;
        dataset_label(data, i, &scenarios->items[i]);
    }
}

struct layer *prior_fit(const struct scenario_list *scenarios, const uint8_t *use)
{
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct feature_list *features = ARENA_ARRAY(arena, struct feature_list, scenarios->count);
    struct occurrence_list seen = { 0 };
    size_t values = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        features[i] = features_of_alert(arena, &scenarios->items[i].alert);
        values += features[i].count;
        if (!use || use[i])
            add_occurrences(&seen, &features[i], str_hash(scenarios->items[i].rule, 0));
    }
    struct layer columns = { 0 };
    columns.keys = choose_keys(&seen, &columns.rows);
    free(seen.items);

    struct dataset data;
    struct softmax fitted;
    dataset_new(&data, scenarios->count, columns.rows, values);
    fill(&data, &columns, scenarios, features);
    softmax_fit(&fitted, &data,
                &(struct softmax_options){
                    .l2 = L2, .unsafe_cost = UNSAFE_COST, .iterations = ITERATIONS, .use = use });
    dataset_free(&data);
    return layer_new_take(&fitted, columns.keys, "prior");
}

void prior_log_probabilities(const struct layer *prior, const struct feature_list *features,
                             double log_probabilities[ACTION_COUNT])
{
    for (int a = 0; a < ACTION_COUNT; a++)
        log_probabilities[a] = prior->bias[a];
    for (size_t i = 0; i < features->count; i++) {
        size_t row;
        if (!layer_find(prior, features->items[i].key, &row))
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

size_t prior_explain(const struct layer *prior, const struct feature_list *features, enum action action,
                     struct prior_word *words, size_t max)
{
    struct prior_word *all = xcalloc(features->count, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < features->count; i++) {
        size_t row;
        if (!layer_find(prior, features->items[i].key, &row))
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
