/* What the cluster knows of an incident's target: its state as text, and the bounds that follow for parameters. */
#ifndef PROCESSOR_GATHER_H
#define PROCESSOR_GATHER_H

#include "processor/pipeline.h"

struct k8s;

/* Within three seconds; everything lives as long as the work's arena. True with nothing found where there is no cluster
 * (k8s NULL) or the labels name no object. */
bool gather_cluster(const struct processor_work *work, struct k8s *k8s, struct pipeline_cluster_state *state,
                    struct error **err);

#endif
