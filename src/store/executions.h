/* Executions: one run of an action on one resource; with them approvals, cooldowns and verdicts. */
#ifndef STORE_EXECUTIONS_H
#define STORE_EXECUTIONS_H

#include "store/store.h"

/*  pending ─▶ approved ─▶ executing ─▶ completed ─▶ rolled-back
 *     │          │            ├─▶ failed, unknown ─▶ rolled-back
 *     └──────────┴────────────┴─▶ refused, unsupported, cancelled */
enum execution_state {
    EXECUTION_PENDING, /* judged, and waiting for a person's approval */
    EXECUTION_APPROVED,
    EXECUTION_EXECUTING, /* committed before the first write */
    EXECUTION_COMPLETED,
    EXECUTION_FAILED,
    EXECUTION_REFUSED,     /* by policy, by safety, or because there is no such target */
    EXECUTION_UNSUPPORTED, /* what it needs is not in this cluster */
    EXECUTION_UNKNOWN,     /* cut in the middle of what no guard can make sure of: a person has to look */
    EXECUTION_CANCELLED,
    EXECUTION_ROLLED_BACK,
    EXECUTION_STATE_COUNT
};
extern const char *const execution_state_names[EXECUTION_STATE_COUNT];
bool execution_state_parse(struct str name, enum execution_state *state);
bool execution_state_is_final(enum execution_state state);
bool execution_may_become(enum execution_state from, enum execution_state to);

struct execution { /* texts that are not known are NULL; those that end in JSON are JSON */
    char id[ULID_LEN + 1];
    enum execution_state state;
    const char *incident_id, *decision_id, *alert_id, *alert_name, *trace_id;
    const char *action, *parameters;               /* name; JSON object */
    const char *cluster, *namespace, *kind, *name; /* of the resource; "" while it is not known */
    const char *uid;
    const char *dry_run; /* plan, server, off */
    const char *idempotency_key, *requested_by;
    int64_t created_at, started_at, finished_at, updated_at; /* UTC ms */
    double duration_ms;
    const char *state_before, *state_after; /* JSON lists, object by object */
    const char *inverse, *operations;       /* JSON lists of steps */
    const char *error;
    const char *undo_of, *undone_by; /* ids */
    const char *details;             /* JSON object */
    const char *severity;
    double confidence;
    int64_t affected; /* replicas touched */
    int64_t undo_at;  /* UTC ms; 0: never by itself */
    const char *owner;
    int64_t lease_until, fence;
};

/* *inserted is false where the idempotency key is there already. The row is the owner's for `lease_ms`. */
bool execution_insert(struct tx *tx, struct execution *execution, const char *owner, int64_t lease_ms,
                      bool *inserted, struct error **err);
bool execution_get(struct tx *tx, struct arena *arena, const char *id, struct execution *execution,
                   struct error **err);
bool execution_by_key(struct tx *tx, struct arena *arena, const char *key, struct execution *execution,
                      bool *found, struct error **err);

/* The only way from one state to another; it also saves what else has changed. ERROR_CONFLICT: that is no way, or the
 * lease was lost. `lease_ms` 0 gives it up. */
bool execution_enter(struct tx *tx, struct execution *execution, enum execution_state next, int64_t lease_ms,
                     struct error **err);
bool execution_save(struct tx *tx, struct execution *execution, int64_t lease_ms, struct error **err);
bool execution_renew(struct tx *tx, const struct execution *execution, int64_t lease_ms, struct error **err);
/* Take it over; *taken says whether it was free. Reads the row anew. */
bool execution_take(struct tx *tx, struct arena *arena, const char *id, const char *owner, int64_t lease_ms,
                    struct execution *execution, bool *taken, struct error **err);
/* It was undone by another execution. */
bool execution_set_undone(struct tx *tx, const char *id, const char *by, struct error **err);
bool execution_set_undo_at(struct tx *tx, const char *id, int64_t undo_at, struct error **err);

struct execution_query { /* NULL and 0: whatever */
    const char *state, *action, *incident_id, *namespace, *kind, *name, *requested_by, *before_id;
    int64_t limit;
};
struct executions {
    struct execution *items;
    size_t count;
};
bool execution_list(struct tx *tx, struct arena *arena, const struct execution_query *query,
                    struct executions *executions, struct error **err);
void execution_write(struct strbuf *out, const struct execution *execution); /* a JSON object */

struct id_list {
    const char **items;
    size_t count;
};
bool execution_abandoned(struct tx *tx, struct arena *arena, struct id_list *ids, struct error **err);
bool execution_expired(struct tx *tx, struct arena *arena, struct id_list *ids, struct error **err);

/* --- what limits count; within a transaction that has passed execution_gate() */

/* One transaction at a time comes past here, also of other replicas. */
bool execution_gate(struct tx *tx, struct error **err);
bool execution_running(struct tx *tx, const char *except_id, int64_t *count, struct error **err);
/* The id of another execution that works on this resource now; NULL: none does. */
bool execution_busy(struct tx *tx, struct arena *arena, const struct execution *execution, const char **id,
                    struct error **err);
struct execution_count {
    int64_t since;                                /* started after this time */
    const char *action, *namespace, *kind, *name; /* "": any */
    const char *except_id;
};
bool execution_counted(struct tx *tx, const struct execution_count *what, int64_t *executions,
                       int64_t *replicas, struct error **err);

/* Cooldown of a subject: UTC ms until when, 0 if there is none. */
bool cooldown_get(struct tx *tx, const char *subject, int64_t *until, struct error **err);
bool cooldown_set(struct tx *tx, const char *subject, int64_t until, const char *execution_id,
                  const char *reason, struct error **err);

/* --- verdicts */

struct verdict_row {
    const char *decision_id, *execution_id, *incident_id;
    const char *verdict, *rule, *reason, *policy_sha256;
};
bool verdict_insert(struct tx *tx, const struct verdict_row *row, struct error **err);

/* --- approvals */

struct approval {
    char id[ULID_LEN + 1], execution_id[ULID_LEN + 1];
    const char *state; /* pending, approved, denied, expired */
    int64_t requested_at, expires_at, decided_at;
    const char *decided_by, *reason;
};
bool approval_request(struct tx *tx, const char *execution_id, int64_t expires_at, const char *reason,
                      struct error **err);
bool approval_get(struct tx *tx, struct arena *arena, const char *execution_id, struct approval *approval,
                  bool *found, struct error **err);
/* *decided is false if somebody else was first. */
bool approval_decide(struct tx *tx, const char *id, const char *state, const char *by, const char *reason,
                     bool *decided, struct error **err);
bool approval_expired(struct tx *tx, struct arena *arena, struct id_list *execution_ids, struct error **err);

#endif
