/* From what somebody named to what an action is for. Every edge is one that Kubernetes itself keeps (ownerReferences with
 * their uid, spec.nodeName, volumes, scaleTargetRef, EndpointSlices); names are never taken apart. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { NODES_MAX = 2000, CLIMB_MAX = 8, LISTED_MAX = 5 };

struct node {
    const struct k8s_resource *resource;
    const char *namespace, *name, *uid, *by;
    struct k8s_object *object; /* NULL: not read yet */
    int parent;                /* -1: what was named */
};
struct graph {
    struct k8s *k8s;
    struct arena *arena;
    struct node *nodes;
    size_t count;
};
struct found { /* indices of nodes, no object twice */
    int at[NODES_MAX];
    size_t count;
};

/* ---- nodes ---- */

static int add_node(struct graph *g, int parent, const char *by, const struct k8s_resource *resource,
                    const char *namespace, const char *name, const char *uid, struct error **err)
{
    if (g->count == NODES_MAX) {
        error_set(err, ERROR_LIMIT, "more than %d objects belong to it", NODES_MAX);
        return -1;
    }
    g->nodes[g->count] = (struct node){
        .resource = resource,
        .namespace = arena_strdup(g->arena, namespace),
        .name = arena_strdup(g->arena, name),
        .uid = arena_strdup(g->arena, uid),
        .by = by,
        .parent = parent,
    };
    return (int)g->count++;
}

static yyjson_val *root_of(const struct graph *g, int at)
{
    return g->nodes[at].object->root;
}

static void graph_free(struct graph *g, int but)
{
    for (size_t i = 0; i < g->count; i++)
        if ((int)i != but)
            k8s_object_free(g->nodes[i].object);
    free(g->nodes);
}

/* Read the node's object, and see that it is the one that was meant and not a namesake. */
static bool load(struct graph *g, int at, struct error **err)
{
    struct node *node = &g->nodes[at];
    struct k8s_ref ref = { node->resource, node->namespace, node->name, NULL };
    char text[640];
    if (node->object)
        return true;
    struct k8s_object *object = k8s_get(g->k8s, &ref, NULL, err);
    if (!object)
        return false;
    if (*node->uid && strcmp(node->uid, object->uid)) {
        k8s_object_free(object);
        return error_set(err, ERROR_NOT_FOUND, "%s is gone: another object has its name now",
                         k8s_ref_text(&ref, text));
    }
    node->object = object;
    node->uid = arena_strdup(g->arena, object->uid);
    return true;
}

static bool take(struct graph *g, struct found *found, int at)
{
    const struct node *node = &g->nodes[at];
    for (size_t i = 0; i < found->count; i++) {
        const struct node *have = &g->nodes[found->at[i]];
        if (have->resource == node->resource && !strcmp(have->name, node->name) &&
            !strcmp(have->namespace, node->namespace))
            return true;
    }
    found->at[found->count++] = at;
    return true;
}

static bool is_kind(const struct node *node, const struct k8s_resource *resource)
{
    return !strcmp(node->resource->kind, resource->kind) && !strcmp(node->resource->group, resource->group);
}

/* ---- edges ---- */

static const struct k8s_resource *resource_named(struct k8s *k8s, const char *api_version, const char *kind,
                                                 struct error **err)
{
    const struct k8s_resource *known = k8s_resource_of(api_version, kind);
    if (known)
        return known;
    const char *slash = strchr(api_version, '/');
    AUTO(text) char *group = slash ? xstrndup(api_version, (size_t)(slash - api_version)) : xstrdup("");
    return k8s_discover(k8s, group, kind, err);
}

static int find_uid(const struct graph *g, const char *uid)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->nodes[i].object && !strcmp(g->nodes[i].uid, uid))
            return (int)i;
    return -1;
}

/* *at becomes the controller's node, -1 where there is none. Pods of one ReplicaSet ask for it once. */
static bool owner_of(struct graph *g, int from, int *at, struct error **err)
{
    yyjson_val *owner = k8s_controller_of(root_of(g, from));
    *at = -1;
    if (!owner)
        return true;
    const char *uid = k8s_text_at(owner, "/uid");
    if ((*at = find_uid(g, uid)) >= 0)
        return true;
    const struct k8s_resource *resource =
        resource_named(g->k8s, k8s_text_at(owner, "/apiVersion"), k8s_text_at(owner, "/kind"), err);
    if (!resource)
        return false;
    *at = add_node(g, from, "owner", resource, resource->namespaced ? g->nodes[from].namespace : "",
                   k8s_text_at(owner, "/name"), uid, err);
    return *at >= 0 && load(g, *at, err);
}

