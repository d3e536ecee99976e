/* The head: a linear layer over the model's own hidden states at the end of the prompt. It belongs to one model and one
 * prompt; any model can have one, fitted on a CPU from labelled alerts. */
#ifndef SLM_HEAD_H
#define SLM_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "slm/layer.h"
#include "slm/scenario.h"

/* Fit on those scenarios for which use[i] is not 0 (NULL: all labelled). features[i] points to `dim` numbers, or is
 * NULL (left out). `note` says which model and prompt. Features are standardised for the fit; the layer that comes
 * back takes them as they are. The caller frees it. */
struct layer *head_fit(const struct scenario_list *scenarios, const float *const *features, size_t dim, double l2,
                       const uint8_t *use, const char *note);

/* The strength of the penalty that predicts held-out rules best, out of a few. */
double head_choose_l2(const struct scenario_list *scenarios, const float *const *features, size_t dim);

/* What a head's note says: the model's and the prompt's SHA-256. The caller frees. */
char *head_note(const char *model_sha256, const char *prompt_sha256);

#endif
