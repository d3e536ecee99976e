/* Isolation, renewal of credentials, and looking who did what. */
#include "executor/executor_internal.h"

#define QUARANTINE "prometheus-alerts-slm.io/quarantine"

/* ---- quarantine_pod */

static void isolate(struct run *run)
{
    const char *name = run_object_name(run, "quarantine");
    struct step *step = step_add_named(run, STEP_CREATE, &k8s_network_policies, run->row.namespace, name,
                                       "a NetworkPolicy that lets nothing in or out");
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":%s,\"namespace\":%s},"
        "\"spec\":{\"podSelector\":{\"matchLabels\":{\"" QUARANTINE
        "\":\"%s\"}},\"policyTypes\":[\"Ingress\",\"Egress\"]}}",
        json_quote(run->arena, name), json_quote(run->arena, run->row.namespace), run->row.id);
    step->annotate = ANNOTATE_OURS;
    step_undo_by_delete(run, step);
}

/* Its ReplicaSet lets go of a pod without labels and starts another. Of a StatefulSet the name would block a successor,
 * of a DaemonSet its ports: there the network alone is cut. */
static bool keeps_labels(yyjson_val *pod)
{
    yyjson_val *owner = k8s_controller_of(pod);
    return owner && strcmp(k8s_text_at(owner, "/kind"), "ReplicaSet") != 0 &&
           strcmp(k8s_text_at(owner, "/kind"), "ReplicationController") != 0;
}

static void relabel(struct run *run, yyjson_val *pod)
{
    yyjson_val *labels = k8s_at(pod, "/metadata/labels"), *key;
    struct step *step = step_add(run, STEP_PATCH, &k8s_pods, pod,
                                 "mark the pod, and take it out of Services and its controller");
    const char *want = keeps_labels(pod) && labels ? json_text(run->arena, labels) : "{}", *body = "{}",
               *back = "{}";
    yyjson_obj_iter keys = yyjson_obj_iter_with(labels);
    while ((key = yyjson_obj_iter_next(&keys))) {
        AUTO(strbuf) struct strbuf path = { 0 };
        strbuf_add_text(&path, "/metadata/labels/");
        for (const char *c = yyjson_get_str(key); *c; c++)
            *c == '/' ? strbuf_add_text(&path, "~1") : strbuf_add_char(&path, *c);
        if (!keeps_labels(pod))
            body = json_with(run->arena, body, path.ptr, "null");
        back = json_with(run->arena, back, path.ptr, json_text(run->arena, yyjson_obj_iter_get_val(key)));
    }
    const char *mark = json_quote(run->arena, run->row.id),
               *path = "/metadata/labels/prometheus-alerts-slm.io~1quarantine";
    step_field(run, step, pod, "/metadata/labels",
               json_with(run->arena, want, "/prometheus-alerts-slm.io~1quarantine", mark));
    step->body = json_with(run->arena, body, path, mark);
    step->patch = K8S_PATCH_MERGE;
    step->annotate = ANNOTATE_OURS;
    step_undo_by_fields(run, step);
    step->undo->body = json_with(run->arena, back, path, "null");
}

bool plan_quarantine_pod(struct run *run, struct error **err)
{
    yyjson_val *pod = run->target.object->root;
    run->undo_after_ms = run->config->actions.quarantine_expiry_ms;
    run_number(run, "expires_after", &run->undo_after_ms);
    if (k8s_label(pod, QUARANTINE)[0]) {
        run->message = "already done: the pod is in quarantine";
        return true;
    }
    if (k8s_annotation(pod, "kubernetes.io/config.mirror")[0] || k8s_bool_at(pod, "/spec/hostNetwork"))
        return run_refuse(run, err, "pod %s/%s uses its node's network: a NetworkPolicy would not hold it",
                          run->row.namespace, run->row.name);
    isolate(run); /* first: there is no moment in which it is free and unwatched */
    relabel(run, pod);
    run->affected = 1;
    return true;
}

/* ---- rotate_secrets */

static bool uses_secret(yyjson_val *template, const char *secret)
{
    yyjson_val *volume, *container, *item;
    yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(template, "/spec/volumes"));
    while ((volume = yyjson_arr_iter_next(&volumes)))
        if (!strcmp(k8s_text_at(volume, "/secret/secretName"), secret))
            return true;
    yyjson_arr_iter containers = yyjson_arr_iter_with(k8s_at(template, "/spec/containers"));
    while ((container = yyjson_arr_iter_next(&containers))) {
        yyjson_arr_iter items = yyjson_arr_iter_with(k8s_at(container, "/envFrom"));
        while ((item = yyjson_arr_iter_next(&items)))
            if (!strcmp(k8s_text_at(item, "/secretRef/name"), secret))
                return true;
        items = yyjson_arr_iter_with(k8s_at(container, "/env"));
        while ((item = yyjson_arr_iter_next(&items)))
            if (!strcmp(k8s_text_at(item, "/valueFrom/secretKeyRef/name"), secret))
                return true;
    }
    return false;
}

