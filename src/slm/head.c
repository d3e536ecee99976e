#include "slm/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { ITERATIONS = 120, CHOOSING_FOLDS = 4 };

static const double UNSAFE_COST = 1.0;

struct standard {
    double *mean, *scale;                         /* [dim]: x becomes (x - mean) × scale */
};

static void standard_of(const float *const *features, size_t count, size_t dim, struct standard *standard)
{
    standard->mean = xcalloc(dim, sizeof(double));
    standard->scale = xcalloc(dim, sizeof(double));
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!features[i])
            continue;
        used++;
        for (size_t d = 0; d < dim; d++) {
            standard->mean[d] += features[i][d];
            standard->scale[d] += (double)features[i][d] * features[i][d];
        }
    }
    for (size_t d = 0; d < dim; d++) {
        double mean = standard->mean[d] / fmax((double)used, 1);
        double variance = standard->scale[d] / fmax((double)used, 1) - mean * mean;
        standard->mean[d] = mean;
        /* Divided by the width too, so that one penalty suits models of all sizes. */
        standard->scale[d] = 1 / (sqrt(fmax(variance, 1e-12)) * sqrt((double)dim));
    }
}

static void standard_free(struct standard *standard)
{
    free(standard->mean);
    free(standard->scale);
}

static void fill(struct dataset *data, const struct scenario_list *scenarios, const float *const *features,
                 const struct standard *standard)
{
    size_t at = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        for (size_t d = 0; features[i] && d < data->columns; d++, at++) {
            data->index[at] = (uint32_t)d;
            data->value[at] = (float)((features[i][d] - standard->mean[d]) * standard->scale[d]);
        }
        data->starts[i + 1] = at;
        if (features[i])
            dataset_label(data, i, &scenarios->items[i]);
    }
}

/* Put the standardisation into the weights: w' = w × scale, b' = b - sum of mean × w'. */
static void absorb(struct softmax *fitted, const struct standard *standard)
{
    for (size_t d = 0; d < fitted->columns; d++)
        for (int a = 0; a < ACTION_COUNT; a++) {
            double *weight = &fitted->weights[d * ACTION_COUNT + (size_t)a];
            *weight *= standard->scale[d];
            fitted->bias[a] -= standard->mean[d] * *weight;
        }
}

struct layer *head_fit(const struct scenario_list *scenarios, const float *const *features, size_t dim, double l2,
                       const uint8_t *use, const char *note)
{
    struct standard standard;
    struct dataset data;
    struct softmax fitted;
    standard_of(features, scenarios->count, dim, &standard);
    dataset_new(&data, scenarios->count, dim, scenarios->count * dim);
    fill(&data, scenarios, features, &standard);
    softmax_fit(&fitted, &data,
                &(struct softmax_options){
                    .l2 = l2, .unsafe_cost = UNSAFE_COST, .iterations = ITERATIONS, .use = use });
    absorb(&fitted, &standard);
    dataset_free(&data);
    standard_free(&standard);
    return layer_new_take(&fitted, NULL, note);
}

/* Mean loss on one fold of the rules, fitted on the others. */
static double held_out_loss(const struct scenario_list *scenarios, const float *const *features, size_t dim, double l2)
{
    uint8_t *use = xcalloc(scenarios->count, 1);
    double loss = 0;
    size_t judged = 0;
    for (size_t i = 0; i < scenarios->count; i++)
        use[i] = str_hash(scenarios->items[i].rule, 3) % CHOOSING_FOLDS != 0;
    AUTO(layer) struct layer *layer = head_fit(scenarios, features, dim, l2, use, "");
    for (size_t i = 0; i < scenarios->count; i++) {
        if (use[i] || !features[i] || !scenarios->items[i].labelled)
            continue;
        double log_p[ACTION_COUNT];
        layer_ask(layer, features[i], log_p);
        loss -= log_p[scenarios->items[i].best];
        judged++;
    }
    free(use);
    return judged ? loss / (double)judged : 0;
}

double head_choose_l2(const struct scenario_list *scenarios, const float *const *features, size_t dim)
{
    static const double choices[] = { 3e-5, 1e-4, 3e-4, 1e-3 };
    double best = choices[0], best_loss = INFINITY;
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        double loss = held_out_loss(scenarios, features, dim, choices[i]);
        if (loss < best_loss) {
            best_loss = loss;
            best = choices[i];
        }
    }
    return best;
}

char *head_note(const char *model_sha256, const char *prompt_sha256)
{
    return xasprintf("model %s prompt %s", model_sha256, prompt_sha256);
}
