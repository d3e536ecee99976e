/* Before anything is planned: which object is meant, whether it wants to be left alone, and who else writes to it. */
#include "executor/executor_internal.h"

#include <stdarg.h>

bool run_refuse(struct run *run, struct error **err, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    run->refused = true;
    return error_set(err, ERROR_DENIED, "%s", text);
}

const char *run_printf(struct run *run, const char *format, ...)
{
    va_list arguments;
    AUTO(text) char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return arena_strdup(run->arena, text ? text : "");
}

const char *run_text(struct run *run, const char *parameter)
{
    yyjson_val *value = yyjson_obj_get(run->parameters, parameter);
    if (yyjson_is_str(value))
        return yyjson_get_str(value);
    return yyjson_is_int(value) ? run_printf(run, "%lld", (long long)yyjson_get_sint(value)) : "";
}

bool run_number(struct run *run, const char *parameter, int64_t *number)
{
    yyjson_val *value = yyjson_obj_get(run->parameters, parameter);
    const struct action_parameter *known = action_parameter_find(run->action, str_of(parameter));
    return value && known && action_parameter_number(known, value, number);
}

const char *run_label(struct run *run, const char *name)
{
    return arena_text(run->arena, label_get(&run->labels, str_of(name)));
}

const char *run_object_name(struct run *run, const char *prefix)
{
    return run_printf(run, "%.*s-%s", 63 - ULID_LEN - 1, prefix, run->row.id);
}

/* ---- reading, for as long as the run lasts */

struct k8s_object *run_get(struct run *run, const struct k8s_resource *resource, const char *namespace,
                           const char *name, struct error **err)
{
    struct k8s_ref ref = { resource, namespace, name, NULL };
    AUTO(k8s_object) struct k8s_object *object = k8s_get(run->k8s, &ref, NULL, err);
    if (!object)
        return NULL;
    struct k8s_object *kept = ARENA_NEW(run->arena, struct k8s_object);
    yyjson_doc *doc = json_read(run->arena, json_text(run->arena, object->root));
    *kept = (struct k8s_object){ .doc = doc, .root = yyjson_doc_get_root(doc) };
    kept->namespace = k8s_text_at(kept->root, "/metadata/namespace");
    kept->name = k8s_text_at(kept->root, "/metadata/name");
    kept->uid = k8s_text_at(kept->root, "/metadata/uid");
    kept->resource_version = k8s_text_at(kept->root, "/metadata/resourceVersion");
    return kept;
}

bool run_list(struct run *run, const struct k8s_resource *resource, const char *namespace, const char *labels,
              const char *fields, struct k8s_list *list, struct error **err)
{
    AUTO(k8s_list) struct k8s_list found = { 0 };
    struct k8s_list_options options = { .label_selector = labels,
                                        .field_selector = fields,
                                        .max_items = 20000 };
    *list = (struct k8s_list){ 0 };
    if (!k8s_list(run->k8s, resource, namespace, &options, &found, err))
        return false;
    list->items = ARENA_ARRAY(run->arena, yyjson_val *, found.count + 1);
    for (size_t i = 0; i < found.count; i++)
        list->items[list->count++] =
            yyjson_doc_get_root(json_read(run->arena, json_text(run->arena, found.items[i])));
    return true;
}

bool run_pods(struct run *run, struct k8s_list *pods, struct error **err)
{
    *pods = (struct k8s_list){ 0 };
    if (run->target.resource == &k8s_pods || !strcmp(run->target.resource->kind, "Pod")) {
        pods->items = ARENA_ARRAY(run->arena, yyjson_val *, 1);
        pods->items[0] = run->target.object->root;
        pods->count = 1;
        return true;
    }
    AUTO(k8s_list) struct k8s_list found = { 0 };
    if (!k8s_pods_of(run->k8s, run->target.object, run->target.resource, &found, err))
        return false;
    pods->items = ARENA_ARRAY(run->arena, yyjson_val *, found.count + 1);
    for (size_t i = 0; i < found.count; i++)
        pods->items[pods->count++] =
            yyjson_doc_get_root(json_read(run->arena, json_text(run->arena, found.items[i])));
    return true;
}

