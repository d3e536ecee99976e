/* Bringing requests to what is used, and moving workloads. */
#include "executor/executor_internal.h"

/* ---- optimize_resources */

static yyjson_val *vpa_of(struct run *run, const struct k8s_list *vpas)
{
    for (size_t i = 0; i < vpas->count; i++)
        if (!strcmp(k8s_text_at(vpas->items[i], "/spec/targetRef/kind"), run->row.kind) &&
            !strcmp(k8s_text_at(vpas->items[i], "/spec/targetRef/name"), run->row.name))
            return vpas->items[i];
    return NULL;
}

/* One bounded step: never below half of what is, nor above twice that, nor below what the recommender has seen at least. */
static int64_t step_towards(int64_t present, int64_t target, int64_t lower)
{
    if (present > 0)
        target = MAX(MIN(target, 2 * present), present / 2);
    return MAX(target, lower);
}

static bool plan_container(struct run *run, yyjson_val *container, yyjson_val *recommended,
                           struct error **err)
{
    static const struct {
        const char *name;
        enum quantity_style style;
        int64_t unit;
    } kinds[] = { { "cpu", QUANTITY_CPU, 1 }, { "memory", QUANTITY_BYTES, INT64_C(1024) * 1024 * 1000 } };
    int64_t headroom = 20;
    const char *requests = "{}", *limits = "{}";
    run_number(run, "headroom_percent", &headroom);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int64_t target, present = 0, limit = 0, lower = 0;
        char text[QUANTITY_TEXT_MAX];
        if (!k8s_quantity_at(recommended, run_printf(run, "/target/%s", kinds[i].name), &target))
            continue;
        k8s_quantity_at(recommended, run_printf(run, "/lowerBound/%s", kinds[i].name), &lower);
        k8s_quantity_at(container, run_printf(run, "/resources/requests/%s", kinds[i].name), &present);
        k8s_quantity_at(container, run_printf(run, "/resources/limits/%s", kinds[i].name), &limit);
        target = step_towards(present, target + target * headroom / 100, lower);
        target = (target + kinds[i].unit - 1) / kinds[i].unit * kinds[i].unit;
        quantity_format(target, kinds[i].style, text);
        requests = json_with(run->arena, requests, run_printf(run, "/%s", kinds[i].name),
                             json_quote(run->arena, text));
        if (limit && target > limit)
            limits = json_with(run->arena, limits, run_printf(run, "/%s", kinds[i].name),
                               json_quote(run->arena, text));
    }
    return plan_resources(run, container, requests, limits, err);
}

bool plan_optimize_resources(struct run *run, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_vpas, err);
    struct k8s_list vpas;
    if (!resource || !run_list(run, resource, run->row.namespace, NULL, NULL, &vpas, err))
        return false;
    yyjson_val *vpa = vpa_of(run, &vpas), *item;
    if (!vpa)
        return run_refuse(run, err, "no VerticalPodAutoscaler recommends anything for %s %s/%s",
                          run->row.kind, run->row.namespace, run->row.name);
    const char *mode = k8s_text_at(vpa, "/spec/updatePolicy/updateMode"), *only = run_text(run, "container");
    if (strcmp(mode, "Off") && strcmp(mode, "Initial"))
        return run_refuse(run, err, "VerticalPodAutoscaler %s sets them itself (updateMode %s)",
                          k8s_text_at(vpa, "/metadata/name"), mode[0] ? mode : "Auto");
    yyjson_arr_iter items =
        yyjson_arr_iter_with(k8s_at(vpa, "/status/recommendation/containerRecommendations"));
    while ((item = yyjson_arr_iter_next(&items))) {
        const char *name = k8s_text_at(item, "/containerName");
        yyjson_val *container =
            k8s_find(run->target.object->root, "/spec/template/spec/containers", "name", name);
        if (container && (!only[0] || !strcmp(only, name)) && !plan_container(run, container, item, err))
            return false;
    }
    return run->steps_len || run_refuse(run, err, "VerticalPodAutoscaler %s has no recommendation yet",
                                        k8s_text_at(vpa, "/metadata/name"));
}

/* ---- migrate_workload */

static bool check_node(struct run *run, const char *name, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_object *node = run_get(run, &k8s_nodes, NULL, name, &why);
    if (!node) {
        run->refused = error_code(why) == ERROR_NOT_FOUND;
        error_move(err, &why);
        return error_wrap(err, "target_node");
    }
    if (k8s_bool_at(node->root, "/spec/unschedulable") ||
        strcmp(k8s_condition(node->root, "Ready", NULL, NULL), "True"))
        return run_refuse(run, err, "node %s takes no pods: it is cordoned or not ready", name);
    return true;
}

