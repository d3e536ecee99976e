/* Network policies, the cluster's network agents, service meshes. */
#include "executor/executor_internal.h"

/* ---- update_network_policy */

static bool isolates(yyjson_val *policy, const char *type)
{
    yyjson_val *item;
    yyjson_arr_iter types = yyjson_arr_iter_with(k8s_at(policy, "/spec/policyTypes"));
    while ((item = yyjson_arr_iter_next(&types)))
        if (strcmp(yyjson_get_str(item), type) == 0)
            return true;
    return false;
}

/* One entry of `egress` or `ingress`: {"to":[{"namespaceSelector":…}],"ports":[{"port":5432,"protocol":"TCP"}]} */
static const char *rule_of(struct run *run, bool egress)
{
    int64_t port;
    const char *peer = run_text(run, "peer_namespace"), *rule = "{}";
    if (peer[0])
        rule = json_with(
            run->arena, rule, egress ? "/to" : "/from",
            run_printf(run,
                       "[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":%s}}}]",
                       json_quote(run->arena, peer)));
    if (run_number(run, "port", &port))
        rule = json_with(run->arena, rule, "/ports",
                         run_printf(run, "[{\"port\":%lld,\"protocol\":\"TCP\"}]", (long long)port));
    return rule;
}

static bool has_rule(struct run *run, yyjson_val *list, const char *rule)
{
    yyjson_val *item, *wanted = yyjson_doc_get_root(json_read(run->arena, rule));
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    while ((item = yyjson_arr_iter_next(&items)))
        if (yyjson_obj_size(wanted) ? json_equal(item, wanted) : yyjson_obj_size(item) == 0)
            return true;
    return false;
}

/* A policy that is there: its list with one entry more, or without those that match. The whole list, under lock. */
static bool change_policy(struct run *run, yyjson_val *policy, bool allow, bool egress, struct error **err)
{
    const char *path = egress ? "/spec/egress" : "/spec/ingress", *rule = rule_of(run, egress);
    yyjson_val *list = k8s_at(policy, path), *item;
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *changed = yyjson_mut_arr(doc);
    bool present = has_rule(run, list, rule);
    if (!isolates(policy, egress ? "Egress" : "Ingress"))
        return run_refuse(run, err, "NetworkPolicy %s does not restrict %s: there is nothing to change",
                          run->row.name, egress ? "egress" : "ingress");
    if (!allow && !present)
        return run_refuse(run, err, "NetworkPolicy %s has no such allowance to take away", run->row.name);
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *wanted = yyjson_doc_get_root(json_read(run->arena, rule));
    while ((item = yyjson_arr_iter_next(&items)))
        if (allow || !json_equal(item, wanted))
            yyjson_mut_arr_append(changed, yyjson_val_mut_copy(doc, item));
    if (allow && !present)
        yyjson_mut_arr_append(changed, yyjson_val_mut_copy(doc, wanted));
    struct step *step = step_add(run, STEP_PATCH, &k8s_network_policies, policy,
                                 run_printf(run, "%s one entry of %s", allow ? "add" : "remove", path + 6));
    step_field(run, step, policy, path, json_mut_text(run->arena, changed));
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    step_undo_by_fields(run, step);
    step_look(run, step, policy);
    return true;
}

/* The pods of the target, as labels; everything in it for a namespace. */
static const char *pod_selector(struct run *run)
{
    yyjson_val *object = run->target.object->root;
    if (!strcmp(run->row.kind, "Namespace"))
        return "{}";
    if (strcmp(run->row.kind, "Pod"))
        return json_text(run->arena, k8s_at(object, "/spec/selector"));
    const char *labels = json_text(run->arena, k8s_at(object, "/metadata/labels"));
    return run_printf(run, "{\"matchLabels\":%s}", labels);
}

/* An allowance is only needed, and only harmless, where something restricts those pods already: the first policy that
 * selects a pod shuts out everything else. */
static bool is_restricted(struct run *run, const char *namespace, bool egress, bool *restricted,
                          struct error **err)
{
    struct k8s_list policies;
    yyjson_val *object = run->target.object->root;
    yyjson_val *labels =
        k8s_at(object, !strcmp(run->row.kind, "Pod") ? "/metadata/labels" : "/spec/template/metadata/labels");
    if (!run_list(run, &k8s_network_policies, namespace, NULL, NULL, &policies, err))
        return false;
    *restricted = false;
    for (size_t i = 0; i < policies.count; i++) {
        yyjson_val *selector = k8s_at(policies.items[i], "/spec/podSelector");
        bool selects = !strcmp(run->row.kind, "Namespace") ? yyjson_obj_size(selector) == 0
                                                           : k8s_selector_matches(selector, labels);
        *restricted = *restricted || (selects && isolates(policies.items[i], egress ? "Egress" : "Ingress"));
    }
    return true;
}

static const char *dns_rule =
    "{\"ports\":[{\"port\":53,\"protocol\":\"UDP\"},{\"port\":53,\"protocol\":\"TCP\"}]}";

