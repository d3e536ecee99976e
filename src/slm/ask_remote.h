/* Questions to servers, side by side, and decisions made of what they answer. */
#ifndef SLM_ASK_REMOTE_H
#define SLM_ASK_REMOTE_H

#include "slm/decide.h"
#include "slm/remote.h"

struct ask_remote_job {
    struct remote *remote;
    const struct slm_question *question; /* about a cleaned alert */

    bool ok;
    struct remote_answer answer; /* in the arena of ask_remote_all() */
    struct error *err;           /* the caller frees */
};

/* Ask all, some at a time, in threads of their own. */
void ask_remote_all(struct arena *arena, struct ask_remote_job *jobs, size_t count);

/* The fusion for models that nothing was fitted for: their word counts once, prior and runbook half of what they
 * count without a model. */
struct fusion *ask_remote_fusion(const struct fusion *without_model);

/* decide(), with the answer as the model's evidence: its log-probabilities, or else its confidence in its action and the
 * rest spread evenly. Its parameters are taken where its action was chosen, and its summary is told. */
void ask_remote_decide(const struct deciders *deciders, struct arena *arena, const struct reading *reading,
                       const struct remote_answer *answer, const char *failures, struct decision *decision);

#endif
