#include "slm/decide.h"

#include <math.h>
#include <string.h>

#include "slm/injection.h"
#include "slm/lexical.h"
#include "slm/parameters.h"
#include "slm/prior.h"
#include "slm/prompt.h"
#include "slm/reasons.h"
#include "slm/sanitise.h"

enum { VALUE_MAX = 4096, NAME_MAX_BYTES = 256, PASSAGES = 3 };

/* Two rivals this close, one of them much riskier, are a matter for a person. */
static const double CLOSE_RIVALS = 0.10;
/* How far past success moves a score, per e-fold of rate against what is usual; and how many cases it takes to be
 * believed by half. */
static const double HISTORY_WEIGHT = 1.0, HISTORY_SAMPLES = 4;

static void clean_labels(struct arena *arena, const struct label_list *in, struct label_list *out)
{
    out->items = ARENA_ARRAY(arena, struct label, in->count);
    out->count = in->count;
    for (size_t i = 0; i < in->count; i++)
        out->items[i] = (struct label){ sanitise(arena, in->items[i].name, NAME_MAX_BYTES),
                                        sanitise(arena, in->items[i].value, VALUE_MAX) };
}

void decide_read(struct arena *arena, const struct slm_question *question, struct reading *reading)
{
    AUTO(strbuf) struct strbuf removed = { 0 };
    struct alert cleaned;
    bool injection = injection_scan(arena, question->alert, &cleaned, &removed);
    *reading = (struct reading){ .alert = cleaned, .question = *question, .injection = injection };
    reading->injection_text = arena_text(arena, strbuf_str(&removed));
    clean_labels(arena, &cleaned.labels, &reading->alert.labels);
    clean_labels(arena, &cleaned.annotations, &reading->alert.annotations);
    alert_normalise(arena, &reading->alert);
    reading->question.alert = &reading->alert;
}

/* What past outcomes on this kind of resource add to each score. */
static const double *history_scores(const struct slm_context *context, struct decision *decision)
{
    if (!context || !context->success)
        return NULL;
    double usual = 0;
    for (int a = 0; a < ACTION_COUNT; a++)
        usual += context->success[a].rate / ACTION_COUNT;
    for (int a = 0; a < ACTION_COUNT; a++) {
        const struct slm_success *success = &context->success[a];
        double belief = success->samples / (success->samples + HISTORY_SAMPLES);
        decision->evidence[EVIDENCE_HISTORY][a] =
            HISTORY_WEIGHT * belief * log(fmax(success->rate, 0.02) / fmax(usual, 0.02));
    }
    return decision->evidence[EVIDENCE_HISTORY];
}

static void gather(const struct deciders *deciders, struct arena *arena, const struct alert *alert,
                   const struct feature_list *features, const struct embedded_evidence *evidence,
                   struct decision *decision)
{
    struct runbook_passage passages[PASSAGES];
    for (int s = 0; s < EVIDENCE_COUNT; s++)
        decision->evidence[s][0] = NAN;
    if (deciders->prior)
        prior_log_probabilities(deciders->prior, features, decision->evidence[EVIDENCE_PRIOR]);
    if (deciders->runbooks)
        runbooks_ask(deciders->runbooks, arena, alert, decision->evidence[EVIDENCE_RUNBOOK], passages, PASSAGES);
    if (!evidence)
        return;
    memcpy(decision->evidence[EVIDENCE_TRIE], evidence->trie, sizeof evidence->trie);
    log_normalise(decision->evidence[EVIDENCE_TRIE], ACTION_SET_ALL);
    if (deciders->head)
        layer_ask(deciders->head, evidence->features, decision->evidence[EVIDENCE_HEAD]);
}

static enum action second_of(const struct decision *decision)
{
    enum action second = decision->ranked_first;
    for (int a = 0; a < ACTION_COUNT; a++)
        if (a != (int)decision->ranked_first &&
            (second == decision->ranked_first ||
             decision->probabilities[a] > decision->probabilities[second]))
            second = (enum action)a;
    return second;
}

/* Why nothing should be done, or NULL. */
static const char *reason_to_abstain(struct arena *arena, const struct decision *decision, double threshold)
{
    enum action first = decision->ranked_first, second = second_of(decision);
    if (decision->confidence < threshold)
        return arena_printf(arena, "the confidence of %.2f is below %.2f", decision->confidence, threshold);
    int distance = (int)actions[first].risk - (int)actions[second].risk;
    if (decision->probabilities[first] - decision->probabilities[second] < CLOSE_RIVALS && distance >= 2)
        return arena_printf(arena, "%s is nearly as likely, and far less risky", action_name(second));
    return NULL;
}

static const char *dropped_text(struct arena *arena, unsigned dropped)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    for (int part = 0; part < PROMPT_PART_COUNT; part++)
        if (dropped & BIT(part))
            strbuf_addf(&text, "%s%s", text.len ? ", " : "", prompt_part_names[part]);
    return arena_text(arena, strbuf_str(&text));
}

static void keep_origin(struct arena *arena, const struct deciders *deciders,
                        const struct embedded_evidence *evidence, const char *why_not,
                        struct decision *decision)
{
    decision->degraded = why_not ? arena_strdup(arena, why_not) : "";
    decision->prior_sha256 = deciders->prior ? deciders->prior->sha256 : "";
    decision->head_sha256 = evidence && deciders->head ? deciders->head->sha256 : "";
    decision->fusion_sha256 = decision->calibration_sha256 = deciders->fusion->sha256;
    decision->prompt_sha256 = evidence ? prompt_sha256() : "";
    decision->prompt_tokens = evidence ? evidence->tokens : NULL;
    decision->prompt_token_count = evidence ? evidence->token_count : 0;
    decision->dropped = evidence ? dropped_text(arena, evidence->dropped) : "";
}

void decide(const struct deciders *deciders, struct arena *arena, const struct reading *reading,
            const struct embedded_evidence *evidence, const char *why_not, struct decision *decision)
{
    const struct slm_question *question = &reading->question;
    const struct slm_context *context = question->context;
    *decision =
        (struct decision){ .injection = reading->injection, .injection_text = reading->injection_text };
    ulid_new(decision->id);
    decision->feasible = (question->feasible & ~(context ? context->held_back : 0)) | BIT(ACTION_NOTIFY_ONLY);

    struct feature_list features = features_of_alert(arena, &reading->alert);
    gather(deciders, arena, &reading->alert, &features, evidence, decision);
    const double *history = history_scores(context, decision);
    decision->ranked_first = fusion_apply(deciders->fusion, (const double(*)[ACTION_COUNT])decision->evidence,
                                          history, decision->feasible, decision->probabilities);
    decision->confidence =
        fusion_calibrate(deciders->fusion, decision->probabilities[decision->ranked_first]);

    const char *why = reason_to_abstain(arena, decision, deciders->confidence_threshold);
    struct error *err = NULL;
    if (!why)
        decision->parameters =
            parameters_choose(evidence ? deciders->embedded : NULL, evidence ? evidence->sequence : NULL,
                              arena, question, decision->ranked_first, &err);
    if (!why && !decision->parameters)
        why = arena_strdup(arena, error_message(err));
    error_free(err);
    decision->abstained = why != NULL;
    decision->action = why ? ACTION_NOTIFY_ONLY : decision->ranked_first;
    if (why)
        decision->parameters = "{}";
    keep_origin(arena, deciders, evidence, why_not, decision);
    reasons_give(arena, question, deciders->prior, &features, why, decision);
}