static bool add_pod(struct graph *g, int parent, const char *by, yyjson_val *pod, struct found *found,
                    struct error **err)
{
    int at = add_node(g, parent, by, &k8s_pods, k8s_text_at(pod, "/metadata/namespace"),
                      k8s_text_at(pod, "/metadata/name"), k8s_text_at(pod, "/metadata/uid"), err);
    if (at < 0)
        return false;
    yyjson_mut_doc *copy = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(copy, yyjson_val_mut_copy(copy, pod));
    g->nodes[at].object = object_take(yyjson_mut_doc_imut_copy(copy, NULL));
    yyjson_mut_doc_free(copy);
    return take(g, found, at);
}

static bool has_ended(yyjson_val *pod)
{
    const char *phase = k8s_text_at(pod, "/status/phase");
    return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
}

static bool mounts(yyjson_val *pod, const char *claim)
{
    size_t i, count;
    yyjson_val *volume;
    yyjson_arr_foreach(
        k8s_at(pod, "/spec/volumes"), i, count,
        volume) if (!strcmp(k8s_text_at(volume, "/persistentVolumeClaim/claimName"), claim)) return true;
    return false;
}

static bool pods_mounting(struct graph *g, int claim, struct found *found, struct error **err)
{
    const struct node node = g->nodes[claim];
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    if (!k8s_list(g->k8s, &k8s_pods, node.namespace, NULL, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++)
        if (!has_ended(pods.items[i]) && mounts(pods.items[i], node.name) &&
            !add_pod(g, claim, "mounts", pods.items[i], found, err))
            return false;
    return true;
}

static bool endpoint_pods(struct graph *g, int service, yyjson_val *slice, struct found *found,
                          struct error **err)
{
    size_t i, count;
    yyjson_val *endpoint;
    yyjson_arr_foreach(yyjson_obj_get(slice, "endpoints"), i, count, endpoint)
    {
        if (strcmp(k8s_text_at(endpoint, "/targetRef/kind"), "Pod"))
            continue;
        int at =
            add_node(g, service, "endpoints", &k8s_pods, g->nodes[service].namespace,
                     k8s_text_at(endpoint, "/targetRef/name"), k8s_text_at(endpoint, "/targetRef/uid"), err);
        struct error *why = NULL;
        bool ok = at >= 0 && load(g, at, &why);
        bool gone = !ok && error_code(why) == ERROR_NOT_FOUND; /* slices lag behind */
        if (ok)
            take(g, found, at);
        else if (!gone) {
            error_move(err, &why);
            return false;
        }
        error_free(why);
    }
    return true;
}

static bool pods_behind(struct graph *g, int service, struct found *found, struct error **err)
{
    AUTO(k8s_list) struct k8s_list slices = { 0 };
    AUTO(text) char *selector = xasprintf("kubernetes.io/service-name=%s", g->nodes[service].name);
    struct k8s_list_options options = { .label_selector = selector };
    if (!k8s_list(g->k8s, &k8s_endpoint_slices, g->nodes[service].namespace, &options, &slices, err))
        return false;
    for (size_t i = 0; i < slices.count; i++)
        if (!endpoint_pods(g, service, slices.items[i], found, err))
            return false;
    return true;
}

static bool scale_target(struct graph *g, int from, struct found *found, struct error **err)
{
    yyjson_val *target = k8s_at(root_of(g, from), "/spec/scaleTargetRef");
    const char *kind = k8s_text_at(target, "/kind"), *version = k8s_text_at(target, "/apiVersion");
    const struct k8s_resource *resource =
        resource_named(g->k8s, *version ? version : "apps/v1", *kind ? kind : "Deployment", err);
    int at = resource ? add_node(g, from, "scaleTargetRef", resource, g->nodes[from].namespace,
                                 k8s_text_at(target, "/name"), "", err)
                      : -1;
    return at >= 0 && load(g, at, err) && take(g, found, at);
}

/* ---- what is near the start: itself, the pods of a claim or a Service, the target of an autoscaler ---- */

static bool seeds_of(struct graph *g, int start, struct found *seeds, struct error **err)
{
    const struct node *node = &g->nodes[start];
    if (is_kind(node, &k8s_pvcs))
        return pods_mounting(g, start, seeds, err);
    if (is_kind(node, &k8s_services))
        return pods_behind(g, start, seeds, err);
    if (is_kind(node, &k8s_hpas) || is_kind(node, &k8s_scaled_objects))
        return scale_target(g, start, seeds, err);
    return take(g, seeds, start);
}

static bool climb(struct graph *g, const struct found *seeds, const char *kind, struct found *found,
                  struct error **err)
{
    for (size_t i = 0; i < seeds->count; i++) {
        int at = seeds->at[i];
        for (int level = 0; at >= 0 && level < CLIMB_MAX && strcmp(g->nodes[at].resource->kind, kind);
             level++)
            if (!owner_of(g, at, &at, err))
                return false;
        if (at >= 0 && !strcmp(g->nodes[at].resource->kind, kind))
            take(g, found, at);
    }
    return true;
}

static bool pods_below(struct graph *g, const struct found *seeds, struct found *found, struct error **err)
{
    for (size_t i = 0; i < seeds->count; i++) {
        int at = seeds->at[i];
        AUTO(k8s_list) struct k8s_list pods = { 0 };
        if (is_kind(&g->nodes[at], &k8s_pods)) {
            take(g, found, at);
            continue;
        }
        if (!k8s_pods_of(g->k8s, g->nodes[at].object, g->nodes[at].resource, &pods, err))
            return false;
        for (size_t p = 0; p < pods.count; p++)
            if (!has_ended(pods.items[p]) && !add_pod(g, at, "selector", pods.items[p], found, err))
                return false;
    }
    return true;
}

static bool nodes_under(struct graph *g, const struct found *seeds, struct found *found, struct error **err)
{
    for (size_t i = 0; i < seeds->count; i++) {
        int from = seeds->at[i];
        const char *name = k8s_text_at(root_of(g, from), "/spec/nodeName");
        if (!is_kind(&g->nodes[from], &k8s_pods) || !*name)
            continue;
        int at = add_node(g, from, "spec.nodeName", &k8s_nodes, "", name, "", err);
        if (at < 0)
            return false;
        take(g, found, at);
    }
    return true;
}

static bool claims_of(struct graph *g, const struct found *seeds, struct found *found, struct error **err)
{
    struct found *pods = ARENA_NEW(g->arena, struct found);
    if (!pods_below(g, seeds, pods, err))
        return false;
    for (size_t p = 0; p < pods->count; p++) {
        size_t i, count;
        yyjson_val *volume;
        yyjson_arr_foreach(k8s_at(root_of(g, pods->at[p]), "/spec/volumes"), i, count, volume)
        {
            const char *claim = k8s_text_at(volume, "/persistentVolumeClaim/claimName");
            int at = *claim ? add_node(g, pods->at[p], "mounts", &k8s_pvcs, g->nodes[pods->at[p]].namespace,
                                       claim, "", err)
                            : 0;
            if (at < 0)
                return false;
            if (*claim)
                take(g, found, at);
        }
    }
    return true;
}

static bool aims_at(yyjson_val *scaler, const struct node *node)
{
    const char *kind = k8s_text_at(scaler, "/spec/scaleTargetRef/kind");
    return !strcmp(*kind ? kind : "Deployment", node->resource->kind) &&
           !strcmp(k8s_text_at(scaler, "/spec/scaleTargetRef/name"), node->name);
}

/* Autoscalers of the seeds or of what owns them. */
static bool scalers_of(struct graph *g, const struct found *seeds, const struct k8s_resource *scalers,
                       struct found *found, struct error **err)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    if (!seeds->count)
        return true;
    const struct k8s_resource *served = k8s_served(g->k8s, scalers, err);
    if (!served || !k8s_list(g->k8s, served, g->nodes[seeds->at[0]].namespace, NULL, &list, err))
        return false;
    for (size_t i = 0; i < seeds->count; i++) {
        int from = seeds->at[i];
        for (int level = 0; from >= 0 && level < CLIMB_MAX; level++) {
            for (size_t n = 0; n < list.count; n++) {
                if (!aims_at(list.items[n], &g->nodes[from]))
                    continue;
                int at = add_node(g, from, "scaleTargetRef", served, g->nodes[from].namespace,
                                  k8s_text_at(list.items[n], "/metadata/name"), "", err);
                if (at < 0)
                    return false;
                take(g, found, at);
            }
            if (!owner_of(g, from, &from, err))
                return false;
        }
    }
    return true;
}

