/* What the files of executor/ tell each other: a run is one execution in hand, its plan a list of steps. */
#ifndef EXECUTOR_EXECUTOR_INTERNAL_H
#define EXECUTOR_EXECUTOR_INTERNAL_H

#include <pthread.h>

#include "executor/executor.h"
#include "executor/fault.h"
#include "executor/json.h"
#include "k8s/k8s.h"

enum {
    EXECUTOR_LEASE_MS =
        90 * 1000,              /* longer than one call may take; renewed between steps and while waiting */
    EXECUTOR_CONFLICTS_MAX = 3, /* re-read, judged again, at most so often */
    EXECUTOR_REPEATS_MAX = 3,   /* of a write whose outcome was not known or that the server could not take */
    EXECUTOR_POLL_MS = 1000,
    EXECUTOR_EVICT_RETRY_MS = 5000, /* a disruption budget says no without saying until when */
    EXECUTOR_WORKERS_MAX = 16,
    EXECUTOR_OUTPUT_MAX = 16 * 1024,
    EXECUTOR_FINDINGS_MAX = 256 * 1024,
};

struct run;

/* ---- Steps -------------------------------------------------------------------------------------------------- */

enum step_verb {
    STEP_PATCH, /* body, locked by resourceVersion */
    STEP_CREATE,
    STEP_DELETE, /* with uid */
    STEP_EVICT,  /* with uid */
    STEP_EXEC,   /* at most once */
    STEP_WAIT,   /* nothing is written */
    STEP_VERB_COUNT
};
enum step_state {
    STEP_PLANNED,
    STEP_DONE,
    STEP_ALREADY, /* was so before */
    STEP_TRIED,   /* dryRun=All took it */
    STEP_SENT,    /* exec: committed before it was sent */
    STEP_FAILED,
    STEP_SKIPPED, /* nothing to try in a dry run */
    STEP_STATE_COUNT
};
enum step_wait {
    WAIT_NONE,
    WAIT_GONE,    /* the uid is not there any more */
    WAIT_NEW_UID, /* another object has that name */
    WAIT_ROLLED_OUT,
    WAIT_JOB,
    WAIT_READY,    /* /status/readyToUse of a snapshot */
    WAIT_PHASE,    /* /status/phase: completed, or failed */
    WAIT_CAPACITY, /* of a claim: status.capacity has what was asked for */
    WAIT_VALUE,    /* fields have what is wanted */
    WAIT_CHANGED,  /* a Secret's resourceVersion is another */
    WAIT_COUNT
};
enum step_annotate {
    ANNOTATE_NONE,
    ANNOTATE_OURS,    /* the execution's id */
    ANNOTATE_RESTORE, /* what it was before: `annotation`, "" for none */
};

struct step_field { /* values are JSON texts; "null": not there */
    const char *path, *before, *want, *after;
    bool at_least; /* a time: the present one may be later */
};
enum { STEP_FIELDS_MAX = 8 };

struct step {
    enum step_verb verb;
    enum step_state state;
    const char *what; /* "replicas 3 → 5" */
    const struct k8s_resource *resource;
    const char *namespace, *name, *subresource, *uid, *resource_version;
    enum k8s_patch patch;
    const char *body;
    enum step_annotate annotate;
    const char *annotation;
    struct step_field fields[STEP_FIELDS_MAX];
    size_t fields_len;
    enum step_wait wait;
    int64_t wait_ms;            /* 0: actions.timeout */
    const char *const *command; /* of exec, ended by NULL */
    const char *container;
    int64_t grace_s;   /* of an eviction or deletion; 0: the object's own */
    bool in_doubt;     /* an eviction whose answer did not come; not kept */
    bool may_fail;     /* a failure is noted and the next step taken */
    bool secret;       /* its body is made at the last moment and never kept: see rotate_secrets */
    struct step *undo; /* NULL: none */
    const char *note;  /* what was found, the server's warnings, an exec's output */
    const char *why_failed;
};

extern const char *const step_state_names[STEP_STATE_COUNT];

/* Add a step to the plan. Those about an object that was read take uid and resourceVersion from it. */
struct step *step_add(struct run *run, enum step_verb verb, const struct k8s_resource *resource,
                      yyjson_val *object, const char *what);
struct step *step_add_named(struct run *run, enum step_verb verb, const struct k8s_resource *resource,
                            const char *namespace, const char *name, const char *what);
