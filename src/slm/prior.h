/* The lexical prior: a linear layer over an alert's words. Small, fast, needs no model, and can name the words that
 * moved it. A feature that only one rule has teaches nothing and is left out. */
#ifndef SLM_PRIOR_H
#define SLM_PRIOR_H

#include <stdbool.h>
#include <stddef.h>

#include "action/action.h"
#include "alert/alert.h"
#include "base/arena.h"
#include "base/error.h"
#include "slm/lexical.h"
#include "slm/scenario.h"
#include "slm/softmax.h"

struct prior; /* read-only once made: any thread may ask it */

/* Fit on those of `scenarios` for which use[i] is not 0 (NULL: all that are labelled). */
struct prior *prior_fit(const struct scenario_list *scenarios, const uint8_t *use);

struct prior *prior_open(const char *path, struct error **err);
bool prior_save(const struct prior *prior, const char *path, struct error **err);
void prior_free(struct prior *prior);
static inline void prior_cleanup(struct prior **prior)
{
    prior_free(*prior);
}
const char *prior_sha256(const struct prior *prior); /* of the file; hex; lives as long as the prior */

void prior_log_probabilities(const struct prior *prior, const struct feature_list *features,
                             double log_probabilities[ACTION_COUNT]);

/* The features that spoke most for `action` against the mean of all, strongest first; returns how many. */
struct prior_word {
    struct str name;
    double weight; /* its share of the score, in nats */
};
size_t prior_explain(const struct prior *prior, const struct feature_list *features, enum action action,
                     struct prior_word *words, size_t max);

#endif
