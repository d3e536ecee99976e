/* Memory as a room of the server: what decisions are told of the past, what holds an execution back, what came of it,
 * and the audit log. */
#include "cli/serve.h"

#include <pthread.h>
#include <stdlib.h>

#include "effectiveness/cluster.h"
#include "effectiveness/effectiveness.h"
#include "effectiveness/insights.h"
#include "history/audit.h"
#include "history/history.h"
#include "store/executions.h"

enum { INSIGHTS_EVERY_MS = 5 * 60 * 1000 };

struct serve_memory {
    struct serve *serve;
    struct cluster_source cluster; /* the executor and the cluster's client outlive this room */
    struct effectiveness_service *effectiveness;
    struct audit *audit;

    pthread_mutex_t insights_lock; /* guards the two below; held to copy a text, not across I/O */
    struct arena *insights_arena;
    struct insights insights; /* made anew by the background thread */
    int64_t insights_due_ms;  /* the background thread's */
};

static const char *text_in(struct arena *arena, struct str text)
{
    return arena_text(arena, text);
}

static struct history_target target_of(const struct processor_work *work)
{
    const struct alert_target *target = &work->incident.target;
    return (struct history_target){ text_in(work->arena, target->cluster),
                                    text_in(work->arena, target->namespace),
                                    text_in(work->arena, target->kind), text_in(work->arena, target->name) };
}

static const char *alert_name_of(const struct processor_work *work)
{
    return work->alerts.count ? text_in(work->arena, work->alerts.items[0].alert.name) : "";
}

static const char *id_list(struct arena *arena, const char *const *ids, size_t count)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    for (size_t i = 0; i < count; i++)
        strbuf_addf(&out, "%s\"%s\"", i ? "," : "", ids[i]);
    strbuf_add_char(&out, ']');
    return arena_text(arena, strbuf_str(&out));
}

static void tell(const struct processor_work *work, const struct history_context *context,
                 struct slm_context *known)
{
    struct slm_past *past = ARENA_ARRAY(work->arena, struct slm_past, context->past_count + 1);
    struct slm_success *success = ARENA_ARRAY(work->arena, struct slm_success, ACTION_COUNT);
    for (size_t i = 0; i < context->past_count; i++)
        past[i] = (struct slm_past){ .action = context->past[i].action,
                                     .status = context->past[i].state,
                                     .effectiveness = context->past[i].score,
                                     .at_ms = context->past[i].at,
                                     .alert = str_of(context->past[i].alert_name),
                                     .parameters = str_of(context->past[i].parameters) };
    for (int a = 0; a < ACTION_COUNT; a++)
        success[a] = (struct slm_success){ context->success[a].rate, context->success[a].samples };
    known->past = past;
    known->past_count = context->past_count;
    known->success = work->config->learning.enabled ? success : NULL;
    known->learned_from = id_list(work->arena, context->learned_from, context->learned_from_count);
    if (context->oscillation.count)
        known->pattern = str_of(context->oscillation.text);
    known->oscillation_risk = context->oscillation_risk;
    known->held_back = context->oscillation.held_back;
}

static bool record_patterns(const struct processor_work *work, const struct history_target *target,
                            const struct oscillation *found, struct error **err)
{
    struct history_finding_of of = { .target = *target, .incident_id = work->incident.id };
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_WRITE, err);
    return tx && history_record_detections(tx, work->arena, &of, found, err) && tx_commit(STEAL(tx), err);
}

/* What is out of the usual about the target, behind what is known of circles. */
static void add_insights(struct serve_memory *memory, const struct processor_work *work,
                         const struct history_question *question, struct slm_context *known)
{
    pthread_mutex_lock(&memory->insights_lock);
    const char *text = insights_context(work->arena, &memory->insights, question->target.namespace,
                                        question->target.name, question->alert_name);
    pthread_mutex_unlock(&memory->insights_lock);
    if (*text)
        known->pattern = str_of(arena_printf(work->arena, STR_FMT "%s%s", STR_ARG(known->pattern),
                                             known->pattern.len ? "\n" : "", text));
}

/* On the background thread alone. */
static void refresh_insights(struct serve_memory *memory)
{
    AUTO(error) struct error *err = NULL;
    struct insights found;
    if (clock_mono_ms() < memory->insights_due_ms)
        return;
    memory->insights_due_ms = clock_mono_ms() + INSIGHTS_EVERY_MS;
    struct arena *arena = arena_new(64 * 1024);
    const struct config *config = config_live_hold(memory->serve->live);
    bool ok = insights_find(memory->serve->store, arena, config, &found, &err);
    config_live_release(memory->serve->live, config);
    if (!ok) {
        log_warn("no insights", KV("error", error_message(err)));
        arena_free(arena);
        return;
    }
    pthread_mutex_lock(&memory->insights_lock);
    struct arena *old = memory->insights_arena;
    memory->insights_arena = arena;
    memory->insights = found;
    pthread_mutex_unlock(&memory->insights_lock);
    arena_free(old);
}

