#include "processor/pipeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/decisions.h"

/* What one step leaves for the next; in the work's arena. */
struct progress {
    struct slm_context known;
    struct slm_question question;
    struct decision decision;
};

static struct progress *progress_of(struct processor_work *work)
{
    if (!work->state)
        work->state = ARENA_NEW(work->arena, struct progress);
    return work->state;
}

static const struct alert_record *root_of(const struct processor_work *work)
{
    return work->alerts.count ? &work->alerts.items[0] : NULL;
}

/* A source that fails is left out, and said to be: a decision never waits for context. */
static void leave_out(const char *source, const struct processor_work *work, struct error **err)
{
    log_warn("context left out", KV("source", source), KV("incident", work->incident.id),
             KV("error", error_message(*err)));
    error_clear(err);
}

static const char *text_in(struct arena *arena, struct str text)
{
    return text.len ? arena_text(arena, text) : NULL;
}

static bool gather(struct processor_work *work, void *context, struct error **err)
{
    struct pipeline_rooms *rooms = context;
    struct progress *progress = progress_of(work);
    const struct alert_record *root = root_of(work);
    if (!root) { /* resolved while it waited */
        work->done = true;
        return true;
    }
    (void)err;
    const struct alert_target *target = &work->incident.target;
    struct pipeline_cluster_state state = { 0 };
    struct error *failed = NULL;
    progress->question = (struct slm_question){ .alert = &root->alert,
                                                .alerts = work->alerts.count,
                                                .namespace = text_in(work->arena, target->namespace),
                                                .name = text_in(work->arena, target->name),
                                                .feasible = ACTION_SET_ALL,
                                                .context = &progress->known,
                                                .deadline_ms = work->deadline_us / 1000,
                                                .priority = SEVERITY_COUNT - (int)root->alert.severity };
    kind_parse(target->kind, &progress->question.kind);
    if (rooms->past && !rooms->past(work, &progress->known, rooms->context, &failed))
        leave_out("history", work, &failed);
    if (rooms->cluster && !rooms->cluster(work, &state, rooms->context, &failed))
        leave_out("cluster", work, &failed);
    progress->known.cluster_state = state.state;
    progress->known.events = state.events;
    progress->question.bounds = state.bounds;
    if (state.kind != KIND_NONE)
        progress->question.kind = state.kind;
    if (rooms->feasible && !rooms->feasible(work, &progress->question.feasible, rooms->context, &failed))
        leave_out("policy", work, &failed);
    return true;
}

/* ---- the record ---- */

/* The members of `json` named by `names`, as texts of their own; NULL where one is absent. */
static const char *member(struct arena *arena, yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);
    char *text = value ? yyjson_val_write(value, 0, NULL) : NULL;
    const char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}

static const char *token_list(struct arena *arena, const struct decision *decision)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    for (size_t i = 0; i < decision->prompt_token_count; i++)
        strbuf_addf(&out, "%s%d", i ? "," : "", (int)decision->prompt_tokens[i]);
    strbuf_add_char(&out, ']');
    return arena_text(arena, strbuf_str(&out));
}

static const char *feasible_list(struct arena *arena, uint32_t feasible)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (int a = 0; a < ACTION_COUNT; a++)
        if (feasible & BIT(a))
            strbuf_addf(&out, "%c\"%s\"", out.len ? ',' : '[', actions[a].name);
    strbuf_add_char(&out, ']');
    return arena_text(arena, strbuf_str(&out));
}

static const char *hash_list(struct arena *arena, const struct decision *decision)
{
    return arena_printf(arena, "{\"head\":\"%s\",\"prior\":\"%s\",\"fusion\":\"%s\",\"calibration\":\"%s\"}",
                        decision->head_sha256, decision->prior_sha256, decision->fusion_sha256,
                        decision->calibration_sha256);
}

static struct decision_record record_of(const struct processor_work *work, const struct decision *decision,
                                        const struct slm_context *known, yyjson_val *json)
{
    struct arena *arena = work->arena;
    struct decision_record record = { .trace_id = work->trace_id,
                                      .created_at = clock_utc_ms(),
                                      .provider = decision->provider,
                                      .model = decision->model,
                                      .model_sha256 = decision->model_sha256,
                                      .prompt_sha256 = decision->prompt_sha256,
                                      .prompt_tokens = (int64_t)decision->prompt_token_count,
                                      .prompt_token_ids = token_list(arena, decision),
                                      .action = action_name(decision->action),
                                      .parameters = decision->parameters,
                                      .confidence = decision->confidence,
                                      .abstained = decision->abstained,
                                      .feasible = feasible_list(arena, decision->feasible),
                                      .hashes = hash_list(arena, decision),
                                      .duration_ms = (double)decision->latency_us / 1000 };
    yyjson_val *reasoning = yyjson_obj_get(json, "reasoning");
    record.work = work->key;
    record.learned_from = known->learned_from;
    record.reasoning = member(arena, json, "reasoning");
    record.distribution = member(arena, json, "probabilities");
    record.evidence = member(arena, json, "evidence");
    record.factors = member(arena, reasoning, "confidence_factors");
    record.alternatives = member(arena, reasoning, "alternative_actions");
    memcpy(record.id, decision->id, sizeof record.id);
    memcpy(record.incident_id, work->incident.id, sizeof record.incident_id);
    memcpy(record.alert_id, root_of(work)->id, sizeof record.alert_id);
    return record;
}

