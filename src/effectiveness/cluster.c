#include "effectiveness/cluster.h"

#include <math.h>

#include "executor/executor.h"
#include "k8s/k8s.h"

static const char *const workload_kinds[] = { "Deployment",       "StatefulSet", "DaemonSet",
                                              "DeploymentConfig", "ReplicaSet",  NULL };
/* From these a way leads to the one workload they belong to; of a node, say, there is none. */
static const char *const leading_kinds[] = { "Pod", "PersistentVolumeClaim", "HorizontalPodAutoscaler",
                                             NULL };

static bool is_one_of(const char *kind, const char *const *kinds)
{
    while (kind && *kinds && strcmp(*kinds, kind) != 0)
        kinds++;
    return kind && *kinds;
}

static struct k8s *bounded(struct cluster_source *source)
{
    const struct config *config = source->config ? config_live_hold(source->config) : source->fixed;
    struct k8s_session_options options = { .writes = K8S_WRITES_NONE,
                                           .until_mono_ms =
                                               clock_mono_ms() + config->effectiveness.query_timeout_ms };
    if (source->config)
        config_live_release(source->config, config);
    return k8s_session(source->k8s, &options);
}

/* ---- the workload */

/* A pod that was evicted is gone, so its controller was recorded. */
static bool find_controller(struct k8s *k8s, struct arena *arena, const struct execution *execution,
                            struct k8s_target *target, struct error **err)
{
    yyjson_doc *details =
        execution->details ? yyjson_read(execution->details, strlen(execution->details), 0) : NULL;
    yyjson_val *controller = yyjson_obj_get(yyjson_doc_get_root(details), "controller");
    const char *kind = arena_strdup(arena, k8s_text_at(controller, "/kind"));
    const char *name = arena_strdup(arena, k8s_text_at(controller, "/name"));
    yyjson_doc_free(details);
    return *kind && k8s_resolve(k8s, arena, kind, execution->namespace, name, workload_kinds, target, err);
}

static bool find_workload(struct k8s *k8s, struct arena *arena, const struct execution *execution,
                          struct k8s_target *target, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    if (k8s_resolve(k8s, arena, execution->kind, execution->namespace, execution->name, workload_kinds,
                    target, &why))
        return true;
    if (error_code(why) == ERROR_NOT_FOUND && strcmp(execution->kind, "Pod") == 0 &&
        find_controller(k8s, arena, execution, target, NULL))
        return true;
    error_move(err, &why);
    return false;
}

/* Complete, and everything ready. A rollout that is stuck is as little ready as one that is under way. */
static bool is_ready(const struct k8s_target *workload)
{
    yyjson_val *object = workload->object->root;
    if (strcmp(workload->resource->kind, "ReplicaSet") == 0)
        return k8s_int_at(object, "/status/readyReplicas", 0) >= k8s_int_at(object, "/spec/replicas", 1);
    AUTO(error) struct error *stuck = NULL;
    return k8s_wait_rolled_out(object, NULL, &stuck) == K8S_WAIT_DONE;
}

static void count_restarts(yyjson_val *pod, int64_t began, struct workload_evidence *evidence,
                           int64_t *last_at)
{
    bool is_new = k8s_time_at(pod, "/metadata/creationTimestamp") + 1000 > began; /* it is in seconds */
    size_t i, count;
    yyjson_val *status;
    yyjson_arr_foreach(k8s_at(pod, "/status/containerStatuses"), i, count, status)
    {
        int64_t restarts = k8s_int_at(status, "/restartCount", 0);
        int64_t ended_at = k8s_time_at(status, "/lastState/terminated/finishedAt");
        *last_at = MAX(*last_at, ended_at);
        evidence->restarts += is_new ? restarts : restarts > 0 && ended_at >= began;
    }
}

void cluster_restarts(yyjson_val *const *pods, size_t count, int64_t began, int64_t now,
                      struct workload_evidence *evidence)
{
    int64_t last_at = 0;
    evidence->restarts = 0;
    for (size_t i = 0; i < count; i++)
        count_restarts(pods[i], began, evidence, &last_at);
    evidence->stable_for_ms = MAX(now - (last_at ? last_at : began), 0);
}

static int64_t began(const struct execution *execution)
{
    return execution->started_at ? execution->started_at : execution->created_at;
}

