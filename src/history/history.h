/* The past, asked: what was done to a resource and what came of it, which actions help against which alerts, whether
 * things turn in circles; export, import and retention. What is kept is told in the headers of store/.
 *
 * A resource's past holds what was done to it and, where it is a workload, what was done to its pods: by the incidents
 * that they belong to. Dry runs and undos are no part of it. */
#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include <stdio.h>

#include "config/config.h"
#include "history/oscillation.h"
#include "store/store.h"

struct history_target { /* NULL is "" */
    const char *cluster, *namespace, *kind, *name;
};
struct history_question {
    struct history_target target;
    const char *alert_name; /* NULL: none */
    size_t past_max;        /* 0: 10 */
};

/* The chance that an action helps, and how sure that is. */
struct prediction {
    double rate, low, high; /* 0..1; the middle 80 % */
    double samples;         /* after decay; 0: nothing is known but what is usual */
    int64_t cases;
};

struct history_context {
    struct past *past; /* newest first, at most past_max */
    size_t past_count;
    struct prediction success[ACTION_COUNT];
    struct oscillation oscillation;
    enum risk oscillation_risk;
    const char **learned_from; /* ids of executions against this alert, newest first */
    size_t learned_from_count;
};

/* What a decision is told. Results live as long as the arena. */
bool history_context(struct store *store, struct arena *arena, const struct config *config,
                     const struct history_question *question, struct history_context *context,
                     struct error **err);

/* Keep what was found: a new pattern is a new row, one that still shows is brought up to date, one that has ended is
 * resolved. `enforced`: an execution was held back because of it. */
struct history_finding_of {
    struct history_target target;
    const char *incident_id, *execution_id; /* may be NULL */
    bool enforced;
};
bool history_record_detections(struct tx *tx, struct arena *arena, const struct history_finding_of *of,
                               const struct oscillation *found, struct error **err);
/* Patterns without news for oscillation.resolve_after end. */
bool history_resolve_detections(struct store *store, const struct config *config, int64_t *resolved,
                                struct error **err);

/* Before an execution: would it turn once more? What holds it back is recorded as enforced. */
struct history_proposal {
    struct history_target target;
    const char *alert_name, *parameters; /* parameters: a JSON object */
    const char *incident_id, *execution_id;
    enum action action;
};
bool history_judge(struct store *store, struct arena *arena, const struct config *config,
                   const struct history_proposal *proposal, enum prevention *prevention,
                   struct oscillation *found, struct error **err);

/* Beta-Binomial, each level shrunk towards the wider one, the widest towards what is usual for the action. */
struct rates;
struct prediction predict(const struct rates *rates, enum action action, const struct config_learning *config,
                          int64_t now);
double predict_usual(enum action action);

/* --- answers as JSON objects, for `history …`, REST and MCP */

struct history_period { /* UTC ms; 0: no bound */
    int64_t from, to;
};
bool history_show(struct store *store, const struct config *config, const struct history_target *target,
                  int64_t limit, struct strbuf *out, struct error **err);
struct history_filter {
    struct history_period period;
    const char *namespace, *kind, *name, *alert_name, *action; /* NULL: any */
};
bool history_effectiveness(struct store *store, const struct history_filter *filter, struct strbuf *out,
                           struct error **err);
bool history_patterns(struct store *store, const struct config *config, const struct history_filter *filter,
                      struct strbuf *out, struct error **err);
/* filter's action, alert_name, kind, namespace; without an action all of them, best first. */
bool history_predict(struct store *store, const struct config *config, const struct history_filter *filter,
                     struct strbuf *out, struct error **err);
/* "shop/Deployment/web", "Node/worker-1", "cluster/shop/Deployment/web". */
bool history_target_parse(struct arena *arena, const char *text, struct history_target *target,
                          struct error **err);

/* --- export and import: JSON lines, each chained to the one before, so that an edited file is found out */

bool history_export(struct store *store, FILE *file, int64_t *rows, struct error **err);
/* Read whole and checked before a row is written. Rows that are there already are left as they are. `name` is for
 * messages: "past.jsonl:17: edited: …". */
struct history_imported {
    int64_t rows, added;
};
bool history_import(struct store *store, FILE *file, const char *name, struct history_imported *imported,
                    struct error **err);

/* --- in the background */

/* Delete what is older than history.max_age and, of a resource, what is more than history.max_actions. A piece a
 * transaction, so that others come through. */
bool history_retain(struct store *store, const struct config *config, int64_t *deleted, struct error **err);
/* Write down the thresholds in force, for those who ask by SQL. */
bool history_publish(struct store *store, const struct config *config, struct error **err);

#endif
