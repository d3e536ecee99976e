/* Nodes and DaemonSets. */
#include "executor/executor_internal.h"

static bool is_schedulable(yyjson_val *node)
{
    return !k8s_bool_at(node, "/spec/unschedulable");
}

/* Never the last one that takes pods, never more than a set share. Our own node is left to a person. */
static bool check_nodes(struct run *run, yyjson_val *node, bool drains, struct error **err)
{
    struct k8s_list nodes;
    size_t closed = 0;
    const char *name = k8s_text_at(node, "/metadata/name");
    if (!run_list(run, &k8s_nodes, NULL, NULL, NULL, &nodes, err))
        return false;
    for (size_t i = 0; i < nodes.count; i++)
        closed += !is_schedulable(nodes.items[i]);
    closed += is_schedulable(node);
    if (closed >= nodes.count)
        return run_refuse(run, err, "node %s is the last one that takes pods", name);
    if (closed * 100 > (size_t)run->config->actions.max_unschedulable_percent * nodes.count &&
        nodes.count > 1 && closed > 1)
        return run_refuse(run, err,
                          "%zu of %zu nodes would be cordoned, and actions.max_unschedulable_percent is %lld",
                          closed, nodes.count, (long long)run->config->actions.max_unschedulable_percent);
    if (!drains || !run->executor->own_pod[0])
        return true;
    struct k8s_object *own =
        run_get(run, &k8s_pods, run->executor->own_namespace, run->executor->own_pod, NULL);
    return !own || strcmp(k8s_text_at(own->root, "/spec/nodeName"), name) != 0 ||
           run_refuse(run, err, "node %s is the one we run on", name);
}

bool plan_cordon(struct run *run, yyjson_val *node, bool drains, struct error **err)
{
    if (is_schedulable(node) && !check_nodes(run, node, drains, err))
        return false;
    struct step *step = step_add(run, STEP_PATCH, &k8s_nodes, node,
                                 run_printf(run, "cordon node %s", k8s_text_at(node, "/metadata/name")));
    step_field(run, step, node, "/spec/unschedulable", "true");
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    step_undo_by_fields(run, step);
    step_look(run, step, node); /* if somebody else did it, undo leaves it */
    return true;
}

bool plan_cordon_node(struct run *run, struct error **err)
{
    run->undo_after_ms = run->config->actions.cordon_expiry_ms;
    run_number(run, "expires_after", &run->undo_after_ms);
    return plan_cordon(run, run->target.object->root, false, err);
}

/* ---- drain_node */

static bool has_local_data(yyjson_val *pod)
{
    yyjson_val *volume;
    yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(pod, "/spec/volumes"));
    while ((volume = yyjson_arr_iter_next(&volumes)))
        if (yyjson_obj_get(volume, "emptyDir"))
            return true;
    return false;
}

const char *pod_reason_to_stay(yyjson_val *pod)
{
    yyjson_val *owner = k8s_controller_of(pod);
    const char *phase = k8s_text_at(pod, "/status/phase");
    if (k8s_annotation(pod, "kubernetes.io/config.mirror")[0])
        return "it mirrors a static pod";
    if (owner && strcmp(k8s_text_at(owner, "/kind"), "DaemonSet") == 0)
        return "a DaemonSet would start it again";
    if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
        return "it is finished";
    return k8s_text_at(pod, "/metadata/deletionTimestamp")[0] ? "it is being deleted" : NULL;
}

static bool check_pod(struct run *run, yyjson_val *pod, struct error **err)
{
    const char *namespace = k8s_text_at(pod, "/metadata/namespace"),
               *name = k8s_text_at(pod, "/metadata/name");
    if (!k8s_controller_of(pod))
        return run_refuse(run, err, "pod %s/%s on it has no controller: evicted, it would be gone", namespace,
                          name);
    if (has_local_data(pod) && strcmp(run_text(run, "delete_emptydir_data"), "true") != 0)
        return run_refuse(
            run, err, "pod %s/%s on it keeps data in an emptyDir: delete_emptydir_data=true would lose it",
            namespace, name);
    return true;
}

static void add_eviction(struct run *run, yyjson_val *pod, int64_t timeout_ms)
{
    struct step *step = step_add(run, STEP_EVICT, &k8s_pods, pod,
                                 run_printf(run, "evict pod %s/%s", k8s_text_at(pod, "/metadata/namespace"),
                                            k8s_text_at(pod, "/metadata/name")));
    step->wait_ms = timeout_ms;
    run->affected++;
}

bool plan_drain_node(struct run *run, struct error **err)
{
    struct k8s_list pods;
    int64_t timeout_ms = 0;
    size_t stay = 0;
    const char *fields =
        run_printf(run, "spec.nodeName=%s,status.phase!=Succeeded,status.phase!=Failed", run->row.name);
    run_number(run, "timeout", &timeout_ms);
    if (!plan_cordon(run, run->target.object->root, true, err) ||
        !run_list(run, &k8s_pods, NULL, NULL, fields, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        if (pod_reason_to_stay(pods.items[i])) {
            stay++;
            continue;
        }
        if (!check_pod(run, pods.items[i], err))
            return false;
        add_eviction(run, pods.items[i], timeout_ms);
    }
    run->row.details =
        json_with(run->arena, run->row.details, "/pods_that_stay", run_printf(run, "%zu", stay));
    return true;
}

/* ---- restart_daemonset */

static bool restart_by_deleting(struct run *run, struct error **err)
{
    struct k8s_list pods;
    if (!run_pods(run, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        struct step *step =
            step_add(run, STEP_DELETE, &k8s_pods, pods.items[i],
                     run_printf(run, "delete pod %s on %s", k8s_text_at(pods.items[i], "/metadata/name"),
                                k8s_text_at(pods.items[i], "/spec/nodeName")));
        step->wait = WAIT_GONE;
        struct step *ready = step_add(run, STEP_WAIT, run->target.resource, run->target.object->root,
                                      "wait until its successor runs");
        ready->wait = WAIT_ROLLED_OUT;
        run->affected++;
    }
    return true;
}

bool plan_restart_daemonset(struct run *run, struct error **err)
{
    yyjson_val *object = run->target.object->root;
    if (!run_check_owner(run, "/spec/template/metadata/annotations", err))
        return false;
    if (strcmp(k8s_text_at(object, "/spec/updateStrategy/type"), "OnDelete") == 0)
        return restart_by_deleting(run, err);
    return plan_rollout_restart(run, run->target.resource, object, false, err);
}
