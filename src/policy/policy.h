/* Policy as code: rules in YAML → a verdict on what is about to be done; and the limits that hold whatever the rules say:
 * freeze windows, rate limits and budgets, cooldowns, concurrency, the switch that stops everything.
 *
 *     version: 1
 *     windows:
 *       night: { days: [mon, tue, wed, thu, fri], from: "22:00", to: "06:00", utc_offset: "+02:00" }
 *     freeze:
 *       - { name: year-end, starts: 2026-12-24T00:00:00Z, ends: 2027-01-02T00:00:00Z, except: [restart_pod] }
 *     bounds:
 *       scale_deployment: { replicas: { min: 1, max: 20 } }
 *     limits:
 *       - { name: restarts, action: restart_pod, per: namespace, executions: 10, within: 1h }
 *     rules:                                             # the first that matches decides
 *       - name: payments-by-hand
 *         when: { namespace: ["pay-*"], risk: [medium, high, critical] }
 *         then: require_approval                         # or allow, deny
 *       - name: nights-are-quiet
 *         when: { window: night, confidence: "< 0.9" }
 *         then: deny
 *     tests:
 *       - { name: payments wait, given: { action: scale_deployment, namespace: pay-eu }, expect: require_approval }
 *
 * notify_only tells people and changes nothing: a rule concerns it only where its `action` names it (`*` does not), so
 * that somebody hears of what may not be done. When no rule matches: low risk is allowed, medium from a confidence of 0.8 on, all else needs approval. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <yyjson.h>

#include "action/action.h"
#include "alert/alert.h"
#include "base/base.h"
#include "store/executions.h"

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_REQUIRE_APPROVAL, VERDICT_COUNT };
extern const char *const verdict_names[VERDICT_COUNT]; /* "allow", "deny", "require_approval" */

#define POLICY_CONFIDENCE_DEFAULT 0.8
/* "true", or names of actions: of an object, or of its namespace. */
#define POLICY_OPT_OUT "prometheus-alerts-slm.io/opt-out"

struct policy; /* read-only once made: any thread may ask it */

/* The file at `path`; NULL or "": no rules, the defaults alone. ERROR_INVALID names file, line and column. */
struct policy *policy_open(const char *path, struct error **err);
struct policy *policy_parse(const char *name, struct str yaml, struct error **err);
void policy_free(struct policy *policy);
static inline void policy_cleanup(struct policy **policy)
{
    policy_free(*policy);
}
const char *policy_sha256(const struct policy *policy); /* of its text; "" for the defaults */

/* ---- Rules -------------------------------------------------------------------------------------------------- */

struct policy_question { /* texts NULL or "" where they are not known: a condition on them is not met */
    enum action action;
    const char *cluster, *namespace, *kind, *name, *severity;
    const struct label_list *labels; /* the alert's; may be NULL */
    double confidence;               /* NAN: not known */
    int64_t at;                      /* UTC ms */
};
struct policy_verdict {
    enum verdict verdict;
    const char *rule;   /* its name; "default" where none matched, "freeze NAME" */
    const char *reason; /* a sentence; lives as long as the arena */
};
void policy_judge(const struct policy *policy, struct arena *arena, const struct policy_question *question,
                  struct policy_verdict *verdict);

/* Bounds that policy sets on an action's parameters; NULL: none. */
const struct action_bounds *policy_bounds(const struct policy *policy, enum action action);
/* Whether an action changes anything: those that only look are not frozen, limited or cooled down. */
bool policy_action_writes(enum action action);

/* The examples in the file, one line each into `report`. True: all passed. */
bool policy_run_tests(const struct policy *policy, struct strbuf *report, size_t *passed, size_t *failed);

/* ---- Limits ------------------------------------------------------------------------------------------------- */

struct policy_limits {
    int64_t cooldown_ms, max_concurrent; /* of the configuration */
    const char *stop_file;               /* while it exists, nothing is executed; NULL or "": none */
};

/* Everything that has to hold before the first write, and its booking: concurrency, one execution a resource, cooldown,
 * limits. Within the transaction that makes the execution `executing`, so that it holds across replicas.
 * *why is set (in the arena) where it may not be done now, NULL where it may; false is a failure of the store. */
bool policy_reserve(const struct policy *policy, struct tx *tx, struct arena *arena,
                    const struct policy_limits *limits, const struct execution *execution, enum action action,
                    const char **why, struct error **err);
/* The same question without booking anything: for dry runs. */
bool policy_would_reserve(const struct policy *policy, struct tx *tx, struct arena *arena,
                          const struct policy_limits *limits, const struct execution *execution,
                          enum action action, const char **why, struct error **err);

/* Asking not to be touched: an opt-out annotation among `annotations` (a JSON object, or NULL). */
bool policy_opts_out(yyjson_val *annotations, enum action action);

/* ---- The switch --------------------------------------------------------------------------------------------- */

struct policy_stop {
    bool stopped;
    const char *by, *why;
    int64_t at; /* UTC ms; 0: by file */
};
bool policy_stop_state(struct tx *tx, struct arena *arena, const char *stop_file, struct policy_stop *stop,
                       struct error **err);
bool policy_stop(struct tx *tx, const char *by, const char *why, struct error **err);
bool policy_resume(struct tx *tx, const char *by, struct error **err);

#endif
