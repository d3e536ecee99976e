/* What acts: the cluster's client and the executor, as a room of the server. */
#include "cli/serve.h"

#include "api/api.h"
#include "cli/cli_internal.h"
#include "executor/executor.h"
#include "k8s/k8s.h"
#include "processor/gather.h"

/* Without credentials nothing can be acted on, and alerts are still taken, decided and planned. What is there but wrong
 * is an error at start. */
static bool open_cluster(struct serve *serve, struct error **why, struct error **err)
{
    const struct config_kubernetes *config = &serve->config->kubernetes;
    serve->k8s = cluster_open(serve->config, why);
    if (serve->k8s || (error_code(*why) == ERROR_NOT_FOUND && !config->kubeconfig[0] && !config->context[0]))
        return true;
    error_move(err, why);
    return error_wrap(err, "kubernetes");
}

/* The scope check: an action is offered where the target, or what the alert names beside it, is of its kind, where it is
 * enabled, and where policy does not rule it out. */
static bool fits(const struct alert_target *targets, size_t count, enum action action)
{
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        enum kind kind;
        if (!kind_parse(targets[i].kind, &kind))
            continue;
        known = true;
        if (action_fits_kind(action, kind))
            return true;
    }
    return !known || action_fits_kind(action, KIND_NONE);
}

static struct policy_question question_of(const struct processor_work *work)
{
    const struct alert *alert = &work->alerts.items[0].alert;
    const struct alert_target *target = &work->incident.target;
    return (struct policy_question){ .cluster = arena_text(work->arena, target->cluster),
                                     .namespace = arena_text(work->arena, target->namespace),
                                     .kind = arena_text(work->arena, target->kind),
                                     .name = arena_text(work->arena, target->name),
                                     .severity = severity_names[alert->severity],
                                     .labels = &alert->labels,
                                     .confidence = 1,
                                     .at = clock_utc_ms() };
}

static bool feasible(const struct processor_work *work, uint32_t *set, void *context, struct error **err)
{
    enum { TARGETS_MAX = 24 };
    struct serve *serve = context;
    struct alert_target targets[TARGETS_MAX];
    (void)err;
    if (!work->alerts.count)
        return true;
    struct policy_question question = question_of(work);
    targets[0] = work->incident.target;
    size_t count = 1 + alert_targets_of(&work->alerts.items[0].alert.labels, targets + 1, TARGETS_MAX - 1);
    for (int action = 0; action < ACTION_COUNT; action++) {
        struct policy_verdict verdict;
        question.action = (enum action)action;
        executor_judge(serve->executor, work->arena, &question, &verdict);
        bool harmless = action == ACTION_NOTIFY_ONLY; /* there is always something to say */
        if (!harmless && (verdict.verdict == VERDICT_DENY || !fits(targets, count, (enum action)action) ||
                          !executor_is_enabled(work->config, (enum action)action)))
            *set &= ~BIT(action);
    }
    return true;
}

static bool cluster(const struct processor_work *work, struct pipeline_cluster_state *state, void *context,
                    struct error **err)
{
    struct serve *serve = context;
    return gather_cluster(work, serve->k8s, state, err);
}

static bool execute(const struct processor_work *work, const struct decision *decision,
                    struct pipeline_outcome *outcome, void *context, struct error **err)
{
    struct serve *serve = context;
    const struct alert_record *record = &work->alerts.items[0];
    const struct alert *alert = &record->alert;
    struct execution *execution = ARENA_NEW(work->arena, struct execution);
    struct execution_request request = { .incident_id = work->incident.id,
                                         .decision_id = decision->id,
                                         .alert_id = record->id,
                                         .alert_name = arena_text(work->arena, alert->name),
                                         .trace_id = work->trace_id,
                                         .action = decision->action,
                                         .parameters = decision->parameters,
                                         .cluster = arena_text(work->arena, work->incident.target.cluster),
                                         .labels = &alert->labels,
                                         .annotations = &alert->annotations,
                                         .confidence = decision->confidence,
                                         .severity = severity_names[alert->severity],
                                         .requested_by = "processor" };
    if (!executor_execute(serve->executor, work->arena, &request, execution, NULL, err))
        return false;
    outcome->execution_id = execution->id;
    outcome->state = execution_state_names[execution->state];
    return true;
}

static void config_changed(const struct config *before, const struct config *now, void *context)
{
    struct serve *serve = context;
    AUTO(error) struct error *err = NULL;
    (void)before;
    (void)now;
    if (!executor_reload(serve->executor, &err))
        log_error("the policy cannot be read, the old one stays in force", KV("error", error_message(err)));
}

bool serve_executor_start(struct serve *serve, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    if (!open_cluster(serve, &why, err))
        return false;
    if (!serve->k8s)
        log_warn("no cluster: actions are planned only", KV("error", error_message(why)));
    struct executor_options options = { .store = serve->store,
                                        .config = serve->live,
                                        .k8s = serve->k8s,
                                        .no_cluster = why ? error_message(why) : NULL };
    serve->executor = executor_open(&options, err);
    if (!serve->executor) {
        k8s_close(STEAL(serve->k8s));
        return error_wrap(err, "executor");
    }
    config_live_listen(serve->live, config_changed, serve);
    api_add_executions_to(serve->server, serve->executor);
    serve->pipeline.feasible = feasible;
    serve->pipeline.cluster = cluster;
    serve->pipeline.execute = execute;
    executor_start(serve->executor);
    return true;
}

void serve_executor_stop(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    executor_close(STEAL(serve->executor));
    k8s_close(STEAL(serve->k8s));
}
