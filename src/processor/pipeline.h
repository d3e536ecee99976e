/* The pipeline's second half: what is done with an incident that needs work. Gather context, decide, judge and execute,
 * record; the rooms that do each are handed over at start-up, and each is optional: what is missing degrades to the
 * next best, never to silence. */
#ifndef PROCESSOR_PIPELINE_H
#define PROCESSOR_PIPELINE_H

#include "processor/processor.h"
#include "slm/slm.h"

/* What is known of the target in the cluster, from whoever can ask it. Texts live as long as the arena. */
struct pipeline_cluster_state {
    struct str state, events;           /* see struct slm_context */
    enum kind kind;                     /* of the object that was found; KIND_NONE: none */
    const struct action_bounds *bounds; /* [ACTION_COUNT], from its present state; NULL: none */
};

/* What happens to the decision: planned, judged, executed or held for approval. */
struct pipeline_outcome {
    const char *execution_id, *state; /* in the arena; NULL: nothing was to be executed */
};

struct pipeline_rooms { /* the functions may be NULL; `context` is handed to all of them */
    struct slm *slm;
    bool (*feasible)(const struct processor_work *work, uint32_t *actions, void *context, struct error **err);
    bool (*past)(const struct processor_work *work, struct slm_context *known, void *context,
                 struct error **err);
    bool (*cluster)(const struct processor_work *work, struct pipeline_cluster_state *state, void *context,
                    struct error **err);
    /* Before an execution: *why is set where the past holds it back; it is then left to a person. */
    bool (*restrain)(const struct processor_work *work, const struct decision *decision, const char **why,
                     void *context, struct error **err);
    bool (*execute)(const struct processor_work *work, const struct decision *decision,
                    struct pipeline_outcome *outcome, void *context, struct error **err);
    void *context;
};

/* The steps for processor_start(). `rooms` outlives the processor. */
struct processor_steps pipeline_steps(struct pipeline_rooms *rooms);

#endif