static bool workload(void *context, const struct execution *execution, struct workload_evidence *evidence,
                     struct error **err)
{
    struct cluster_source *source = context;
    *evidence = (struct workload_evidence){ .restarts = -1, .stable_for_ms = -1 };
    if (!is_one_of(execution->kind, workload_kinds) && !is_one_of(execution->kind, leading_kinds))
        return true;
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    AUTO(k8s) struct k8s *k8s = bounded(source);
    AUTO(k8s_target) struct k8s_target target = { 0 };
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    if (!find_workload(k8s, arena, execution, &target, err) ||
        !k8s_pods_of(k8s, target.object, target.resource, &pods, err))
        return error_wrap(err, "how %s %s/%s is doing", execution->kind, execution->namespace,
                          execution->name);
    evidence->ready = is_ready(&target);
    cluster_restarts(pods.items, pods.count, began(execution), clock_utc_ms(), evidence);
    evidence->known = true;
    return true;
}

/* ---- the cost */

struct shape { /* of a workload, at one time */
    int64_t replicas;
    yyjson_val *containers, *changed; /* fields that stand in the place of what containers say; NULL: none */
    bool is_pod;
};

/* The resources of a container: as they were recorded, else as they are. "null" was nothing. */
static yyjson_val *resources_of(struct arena *arena, const struct shape *shape, yyjson_val *container)
{
    const char *path = arena_printf(arena, "%s[name=%s]/resources",
                                    shape->is_pod ? "/spec/containers" : "/spec/template/spec/containers",
                                    k8s_text_at(container, "/name"));
    yyjson_val *recorded = yyjson_obj_get(shape->changed, path);
    return recorded ? recorded : k8s_at(container, "/resources");
}

static double requested(struct arena *arena, const struct shape *shape, const char *name)
{
    const char *request = arena_printf(arena, "/requests/%s", name),
               *limit = arena_printf(arena, "/limits/%s", name);
    bool any = false;
    double sum = 0;
    size_t i, count;
    yyjson_val *container;
    yyjson_arr_foreach(shape->containers, i, count, container)
    {
        yyjson_val *resources = resources_of(arena, shape, container);
        int64_t milli = 0;
        if (!k8s_quantity_at(resources, request, &milli) && !k8s_quantity_at(resources, limit, &milli))
            continue;
        any = true;
        sum += (double)milli / 1000;
    }
    return any ? sum * (double)shape->replicas : NAN;
}

static struct shape shape_of(const char *kind, yyjson_val *object)
{
    bool is_pod = strcmp(kind, "Pod") == 0;
    bool daemon = strcmp(kind, "DaemonSet") == 0;
    const char *replicas = daemon ? "/status/desiredNumberScheduled" : "/spec/replicas";
    return (struct shape){ .replicas = is_pod ? 1 : k8s_int_at(object, replicas, daemon ? 0 : 1),
                           .containers =
                               k8s_at(object, is_pod ? "/spec/containers" : "/spec/template/spec/containers"),
                           .is_pod = is_pod };
}

/* What was recorded of this object; false: something else decides now how many there are. */
static bool find_changed(yyjson_val *recorded, const char *kind, yyjson_val *object, yyjson_val **changed)
{
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(recorded, i, count, item)
    {
        const char *of = k8s_text_at(item, "/kind");
        if (strcmp(of, "HorizontalPodAutoscaler") == 0 || strcmp(of, "ScaledObject") == 0)
            return false;
        if (strcmp(of, kind) == 0 &&
            strcmp(k8s_text_at(item, "/name"), k8s_text_at(object, "/metadata/name")) == 0)
            *changed = yyjson_obj_get(item, "fields");
    }
    return true;
}

static struct shape shape_before(struct shape now, yyjson_val *changed)
{
    yyjson_val *replicas = yyjson_obj_get(changed, "/spec/replicas");
    yyjson_val *template = yyjson_obj_get(changed, "/spec/template");
    now.changed = changed;
    if (yyjson_is_int(replicas))
        now.replicas = yyjson_get_sint(replicas);
    if (template)
        now.containers = k8s_at(template, "/spec/containers");
    return now;
}