static bool reach(struct graph *g, const struct found *seeds, const char *kind, struct found *found,
                  struct error **err)
{
    if (!strcmp(kind, "Pod"))
        return pods_below(g, seeds, found, err);
    if (!strcmp(kind, "Node"))
        return nodes_under(g, seeds, found, err);
    if (!strcmp(kind, "PersistentVolumeClaim"))
        return claims_of(g, seeds, found, err);
    if (!strcmp(kind, "HorizontalPodAutoscaler"))
        return scalers_of(g, seeds, &k8s_hpas, found, err);
    if (!strcmp(kind, "ScaledObject"))
        return scalers_of(g, seeds, &k8s_scaled_objects, found, err);
    return climb(g, seeds, kind, found, err);
}

/* ---- the answer ---- */

static void hand_over(struct graph *g, int at, struct k8s_target *target)
{
    struct node *node = &g->nodes[at];
    size_t len = 0;
    for (int i = at; i >= 0; i = g->nodes[i].parent)
        len++;
    target->path = ARENA_ARRAY(g->arena, struct k8s_step, len);
    target->path_len = len;
    for (int i = at; i >= 0; i = g->nodes[i].parent) {
        const struct node *step = &g->nodes[i];
        target->path[--len] =
            (struct k8s_step){ step->resource->kind, step->namespace, step->name, step->uid, step->by };
    }
    target->resource = node->resource;
    target->namespace = node->namespace;
    target->name = node->name;
    target->uid = node->uid;
    target->object = node->object;
}