static bool add_policy(struct run *run, bool allow, bool egress, struct error **err)
{
    const char *namespace = strcmp(run->row.kind, "Namespace") ? run->row.namespace : run->row.name;
    bool restricted;
    if (!is_restricted(run, namespace, egress, &restricted, err))
        return false;
    if (allow && !restricted)
        return run_refuse(
            run, err,
            "no policy restricts %s of %s %s: there is nothing to allow, and a first policy would shut out all else",
            egress ? "egress" : "ingress", run->row.kind, run->row.name);
    if (!allow && (run_text(run, "port")[0] || run_text(run, "peer_namespace")[0]))
        return run_refuse(
            run, err,
            "a NetworkPolicy cannot deny one port or peer alone: take its allowance out of the policy that has it");
    if (!allow && restricted)
        return run_refuse(
            run, err, "%s of %s %s is restricted already: take an allowance out of the policy that has it",
            egress ? "egress" : "ingress", run->row.kind, run->row.name);
    const char *name = run_object_name(run, egress ? (allow ? "allow-egress" : "deny-egress")
                                                   : (allow ? "allow-ingress" : "deny-ingress"));
    const char *rules = allow    ? run_printf(run, "[%s]", rule_of(run, egress))
                        : egress ? run_printf(run, "[%s]", dns_rule)
                                 : "[]";
    struct step *step = step_add_named(run, STEP_CREATE, &k8s_network_policies, namespace, name,
                                       run_printf(run, "a NetworkPolicy: %s", run_text(run, "action_type")));
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":%s,\"namespace\":%s},"
        "\"spec\":{\"podSelector\":%s,\"policyTypes\":[\"%s\"],\"%s\":%s}}",
        json_quote(run->arena, name), json_quote(run->arena, namespace), pod_selector(run),
        egress ? "Egress" : "Ingress", egress ? "egress" : "ingress", rules);
    step->annotate = ANNOTATE_OURS;
    step_undo_by_delete(run, step);
    return true;
}

/* {} among the allowances of a policy lets everything through: that is taking the policy away, not changing it. */
bool check_network_policy(struct run *run, struct error **err)
{
    const char *type = run_text(run, "action_type");
    if (strncmp(type, "allow", 5) != 0 || run_text(run, "port")[0] || run_text(run, "peer_namespace")[0])
        return true;
    return run_refuse(run, err,
                      "%s without a port or a peer_namespace would let everything through: say port=NUMBER, "
                      "peer_namespace=NAME, or both",
                      type);
}

bool plan_update_network_policy(struct run *run, struct error **err)
{
    const char *type = run_text(run, "action_type");
    bool allow = strncmp(type, "allow", 5) == 0, egress = strstr(type, "egress") != NULL;
    if (strcmp(run->row.kind, "NetworkPolicy") == 0)
        return run_check_owner(run, "/spec", err) &&
               change_policy(run, run->target.object->root, allow, egress, err);
    return add_policy(run, allow, egress, err);
}

/* ---- restart_network */

static const struct {
    const char *component, *namespace, *name;
    const struct k8s_resource *resource;
} agents[] = {
    { "cni", "kube-system", "calico-node", &k8s_daemonsets },
    { "cni", "calico-system", "calico-node", &k8s_daemonsets },
    { "cni", "kube-system", "cilium", &k8s_daemonsets },
    { "cni", "kube-system", "aws-node", &k8s_daemonsets },
    { "cni", "kube-flannel", "kube-flannel-ds", &k8s_daemonsets },
    { "cni", "kube-system", "kindnet", &k8s_daemonsets },
    { "cni", "kube-system", "weave-net", &k8s_daemonsets },
    { "cni", "kube-system", "azure-cni", &k8s_daemonsets },
    { "kube-proxy", "kube-system", "kube-proxy", &k8s_daemonsets },
    { "dns", "kube-system", "coredns", &k8s_deployments },
    { "dns", "kube-system", "kube-dns", &k8s_deployments },
    { "dns", "openshift-dns", "dns-default", &k8s_daemonsets },
    { "cni", "openshift-ovn-kubernetes", "ovnkube-node", &k8s_daemonsets },
};

static const char *node_of_target(struct run *run)
{
    if (!run->target.resource)
        return "";
    return !strcmp(run->row.kind, "Node")  ? run->row.name
           : !strcmp(run->row.kind, "Pod") ? k8s_text_at(run->target.object->root, "/spec/nodeName")
                                           : "";
}

