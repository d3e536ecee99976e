/* The embedded model's evidence: one forward pass over the prompt gives the probability of every action's name (by
 * their token trie) and the hidden states that the head reads. The static part's cache is computed once. */
#ifndef SLM_EMBEDDED_H
#define SLM_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "slm/slm.h"

struct embedded;                                  /* any number of threads at once */

/* The model file, and where derived files are kept (NULL: nowhere). Takes the time of mapping the weights and the
 * prefix, or of computing them the first time. Errors are engine_open()'s, and ERROR_UNSUPPORTED for a model whose
 * conversation format is not known. */
struct embedded *embedded_open(const char *path, const struct engine_options *options, struct error **err);
void embedded_close(struct embedded *embedded);
static inline void embedded_cleanup(struct embedded **embedded) { embedded_close(*embedded); }

struct engine *embedded_engine(struct embedded *embedded);
size_t embedded_feature_count(const struct embedded *embedded);       /* twice the model's width */

struct embedded_evidence {
    double trie[ACTION_COUNT];                    /* ln P(name | prompt), over all 27 */
    float *features;                              /* [embedded_feature_count()]: last token's hidden state, then the
                                                     mean over the variable part; in the arena */
    const int32_t *tokens;                        /* the whole prompt's; in the arena */
    size_t token_count;
    unsigned dropped;                             /* parts of the context that did not fit: bits of enum prompt_part */
    struct engine_sequence *sequence;             /* the prompt, read; for what follows it. The caller frees */
};

/* ERROR_TIMEOUT if the question's deadline passes first, else the engine's errors. */
bool embedded_ask(struct embedded *embedded, struct arena *arena, const struct slm_question *question,
                  struct embedded_evidence *evidence, struct error **err);

/* The same for many at once: their passes run together. Each has an error of its own (NULL: it went well). */
void embedded_ask_batch(struct embedded *embedded, struct arena *arena, const struct slm_question *questions,
                        size_t count, struct embedded_evidence *evidence, struct error **errors);

#endif