static bool restart_consumers(struct run *run, const char *secret, struct error **err)
{
    const struct k8s_resource *const kinds[] = { &k8s_deployments, &k8s_statefulsets, &k8s_daemonsets };
    if (strcmp(run_text(run, "restart_consumers"), "false") == 0)
        return true;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct k8s_list list;
        if (!run_list(run, kinds[k], run->row.namespace, NULL, NULL, &list, err))
            return false;
        for (size_t i = 0; i < list.count; i++)
            if (uses_secret(k8s_at(list.items[i], "/spec/template"), secret) &&
                !plan_rollout_restart(run, kinds[k], list.items[i], false, err))
                return false;
    }
    return true;
}

static bool wait_for_secret(struct run *run, const char *secret, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_object *object = run_get(run, &k8s_secrets, run->row.namespace, secret, &why);
    if (!object && error_code(why) != ERROR_NOT_FOUND) {
        error_move(err, &why);
        return false;
    }
    struct step *step = step_add_named(run, STEP_WAIT, &k8s_secrets, run->row.namespace, secret,
                                       run_printf(run, "wait until Secret %s is renewed", secret));
    step->resource_version = object ? object->resource_version : "";
    step->wait = WAIT_CHANGED;
    return true;
}

/* The whole list of conditions under lock: a merge patch of a part would wipe the others. */
static bool renew_certificate(struct run *run, yyjson_val *certificate, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_certificates, err);
    char now[CLOCK_TEXT_MAX];
    if (!resource)
        return false;
    clock_format(run->row.created_at / 1000 * 1000, now);
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_val *condition;
    yyjson_arr_iter conditions = yyjson_arr_iter_with(k8s_at(certificate, "/status/conditions"));
    while ((condition = yyjson_arr_iter_next(&conditions)))
        if (strcmp(k8s_text_at(condition, "/type"), "Issuing") != 0)
            yyjson_mut_arr_append(list, yyjson_val_mut_copy(doc, condition));
    const char *issuing = run_printf(
        run,
        "{\"type\":\"Issuing\",\"status\":\"True\",\"reason\":\"ManuallyTriggered\",\"message\":\"execution %s\","
        "\"lastTransitionTime\":\"%s\"}",
        run->row.id, now);
    yyjson_mut_arr_append(list,
                          yyjson_val_mut_copy(doc, yyjson_doc_get_root(json_read(run->arena, issuing))));
    struct step *step = step_add(run, STEP_PATCH, resource, certificate, "ask cert-manager to issue it anew");
    step->subresource = "status";
    step_field(run, step, certificate, "/status/conditions", json_mut_text(run->arena, list));
    step_body_of_fields(run, step);
    const char *secret = k8s_text_at(certificate, "/spec/secretName");
    return wait_for_secret(run, secret, err) && restart_consumers(run, secret, err);
}

static bool renew_external(struct run *run, yyjson_val *external, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_external_secrets, err);
    if (!resource)
        return false;
    struct step *step =
        step_add(run, STEP_PATCH, resource, external, "ask External Secrets to fetch it anew");
    step_field(run, step, external, "/metadata/annotations/force-sync",
               json_quote(run->arena, run_printf(run, "%lld", (long long)run->row.created_at)));
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    const char *secret = k8s_text_at(external, "/spec/target/name");
    secret = secret[0] ? secret : run->row.name;
    return wait_for_secret(run, secret, err) && restart_consumers(run, secret, err);
}

/* Nobody renews it but us, and only if its owner has said which keys may get new random values. */
static bool renew_plain(struct run *run, yyjson_val *secret, struct error **err)
{
    const char *keys = k8s_annotation(secret, "prometheus-alerts-slm.io/rotate-keys");
    if (!keys[0])
        return run_refuse(
            run, err,
            "Secret %s/%s belongs to neither cert-manager nor External Secrets, and no annotation "
            "prometheus-alerts-slm.io/rotate-keys names keys that may get random values",
            run->row.namespace, run->row.name);
    if (k8s_bool_at(secret, "/immutable"))
        return run_refuse(run, err, "Secret %s/%s is immutable: make a new one and point to it",
                          run->row.namespace, run->row.name);
    struct step *step =
        step_add(run, STEP_PATCH, &k8s_secrets, secret, run_printf(run, "new random values for %s", keys));
    step->patch = K8S_PATCH_MERGE;
    step->annotate = ANNOTATE_OURS;
    step->secret = true;
    step->container = arena_strdup(run->arena, keys);
    return restart_consumers(run, run->row.name, err);
}