/* A volume that lives on one node, or in one zone, keeps its pods there. */
static bool check_volumes(struct run *run, yyjson_val *spec, const char *namespace, struct error **err)
{
    yyjson_val *volume;
    yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(spec, "/volumes"));
    while ((volume = yyjson_arr_iter_next(&volumes))) {
        const char *name = k8s_text_at(volume, "/persistentVolumeClaim/claimName");
        struct k8s_object *claim = name[0] ? run_get(run, &k8s_pvcs, namespace, name, err) : NULL;
        if (name[0] && !claim)
            return false;
        const char *pv_name = claim ? k8s_text_at(claim->root, "/spec/volumeName") : "";
        struct k8s_object *pv = pv_name[0] ? run_get(run, &k8s_pvs, NULL, pv_name, err) : NULL;
        if (pv_name[0] && !pv)
            return false;
        if (pv && k8s_at(pv->root, "/spec/nodeAffinity"))
            return run_refuse(run, err,
                              "volume %s of claim %s can only be used where it is: it would pin the pods",
                              pv_name, name);
    }
    return true;
}

static bool pin_to(struct run *run, const char *node, struct error **err)
{
    yyjson_val *object = run->target.object->root;
    const char *path = "/spec/template/spec/nodeSelector/kubernetes.io~1hostname";
    if (!check_node(run, node, err) ||
        !check_volumes(run, k8s_at(object, "/spec/template/spec"), run->row.namespace, err) ||
        !run_check_owner(run, "/spec/template/spec/nodeSelector", err))
        return false;
    struct step *step = step_add(run, STEP_PATCH, run->target.resource, object,
                                 run_printf(run, "move the pods to node %s", node));
    step_field(run, step, object, path, json_quote(run->arena, node));
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    step_undo_by_fields(run, step);
    step_look(run, step, object);
    run->affected = k8s_int_at(object, "/spec/replicas", 1);
    return true;
}

static struct step *uncordon(struct run *run, const struct step *cordon)
{
    struct step *step = ARENA_NEW(run->arena, struct step);
    *step = *cordon->undo;
    step->what = run_printf(run, "uncordon node %s", cordon->name);
    step->fields[0].before = "true";
    return step;
}

/* Away from a node: closed for as long as its pods need to find another. */
static bool move_away(struct run *run, yyjson_val *const *pods, size_t count, const char *node_name,
                      struct error **err)
{
    struct k8s_object *node = run_get(run, &k8s_nodes, NULL, node_name, err);
    if (!node || !plan_cordon(run, node->root, false, err))
        return false;
    struct step *cordon = run->steps[run->steps_len - 1];
    for (size_t i = 0; i < count; i++) {
        if (strcmp(k8s_text_at(pods[i], "/spec/nodeName"), node_name) != 0 || pod_reason_to_stay(pods[i]))
            continue;
        if (!check_volumes(run, k8s_at(pods[i], "/spec"), run->row.namespace, err))
            return false;
        step_add(run, STEP_EVICT, &k8s_pods, pods[i],
                 run_printf(run, "evict pod %s", k8s_text_at(pods[i], "/metadata/name")));
        run->affected++;
    }
    if (cordon->state == STEP_ALREADY)
        return true;
    struct step *open = uncordon(run, cordon);
    struct step *last = step_add(run, STEP_PATCH, &k8s_nodes, node->root, open->what);
    const char *version = NULL;
    open->resource_version = version; /* by then it is another: the cordon has changed it */
    *last = *open;
    cordon->undo = NULL;
    return true;
}

/* The node on which most of its pods are not well; where all are, the first one's. */
static const char *worst_node(const struct k8s_list *pods)
{
    const char *worst = pods->count ? k8s_text_at(pods->items[0], "/spec/nodeName") : "";
    size_t most = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const char *node = k8s_text_at(pods->items[i], "/spec/nodeName");
        size_t ill = 0;
        for (size_t k = 0; k < pods->count; k++)
            ill += !strcmp(k8s_text_at(pods->items[k], "/spec/nodeName"), node) &&
                   strcmp(k8s_condition(pods->items[k], "Ready", NULL, NULL), "True") != 0;
        if (ill > most) {
            most = ill;
            worst = node;
        }
    }
    return worst;
}

bool plan_migrate_workload(struct run *run, struct error **err)
{
    const char *node = run_text(run, "target_node");
    struct k8s_list pods;
    if (strcmp(run->row.kind, "Node") == 0)
        return run_refuse(run, err, "to empty a whole node, use drain_node");
    if (node[0] && strcmp(run->row.kind, "Pod") == 0)
        return run_refuse(run, err,
                          "one pod cannot be sent to a node: name its Deployment, or leave target_node out");
    if (node[0])
        return pin_to(run, node, err);
    if (!run_pods(run, &pods, err))
        return false;
    const char *worst = worst_node(&pods);
    if (!worst[0])
        return run_refuse(run, err, "%s %s runs on no node", run->row.kind, run->row.name);
    if (!strcmp(run->row.kind, "Pod") && !k8s_controller_of(run->target.object->root))
        return run_refuse(run, err, "pod %s has no controller: evicted, it would be gone", run->row.name);
    return move_away(run, pods.items, pods.count, worst, err);
}