/* The agent of one node: its pod is deleted, and its DaemonSet starts another. */
static bool restart_agent_on(struct run *run, yyjson_val *daemonset, const char *node, struct error **err)
{
    struct k8s_list pods;
    AUTO(strbuf) struct strbuf selector = { 0 };
    if (!k8s_selector_text(k8s_at(daemonset, "/spec/selector"), &selector) ||
        !run_list(run, &k8s_pods, k8s_text_at(daemonset, "/metadata/namespace"), selector.ptr,
                  run_printf(run, "spec.nodeName=%s", node), &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        struct step *step =
            step_add(run, STEP_DELETE, &k8s_pods, pods.items[i],
                     run_printf(run, "delete %s on %s", k8s_text_at(pods.items[i], "/metadata/name"), node));
        step->wait = WAIT_GONE;
        struct step *ready =
            step_add(run, STEP_WAIT, &k8s_daemonsets, daemonset, "wait until its successor runs");
        ready->wait = WAIT_ROLLED_OUT;
        run->affected++;
    }
    return pods.count || run_refuse(run, err, "no pod of %s runs on node %s",
                                    k8s_text_at(daemonset, "/metadata/name"), node);
}

bool plan_restart_network(struct run *run, struct error **err)
{
    const char *component = run_text(run, "component"), *node = node_of_target(run);
    for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
        AUTO(error) struct error *why = NULL;
        if (strcmp(agents[i].component, component) != 0)
            continue;
        struct k8s_object *found =
            run_get(run, agents[i].resource, agents[i].namespace, agents[i].name, &why);
        if (!found && error_code(why) == ERROR_NOT_FOUND)
            continue;
        if (!found) {
            error_move(err, &why);
            return false;
        }
        if (agents[i].resource == &k8s_daemonsets && node[0])
            return restart_agent_on(run, found->root, node, err);
        return plan_rollout_restart(run, agents[i].resource, found->root, true, err);
    }
    return error_set(err, ERROR_UNSUPPORTED, "no %s workload that we know is in this cluster", component);
}

/* ---- reset_service_mesh */

static const struct {
    const char *mesh, *namespace, *name, *sidecar;
    const struct k8s_resource *resource;
} meshes[] = {
    { "istio", "istio-system", "istiod", "istio-proxy", &k8s_deployments },
    { "ztunnel", "istio-system", "ztunnel", NULL, &k8s_daemonsets },
    { "linkerd", "linkerd", "linkerd-destination", "linkerd-proxy", &k8s_deployments },
};

static bool has_sidecar(yyjson_val *template, const char *name)
{
    return k8s_find(template, "/spec/containers", "name", name) ||
           k8s_find(template, "/spec/initContainers", "name", name);
}

/* A sidecar that is injected shows in pods, not in templates: the workloads are found from both. */
static bool restart_meshed(struct run *run, const char *namespace, const char *sidecar, struct error **err)
{
    const struct k8s_resource *const kinds[] = { &k8s_deployments, &k8s_statefulsets, &k8s_daemonsets };
    struct k8s_list pods;
    if (!run_list(run, &k8s_pods, namespace, NULL, NULL, &pods, err))
        return false;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct k8s_list list;
        if (!run_list(run, kinds[k], namespace, NULL, NULL, &list, err))
            return false;
        for (size_t i = 0; i < list.count; i++) {
            bool meshed = has_sidecar(k8s_at(list.items[i], "/spec/template"), sidecar);
            for (size_t p = 0; p < pods.count && !meshed; p++)
                meshed = has_sidecar(pods.items[p], sidecar) &&
                         k8s_selector_matches(k8s_at(list.items[i], "/spec/selector"),
                                              k8s_at(pods.items[p], "/metadata/labels"));
            if (meshed && !plan_rollout_restart(run, kinds[k], list.items[i], false, err))
                return false;
        }
    }
    return true;
}

static bool is_rolling(yyjson_val *object)
{
    return k8s_int_at(object, "/status/observedGeneration", 0) <
               k8s_int_at(object, "/metadata/generation", 0) ||
           k8s_int_at(object, "/status/updatedReplicas", k8s_int_at(object, "/spec/replicas", 0)) <
               k8s_int_at(object, "/spec/replicas", 0);
}

bool plan_reset_service_mesh(struct run *run, struct error **err)
{
    const char *mesh = run_text(run, "mesh_type");
    size_t i = 0;
    while (strcmp(meshes[i].mesh, mesh) != 0)
        i++;
    AUTO(error) struct error *why = NULL;
    struct k8s_object *plane = run_get(run, meshes[i].resource, meshes[i].namespace, meshes[i].name, &why);
    if (!plane && error_code(why) == ERROR_NOT_FOUND)
        return error_set(err, ERROR_UNSUPPORTED, "there is no %s %s/%s: no %s in this cluster",
                         meshes[i].resource->kind, meshes[i].namespace, meshes[i].name, mesh);
    if (!plane) {
        error_move(err, &why);
        return false;
    }
    if (is_rolling(plane->root))
        return run_refuse(run, err, "%s is rolling out already", meshes[i].name);
    if (!plan_rollout_restart(run, meshes[i].resource, plane->root, true, err))
        return false;
    const char *namespace = !strcmp(run->row.kind, "Namespace") ? run->row.name : run->row.namespace;
    return !meshes[i].sidecar || !run->target.resource || !namespace[0] ||
           !strcmp(namespace, meshes[i].namespace) || restart_meshed(run, namespace, meshes[i].sidecar, err);
}
