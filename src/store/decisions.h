/* Decisions as they are kept, with all that made them, and the verdicts of policy on them. */
#ifndef STORE_DECISIONS_H
#define STORE_DECISIONS_H

#include "store/table.h"

struct decision_record { /* texts may be NULL where the column may; JSON texts are well formed */
    char id[ULID_LEN + 1], incident_id[ULID_LEN + 1], alert_id[ULID_LEN + 1];
    const char *trace_id;
    int64_t created_at;
    const char *provider, *model, *model_sha256, *prompt_version, *prompt_sha256;
    int64_t prompt_tokens;        /* how many */
    const char *prompt_token_ids; /* [1, 2, …]: what the embedded model read */
    int64_t seed;
    const char *route;
    const char *action, *parameters; /* parameters: an object */
    double confidence;
    bool abstained;
    const char *reasoning;    /* an object, or a text */
    const char *feasible;     /* ["restart_pod", …] */
    const char *distribution; /* {"restart_pod": 0.7, …} */
    const char *factors;      /* {"history": 0.4, …} */
    const char *evidence;     /* {"trie": {"restart_pod": -0.3, …}, …} */
    const char *alternatives; /* ["scale_deployment", …] */
    const char *hashes;       /* {"head": "…", …}: files beside the model */
    const char *learned_from; /* ["id of an execution", …] */
    const char *context;      /* what the prompt was told */
    double duration_ms;
    const char *details;
    const char *work; /* which work on its incident it belongs to */
};
extern const struct table decisions_table;
bool decision_insert(struct tx *tx, const struct decision_record *record, struct error **err);
bool decision_get(struct tx *tx, struct arena *arena, const char *id, struct decision_record *record,
                  bool *found, struct error **err);
/* What was decided already in this work on the incident, by whoever had it before. */
bool decision_of_work(struct tx *tx, struct arena *arena, const char *incident_id, const char *work,
                      struct decision_record *record, bool *found, struct error **err);

struct verdict_record { /* written by verdict_insert() of executions.h */
    char id[ULID_LEN + 1], decision_id[ULID_LEN + 1], execution_id[ULID_LEN + 1], incident_id[ULID_LEN + 1];
    int64_t created_at;
    const char *verdict, *rule, *reason, *policy_sha256, *details;
};
extern const struct table verdicts_table;

#endif
