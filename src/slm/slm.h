/* Decisions: given an incident's alert and what is known beside it, which of the 27 actions to take, with which
 * parameters, how sure we are and why.
 *
 *     feasible set → evidence (trie, head, prior, runbook, history) → fused → calibrated → act, or abstain
 *     → parameters within their bounds → reasoning, which nobody waits for
 *
 * There is always a decision: what fails is said in `degraded`, and at worst the action is notify_only with the reason.
 * Text from outside (alert, cluster, history) is data: it can neither widen the feasible set nor the bounds. */
#ifndef SLM_SLM_H
#define SLM_SLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "alert/alert.h"
#include "base/base.h"
#include "config/config.h"

/* ---- what is asked --------------------------------------------------------------------------------------------- */

/* How an action fared before on this kind of resource. */
struct slm_success {
    double rate;                                  /* 0..1, shrunk towards what is usual */
    double samples;                               /* what it rests on, after decay; 0: nothing is known */
};

/* One past execution on the same target, newest first. */
struct slm_past {
    enum action action;
    const char *status;                           /* a state of an execution */
    double effectiveness;                         /* 0..1, or NAN while unknown */
    int64_t at_ms;                                /* UTC */
    struct str alert, parameters;
};

/* What is known beside the alert. Every part is optional; texts are foreign and may be long: the prompt takes what fits. */
struct slm_context {
    struct str cluster_state;                     /* lines "name: value" about the target, most telling first */
    struct str events;                            /* newest first */
    struct str pattern;                           /* oscillation: what was found, in a sentence */
    enum risk oscillation_risk;
    uint32_t held_back;                           /* actions that a pattern or a cooldown holds back now: never chosen */
    const struct slm_past *past;
    size_t past_count;
    const char *learned_from; /* JSON list of the executions that `success` was learned from; NULL: none */
    const struct slm_success *success;            /* [ACTION_COUNT], or NULL */
};

struct slm_question {
    const struct alert *alert;                    /* the incident's root candidate */
    size_t alerts;                                /* in the incident */
    enum kind kind;                               /* of the target; KIND_NONE where the labels name no object */
    const char *namespace, *name;                 /* of the target; NULL likewise */
    uint32_t feasible;                            /* what scope and policy allow; ACTION_SET_ALL if nothing is known */
    const struct action_bounds *bounds;           /* [ACTION_COUNT], from policy and the object's state; NULL: none */
    const struct slm_context *context;            /* NULL: nothing is known */
    int64_t deadline_ms;                          /* clock_mono_ms() at which there must be an answer */
    int priority;                                 /* higher first; critical before info */
};

/* ---- what is answered ------------------------------------------------------------------------------------------ */

enum evidence {
    EVIDENCE_TRIE,                                /* the model's own probability of the action's name */
    EVIDENCE_HEAD,                                /* the linear layer over its hidden states */
    EVIDENCE_PRIOR,                               /* the lexical prior */
    EVIDENCE_RUNBOOK,                             /* retrieved passages */
    EVIDENCE_HISTORY,                             /* success rates of past actions */
    EVIDENCE_REMOTE,                              /* what a remote provider answered */
    EVIDENCE_COUNT
};
extern const char *const evidence_names[EVIDENCE_COUNT];

struct factor {                                   /* one entry of reasoning.confidence_factors */
    const char *name;
    double value;
};

struct decision {
    char id[ULID_LEN + 1];
    enum action action;                           /* notify_only where it abstained */
    enum action ranked_first;                     /* before abstention */
    bool abstained;
    const char *parameters;                       /* canonical JSON object for `action` */
    double confidence;                            /* of ranked_first: calibrated chance that an engineer would accept it */
    double probabilities[ACTION_COUNT];           /* fused; 0 outside the feasible set */
    uint32_t feasible;
    double evidence[EVIDENCE_COUNT][ACTION_COUNT];/* natural logarithms; NAN in a row's first place: it had no say */

    /* The reasoning, in the sources' form. */
    const char *primary_reason, *historical_context, *oscillation_risk, *summary;
    enum action alternatives[3];
    size_t alternative_count;
    struct factor factors[24];
    size_t factor_count;

    /* What made it; enough to make it again. */
    const char *provider, *model;                 /* "embedded", "smollm2-135m" */
    const char *model_sha256, *prompt_sha256, *head_sha256, *prior_sha256, *fusion_sha256, *calibration_sha256;
    const int32_t *prompt_tokens;                 /* what the embedded model read; NULL for others */
    size_t prompt_token_count;
    const char *dropped;                          /* what of the context did not fit, "" if all did */
    bool injection;                               /* the alert's text tried to instruct; decided without that text */
    const char *injection_text;                   /* what was left out, escaped */
    const char *degraded;                         /* "" or what failed on the way and what stood in for it */
    bool cached;                                  /* the same question was answered a moment ago */
    int64_t latency_us;
};

/* {"action":…,"parameters":{…},"confidence":…,"reasoning":{…},"probabilities":{…},"decision_id":…,"model":…,…} */
char *decision_json(const struct decision *decision);         /* the caller frees */

/* ---- the room -------------------------------------------------------------------------------------------------- */

struct slm;                                       /* locks itself */

/* Open what slm.* names: model, head, prior, fusion and calibration of the state directory or those that came with the
 * program, the runbooks' index. A model that is missing or damaged is not an error here: decisions then come from what
 * is left, and slm_status() says so. Errors are those of the configuration. */
struct slm *slm_open(const struct config *config, struct error **err);
void slm_close(struct slm *slm);
static inline void slm_cleanup(struct slm **slm) { slm_close(*slm); }

/* Decide. The result lives as long as the arena. */
void slm_decide(struct slm *slm, struct arena *arena, const struct slm_question *question, struct decision *decision);

/* Decide many at once, in one continuous batch, by priority. */
void slm_decide_batch(struct slm *slm, struct arena *arena, const struct slm_question *questions, size_t count,
                      struct decision *decisions);

struct slm_status {
    bool model_loaded;
    const char *provider, *model, *model_sha256, *head, *detail;  /* detail: why something is missing, or "" */
    double load_seconds;
    uint64_t memory_bytes;
};
struct slm_status slm_status(struct slm *slm);

#endif