const struct k8s_resource *run_served(struct run *run, const struct k8s_resource *resource,
                                      struct error **err)
{
    return k8s_served(run->k8s, resource, err);
}

/* ---- the target */

enum { CANDIDATES_MAX = 24 };

static void name_target(struct run *run, const char *kind, const char *namespace, const char *name,
                        const char *uid)
{
    run->row.kind = arena_strdup(run->arena, kind);
    run->row.namespace = arena_strdup(run->arena, namespace ? namespace : "");
    run->row.name = arena_strdup(run->arena, name);
    run->row.uid = uid && uid[0] ? arena_strdup(run->arena, uid) : NULL;
}

static size_t candidates_of(struct run *run, struct alert_target *targets)
{
    if (run->named) {
        targets[0] = (struct alert_target){ .namespace = str_of(run->row.namespace),
                                            .kind = str_of(run->row.kind),
                                            .name = str_of(run->row.name) };
        return 1;
    }
    size_t count = alert_targets_of(&run->labels, targets, CANDIDATES_MAX);
    return count + alert_targets_of(&run->annotations, targets + count, CANDIDATES_MAX - count);
}

static bool is_one_of(struct str kind, const char *const *kinds)
{
    for (; kinds && *kinds; kinds++)
        if (str_eq_nocase(kind, str_of(*kinds)))
            return true;
    return false;
}

static bool resolve(struct run *run, const struct alert_target *named, const char *const *kinds,
                    struct error **err)
{
    const char *const itself[] = { arena_text(run->arena, named->kind), NULL };
    const char *namespace =
        named->namespace.len ? arena_text(run->arena, named->namespace) : run->config->kubernetes.namespace;
    return k8s_resolve(run->k8s, run->arena, itself[0], namespace, arena_text(run->arena, named->name),
                       kinds ? kinds : itself, &run->target, err);
}

static bool is_final(const struct error *why)
{
    return error_code(why) != ERROR_NOT_FOUND && error_code(why) != ERROR_INVALID;
}

/* What is named directly comes first, then whatever leads to one; the first reason why not is the one that is told. */
static bool resolve_any(struct run *run, const struct operation *operation, const struct alert_target *named,
                        size_t count, struct error **err)
{
    for (int direct = 1; direct >= 0; direct--)
        for (size_t i = 0; i < count; i++) {
            AUTO(error) struct error *why = NULL;
            bool is_direct = !operation->targets || is_one_of(named[i].kind, operation->targets);
            if (is_direct != direct)
                continue;
            if (resolve(run, &named[i], operation->targets, &why)) {
                error_clear(err);
                return true;
            }
            bool final = is_final(why);
            if (err && !*err)
                error_move(err, &why);
            if (final)
                return false;
        }
    return false;
}

static const char *path_json(struct run *run)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    for (size_t i = 0; i < run->target.path_len; i++) {
        const struct k8s_step *step = &run->target.path[i];
        AUTO(text)
        char *text = xasprintf("%s %s%s%s by %s", step->kind, step->namespace ? step->namespace : "",
                               step->namespace && step->namespace[0] ? "/" : "", step->name, step->by);
        strbuf_add_text(&out, i ? "," : "");
        strbuf_add_json(&out, str_of(text));
    }
    strbuf_add_char(&out, ']');
    return arena_text(run->arena, strbuf_str(&out));
}

/* ---- a pod, and the template that pods like it are made from */

static bool resolve_template(struct run *run, const struct operation *operation, struct error **err)
{
    enum { KINDS_MAX = 8 };
    const char *kinds[KINDS_MAX] = { NULL };
    size_t count = 0;
    for (const char *const *kind = operation->targets; *kind && count < KINDS_MAX - 1; kind++)
        if (strcmp(*kind, "Pod") != 0)
            kinds[count++] = *kind;
    struct k8s_target pod = run->target;
    bool ok = k8s_resolve(run->k8s, run->arena, "Pod", pod.namespace, pod.name, kinds, &run->target, err);
    k8s_target_free(&pod);
    return ok;
}

/* A pod is replaced sooner or later, and what was changed in it alone is gone: where something made it from a template,
 * that is the target. A Job's template cannot change, and its pod is the work itself. */