void cluster_cost(struct arena *arena, const char *kind, yyjson_val *object, const char *state_before,
                  struct cost_evidence *cost)
{
    struct shape now = shape_of(kind, object);
    yyjson_val *changed = NULL;
    *cost = (struct cost_evidence){ .cpu_before = NAN,
                                    .cpu_after = requested(arena, &now, "cpu"),
                                    .memory_before = NAN,
                                    .memory_after = requested(arena, &now, "memory") };
    yyjson_doc *recorded = state_before ? yyjson_read(state_before, strlen(state_before), 0) : NULL;
    if (recorded && find_changed(yyjson_doc_get_root(recorded), kind, object, &changed)) {
        struct shape before = shape_before(now, changed);
        cost->cpu_before = requested(arena, &before, "cpu");
        cost->memory_before = requested(arena, &before, "memory");
    }
    yyjson_doc_free(recorded);
}

static bool cost(void *context, const struct execution *execution, struct cost_evidence *evidence,
                 struct error **err)
{
    struct cluster_source *source = context;
    bool is_pod = execution->kind && strcmp(execution->kind, "Pod") == 0;
    *evidence = (struct cost_evidence){ NAN, NAN, NAN, NAN };
    if (!is_pod && !is_one_of(execution->kind, workload_kinds))
        return true;
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    AUTO(error) struct error *why = NULL;
    AUTO(k8s) struct k8s *k8s = bounded(source);
    struct k8s_ref ref = { k8s_resource_of_kind(execution->kind), execution->namespace, execution->name };
    AUTO(k8s_object) struct k8s_object *object = k8s_get(k8s, &ref, NULL, &why);
    if (!object && is_pod && error_code(why) == ERROR_NOT_FOUND)
        return true; /* it was evicted: what took its place costs the same */
    if (!object) {
        error_move(err, &why);
        return error_wrap(err, "what %s %s/%s costs", execution->kind, execution->namespace, execution->name);
    }
    cluster_cost(arena, execution->kind, object->root, execution->state_before, evidence);
    return true;
}

/* ---- the way back */

/* Whoever named the action in effectiveness.undo_actions has said that nobody need be asked, which the rules of policy
 * may contradict; what holds where no rule matches may not. */
static bool may_undo(void *context, const struct execution *execution)
{
    struct cluster_source *source = context;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct policy_verdict verdict;
    struct policy_question question = { .cluster = execution->cluster,
                                        .namespace = execution->namespace,
                                        .kind = execution->kind,
                                        .name = execution->name,
                                        .severity = execution->severity,
                                        .confidence = 1,
                                        .at = clock_utc_ms() };
    if (!action_parse(str_of(execution->action), &question.action))
        return false;
    executor_judge(source->executor, arena, &question, &verdict);
    bool may = verdict.verdict == VERDICT_ALLOW ||
               (verdict.verdict == VERDICT_REQUIRE_APPROVAL && strcmp(verdict.rule, "default") == 0);
    if (!may)
        log_info("execution that did not help is not undone: policy", KV("execution", execution->id),
                 KV("rule", verdict.rule), KV("reason", verdict.reason));
    return may;
}

/* A cluster that does not answer is waited for: the one attempt is not to be spent on it. */
static bool answers(struct cluster_source *source, struct error **err)
{
    AUTO(strbuf) struct strbuf version = { 0 };
    AUTO(k8s) struct k8s *k8s = bounded(source);
    return k8s_raw(k8s, "/version", NULL, &version, err);
}

static bool undo(void *context, const struct execution *execution, const char *reason, struct error **err)
{
    struct cluster_source *source = context;
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    struct execution made;
    struct execution_undo request = { .id = execution->id,
                                      .requested_by = "effectiveness",
                                      .reason = reason,
                                      .mode = EXECUTOR_REAL,
                                      .key = arena_printf(arena, "auto_undo:%s", execution->id) };
    if (!answers(source, err) || !executor_undo(source->executor, arena, &request, &made, err))
        return false;
    if (made.state == EXECUTION_COMPLETED)
        return true;
    enum error_code code = execution_state_is_final(made.state) ? ERROR_CONFLICT : ERROR_UNAVAILABLE;
    return error_set(err, code, "execution %s, which undoes it, is %s: %s", made.id,
                     execution_state_names[made.state], made.error ? made.error : "not at its end");
}

struct effectiveness_sources cluster_sources(struct cluster_source *source)
{
    bool undoes = source->k8s && source->executor;
    return (struct effectiveness_sources){ .context = source,
                                           .workload = source->k8s ? workload : NULL,
                                           .cost = source->k8s ? cost : NULL,
                                           .undo = undoes ? undo : NULL,
                                           .may_undo = undoes ? may_undo : NULL };
}