/* A field that the step changes: `before` is read from the object. */
void step_field(struct run *run, struct step *step, yyjson_val *object, const char *path, const char *want);
/* The merge patch that gives its fields their wanted values. */
void step_body_of_fields(struct run *run, struct step *step);
/* Its inverse is the same kind of patch with the values of before; for merge patches of fields. */
void step_undo_by_fields(struct run *run, struct step *step);
/* Every field is as wanted already: nothing to do. */
void step_look(struct run *run, struct step *step, yyjson_val *object);
/* Created by us: undone by deleting it. */
void step_undo_by_delete(struct run *run, struct step *step);
bool step_fields_hold(struct run *run, const struct step *step, yyjson_val *object);

void steps_write(struct strbuf *out, struct step *const *steps, size_t count);
bool steps_read(struct run *run, const char *json, struct error **err);
/* The inverses of what was done, the last first. */
const char *steps_inverse(struct run *run);
/* Object by object, values before or after. */
const char *steps_values(struct run *run, bool after);

/* ---- Runs --------------------------------------------------------------------------------------------------- */

struct run {
    struct executor *executor;
    struct arena *arena;
    const struct config *config;
    const struct policy *policy;
    struct k8s *k8s; /* its own session; NULL: no cluster */
    struct execution row;
    enum action action;
    enum config_dry_run mode;
    yyjson_val *parameters; /* canonical */
    struct label_list labels, annotations;
    bool named; /* the target was named rather than found in labels */

    struct k8s_target target; /* resource NULL: none */
    struct step **steps;
    size_t steps_len, steps_room;
    int64_t affected;
    int64_t undo_after_ms; /* 0: never by itself */
    const char *findings;  /* JSON object; what a reading action found */
    const char *message;   /* one sentence about the outcome */
    struct policy_verdict verdict;

    bool stored;       /* the row is in the store */
    bool judged;       /* there is a verdict that is not yet in the store */
    bool approved;     /* a person has */
    bool recovered;    /* taken over from a process that is gone */
    bool forced;       /* undo whatever changed */
    bool refused;      /* the error is a refusal of ours */
    bool undetermined; /* the cluster could not be asked whether a write happened */
    bool unknown;      /* an exec was cut */
    bool wrote;        /* something has taken effect */
    int64_t until_mono_ms;
    int64_t renewed_mono_ms;
    unsigned calls, writes;
};

typedef bool run_fn(struct run *run, struct error **err);

struct right {                            /* what RBAC has to allow */
    const char *group, *resource, *verbs; /* "apps", "deployments/scale", "get,patch" */
    bool optional;                        /* only where what it is about exists: an operator's kind */
};
enum { OPERATION_RIGHTS_MAX = 24 };
struct operation {
    const char *const *targets; /* kinds to resolve to, best first, ended by NULL; NULL: what was named */
    bool targetless;            /* may go without */
    bool template_of_pod;       /* of a pod that something made, what it is made from is the target */
    run_fn *check; /* of the parameters alone, also without a cluster; NULL: the catalogue's suffices */
    run_fn *plan;  /* fills in run->steps */
    run_fn *apply; /* takes them */
    run_fn *done_already;       /* asks the cluster which of them have happened */
    run_fn *invert;             /* NULL: there is no way back */
    const struct right *rights; /* ended by a NULL resource */
    const char *proof, *undo;   /* for the manual: what shows the effect, what undo does */
};
extern const struct operation operations[ACTION_COUNT];

/* apply.c: for all that is written as steps. */
bool steps_apply(struct run *run, struct error **err);
bool steps_done(struct run *run, struct error **err);
bool steps_invert(struct run *run, struct error **err);
/* Between steps and while waiting: the lease is ours, nothing was stopped, there is time left. */
bool run_goes_on(struct run *run, struct error **err);
bool run_save(struct run *run, struct error **err);
/* After a conflict: does policy still allow it? */
bool run_judge_again(struct run *run, struct error **err);
struct k8s_ref step_ref(const struct step *step);

/* apply_exec.c, apply_wait.c */
bool apply_exec(struct run *run, struct step *step, struct error **err);
bool apply_wait(struct run *run, struct step *step, enum step_wait wait, struct error **err);
bool apply_evictions(struct run *run, size_t *at, struct error **err);

/* plan.c: target, owners, safety. All refuse with run->refused set. */
__attribute__((format(printf, 3, 4))) bool run_refuse(struct run *run, struct error **err, const char *format,
                                                      ...);
bool run_find_target(struct run *run, struct error **err);
bool run_check_safety(struct run *run, struct error **err);
/* Nobody else owns that field; where somebody does who reverts what we write, refuse and say what to do. */
bool run_check_owner(struct run *run, const char *field, struct error **err);
/* The same of an object that is not the target. */
bool run_check_owner_of(struct run *run, const struct k8s_resource *resource, yyjson_val *object,
                        const char *field, struct error **err);