static bool keep(const struct processor_work *work, const struct decision *decision,
                 const struct slm_context *known, struct error **err)
{
    AUTO(text) char *text = decision_json(decision);
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    struct decision_record record = record_of(work, decision, known, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_WRITE, err);
    return tx && processor_work_check(tx, work, err) && decision_insert(tx, &record, err) &&
           tx_commit(STEAL(tx), err);
}

/* Who had this work before may have died, or met a failure that passes, with the decision kept: it is gone on with, and
 * so is its execution, whose key it is. Nobody else can keep one while the lease is ours. */
static bool find_decision(const struct processor_work *work, struct decision_record *record, bool *found,
                          struct error **err)
{
    *found = false;
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_READ, err);
    return tx && decision_of_work(tx, work->arena, work->incident.id, work->key, record, found, err);
}

static bool take_up(const struct processor_work *work, struct decision *decision, bool *found,
                    struct error **err)
{
    struct decision_record record;
    if (work->attempt == 1)
        return true;
    if (!find_decision(work, &record, found, err))
        return error_wrap(err, "look for the decision");
    if (!*found)
        return true;
    *decision = (struct decision){ .parameters = record.parameters,
                                   .confidence = record.confidence,
                                   .abstained = record.abstained,
                                   .provider = record.provider,
                                   .model = record.model };
    memcpy(decision->id, record.id, sizeof decision->id);
    log_info("goes on with the decision that was kept", KV("incident", work->incident.id),
             KV("decision", decision->id), KV("action", record.action), KV_INT("attempt", work->attempt));
    return action_parse(str_of(record.action), &decision->action) ||
           error_set(err, ERROR_UNSUPPORTED, "decision %s names the action \"%s\", which is not known here",
                     record.id, record.action);
}

static bool decide_anew(struct processor_work *work, struct pipeline_rooms *rooms, struct progress *progress,
                        struct error **err)
{
    slm_decide(rooms->slm, work->arena, &progress->question, &progress->decision);
    if (!keep(work, &progress->decision, &progress->known, err))
        return error_wrap(err, "keep the decision");
    log_info("decided", KV("incident", work->incident.id), KV("decision", progress->decision.id),
             KV_STR("alert", root_of(work)->alert.name), KV("action", action_name(progress->decision.action)),
             KV_NUM("confidence", progress->decision.confidence),
             KV("ranked_first", action_name(progress->decision.ranked_first)),
             KV_INT("decided_ms", progress->decision.latency_us / 1000));
    return true;
}

static bool decide(struct processor_work *work, void *context, struct error **err)
{
    struct progress *progress = progress_of(work);
    bool found = false;
    if (!take_up(work, &progress->decision, &found, err) ||
        (!found && !decide_anew(work, context, progress, err)))
        return false;
    work->outcome = action_name(progress->decision.action);
    return true;
}

static bool execute(struct processor_work *work, void *context, struct error **err)
{
    struct pipeline_rooms *rooms = context;
    struct progress *progress = progress_of(work);
    struct pipeline_outcome outcome = { 0 };
    const char *why = NULL;
    if (rooms->restrain && progress->decision.action != ACTION_NOTIFY_ONLY &&
        !rooms->restrain(work, &progress->decision, &why, rooms->context, err))
        return error_wrap(err, "look for circles");
    if (why) {
        log_warn("held back", KV("incident", work->incident.id), KV("decision", progress->decision.id),
                 KV("action", action_name(progress->decision.action)), KV("why", why));
        return true;
    }
    if (!rooms->execute)
        return true;
    if (!rooms->execute(work, &progress->decision, &outcome, rooms->context, err))
        return error_wrap(err, "execute %s", action_name(progress->decision.action));
    if (outcome.execution_id)
        log_info("executed", KV("incident", work->incident.id), KV("decision", progress->decision.id),
                 KV("execution", outcome.execution_id), KV("action", action_name(progress->decision.action)),
                 KV("state", outcome.state));
    return true;
}

static const struct processor_step steps[] = {
    { "gather", gather },
    { "decide", decide },
    { "execute", execute },
    { 0 },
};

struct processor_steps pipeline_steps(struct pipeline_rooms *rooms)
{
    return (struct processor_steps){ .steps = steps, .context = rooms };
}
