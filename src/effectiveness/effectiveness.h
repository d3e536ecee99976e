/* Effectiveness: did an execution help? After a wait it is looked at, once: is the alert resolved, did its metric move,
 * is the workload stable, did new alerts begin nearby, what did it cost. From that a score, and how sure it is; from
 * both what is learned, and whether it is undone.
 *
 * Every source is optional: what is not known lowers the confidence, never the score. Work that is due is a job in the
 * store, so that it survives restarts and one replica does it. */
#ifndef EFFECTIVENESS_EFFECTIVENESS_H
#define EFFECTIVENESS_EFFECTIVENESS_H

#include "config/config.h"
#include "store/executions.h"
#include "store/store.h"

/* ---- the score: a pure function of what is known ------------------------------------------------------------ */

enum criterion {
    CRITERION_ALERT_RESOLVED,
    CRITERION_METRIC_IMPROVED,
    CRITERION_NO_NEW_ALERTS,
    CRITERION_STABILIZED,
    CRITERION_SIDE_EFFECTS,
    CRITERION_COUNT
};
extern const char *const criterion_names[CRITERION_COUNT]; /* "alert_resolved", … */

struct effect_evidence {
    double criteria[CRITERION_COUNT]; /* 0..1; NAN: not known */
    bool failed;                      /* the execution itself did not succeed */
};
struct effectiveness {
    double score;      /* 0..1; NAN: nothing is known */
    double confidence; /* 0..1: the weight of the criteria that are known */
};
struct effectiveness effectiveness_score(const struct effect_evidence *evidence);

/* ---- evidence that another room has ------------------------------------------------------------------------- */

struct workload_evidence {
    bool known;
    bool ready;            /* all replicas, and the rollout is complete */
    int64_t restarts;      /* since the execution, so many at least; -1: unknown */
    int64_t stable_for_ms; /* since the last restart, or the execution if there was none; -1: unknown */
};
struct cost_evidence {                  /* requested by the workload, before and after; NAN: unknown */
    double cpu_before, cpu_after;       /* cores */
    double memory_before, memory_after; /* bytes */
};
/* Functions may be NULL; false with an error is "unknown for now". */
struct effectiveness_sources {
    void *context;
    bool (*workload)(void *context, const struct execution *execution, struct workload_evidence *evidence,
                     struct error **err);
    bool (*cost)(void *context, const struct execution *execution, struct cost_evidence *evidence,
                 struct error **err);
    /* Undo it as an execution of its own. ERROR_CONFLICT: it was undone, or there is nothing to undo. */
    bool (*undo)(void *context, const struct execution *execution, const char *reason, struct error **err);
    /* May it be undone now without a person being asked? Asked of what effectiveness.undo_actions names; NULL: yes. */
    bool (*may_undo)(void *context, const struct execution *execution);
};

/* ---- the service -------------------------------------------------------------------------------------------- */

struct effectiveness_service; /* locks itself */
struct effectiveness_options {
    struct store *store;        /* these outlive it */
    struct config_live *config; /* the running configuration … */
    const struct config *fixed; /* … or one that does not change; the other is NULL */
    struct effectiveness_sources sources;
    const char *identity; /* of this process, in leases */
    /* Called about once a second by the background thread, for what else has to be tended; may be NULL. */
    void (*also)(void *context);
    void *also_context;
};
struct effectiveness_service *effectiveness_open(const struct effectiveness_options *options,
                                                 struct error **err);
void effectiveness_close(struct effectiveness_service *service); /* stops the thread */
static inline void effectiveness_service_cleanup(struct effectiveness_service **service)
{
    effectiveness_close(*service);
}
void effectiveness_start(
    struct effectiveness_service *service); /* the thread that does the below, as it falls due */

/* One round: plan what has ended, assess what is due, undo what did not help, retention when its time has come. */
struct effectiveness_round {
    int64_t planned, assessed, postponed, undone;
};
bool effectiveness_tend(struct effectiveness_service *service, struct effectiveness_round *round,
                        struct error **err);

/* When to look at an execution of this action. */
int64_t effectiveness_wait_ms(const struct config_effectiveness *config, const char *action);

#endif