static bool refuse_several(const struct graph *g, const struct found *found, const struct k8s_ref *from,
                           const char *kind, struct error **err)
{
    AUTO(strbuf) struct strbuf names = { 0 };
    char text[640];
    for (size_t i = 0; i < found->count && i < LISTED_MAX; i++)
        strbuf_addf(&names, "%s%s", i ? ", " : "", g->nodes[found->at[i]].name);
    if (found->count > LISTED_MAX)
        strbuf_addf(&names, " and %zu more", found->count - LISTED_MAX);
    return error_set(err, ERROR_CONFLICT, "%s leads to %zu objects of kind %s (%s): name one",
                     k8s_ref_text(from, text), found->count, kind, names.ptr);
}

static bool choose(struct graph *g, int start, const struct k8s_ref *from, const char *const *kinds,
                   struct k8s_target *target, int *chosen, struct error **err)
{
    AUTO(strbuf) struct strbuf names = { 0 };
    struct found *seeds = ARENA_NEW(g->arena, struct found);
    char text[640];
    if (!seeds_of(g, start, seeds, err))
        return false;
    for (const char *const *kind = kinds; *kind; kind++) {
        struct found *found = ARENA_NEW(g->arena, struct found);
        struct error *why = NULL;
        bool ok = reach(g, seeds, *kind, found, &why);
        if (!ok && error_code(why) != ERROR_UNSUPPORTED) {
            error_move(err, &why);
            return false;
        }
        error_free(why);
        if (found->count > 1)
            return refuse_several(g, found, from, *kind, err);
        *chosen = found->count ? found->at[0] : -1;
        if (found->count)
            return load(g, *chosen, err) ? (hand_over(g, *chosen, target), true) : false;
        strbuf_addf(&names, "%s%s", names.len ? ", " : "", *kind);
    }
    return error_set(err, ERROR_NOT_FOUND, "nothing of kind %s belongs to %s", names.ptr,
                     k8s_ref_text(from, text));
}

static bool is_among(const char *kind, const char *const *kinds)
{
    for (; *kinds; kinds++)
        if (!strcmp(kind, *kinds))
            return true;
    return false;
}