static bool prefer_template(struct run *run, const struct operation *operation, struct error **err)
{
    static const char *const workloads[] = { "ReplicaSet", "StatefulSet", "DaemonSet", NULL };
    if (!operation->template_of_pod || strcmp(run->target.resource->kind, "Pod") != 0)
        return true;
    yyjson_val *controller = k8s_controller_of(run->target.object->root);
    struct str kind = str_of(k8s_text_at(controller, "/kind"));
    if (!controller || str_eq(kind, STR("Job")))
        return true;
    if (is_one_of(kind, workloads))
        return resolve_template(run, operation, err);
    return error_set(err, ERROR_CONFLICT,
                     "pod %s was made by " STR_FMT
                     " %s, and would lose the change with its next restart: change " STR_FMT " %s",
                     run->target.name, STR_ARG(kind), k8s_text_at(controller, "/name"), STR_ARG(kind),
                     k8s_text_at(controller, "/name"));
}

bool run_find_target(struct run *run, struct error **err)
{
    const struct operation *operation = &operations[run->action];
    struct alert_target named[CANDIDATES_MAX];
    AUTO(error) struct error *why = NULL;
    size_t count = candidates_of(run, named);
    if (count && !named[0].kind.len)
        count = 0;
    if (count == 0)
        return operation->targetless ||
               run_refuse(run, err, "%s needs an object, and neither the request nor a label names one",
                          run->row.action);
    if (resolve_any(run, operation, named, count, &why) && prefer_template(run, operation, &why)) {
        name_target(run, run->target.resource->kind, run->target.namespace, run->target.name,
                    run->target.uid);
        run->row.details = json_with(run->arena, run->row.details, "/path", path_json(run));
        return true;
    }
    if (!run->named)
        name_target(run, arena_text(run->arena, named[0].kind), arena_text(run->arena, named[0].namespace),
                    arena_text(run->arena, named[0].name), NULL);
    if (operation->targetless && !run->named && !is_final(why))
        return true;
    run->refused = error_code(why) == ERROR_NOT_FOUND || error_code(why) == ERROR_CONFLICT ||
                   error_code(why) == ERROR_INVALID;
    error_move(err, &why);
    return error_wrap(err, "target of %s", run->row.action);
}

/* ---- safety */

static bool lists(const struct config_texts *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], text) == 0)
            return true;
    return false;
}

static bool check_namespace(struct run *run, const char *namespace, struct error **err)
{
    const struct config_actions *config = &run->config->actions;
    if (run->executor->own_namespace[0] && strcmp(namespace, run->executor->own_namespace) == 0)
        return run_refuse(run, err, "namespace %s is our own: nothing is changed in it", namespace);
    if (lists(&config->protected_namespaces, namespace) &&
        !lists(&config->protected_allowed, run->row.action))
        return run_refuse(run, err, "namespace %s is protected: actions.protected_allowed does not name %s",
                          namespace, run->row.action);
    AUTO(error) struct error *why = NULL;
    struct k8s_ref ref = { &k8s_namespaces, NULL, namespace, NULL };
    struct k8s_read read = { .metadata_only = true };
    AUTO(k8s_object) struct k8s_object *object = k8s_get(run->k8s, &ref, &read, &why);
    if (!object) {
        run->refused = error_code(why) == ERROR_NOT_FOUND;
        error_move(err, &why);
        return error_wrap(err, "namespace %s", namespace);
    }
    if (policy_opts_out(k8s_at(object->root, "/metadata/annotations"), run->action))
        return run_refuse(run, err, "namespace %s has the annotation " POLICY_OPT_OUT, namespace);
    return true;
}

bool run_check_safety(struct run *run, struct error **err)
{
    if (!executor_is_enabled(run->config, run->action))
        return run_refuse(run, err, "%s is not among actions.enabled", run->row.action);
    if (!policy_action_writes(run->action) || !run->target.resource)
        return true;
    yyjson_val *object = run->target.object->root;
    if (policy_opts_out(k8s_at(object, "/metadata/annotations"), run->action))
        return run_refuse(run, err, "%s %s has the annotation " POLICY_OPT_OUT, run->row.kind, run->row.name);
    if (run->executor->own_pod[0] && strcmp(run->row.kind, "Pod") == 0 &&
        strcmp(run->row.name, run->executor->own_pod) == 0)
        return run_refuse(run, err, "pod %s is our own", run->row.name);
    if (k8s_text_at(object, "/metadata/deletionTimestamp")[0])
        return run_refuse(run, err, "%s %s/%s is being deleted", run->row.kind, run->row.namespace,
                          run->row.name);
    const char *namespace = strcmp(run->row.kind, "Namespace") == 0 ? run->row.name : run->row.namespace;
    return !namespace[0] || check_namespace(run, namespace, err);
}

