/* The parameters of a chosen action. Each is taken from a finite set of values within its bounds, so that nothing the
 * model or the alert says can leave them: what the alert names (a container, a component), else what the model finds
 * most probable, else the catalogue's fallback. */
#ifndef SLM_PARAMETERS_H
#define SLM_PARAMETERS_H

#include "base/arena.h"
#include "slm/embedded.h"
#include "slm/slm.h"

/* Canonical JSON, checked against the catalogue and the question's bounds; lives as long as the arena. `sequence`: the
 * prompt, read, up to the opening of the answer; NULL without a model. Or NULL with ERROR_INVALID where a required
 * parameter has no value within its bounds. */
const char *parameters_choose(struct embedded *embedded, struct engine_sequence *sequence, struct arena *arena,
                              const struct slm_question *question, enum action action, struct error **err);

#endif
