/* The pipeline: claim → normalise → filter → deduplicate → correlate → incident, and then the steps on an incident that
 * another room hands over at start-up: gather context, decide, judge, execute, record, assess.
 *
 * One thread takes payloads from the inbox and turns them into alerts and incidents; workers take incidents that need
 * work, one worker an incident at a time. State lives in the store alone: a process can die at any instruction. */
#ifndef PROCESSOR_PROCESSOR_H
#define PROCESSOR_PROCESSOR_H

#include "config/config.h"
#include "store/alerts.h"
#include "store/incidents.h"
#include "store/store.h"

/* What a step works on. Borrowed for the call; its memory lives in `arena` until the last step is done. */
struct processor_work {
    struct store *store;
    struct arena *arena;
    const struct config *config; /* the same one for all steps of this work */
    struct incident incident;    /* as it was when the work began */
    struct alert_records alerts; /* those of its alerts that fire, the root candidate first */
    const char *trace_id;
    const char *key;     /* of this work: the same after a crash, another when it is asked for anew */
    int64_t attempt;     /* 1 for the first */
    int64_t deadline_us; /* clock_mono_us(): a step that is not done by then should give up */
    int64_t received_at; /* UTC ms: when the newest of its alerts came in */
    bool done;           /* a step sets it: nothing more to do, the others are left out */
    const char *outcome; /* a step may set it: the action chosen, for alerts_processed_total */
    void *state;         /* the steps' own: what one leaves for the next, in the arena */

    struct processor_lease *lease; /* the processor's */
};

/* Still ours? Within the transaction that records something, so that a worker whose lease was lost changes nothing.
 * ERROR_CONFLICT: another worker has the incident; undo and stop. */
bool processor_work_check(struct tx *tx, const struct processor_work *work, struct error **err);

/* A step: false with a retryable error (error_is_retryable()) comes back later, with a growing wait; another error ends
 * the work, and the incident's `work` says failed. */
struct processor_step {
    const char *name; /* of its histogram: stage="NAME" */
    bool (*run)(struct processor_work *work, void *context, struct error **err);
};

struct processor_steps {
    const struct processor_step *steps; /* in order, ended by a NULL name; NULL: intake only */
    void *context;
    int64_t deadline_ms; /* for all of them together; 0: five minutes */
};

struct processor; /* locks itself */

/* Start the threads. All arguments outlive it; steps may be NULL. */
struct processor *processor_start(struct store *store, struct config_live *config,
                                  const struct processor_steps *steps);

/* Finish the current payload and the current steps; the rest stays in the store. A step has its own deadline; who cannot
 * wait for it ends the process, as `serve` does at server.shutdown_timeout: its lease expires, the next start goes on. */
void processor_stop(struct processor *processor);
static inline void processor_cleanup(struct processor **processor)
{
    processor_stop(*processor);
}

/* Something was accepted: look now rather than at the next turn. Any thread; cheap. */
void processor_wake(struct processor *processor);

struct processor_stats {
    int64_t inbox_waiting;                                        /* alerts */
    int64_t payloads, alerts, filtered, incidents_worked, failed; /* since the start */
    unsigned workers, workers_busy;
};
void processor_stats(struct processor *processor, struct processor_stats *stats);

/* Does one of the filters accept it? None at all accept everything. */
bool processor_filters_accept(const struct config_filters *filters, const struct alert *alert);

/* One pattern with any number of `*`: the whole value, letter for letter. */
bool processor_pattern_matches(struct str pattern, struct str value);

#endif
