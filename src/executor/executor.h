/* The executor: what each entry of the catalogue does to a cluster, and everything around it: finding the target, asking
 * who owns it, safety, policy, approval, the record, recovery after a crash, undo.
 *
 *     request ─▶ parameters ─▶ target ─▶ plan (a list of steps) ─▶ safety, policy ─▶ pending ─ approval ─┐
 *                                                              └▶ approved ─▶ executing ─▶ steps ─▶ completed
 *
 * There is a row once there is something to say: `pending` waits for a person, and its verdict is there with it. What is
 * allowed is committed as `executing`, with its steps and their inverses, before the first write. Every step is
 * conditional or recognisable (uid, resourceVersion, wanted value, annotation, name), so that whoever takes over after a
 * crash asks the cluster what happened and finishes. Exec alone cannot be guarded: it is done at most once, and cut in
 * the middle it ends as `unknown`. */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include "action/action.h"
#include "alert/alert.h"
#include "config/config.h"
#include "policy/policy.h"
#include "store/executions.h"

struct k8s;
struct executor; /* locks itself: any thread may use it */

#define EXECUTOR_ANNOTATION "prometheus-alerts-slm.io/execution-id"

struct executor_options {
    struct store *store;        /* these outlive it */
    struct config_live *config; /* the running configuration … */
    const struct config *fixed; /* … or one that does not change; the other is NULL */
    struct k8s *k8s;            /* NULL: no cluster; then everything is planned only */
    const char *no_cluster;     /* why not; may be NULL */
    const char *identity;       /* of this process, in leases; NULL: host and process id */
};
/* Reads the policy that the configuration names. ERROR_INVALID with its place where it is wrong. */
struct executor *executor_open(const struct executor_options *options, struct error **err);
void executor_close(struct executor *executor);
static inline void executor_cleanup(struct executor **executor)
{
    executor_close(*executor);
}
/* Read the policy again (its file or the configuration has changed). A bad one leaves the old one in force. */
bool executor_reload(struct executor *executor, struct error **err);
/* The policy in force; release it with executor_release_policy(). */
const struct policy *executor_hold_policy(struct executor *executor);
void executor_release_policy(struct executor *executor, const struct policy *policy);

/* The thread that recovers what was cut off, begins what was approved, lets approvals expire and undoes what has an end.
 * Another process' work is taken over once its lease has run out. */
void executor_start(struct executor *executor);
bool executor_tend(struct executor *executor, struct error **err); /* one round of it, in this thread */

/* ---- Executing ---------------------------------------------------------------------------------------------- */

enum executor_mode { EXECUTOR_CONFIGURED, EXECUTOR_PLAN, EXECUTOR_SERVER, EXECUTOR_REAL };
bool executor_mode_parse(struct str name, enum executor_mode *mode); /* plan, server, off */

struct execution_request {
    const char *incident_id, *decision_id, *alert_id, *alert_name, *trace_id; /* NULL where there is none */
    enum action action;
    const char *parameters; /* a JSON object; NULL: none */
    /* The target by name: kind as kubectl takes it. Or NULL, and the alert's labels and annotations say it. */
    const char *cluster, *kind, *namespace, *name;
    const struct label_list *labels, *annotations; /* may be NULL */
    double confidence;                             /* NAN: not known. A person who asks is sure: 1 */
    const char *severity, *requested_by;
    enum executor_mode mode;
    const char *key; /* the same key is the same execution; NULL: the decision's, else a new one */
};

/* Plan, judge, and execute if that is allowed. Returns in every state: pending means that a person has to approve, and
 * nobody waits for that. *again (may be NULL): this request was made before, and that execution is what is returned.
 * False only where there is no row to show: bad parameters (ERROR_INVALID), or the store fails.
 * The result lives as long as the arena. */
bool executor_execute(struct executor *executor, struct arena *arena, const struct execution_request *request,
                      struct execution *execution, bool *again, struct error **err);

/* What `executions run` and the feasible set ask beforehand: the verdict on an action, without a target being read. */
void executor_judge(struct executor *executor, struct arena *arena, const struct policy_question *question,
                    struct policy_verdict *verdict);
bool executor_is_enabled(const struct config *config, enum action action);

/* Undo a completed execution as an execution of its own. ERROR_CONFLICT: nothing to undo, undone already. Changed by
 * somebody else since: ends as refused, unless `force`. */
struct execution_undo {
    const char *id, *requested_by, *reason;
    enum executor_mode mode; /* plan and server show what would change */
    bool force;
    const char *key; /* the same key is the same undo, made once; NULL: a new one */
};
bool executor_undo(struct executor *executor, struct arena *arena, const struct execution_undo *undo,
                   struct execution *execution, struct error **err);

/* A person's word. Approving begins nothing in this thread: executor_tend() of whichever process comes first does, after
 * judging again. A second word on the same execution changes nothing and says who was first (ERROR_CONFLICT if it is
 * another one). */
bool executor_approve(struct executor *executor, struct arena *arena, const char *id, bool approve,
                      const char *by, const char *why, struct approval *approval, struct error **err);

/* What is kept, for REST. */
bool executor_get(struct executor *executor, struct arena *arena, const char *id, struct execution *execution,
                  struct error **err);
/* {"executions":[…],"next_cursor":…} */
bool executor_write_list(struct executor *executor, const struct execution_query *query, struct strbuf *json,
                         struct error **err);
bool executor_set_stopped(struct executor *executor, bool stopped, const char *by, const char *why,
                          struct error **err);

/* ---- What it takes ------------------------------------------------------------------------------------------ */

/* ClusterRole, Roles and their bindings for a set of actions (BIT(action)), as YAML that kubectl applies. */
struct rbac_options {
    uint32_t actions;
    const char *service_account, *namespace; /* whom the roles are bound to */
    const char *const *namespaces; /* ended by NULL: Roles in these; NULL: everything as ClusterRole */
    const char *velero_namespace;
};
void executor_write_rbac(const struct rbac_options *options, struct strbuf *out);
/* Which of `actions` name this right ("apps", "deployments/scale", "patch"). */
uint32_t executor_actions_needing(const char *group, const char *resource, const char *verb);
/* An action with its calls, proof and undo, as a JSON object; docs/actions.md is made of these. */
void executor_write_action(enum action action, struct strbuf *json);
void executor_write_manual(struct strbuf *out); /* docs/actions.md */

#endif
