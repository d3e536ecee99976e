/* Why a decision was made, in the sources' form: composed from the evidence, without the model's words. */
#ifndef SLM_REASONS_H
#define SLM_REASONS_H

#include "base/arena.h"
#include "slm/layer.h"
#include "slm/lexical.h"
#include "slm/slm.h"

/* Fill in primary_reason, historical_context, oscillation_risk, summary, alternatives and factors. */
void reasons_give(struct arena *arena, const struct slm_question *question, const struct layer *prior,
                  const struct feature_list *features, const char *why_abstained, struct decision *decision);

#endif