/* ---- owners */

static const char *instead(struct run *run, const struct k8s_owner *owner)
{
    switch (owner->kind) {
    case K8S_OWNER_HPA:
    case K8S_OWNER_KEDA:
        return "change its bounds with update_hpa";
    case K8S_OWNER_VPA:
        return "change its resource policy";
    case K8S_OWNER_ARGO_CD:
    case K8S_OWNER_FLUX:
    case K8S_OWNER_HELM:
        return "change it where it is declared";
    case K8S_OWNER_OPERATOR:
    case K8S_OWNER_OLM:
        return run_printf(run, "change %s %s", owner->object_kind, owner->name);
    default:
        return "";
    }
}

bool run_check_owner_of(struct run *run, const struct k8s_resource *resource, yyjson_val *root,
                        const char *field, struct error **err)
{
    struct k8s_owners owners = { 0 };
    struct k8s_object object = { .root = root,
                                 .namespace = k8s_text_at(root, "/metadata/namespace"),
                                 .name = k8s_text_at(root, "/metadata/name"),
                                 .uid = k8s_text_at(root, "/metadata/uid"),
                                 .resource_version = k8s_text_at(root, "/metadata/resourceVersion") };
    if (!k8s_owners(run->k8s, run->arena, &object, resource, field, &owners, err))
        return false;
    for (size_t i = 0; i < owners.count; i++) {
        const struct k8s_owner *owner = &owners.items[i];
        if (owner->reverts && owner->kind != K8S_OWNER_MANAGER)
            return run_refuse(run, err, "%s %s%s%s owns %s of %s %s/%s and would revert a change: %s (%s)",
                              owner->object_kind && owner->object_kind[0] ? owner->object_kind
                                                                          : k8s_owner_names[owner->kind],
                              owner->namespace ? owner->namespace : "",
                              owner->namespace && owner->namespace[0] ? "/" : "",
                              owner->name ? owner->name : "", field, resource->kind, object.namespace,
                              object.name, instead(run, owner), owner->evidence ? owner->evidence : "");
    }
    const char **managers;
    size_t count = k8s_field_managers(run->arena, root, field, &managers);
    if (count) /* our write takes the field, and who had it disappears: remember it */
        run->row.details = json_with(run->arena, run->row.details, "/field_manager_before",
                                     json_quote(run->arena, managers[0]));
    return true;
}

bool run_check_owner(struct run *run, const char *field, struct error **err)
{
    return run_check_owner_of(run, run->target.resource, run->target.object->root, field, err);
}

/* ---- shared by several actions */

bool plan_rollout_restart(struct run *run, const struct k8s_resource *resource, yyjson_val *object, bool wait,
                          struct error **err)
{
    char when[CLOCK_TEXT_MAX];
    clock_format(run->row.created_at / 1000 * 1000, when);
    char *dot = strchr(when, '.');
    if (dot)
        memcpy(dot, "Z", 2);
    if (k8s_bool_at(object, "/spec/paused"))
        return run_refuse(run, err, "%s %s is paused: it would not roll out", resource->kind,
                          k8s_text_at(object, "/metadata/name"));
    struct step *step = step_add(
        run, STEP_PATCH, resource, object,
        run_printf(run, "restart the pods of %s %s", resource->kind, k8s_text_at(object, "/metadata/name")));
    step_field(run, step, object, "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt",
               json_quote(run->arena, when));
    step->fields[0].at_least = true;
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    step_look(run, step, object);
    if (wait)
        step->wait = WAIT_ROLLED_OUT;
    run->affected +=
        k8s_int_at(object, "/spec/replicas", k8s_int_at(object, "/status/desiredNumberScheduled", 1));
    return true;
}
