/* The lexical prior: a linear layer over an alert's words. Small, fast, needs no model, and can name the words that
 * moved it. A feature that only one rule has teaches nothing and is left out. */
#ifndef SLM_PRIOR_H
#define SLM_PRIOR_H

#include <stddef.h>

#include "action/action.h"
#include "slm/layer.h"
#include "slm/lexical.h"
#include "slm/scenario.h"

/* Fit on those of `scenarios` for which use[i] is not 0 (NULL: all that are labelled). The caller frees the layer. */
struct layer *prior_fit(const struct scenario_list *scenarios, const uint8_t *use);

void prior_log_probabilities(const struct layer *prior, const struct feature_list *features,
                             double log_probabilities[ACTION_COUNT]);

/* The features that spoke most for `action` against the mean of all, strongest first; returns how many. */
struct prior_word {
    struct str name;
    double weight; /* its share of the score, in nats */
};
size_t prior_explain(const struct layer *prior, const struct feature_list *features, enum action action,
                     struct prior_word *words, size_t max);

#endif