bool plan_rotate_secrets(struct run *run, struct error **err)
{
    yyjson_val *object = run->target.object->root, *owner = k8s_controller_of(object);
    const char *certificate = k8s_annotation(object, "cert-manager.io/certificate-name");
    struct k8s_object *found;
    if (strcmp(run->row.kind, "Certificate") == 0)
        return renew_certificate(run, object, err);
    if (strcmp(run->row.kind, "ExternalSecret") == 0)
        return renew_external(run, object, err);
    if (certificate[0])
        return (found = run_get(run, &k8s_certificates, run->row.namespace, certificate, err)) &&
               renew_certificate(run, found->root, err);
    if (owner && !strcmp(k8s_text_at(owner, "/kind"), "ExternalSecret"))
        return (found = run_get(run, &k8s_external_secrets, run->row.namespace, k8s_text_at(owner, "/name"),
                                err)) &&
               renew_external(run, found->root, err);
    return renew_plain(run, object, err);
}

/* ---- audit_logs */

static bool is_recent(struct run *run, yyjson_val *item)
{
    static const char *const times[] = { "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp" };
    int64_t since_ms = 3600000, at = 0;
    run_number(run, "since", &since_ms);
    for (size_t i = 0; i < ARRAY_LEN(times) && !at; i++)
        at = k8s_time_at(item, times[i]);
    /* A change of rights shows in managedFields, not in the time of creation. */
    yyjson_val *manager;
    yyjson_arr_iter managers = yyjson_arr_iter_with(k8s_at(item, "/metadata/managedFields"));
    while ((manager = yyjson_arr_iter_next(&managers)))
        at = MAX(at, k8s_time_at(manager, "/time"));
    return at >= clock_utc_ms() - since_ms;
}

static void add_finding(struct run *run, yyjson_mut_doc *doc, yyjson_mut_val *list, yyjson_val *item,
                        bool event)
{
    static const char *const of_event[] = { "/type",
                                            "/reason",
                                            "/message",
                                            "/lastTimestamp",
                                            "/count",
                                            "/source",
                                            "/reportingComponent",
                                            "/involvedObject/kind",
                                            "/involvedObject/name" };
    static const char *const of_right[] = {
        "/metadata/name", "/metadata/namespace", "/metadata/creationTimestamp",
        "/roleRef",       "/subjects",           "/rules"
    };
    yyjson_mut_val *found = yyjson_mut_obj(doc);
    const char *const *paths = event ? of_event : of_right;
    size_t count = event ? ARRAY_LEN(of_event) : ARRAY_LEN(of_right);
    for (size_t i = 0; i < count; i++) {
        yyjson_val *value = k8s_at(item, paths[i]);
        if (yyjson_is_str(value)) {
            AUTO(strbuf) struct strbuf text = { 0 };
            redact(&text, str_slice(str_of(yyjson_get_str(value)), 0, 1000));
            yyjson_mut_obj_add(found, yyjson_mut_strcpy(doc, strrchr(paths[i], '/') + 1),
                               yyjson_mut_strncpy(doc, text.ptr ? text.ptr : "", text.len));
        } else if (value) {
            yyjson_mut_obj_add(found, yyjson_mut_strcpy(doc, strrchr(paths[i], '/') + 1),
                               yyjson_val_mut_copy(doc, value));
        }
    }
    yyjson_val *manager = yyjson_arr_get_last(k8s_at(item, "/metadata/managedFields"));
    if (!event && manager)
        yyjson_mut_obj_add(found, yyjson_mut_str(doc, "last_changed_by"),
                           yyjson_mut_strcpy(doc, k8s_text_at(manager, "/manager")));
    yyjson_mut_arr_append(list, found);
    (void)run;
}

bool plan_audit_logs(struct run *run, struct error **err)
{
    enum { ITEMS_MAX = 200 };
    const struct {
        const struct k8s_resource *resource;
        const char *scopes;
        bool cluster;
    } sources[] = { { &k8s_events, "security events all", false },
                    { &k8s_roles, "security rbac all", false },
                    { &k8s_role_bindings, "security rbac all", false },
                    { &k8s_cluster_role_bindings, "security rbac all", true } };
    const char *scope = run_text(run, "scope");
    const char *namespace = !run->target.resource                 ? NULL
                            : !strcmp(run->row.kind, "Namespace") ? run->row.name
                                                                  : run->row.namespace;
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *findings = yyjson_mut_obj(doc);
    for (size_t s = 0; s < ARRAY_LEN(sources); s++) {
        struct k8s_list list;
        if (!strstr(sources[s].scopes, scope))
            continue;
        if (!run_list(run, sources[s].resource, sources[s].cluster ? NULL : namespace, NULL, NULL, &list,
                      err))
            return false;
        yyjson_mut_val *found = yyjson_mut_obj_add_arr(doc, findings, sources[s].resource->plural);
        for (size_t i = 0; i < list.count && yyjson_mut_arr_size(found) < ITEMS_MAX; i++)
            if (is_recent(run, list.items[i]))
                add_finding(run, doc, found, list.items[i], s == 0);
    }
    run->findings = json_mut_text(run->arena, findings);
    return true;
}
