/* What the files of effectiveness/ tell each other. */
#ifndef EFFECTIVENESS_EFFECTIVENESS_INTERNAL_H
#define EFFECTIVENESS_EFFECTIVENESS_INTERNAL_H

#include <pthread.h>

#include "effectiveness/effectiveness.h"
#include "effectiveness/peers.h"
#include "store/alerts.h"
#include "store/jobs.h"
#include "store/outcomes.h"

#define JOB_ASSESS "assess"       /* subject: an execution's id */
#define JOB_AUTO_UNDO "auto_undo" /* likewise */
#define JOB_RETENTION "retention" /* subject: "history" */

enum { ASSESS_LEASE_MS = 120 * 1000 };

struct effectiveness_service {
    struct effectiveness_options options; /* these are set before the thread starts */
    char *identity;

    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t wake;
    bool stopping, started;
    pthread_t thread;
};
const struct config *service_hold(struct effectiveness_service *service);
void service_release(struct effectiveness_service *service, const struct config *config);

/* gather.c: everything that is known of one execution now. */
struct gathered {
    struct effect_evidence evidence;
    struct alert_record alert; /* what it was against */
    bool has_alert;
    const char *metric; /* its expression; NULL: none */
    double metric_before, metric_after, threshold;
    int64_t new_alerts, side_effects;
    int64_t resolved_after_ms; /* -1: unknown */
    struct workload_evidence workload;
    struct cost_evidence cost;
    struct strbuf unknown; /* why sources said nothing, for people */
};
void gather(struct effectiveness_service *service, const struct config *config, struct arena *arena,
            const struct execution *execution, struct gathered *gathered);

/* record.c: the assessment and what is learned from it, in one transaction with the job's end. */
bool record_assessment(struct effectiveness_service *service, const struct config *config,
                       struct arena *arena, const struct execution *execution,
                       struct assessment_record *assessment, struct gathered *gathered, const struct job *job,
                       struct error **err);

#endif