/* What was named belongs to it as it is: its workload is not asked for. */
static bool resolve(struct graph *g, const struct k8s_ref *from, const char *const *kinds,
                    struct k8s_target *target, int *chosen, struct error **err)
{
    int start = add_node(g, -1, "named", from->resource, from->resource->namespaced ? from->namespace : "",
                         from->name, "", err);
    if (!load(g, start, err))
        return false;
    if (!is_among(from->resource->kind, kinds))
        return choose(g, start, from, kinds, target, chosen, err);
    *chosen = start;
    hand_over(g, start, target);
    return true;
}

static const struct k8s_resource *start_resource(struct k8s *k8s, const char *kind, struct error **err)
{
    const struct k8s_resource *resource = k8s_resource_of_kind(kind);
    if (!resource) {
        error_set(err, ERROR_INVALID, "\"%.80s\" is no kind that can be acted on", kind ? kind : "");
        return NULL;
    }
    return strchr(resource->group, '.') ? k8s_served(k8s, resource, err) : resource;
}

bool k8s_resolve(struct k8s *k8s, struct arena *arena, const char *kind, const char *namespace,
                 const char *name, const char *const *kinds, struct k8s_target *target, struct error **err)
{
    *target = (struct k8s_target){ 0 };
    const struct k8s_resource *resource = start_resource(k8s, kind, err);
    if (!resource || !k8s_check_name(name, err) ||
        (resource->namespaced && !k8s_check_namespace(namespace, err)))
        return false;
    struct graph g = { .k8s = k8s, .arena = arena, .nodes = xcalloc(NODES_MAX, sizeof *g.nodes) };
    struct k8s_ref from = { resource, namespace, name, NULL };
    int chosen = -1;
    bool ok = resolve(&g, &from, kinds, target, &chosen, err);
    graph_free(&g, ok ? chosen : -1);
    return ok;
}

void k8s_target_free(struct k8s_target *target)
{
    k8s_object_free(target->object);
    target->object = NULL;
}

/* ---- the pods of a workload ---- */

static bool is_owned(yyjson_val *object, const struct strbuf *uids)
{
    const char *uid = k8s_text_at(k8s_controller_of(object), "/uid");
    return *uid && strstr(uids->ptr, uid);
}

/* ReplicaSets between Deployment and pods, ReplicationControllers of a DeploymentConfig, Jobs of a CronJob. */
static const struct k8s_resource *between(const struct k8s_resource *resource)
{
    if (!strcmp(resource->kind, "Deployment"))
        return &k8s_replicasets;
    if (!strcmp(resource->kind, "DeploymentConfig"))
        return &k8s_replication_controllers;
    return !strcmp(resource->kind, "CronJob") ? &k8s_jobs : NULL;
}

static bool owners_between(struct k8s *k8s, const struct k8s_object *workload,
                           const struct k8s_resource *resource, const char *selector, struct strbuf *uids,
                           struct error **err)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    struct k8s_list_options options = { .label_selector = selector };
    strbuf_addf(uids, "%s ", workload->uid);
    if (!between(resource))
        return true;
    if (!k8s_list(k8s, between(resource), workload->namespace, &options, &list, err))
        return false;
    for (size_t i = 0; i < list.count; i++)
        if (!strcmp(k8s_text_at(k8s_controller_of(list.items[i]), "/uid"), workload->uid))
            strbuf_addf(uids, "%s ", k8s_text_at(list.items[i], "/metadata/uid"));
    return true;
}

bool k8s_pods_of(struct k8s *k8s, const struct k8s_object *workload, const struct k8s_resource *resource,
                 struct k8s_list *pods, struct error **err)
{
    AUTO(strbuf) struct strbuf uids = { 0 }, selector = { 0 };
    yyjson_val *select = strcmp(resource->kind, "CronJob") ? k8s_at(workload->root, "/spec/selector") : NULL;
    *pods = (struct k8s_list){ 0 };
    if (select && !k8s_selector_text(select, &selector))
        return error_set(err, ERROR_UNSUPPORTED, "the selector of %s %s cannot be asked for", resource->kind,
                         workload->name);
    if (!owners_between(k8s, workload, resource, selector.ptr, &uids, err))
        return false;
    struct k8s_list_options options = { .label_selector = selector.ptr };
    if (!k8s_list(k8s, &k8s_pods, workload->namespace, &options, pods, err))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < pods->count; i++)
        if (is_owned(pods->items[i], &uids))
            pods->items[kept++] = pods->items[i];
    pods->count = kept;
    return true;
}
