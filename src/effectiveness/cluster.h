/* What the cluster knows of an execution's effect, and the way back: the sources of a server that has a cluster.
 * Everything is asked when an assessment is made; what an execution changed is in its own record. */
#ifndef EFFECTIVENESS_CLUSTER_H
#define EFFECTIVENESS_CLUSTER_H

#include <yyjson.h>

#include "effectiveness/effectiveness.h"

struct executor;
struct k8s;

struct cluster_source {         /* all of it outlives the service that asks */
    struct k8s *k8s;            /* NULL: no cluster; then nothing is known of it, and nothing undone */
    struct executor *executor;  /* NULL: nothing is undone */
    struct config_live *config; /* the running configuration … */
    const struct config *fixed; /* … or one that does not change; the other is NULL */
};
/* Each question ends within effectiveness.query_timeout. */
struct effectiveness_sources cluster_sources(struct cluster_source *source);

/* ---- What of it needs no cluster ----------------------------------------------------------------------------- */

/* The requests of a workload or pod as it is now, and as it would be without what the execution changed in it: its
 * `state_before`, put in the place of what is there. A request that is not set is the limit, as for the API server; what
 * no container sets is NAN. `state_before` NULL: nothing is known of before. */
void cluster_cost(struct arena *arena, const char *kind, yyjson_val *object, const char *state_before,
                  struct cost_evidence *cost);
/* Restarts of containers at or after `began`, and the time since the last one; without one, since `began`. What a pod
 * that is older than `began` counted before is not known: of its restarts, the last alone is counted. */
void cluster_restarts(yyjson_val *const *pods, size_t count, int64_t began, int64_t now,
                      struct workload_evidence *evidence);

#endif
