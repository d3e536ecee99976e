/* Token masks: which tokens keep a text within an automaton. */
#ifndef ENGINE_CONSTRAIN_H
#define ENGINE_CONSTRAIN_H

#include "engine/automaton.h"
#include "engine/tokenizer.h"

struct engine_constraint *constraint_new_take(const struct tokenizer *tokenizer,
                                              struct automaton *automaton_take, struct error **err);
const struct automaton *constraint_automaton(const struct engine_constraint *constraint);

/* One bit a token, [(vocabulary + 63) / 64]: those whose bytes may follow in `state`; end tokens where it accepts. Lives
 * as long as the constraint. NULL with ERROR_NO_MEMORY, or ERROR_INVALID where no token fits at all. */
const uint64_t *constraint_mask(struct engine_constraint *constraint, uint32_t state, struct error **err);

/* The tokens of the text that must follow in `state`, so far as no choice can change them: where a choice follows, the
 * last of them is left to it, for its bytes may belong to a longer token. Returns the state behind them. */
uint32_t constraint_forced(const struct engine_constraint *constraint, uint32_t state,
                           struct engine_tokens *tokens);

#endif
