#include "slm/softmax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "slm/minimise.h"

enum { CLASSES = ACTION_COUNT };

/* How much of an example's target goes to `best`; chosen by folds over the training scenarios. */
static const double BEST_SHARE = 0.75;

void dataset_new(struct dataset *data, size_t count, size_t columns, size_t values)
{
    *data = (struct dataset){ .count = count,
                              .columns = columns,
                              .starts = xcalloc(count + 1, sizeof *data->starts),
                              .index = xcalloc(values, sizeof *data->index),
                              .value = xcalloc(values, sizeof *data->value),
                              .target = xcalloc(count, sizeof *data->target),
                              .unsafe = xcalloc(count, sizeof *data->unsafe),
                              .weight = xcalloc(count, sizeof *data->weight) };
}

void dataset_free(struct dataset *data)
{
    free(data->starts);
    free(data->index);
    free(data->value);
    free(data->target);
    free(data->unsafe);
    free(data->weight);
    *data = (struct dataset){ 0 };
}

void dataset_label(struct dataset *data, size_t i, const struct scenario *scenario)
{
    if (!scenario->labelled)
        return;
    int others = __builtin_popcount(scenario->acceptable) - 1;
    for (int a = 0; a < ACTION_COUNT; a++)
        data->target[i][a] = scenario->acceptable & BIT(a) && others > 0 ? (1 - BEST_SHARE) / others : 0;
    data->target[i][scenario->best] = others > 0 ? BEST_SHARE : 1;
    data->unsafe[i] = scenario->unsafe;
    data->weight[i] = 1;
}

struct fit {
    const struct dataset *data;
    const struct softmax_options *options;
    double total_weight;
};

void log_normalise(double scores[ACTION_COUNT], uint32_t set)
{
    double most = -INFINITY, sum = 0;
    for (int a = 0; a < CLASSES; a++)
        if (set & BIT(a))
            most = fmax(most, scores[a]);
    for (int a = 0; a < CLASSES; a++)
        if (set & BIT(a))
            sum += exp(scores[a] - most);
    for (int a = 0; a < CLASSES; a++)
        scores[a] = set & BIT(a) ? scores[a] - most - log(sum) : -INFINITY;
}

/* out += x · w for one row. */
static void add_products(const double *weights, const uint32_t *index, const float *value, size_t count,
                         double out[CLASSES])
{
    for (size_t i = 0; i < count; i++) {
        const double *row = weights + (size_t)index[i] * CLASSES;
        for (int a = 0; a < CLASSES; a++)
            out[a] += value[i] * row[a];
    }
}

/* The loss of one example, whose ln p is given, and its gradient by the scores. */
static double example_loss(const double target[CLASSES], uint32_t unsafe, double unsafe_cost,
                           const double log_p[CLASSES], double gradient[CLASSES])
{
    double loss = 0, p[CLASSES], p_unsafe = 0;
    for (int a = 0; a < CLASSES; a++) {
        p[a] = exp(log_p[a]);
        loss -= target[a] * log_p[a];
        gradient[a] = p[a] - target[a];
        if (unsafe & BIT(a))
            p_unsafe += p[a];
    }
    if (unsafe_cost > 0 && unsafe) {
        double rest = 1 - p_unsafe + 1e-6;
        loss -= unsafe_cost * log(rest);
        for (int a = 0; a < CLASSES; a++)
            gradient[a] += unsafe_cost * p[a] * ((unsafe & BIT(a) ? 1 : 0) - p_unsafe) / rest;
    }
    return loss;
}

static double loss_and_gradient(const double *x, double *gradient, size_t n, void *context)
{
    const struct fit *fit = context;
    const struct dataset *data = fit->data;
    const double *bias = x + n - CLASSES;
    double loss = 0;
    memset(gradient, 0, n * sizeof *gradient);
    for (size_t i = 0; i < data->count; i++) {
        if (fit->options->use && !fit->options->use[i])
            continue;
        size_t from = data->starts[i], count = data->starts[i + 1] - from;
        double scores[CLASSES], by_score[CLASSES], share = data->weight[i] / fit->total_weight;
        memcpy(scores, bias, sizeof scores);
        add_products(x, data->index + from, data->value + from, count, scores);
        log_normalise(scores, ACTION_SET_ALL);
        loss += share *
                example_loss(data->target[i], data->unsafe[i], fit->options->unsafe_cost, scores, by_score);
        for (size_t k = 0; k < count; k++) {
            double *row = gradient + (size_t)data->index[from + k] * CLASSES;
            double factor = share * data->value[from + k];
            for (int a = 0; a < CLASSES; a++)
                row[a] += factor * by_score[a];
        }
        for (int a = 0; a < CLASSES; a++)
            gradient[n - CLASSES + a] += share * by_score[a];
    }
    for (size_t i = 0; i + CLASSES < n; i++) {
        loss += 0.5 * fit->options->l2 * x[i] * x[i];
        gradient[i] += fit->options->l2 * x[i];
    }
    return loss;
}

void softmax_fit(struct softmax *layer, const struct dataset *data, const struct softmax_options *options)
{
    struct fit fit = { data, options, 0 };
    for (size_t i = 0; i < data->count; i++)
        if (!options->use || options->use[i])
            fit.total_weight += data->weight[i];
    size_t n = (data->columns + 1) * CLASSES;
    layer->columns = data->columns;
    layer->weights = xcalloc(n, sizeof *layer->weights);
    minimise(layer->weights, n, loss_and_gradient, &fit,
             &(struct minimise_options){ .iterations = options->iterations, .tolerance = 1e-6 });
    memcpy(layer->bias, layer->weights + n - CLASSES, sizeof layer->bias);
}

void softmax_free(struct softmax *layer)
{
    free(layer->weights);
    *layer = (struct softmax){ 0 };
}

void softmax_log_probabilities(const struct softmax *layer, const uint32_t *index, const float *value,
                               size_t count, double log_probabilities[ACTION_COUNT])
{
    memcpy(log_probabilities, layer->bias, sizeof layer->bias);
    add_products(layer->weights, index, value, count, log_probabilities);
    log_normalise(log_probabilities, ACTION_SET_ALL);
}
