/* A past to ask: incidents with their alerts, executions with their scores. */
#ifndef TESTS_HISTORY_SCENE_H
#define TESTS_HISTORY_SCENE_H

#include "config/config.h"
#include "history/history.h"
#include "tests/store/fixture.h"

struct scene_execution { /* NULL and 0: something usual */
    const char *action, *parameters, *namespace, *kind, *name, *alert_name, *incident_id, *decision_id,
        *dry_run;
    const char *state_before, *state;
    int64_t at;
    double score; /* negative: not assessed */
};
struct scene_incident {
    const char *namespace, *kind, *name, *alert_name;
    int64_t at;
};
const struct config *scene_config(struct fixture *f); /* defaults; freed by scene_end() */
void scene_end(void);
const char *scene_execution(struct fixture *f, const struct scene_execution *execution);
const char *scene_incident(struct fixture *f, const struct scene_incident *incident);
int64_t scene_count(struct fixture *f, const char *sql); /* SELECT count(*) … */
void scene_run(struct fixture *f, const char *sql);

#endif
