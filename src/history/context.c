/* What a decision is told of the past, and what an execution is judged by. */
#include "history/history_internal.h"

#include <math.h>

#include "history_sql.h"
#include "store/memory.h"
#include "store/outcomes.h"

enum { PAST_DEFAULT = 10, CASES_PER_ACTION = 3, CASES_MAX = 24 };
#define PAST_DAYS_MS (INT64_C(90) * 86400000)

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

bool oscillation_input_read(struct tx *tx, struct arena *arena, const struct config *config,
                            const struct history_target *target, struct oscillation_input *input,
                            struct error **err)
{
    int64_t now = clock_utc_ms();
    struct past_wanted wanted = { .target = target,
                                  .since = now - config->oscillation.window_ms,
                                  .now = now };
    struct past *past;
    struct past_alert *alerts;
    *input = (struct oscillation_input){ .now = now };
    if (!past_read(tx, arena, &wanted, &past, &input->past_count, err) ||
        !past_alerts_read(tx, arena, &wanted, &alerts, &input->alert_count, err))
        return error_wrap(err, "the past of %s/%s/%s", text_or_empty(target->namespace),
                          text_or_empty(target->kind), text_or_empty(target->name));
    input->past = past;
    input->alerts = alerts;
    return true;
}

static enum risk risk_of(enum pattern_severity severity)
{
    static const enum risk risks[PATTERN_SEVERITY_COUNT] = { RISK_LOW, RISK_LOW, RISK_MEDIUM, RISK_HIGH,
                                                             RISK_CRITICAL };
    return risks[severity];
}

/* Nothing is learned from where learning is off: then every action has what is usual for it. */
static bool read_success(struct tx *tx, struct arena *arena, const struct config *config,
                         const struct history_question *question, struct history_context *context,
                         struct error **err)
{
    struct rates rates = { 0 };
    const char *alert = text_or_empty(question->alert_name);
    if (config->learning.enabled && !rates_get(tx, alert, text_or_empty(question->target.kind),
                                               text_or_empty(question->target.namespace), &rates, err))
        return false;
    context->learned_from = ARENA_ARRAY(arena, const char *, CASES_MAX);
    for (int action = 0; action < ACTION_COUNT; action++) {
        size_t count = 0;
        context->success[action] = predict(&rates, action, &config->learning, clock_utc_ms());
        if (rates.at[RATE_ALERT][action].cases == 0 ||
            context->learned_from_count + CASES_PER_ACTION > CASES_MAX)
            continue;
        if (!cases_read(tx, arena, alert, action, CASES_PER_ACTION,
                        context->learned_from + context->learned_from_count, &count, err))
            return false;
        context->learned_from_count += count;
    }
    return true;
}

bool history_context(struct store *store, struct arena *arena, const struct config *config,
                     const struct history_question *question, struct history_context *context,
                     struct error **err)
{
    *context = (struct history_context){ 0 };
    int64_t now = clock_utc_ms();
    struct oscillation_input input;
    struct past_wanted wanted = { .target = &question->target,
                                  .since = now - PAST_DAYS_MS,
                                  .now = now,
                                  .max = question->past_max ? question->past_max : PAST_DEFAULT };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !past_read(tx, arena, &wanted, &context->past, &context->past_count, err) ||
        !oscillation_input_read(tx, arena, config, &question->target, &input, err) ||
        !read_success(tx, arena, config, question, context, err))
        return error_wrap(err, "history");
    oscillation_analyse(arena, &config->oscillation, &input, &context->oscillation);
    context->oscillation_risk = risk_of(context->oscillation.severity);
    return true;
}

static bool record_enforced(struct store *store, struct arena *arena, const struct history_proposal *proposal,
                            const struct oscillation *found, struct error **err)
{
    struct history_finding_of of = { .target = proposal->target,
                                     .incident_id = proposal->incident_id,
                                     .execution_id = proposal->execution_id,
                                     .enforced = true };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx && history_record_detections(tx, arena, &of, found, err) && tx_commit(STEAL(tx), err);
}

bool history_judge(struct store *store, struct arena *arena, const struct config *config,
                   const struct history_proposal *proposal, enum prevention *prevention,
                   struct oscillation *found, struct error **err)
{
    struct oscillation_input input;
    struct past next = { .action = proposal->action,
                         .state = "executing",
                         .alert_name = text_or_empty(proposal->alert_name),
                         .replicas = past_replicas_asked(str_of(text_or_empty(proposal->parameters))),
                         .replicas_before = -1,
                         .score = NAN,
                         .score_confidence = NAN };
    {
        AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
        if (!tx || !oscillation_input_read(tx, arena, config, &proposal->target, &input, err))
            return false;
    }
    *prevention = oscillation_judge(arena, &config->oscillation, &input, &next, found);
    return *prevention == PREVENTION_NONE || record_enforced(store, arena, proposal, found, err);
}
