/* A linear softmax layer over the 27 actions: the lexical prior and the head are both one.
 *
 *   p(action | x) = exp(x · w[action] + b[action]) / sum over all actions of the same
 *
 * It is fitted by minimising, over the examples,
 *   weight × ( - sum target × ln p  -  unsafe_cost × ln(1 - p(any unsafe action)) ) + l2/2 × |w|²
 * with L-BFGS (minimise.h): convex but for the second term, which pushes unsafe actions down. */
#ifndef SLM_SOFTMAX_H
#define SLM_SOFTMAX_H

#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "slm/scenario.h"

/* Examples as sparse rows; a dense vector is a row with every column. */
struct dataset {
    size_t count, columns;
    size_t *starts;  /* [count + 1]: where each row begins in index and value */
    uint32_t *index; /* column */
    float *value;
    double (*target)[ACTION_COUNT]; /* sums to 1 */
    uint32_t *unsafe;               /* sets of actions */
    double *weight;
};

/* Room for `count` examples with `values` numbers in all; starts[0] is 0, weights are 0 until labelled. */
void dataset_new(struct dataset *data, size_t count, size_t columns, size_t values);
void dataset_free(struct dataset *data);

/* Example i's target, unsafe set and weight from a scenario's labels: `best` gets the larger share, the other
 * acceptable actions divide the rest; without labels the weight stays 0. */
void dataset_label(struct dataset *data, size_t i, const struct scenario *scenario);

struct softmax {
    size_t columns;
    double *weights; /* [columns][ACTION_COUNT] */
    double bias[ACTION_COUNT];
};

struct softmax_options {
    double l2; /* strength of the penalty on large weights */
    double unsafe_cost;
    size_t iterations;
    const uint8_t *use; /* [count]: 0 leaves an example out; NULL: all are used */
};

void softmax_fit(struct softmax *layer, const struct dataset *data, const struct softmax_options *options);
void softmax_free(struct softmax *layer);

/* ln p of every action for one row. */
void softmax_log_probabilities(const struct softmax *layer, const uint32_t *index, const float *value,
                               size_t count, double log_probabilities[ACTION_COUNT]);

/* scores -= ln(sum of exp(scores)) over `set`; those outside become -INFINITY. */
void log_normalise(double scores[ACTION_COUNT], uint32_t set);

#endif