static bool past(const struct processor_work *work, struct slm_context *known, void *context,
                 struct error **err)
{
    struct serve *serve = context;
    struct history_question question = { .target = target_of(work), .alert_name = alert_name_of(work) };
    struct history_context found;
    if (!history_context(work->store, work->arena, work->config, &question, &found, err))
        return false;
    tell(work, &found, known);
    add_insights(serve->memory, work, &question, known);
    return found.oscillation.count == 0 || record_patterns(work, &question.target, &found.oscillation, err);
}

static bool record_refusal(const struct processor_work *work, const struct decision *decision,
                           enum prevention prevention, const char *why, struct error **err)
{
    struct verdict_row verdict = { .decision_id = decision->id,
                                   .incident_id = work->incident.id,
                                   .verdict = "deny",
                                   .rule = prevention_names[prevention],
                                   .reason = why };
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_WRITE, err);
    return tx && processor_work_check(tx, work, err) && verdict_insert(tx, &verdict, err) &&
           tx_commit(STEAL(tx), err);
}

/* Before an execution: the decision was made on what was known then; this is what is known now, with it. */
static bool restrain(const struct processor_work *work, const struct decision *decision, const char **why,
                     void *context, struct error **err)
{
    (void)context;
    struct history_proposal proposal = { .target = target_of(work),
                                         .alert_name = alert_name_of(work),
                                         .parameters = decision->parameters,
                                         .incident_id = work->incident.id,
                                         .action = decision->action };
    enum prevention prevention;
    struct oscillation found;
    *why = NULL;
    if (!history_judge(work->store, work->arena, work->config, &proposal, &prevention, &found, err))
        return false;
    if (prevention == PREVENTION_NONE)
        return true;
    *why = found.text;
    return record_refusal(work, decision, prevention, found.text, err);
}

/* --- the audit log */

static void tend(void *context)
{
    struct serve_memory *memory = context;
    AUTO(error) struct error *err = NULL;
    if (!audit_tend(memory->audit, &err))
        log_warn("the audit log could not be brought up to date", KV("error", error_message(err)));
    refresh_insights(memory);
}

static struct audit *open_audit(struct serve *serve, struct error **err)
{
    const struct config *config = serve->config;
    AUTO(text) char *otherwise = audit_key_default_path();
    struct audit_options options = { .store = serve->store,

                                     .checkpoint_every_ms = config->audit.checkpoint_every_ms,
                                     .max_age_ms = config->audit.max_age_ms };
    options.key = audit_key_open(*config->audit.key_file ? config->audit.key_file : otherwise, true, err);
    return options.key ? audit_open(&options, err) : NULL;
}

static bool say(struct serve_memory *memory, const char *event, struct error **err)
{
    struct audit_entry entry = { "system", event, "server", "", NULL };
    return audit_write(memory->audit, &entry, err);
}

bool serve_memory_start(struct serve *serve, struct error **err)
{
    struct serve_memory *memory = xcalloc(1, sizeof *memory);
    serve->memory = memory;
    memory->serve = serve;
    memory->cluster =
        (struct cluster_source){ .k8s = serve->k8s, .executor = serve->executor, .config = serve->live };
    pthread_mutex_init(&memory->insights_lock, NULL);
    memory->audit = open_audit(serve, err);
    if (memory->audit) {
        struct effectiveness_options options = { .store = serve->store,
                                                 .config = serve->live,
                                                 .sources = cluster_sources(&memory->cluster),
                                                 .also = tend,
                                                 .also_context = memory };
        memory->effectiveness = effectiveness_open(&options, err);
    }
    if (!memory->effectiveness || !say(memory, "server started", err)) {
        serve_memory_stop(serve, 0);
        return false;
    }
    effectiveness_start(memory->effectiveness);
    serve->pipeline.past = past;
    serve->pipeline.restrain = restrain;
    return true;
}

void serve_memory_stop(struct serve *serve, int64_t deadline_ms)
{
    struct serve_memory *memory = serve->memory;
    AUTO(error) struct error *err = NULL;
    (void)deadline_ms;
    effectiveness_close(memory->effectiveness);
    if (memory->audit && !say(memory, "server stopped", &err))
        log_warn("the audit log could not be closed", KV("error", error_message(err)));
    audit_close(memory->audit);
    arena_free(memory->insights_arena);
    pthread_mutex_destroy(&memory->insights_lock);
    free(memory);
    serve->memory = NULL;
}