struct k8s_object *run_get(struct run *run, const struct k8s_resource *resource, const char *namespace,
                           const char *name, struct error **err); /* lives as long as the run */
bool run_list(struct run *run, const struct k8s_resource *resource, const char *namespace, const char *labels,
              const char *fields, struct k8s_list *list, struct error **err); /* likewise */
bool run_pods(struct run *run, struct k8s_list *pods, struct error **err);    /* of the target */
/* A resource of an operator, in the version that is served; ERROR_UNSUPPORTED otherwise. */
const struct k8s_resource *run_served(struct run *run, const struct k8s_resource *resource,
                                      struct error **err);

const char *run_text(struct run *run, const char *parameter); /* "" where it is absent */
bool run_number(struct run *run, const char *parameter, int64_t *number);
const char *run_printf(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *run_label(struct run *run, const char *name); /* of the alert; "" */
/* "scale-deployment-01…": names of what we create; at most 63 bytes. */
const char *run_object_name(struct run *run, const char *prefix);
/* kubectl's rollout restart of a workload, dated by the execution's creation. */
bool plan_rollout_restart(struct run *run, const struct k8s_resource *resource, yyjson_val *object, bool wait,
                          struct error **err);

/* run.c */
const char *run_json_object(struct run *run); /* details */

struct executor {
    struct store *store;
    struct config_live *config; /* or fixed */
    const struct config *fixed;
    struct k8s *k8s;
    char *no_cluster, *identity;
    char *own_namespace, *own_pod; /* "" outside a cluster */

    pthread_mutex_t lock; /* guards policy and its holders, and stopping */
    struct held_policy *policy;
    bool stopping;
    unsigned workers; /* threads that recover or begin one execution each */
    pthread_cond_t wake;
    pthread_t thread;
    bool started;
};
const struct config *executor_hold_config(struct executor *executor);
void executor_release_config(struct executor *executor, const struct config *config);
bool executor_is_stopping(struct executor *executor);

/* A row that is ours by lease → its end. */
bool run_recover(struct executor *executor, struct arena *arena, const char *id, struct error **err);
/* One round; `alone`: everything in this thread, else a thread for each execution, for a drain may take its time. */
bool tend_round(struct executor *executor, bool alone, struct error **err);

/* Parts of run.c that undo.c and recover.c use. */
struct run *run_new(struct executor *executor, struct arena *arena, enum action action,
                    enum config_dry_run mode);
void run_free(struct run *run);
static inline void run_cleanup(struct run **run)
{
    run_free(*run);
}
bool run_read_row(struct run *run, struct error **err); /* parameters, labels, steps of the row */
/* From a request to its end, or to where a person is asked. ERROR_EXISTS: another run with the same key was faster. */
bool run_to_end(struct run *run, struct error **err);
/* From `executing` on. */
bool run_finish(struct run *run, bool ok, struct error *why, struct error **err);
bool run_plan_undo(struct run *run, struct error **err);
/* Within the transaction that makes the row of an undo: what is to be undone has not been undone meanwhile. */
bool run_may_undo(struct run *run, struct tx *tx, struct error **err);

/* The plans, a file each category. */
run_fn plan_scale, plan_restart_pod, plan_increase_resources, plan_notify, plan_rollback, plan_update_hpa;
run_fn plan_expand_pvc, plan_cleanup_storage, plan_backup_data, plan_compact_storage;
run_fn plan_drain_node, plan_cordon_node, plan_restart_daemonset;
run_fn plan_quarantine_pod, plan_rotate_secrets, plan_audit_logs;
run_fn check_network_policy, plan_update_network_policy, plan_restart_network, plan_reset_service_mesh;
run_fn plan_failover_database, plan_repair_database;
run_fn plan_collect_diagnostics, plan_enable_debug_mode, plan_create_heap_dump;
run_fn plan_optimize_resources, plan_migrate_workload;

/* Shared between categories. */
bool plan_cordon(struct run *run, yyjson_val *node, bool count_it, struct error **err); /* lifecycle.c */
bool plan_resources(struct run *run, yyjson_val *container, const char *requests, const char *limits,
                    struct error **err);         /* core_resources.c */
const char *pod_reason_to_stay(yyjson_val *pod); /* lifecycle.c; NULL: it can be evicted */
struct step *plan_exec(struct run *run, yyjson_val *pod, const char *container, const char *what,
                       const char *const *command); /* database.c */
struct step *plan_snapshot(struct run *run, const char *namespace, const char *claim,
                           struct error **err);   /* storage.c */
void redact(struct strbuf *out, struct str text); /* observability.c: what looks like a credential */

#endif
