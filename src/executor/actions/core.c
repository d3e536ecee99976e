/* Replicas, restarts, rollbacks, autoscalers' bounds, and telling a person. */
#include "executor/executor_internal.h"

#include <stdlib.h>

/* ---- scale_deployment, scale_statefulset */

static bool check_scale_in(struct run *run, int64_t before, int64_t after, struct error **err)
{
    yyjson_val *object = run->target.object->root;
    if (run->action != ACTION_SCALE_STATEFULSET || after >= before)
        return true;
    if (!strcmp(k8s_text_at(object, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled"), "Delete"))
        return run_refuse(run, err,
                          "scaling in would delete the claims of the removed members (whenScaled: Delete)");
    if (before >= 3 && after < before / 2 + 1)
        return run_refuse(run, err, "%lld of %lld members are no majority: scale in step by step",
                          (long long)after, (long long)before);
    return true;
}

bool plan_scale(struct run *run, struct error **err)
{
    int64_t replicas;
    yyjson_val *object = run->target.object->root;
    int64_t before = k8s_int_at(object, "/spec/replicas", 1);
    if (!run_number(run, "replicas", &replicas))
        return error_set(err, ERROR_INVALID, "%s needs replicas", run->row.action);
    if (!check_scale_in(run, before, replicas, err))
        return false;
    if (before != replicas && !run_check_owner(run, "/spec/replicas", err))
        return false;
    struct step *step =
        step_add(run, STEP_PATCH, run->target.resource, object,
                 run_printf(run, "replicas %lld → %lld", (long long)before, (long long)replicas));
    step->subresource = "scale";
    step_field(run, step, object, "/spec/replicas", run_printf(run, "%lld", (long long)replicas));
    step_body_of_fields(run, step);
    step_undo_by_fields(run, step);
    step_look(run, step, object);
    run->affected = llabs(replicas - before);
    return true;
}

/* ---- restart_pod */

/* The pod will be gone: by this its workload is found when the effect is looked at. */
static const char *controller_json(struct run *run, yyjson_val *owner)
{
    const char *json =
        json_with(run->arena, "{}", "/kind", json_quote(run->arena, k8s_text_at(owner, "/kind")));
    json = json_with(run->arena, json, "/name", json_quote(run->arena, k8s_text_at(owner, "/name")));
    return json_with(run->arena, json, "/uid", json_quote(run->arena, k8s_text_at(owner, "/uid")));
}

bool plan_restart_pod(struct run *run, struct error **err)
{
    yyjson_val *pod = run->target.object->root, *owner = k8s_controller_of(pod);
    int64_t grace_ms;
    if (!owner)
        return run_refuse(run, err, "pod %s/%s has no controller: nothing would start it again",
                          run->row.namespace, run->row.name);
    if (k8s_annotation(pod, "kubernetes.io/config.mirror")[0])
        return run_refuse(run, err, "pod %s/%s is a mirror of a static one: its node alone can restart it",
                          run->row.namespace, run->row.name);
    struct step *step = step_add(run, STEP_EVICT, &k8s_pods, pod,
                                 run_printf(run, "evict pod %s, which %s %s starts anew", run->row.name,
                                            k8s_text_at(owner, "/kind"), k8s_text_at(owner, "/name")));
    run->row.details = json_with(run->arena, run->row.details, "/controller", controller_json(run, owner));
    if (run_number(run, "grace_period", &grace_ms))
        step->grace_s = (grace_ms + 999) / 1000;
    step->wait_ms = MIN(run->config->actions.timeout_ms, INT64_C(120000));
    run->affected = 1;
    return true;
}

/* ---- rollback_deployment */

static bool is_owned_by(yyjson_val *object, const char *uid)
{
    yyjson_val *owner = k8s_controller_of(object);
    return owner && strcmp(k8s_text_at(owner, "/uid"), uid) == 0;
}

static int64_t revision_of(yyjson_val *object)
{
    return strtoll(k8s_annotation(object, "deployment.kubernetes.io/revision"), NULL, 10);
}

/* The one before the present, or the one that was asked for. */
static yyjson_val *choose_revision(struct run *run, const struct k8s_list *sets, int64_t wanted,
                                   int64_t present)
{
    yyjson_val *best = NULL;
    for (size_t i = 0; i < sets->count; i++) {
        int64_t revision = revision_of(sets->items[i]);
        if (!is_owned_by(sets->items[i], run->target.uid))
            continue;
        if (wanted ? revision == wanted : revision < present && (!best || revision > revision_of(best)))
            best = sets->items[i];
    }
    return best;
}

static const char *template_of(struct run *run, yyjson_val *set)
{
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *template = yyjson_val_mut_copy(doc, k8s_at(set, "/spec/template"));
    yyjson_mut_val *labels = yyjson_mut_obj_get(yyjson_mut_obj_get(template, "metadata"), "labels");
    yyjson_mut_obj_remove_key(labels, "pod-template-hash");
    return json_mut_text(run->arena, template);
}

/* Strategic merge with `$patch: replace`, so that what the older template did not have goes away; the change-cause goes
 * with it, or the bad revision's text would stay. */
static const char *template_body(struct run *run, const char *template, const char *cause)
{
    const char *body = json_with(run->arena, "{}", "/spec/template", template);
    body = json_with(run->arena, body, "/spec/template/$patch", "\"replace\"");
    return json_with(run->arena, body, "/metadata/annotations/kubernetes.io~1change-cause", cause);
}

static void add_template_step(struct run *run, yyjson_val *object, yyjson_val *set)
{
    const char *path = "/metadata/annotations/kubernetes.io~1change-cause", *template = template_of(run, set);
    const char *cause = json_text(run->arena, json_at(set, path));
    struct step *step = step_add(run, STEP_PATCH, run->target.resource, object,
                                 run_printf(run, "return to revision %lld (%s)", (long long)revision_of(set),
                                            k8s_text_at(set, "/metadata/name")));
    step->patch = K8S_PATCH_STRATEGIC;
    step->annotate = ANNOTATE_OURS;
    step_field(run, step, object, "/spec/template", template);
    step_field(run, step, object, path, cause);
    step->body = template_body(run, template, cause);
    step_undo_by_fields(run, step);
    step->undo->patch = K8S_PATCH_STRATEGIC;
    step->undo->body = template_body(run, step->fields[0].before, step->fields[1].before);
    step->fields_len = step->undo->fields_len = 1; /* the cause alone is nobody's drift */
    step_look(run, step, object);
}

bool plan_rollback(struct run *run, struct error **err)
{
    yyjson_val *object = run->target.object->root;
    int64_t wanted = 0, present = revision_of(object);
    AUTO(strbuf) struct strbuf selector = { 0 };
    struct k8s_list sets;
    if (strcmp(run->row.kind, "Deployment") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "a %s keeps its revisions in another way: `oc rollback` does it", run->row.kind);
    if (k8s_bool_at(object, "/spec/paused"))
        return run_refuse(run, err, "Deployment %s/%s is paused: it would not roll back", run->row.namespace,
                          run->row.name);
    if (!k8s_selector_text(k8s_at(object, "/spec/selector"), &selector))
        return run_refuse(run, err, "the selector of Deployment %s cannot be asked for", run->row.name);
    if (!run_list(run, &k8s_replicasets, run->row.namespace, selector.ptr, NULL, &sets, err))
        return false;
    run_number(run, "revision", &wanted);
    yyjson_val *set = choose_revision(run, &sets, wanted, present);
    if (!set && wanted)
        return run_refuse(run, err, "there is no revision %lld of Deployment %s", (long long)wanted,
                          run->row.name);
    if (!set)
        return run_refuse(run, err, "no ReplicaSet of an older revision of Deployment %s is kept",
                          run->row.name);
    if (!run_check_owner(run, "/spec/template", err))
        return false;
    /* Made absolute: a second plan must not go back one revision more. */
    run->row.parameters = json_with(run->arena, run->row.parameters, "/revision",
                                    run_printf(run, "%lld", (long long)revision_of(set)));
    add_template_step(run, object, set);
    run->affected = k8s_int_at(object, "/spec/replicas", 1);
    return true;
}

/* ---- update_hpa */

struct autoscaler {
    const struct k8s_resource *resource;
    yyjson_val *object;
    const char *min_path, *max_path;
};

static bool points_at(struct run *run, yyjson_val *autoscaler)
{
    const char *kind =
        k8s_text_at(autoscaler, "/spec/scaleTargetRef/kind"); /* KEDA's default is Deployment */
    return !strcmp(kind[0] ? kind : "Deployment", run->row.kind) &&
           !strcmp(k8s_text_at(autoscaler, "/spec/scaleTargetRef/name"), run->row.name);
}

/* An HPA that KEDA made is put back by it: its ScaledObject is what has to be changed. */
static bool find_scaled_object(struct run *run, const char *name, struct autoscaler *found,
                               struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_list list;
    const struct k8s_resource *resource = run_served(run, &k8s_scaled_objects, &why);
    if (!resource && error_code(why) == ERROR_UNSUPPORTED)
        return true;
    if (!resource) {
        error_move(err, &why);
        return false;
    }
    if (!run_list(run, resource, run->row.namespace, NULL, NULL, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++)
        if (name ? !strcmp(k8s_text_at(list.items[i], "/metadata/name"), name)
                 : points_at(run, list.items[i]))
            *found = (struct autoscaler){ resource, list.items[i], "/spec/minReplicaCount",
                                          "/spec/maxReplicaCount" };
    return true;
}

static bool find_autoscaler(struct run *run, struct autoscaler *found, struct error **err)
{
    yyjson_val *object = run->target.object->root, *owner;
    struct k8s_list list;
    *found = (struct autoscaler){ 0 };
    if (strcmp(run->row.kind, "HorizontalPodAutoscaler") == 0)
        *found =
            (struct autoscaler){ run->target.resource, object, "/spec/minReplicas", "/spec/maxReplicas" };
    else if (!run_list(run, &k8s_hpas, run->row.namespace, NULL, NULL, &list, err))
        return false;
    for (size_t i = 0; !found->object && i < list.count; i++)
        if (points_at(run, list.items[i]))
            *found =
                (struct autoscaler){ &k8s_hpas, list.items[i], "/spec/minReplicas", "/spec/maxReplicas" };
    owner = found->object ? k8s_controller_of(found->object) : NULL;
    bool keda = owner && strcmp(k8s_text_at(owner, "/kind"), "ScaledObject") == 0;
    if ((keda || !found->object) &&
        !find_scaled_object(run, keda ? k8s_text_at(owner, "/name") : NULL, found, err))
        return false;
    return found->object || run_refuse(run, err, "no autoscaler points at %s %s/%s", run->row.kind,
                                       run->row.namespace, run->row.name);
}

bool plan_update_hpa(struct run *run, struct error **err)
{
    struct autoscaler hpa;
    if (!find_autoscaler(run, &hpa, err) || !run_check_owner_of(run, hpa.resource, hpa.object, "/spec", err))
        return false;
    int64_t old_min = k8s_int_at(hpa.object, hpa.min_path, 1),
            old_max = k8s_int_at(hpa.object, hpa.max_path, 100);
    int64_t min = old_min, max = old_max;
    bool has_min = run_number(run, "min_replicas", &min), has_max = run_number(run, "max_replicas", &max);
    if (!has_min && !has_max)
        max =
            old_max + MAX((old_max + 1) / 2, (int64_t)1); /* it stands at its maximum, or nobody would ask */
    if (has_min && !has_max && min > max)
        max = min;
    if (min > max)
        return run_refuse(run, err, "min_replicas %lld is more than max_replicas %lld", (long long)min,
                          (long long)max);
    run->row.parameters =
        json_with(run->arena, run->row.parameters, "/min_replicas", run_printf(run, "%lld", (long long)min));
    run->row.parameters =
        json_with(run->arena, run->row.parameters, "/max_replicas", run_printf(run, "%lld", (long long)max));
    struct step *step = step_add(run, STEP_PATCH, hpa.resource, hpa.object,
                                 run_printf(run, "bounds %lld–%lld → %lld–%lld", (long long)old_min,
                                            (long long)old_max, (long long)min, (long long)max));
    step->annotate = ANNOTATE_OURS;
    if (min != old_min)
        step_field(run, step, hpa.object, hpa.min_path, run_printf(run, "%lld", (long long)min));
    if (max != old_max || min == old_min)
        step_field(run, step, hpa.object, hpa.max_path, run_printf(run, "%lld", (long long)max));
    step_body_of_fields(run, step);
    step_undo_by_fields(run, step);
    step_look(run, step, hpa.object);
    run->affected = llabs(max - old_max);
    return true;
}

/* ---- notify_only */

static const char *event_body(struct run *run, const char *namespace, const char *name, const char *message)
{
    char now[CLOCK_TEXT_MAX];
    yyjson_val *object = run->target.object->root;
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *body = yyjson_mut_obj(doc);
    clock_format(run->row.created_at / 1000 * 1000, now);
    memcpy(strchr(now, '.') ? strchr(now, '.') : now + strlen(now) - 1, "Z", 2);
    struct {
        const char *path, *text;
    } fields[] = {
        { "/apiVersion", "v1" },
        { "/kind", "Event" },
        { "/metadata/name", name },
        { "/metadata/namespace", namespace },
        { "/involvedObject/kind", run->row.kind },
        { "/involvedObject/name", run->row.name },
        { "/involvedObject/namespace", run->row.namespace[0] ? run->row.namespace : namespace },
        { "/involvedObject/uid", run->target.uid },
        { "/involvedObject/apiVersion", k8s_text_at(object, "/apiVersion") },
        { "/type", "Warning" },
        { "/reason", "NotifyOnly" },
        { "/message", message },
        { "/reportingComponent", "prometheus-alerts-slm" },
        { "/source/component", "prometheus-alerts-slm" },
        { "/firstTimestamp", now },
        { "/lastTimestamp", now },
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        json_set(doc, body, fields[i].path, yyjson_mut_strcpy(doc, fields[i].text));
    json_set(doc, body, "/count", yyjson_mut_int(doc, 1));
    return json_mut_text(run->arena, body);
}

bool plan_notify(struct run *run, struct error **err)
{
    const char *message = run_text(run, "message");
    (void)err;
    if (!message[0])
        message = run->row.alert_name ? run_printf(run, "alert %s: a person has to look", run->row.alert_name)
                                      : "a person has to look";
    run->message = run_printf(run, "%.500s", message);
    if (!run->target.resource)
        return true; /* the notification alone: there is no object to hang an Event on */
    const char *namespace = run->row.namespace[0] ? run->row.namespace : "default";
    const char *name = run_object_name(run, "notify");
    struct step *step =
        step_add_named(run, STEP_CREATE, &k8s_events, namespace, name, "write an Event about it");
    step->body = event_body(run, namespace, name, run->message);
    step->annotate = ANNOTATE_OURS;
    step->may_fail = true; /* the person is told in any case */
    return true;
}
