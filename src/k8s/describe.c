/* How an object is doing, in few words: what `kubectl describe`, `get pods`, `rollout history` and `get events` would
 * tell a person, gathered within a deadline. Whatever cannot be read is named, and the rest stands. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { GATHER_MS = 5000, TEXT_MAX = 240, IMAGES_MAX = 300, PODS_READ_MAX = 500 };

struct gathering {
    struct k8s *k8s;
    struct k8s_cache *cache;
    struct arena *arena;
    const struct k8s_ref *ref;
    struct k8s_object *object;
    struct k8s_facts *facts;
    struct strbuf missing;
};

static const char *cut(struct gathering *g, const char *text)
{
    char kept[TEXT_MAX + 8];
    answer_copy_message(kept, sizeof kept, text);
    return arena_strdup(g->arena, kept);
}

static void note_missing(struct gathering *g, const char *what, struct error *why)
{
    char kept[160];
    answer_copy_message(kept, sizeof kept, error_message(why));
    strbuf_addf(&g->missing, "%s%s: %s", g->missing.len ? "; " : "", what, kept);
    error_free(why);
}

/* ---- containers ---- */

static const char *termination(struct gathering *g, yyjson_val *terminated)
{
    const char *reason = k8s_text_at(terminated, "/reason");
    if (!terminated)
        return "";
    return arena_printf(g->arena, "%s (%lld)", *reason ? cut(g, reason) : "Error",
                        (long long)k8s_int_at(terminated, "/exitCode", 0));
}

static const char *state_of(struct gathering *g, yyjson_val *status)
{
    yyjson_val *waiting = k8s_at(status, "/state/waiting"), *terminated = k8s_at(status, "/state/terminated");
    if (waiting)
        return arena_printf(g->arena, "waiting: %s", cut(g, k8s_text_at(waiting, "/reason")));
    if (terminated)
        return arena_printf(g->arena, "terminated: %s", termination(g, terminated));
    return k8s_at(status, "/state/running") ? "running" : "";
}

static const char *quantity(struct gathering *g, yyjson_val *container, const char *pointer)
{
    return cut(g, k8s_text_at(container, pointer));
}

static void add_containers(struct gathering *g, yyjson_val *containers, yyjson_val *owner_of_statuses)
{
    size_t i, count;
    yyjson_val *container;
    yyjson_arr_foreach(containers, i, count, container)
    {
        struct k8s_facts *f = g->facts;
        if (f->containers_len == K8S_FACTS_CONTAINERS_MAX)
            return;
        const char *name = k8s_text_at(container, "/name");
        yyjson_val *status = k8s_find(owner_of_statuses, "/status/containerStatuses", "name", name);
        f->containers[f->containers_len++] = (struct k8s_container_facts){
            .name = cut(g, name),
            .image = cut(g, k8s_text_at(container, "/image")),
            .state = state_of(g, status),
            .cpu_request = quantity(g, container, "/resources/requests/cpu"),
            .cpu_limit = quantity(g, container, "/resources/limits/cpu"),
            .memory_request = quantity(g, container, "/resources/requests/memory"),
            .memory_limit = quantity(g, container, "/resources/limits/memory"),
            .restarts = (int)k8s_int_at(status, "/restartCount", 0),
            .last_termination = termination(g, k8s_at(status, "/lastState/terminated")),
        };
    }
}

static void add_conditions(struct gathering *g)
{
    size_t i, count;
    yyjson_val *condition;
    struct k8s_facts *f = g->facts;
    yyjson_arr_foreach(k8s_at(g->object->root, "/status/conditions"), i, count,
                       condition) if (f->conditions_len < K8S_FACTS_CONDITIONS_MAX)
        f->conditions[f->conditions_len++] = (struct k8s_condition_facts){
        cut(g, k8s_text_at(condition, "/type")),       cut(g, k8s_text_at(condition, "/status")),
        cut(g, k8s_text_at(condition, "/reason")),     cut(g, k8s_text_at(condition, "/message")),
        k8s_time_at(condition, "/lastTransitionTime"),
    };
}

/* ---- pods of a workload ---- */

static int badness(const struct k8s_pod_facts *pod)
{
    return (pod->ready ? 0 : 100000) + MIN(pod->restarts, 99999);
}

static int worst_first(const void *a, const void *b)
{
    return badness(b) - badness(a);
}

static void take_pods(struct gathering *g, struct k8s_pod_facts *pods, size_t count)
{
    struct k8s_facts *f = g->facts;
    qsort(pods, count, sizeof *pods, worst_first);
    f->pods_total = count;
    f->pods_len = MIN(count, K8S_FACTS_PODS_MAX);
    memcpy(f->pods, pods, f->pods_len * sizeof *pods);
    for (size_t i = 0; i < count; i++)
        f->restarts += pods[i].restarts;
}

static void take_termination(struct gathering *g, const struct summary *s)
{
    if (!*s->ended || s->ended_at < g->facts->last_termination_at)
        return;
    g->facts->last_termination_at = s->ended_at;
    g->facts->last_termination = arena_printf(g->arena, "%s (%d)", cut(g, s->ended), s->ended_code);
}

static void add_pods(struct gathering *g)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    struct error *why = NULL;
    if (!k8s_pods_of(g->k8s, g->object, g->ref->resource, &list, &why)) {
        note_missing(g, "pods", why);
        return;
    }
    struct k8s_pod_facts *pods = ARENA_ARRAY(g->arena, struct k8s_pod_facts, list.count + 1);
    for (size_t i = 0; i < list.count; i++) {
        struct summary s = summarise("Pod", list.items[i]);
        take_termination(g, &s);
        pods[i] = (struct k8s_pod_facts){
            cut(g, k8s_text_at(list.items[i], "/metadata/name")), cut(g, s.phase), cut(g, s.reason),
            cut(g, k8s_text_at(list.items[i], "/spec/nodeName")), s.restarts,      s.is_ready
        };
    }
    take_pods(g, pods, list.count);
}

/* ---- revisions ---- */

static int newest_first(const void *a, const void *b)
{
    const struct k8s_revision_facts *x = a, *y = b;
    return (y->revision > x->revision) - (y->revision < x->revision);
}

static const char *images_of(struct gathering *g, yyjson_val *template)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    size_t i, count;
    yyjson_val *container;
    yyjson_arr_foreach(k8s_at(template, "/spec/containers"), i, count, container) if (text.len < IMAGES_MAX)
        strbuf_addf(&text, "%s%s", i ? ", " : "", k8s_text_at(container, "/image"));
    return cut(g, text.len ? text.ptr : "");
}

static struct k8s_revision_facts revision_of(struct gathering *g, yyjson_val *item, bool is_set)
{
    int64_t number = k8s_int_at(item, "/revision", -1); /* a ControllerRevision's */
    if (is_set)
        number = atoll(k8s_annotation(item, "deployment.kubernetes.io/revision"));
    return (struct k8s_revision_facts){
        .revision = number,
        .created = k8s_time_at(item, "/metadata/creationTimestamp"),
        .replicas = (int)k8s_int_at(item, "/status/replicas", 0),
        .name = cut(g, k8s_text_at(item, "/metadata/name")),
        .images = images_of(g, k8s_at(item, is_set ? "/spec/template" : "/data/spec/template")),
        .cause = cut(g, k8s_annotation(item, "kubernetes.io/change-cause")),
    };
}

static void add_revisions(struct gathering *g)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    AUTO(strbuf) struct strbuf selector = { 0 };
    bool is_set = !strcmp(g->ref->resource->kind, "Deployment");
    struct error *why = NULL;
    k8s_selector_text(k8s_at(g->object->root, "/spec/selector"), &selector);
    struct k8s_list_options options = { .label_selector = selector.ptr };
    const struct k8s_resource *resource = is_set ? &k8s_replicasets : &k8s_controller_revisions;
    if (!k8s_list(g->k8s, resource, g->ref->namespace, &options, &list, &why)) {
        note_missing(g, "revisions", why);
        return;
    }
    struct k8s_revision_facts *all = ARENA_ARRAY(g->arena, struct k8s_revision_facts, list.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++)
        if (!strcmp(k8s_text_at(k8s_controller_of(list.items[i]), "/uid"), g->object->uid))
            all[count++] = revision_of(g, list.items[i], is_set);
    qsort(all, count, sizeof *all, newest_first);
    g->facts->revisions_total = count;
    g->facts->revisions_len = MIN(count, K8S_FACTS_REVISIONS_MAX);
    memcpy(g->facts->revisions, all, g->facts->revisions_len * sizeof *all);
}

/* ---- the HPA ---- */

static void take_hpa(struct gathering *g, yyjson_val *hpa)
{
    struct k8s_facts *f = g->facts;
    f->hpa.name = cut(g, k8s_text_at(hpa, "/metadata/name"));
    f->hpa.min = (int)k8s_int_at(hpa, "/spec/minReplicas", 1);
    f->hpa.max = (int)k8s_int_at(hpa, "/spec/maxReplicas", -1);
    f->hpa.current = (int)k8s_int_at(hpa, "/status/currentReplicas", -1);
    f->hpa.desired = (int)k8s_int_at(hpa, "/status/desiredReplicas", -1);
    f->hpa.at_max = f->hpa.current >= 0 && f->hpa.current >= f->hpa.max;
}

static void add_hpa(struct gathering *g)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    struct error *why = NULL;
    if (!k8s_list(g->k8s, &k8s_hpas, g->ref->namespace, NULL, &list, &why)) {
        note_missing(g, "autoscaler", why);
        return;
    }
    for (size_t i = 0; i < list.count; i++)
        if (!strcmp(k8s_text_at(list.items[i], "/spec/scaleTargetRef/kind"), g->ref->resource->kind) &&
            !strcmp(k8s_text_at(list.items[i], "/spec/scaleTargetRef/name"), g->ref->name))
            take_hpa(g, list.items[i]);
}

/* ---- by kind ---- */

static void describe_workload(struct gathering *g)
{
    yyjson_val *root = g->object->root;
    add_containers(g, k8s_at(root, "/spec/template/spec/containers"), NULL);
    g->facts->is_paused = k8s_bool_at(root, "/spec/paused");
    add_pods(g);
    bool has_history = !strcmp(g->facts->kind, "Deployment") || !strcmp(g->facts->kind, "StatefulSet") ||
                       !strcmp(g->facts->kind, "DaemonSet");
    if (has_history)
        add_revisions(g);
    if (has_history && strcmp(g->facts->kind, "DaemonSet"))
        add_hpa(g);
}

static void describe_pod(struct gathering *g)
{
    struct summary s = summarise("Pod", g->object->root);
    add_containers(g, k8s_at(g->object->root, "/spec/containers"), g->object->root);
    take_termination(g, &s);
    g->facts->restarts = s.restarts;
    g->facts->node = cut(g, k8s_text_at(g->object->root, "/spec/nodeName"));
}

static void add_taints(struct gathering *g)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    size_t i, count;
    yyjson_val *taint;
    yyjson_arr_foreach(k8s_at(g->object->root, "/spec/taints"), i, count, taint) strbuf_addf(
        &text, "%s%s:%s", i ? ", " : "", k8s_text_at(taint, "/key"), k8s_text_at(taint, "/effect"));
    g->facts->node_state.taints = cut(g, text.len ? text.ptr : "");
}

static void count_pods(struct gathering *g)
{
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    AUTO(text)
    char *selector = xasprintf("spec.nodeName=%s,status.phase!=Succeeded,status.phase!=Failed", g->ref->name);
    struct k8s_list_options options = { .field_selector = selector, .metadata_only = true };
    struct k8s_filter filter = { .resource = &k8s_pods, .node = g->ref->name };
    struct error *why = NULL;
    if (g->cache && k8s_cache_synced(g->cache, 0, 0))
        g->facts->node_state.pods = (int)k8s_cache_each(g->cache, &filter, NULL, NULL);
    else if (k8s_list(g->k8s, &k8s_pods, NULL, &options, &pods, &why))
        g->facts->node_state.pods = (int)pods.count;
    else
        note_missing(g, "pods", why);
}

static void describe_node(struct gathering *g)
{
    yyjson_val *root = g->object->root;
    g->facts->node_state.kubelet = cut(g, k8s_text_at(root, "/status/nodeInfo/kubeletVersion"));
    g->facts->node_state.cpu = cut(g, k8s_text_at(root, "/status/allocatable/cpu"));
    g->facts->node_state.memory = cut(g, k8s_text_at(root, "/status/allocatable/memory"));
    add_taints(g);
    count_pods(g);
}

static void describe_claim(struct gathering *g)
{
    yyjson_val *root = g->object->root;
    struct k8s_facts *f = g->facts;
    f->claim.capacity = cut(g, k8s_text_at(root, "/status/capacity/storage"));
    f->claim.request = cut(g, k8s_text_at(root, "/spec/resources/requests/storage"));
    f->claim.storage_class = cut(g, k8s_text_at(root, "/spec/storageClassName"));
    f->claim.volume = cut(g, k8s_text_at(root, "/spec/volumeName"));
    if (!*f->claim.storage_class)
        return;
    struct k8s_ref ref = { &k8s_storage_classes, NULL, f->claim.storage_class, NULL };
    struct error *why = NULL;
    AUTO(k8s_object) struct k8s_object *class = k8s_get(g->k8s, &ref, NULL, &why);
    if (class)
        f->claim.can_expand = k8s_bool_at(class->root, "/allowVolumeExpansion");
    else
        note_missing(g, "storage class", why);
}

static void describe_hpa(struct gathering *g)
{
    take_hpa(g, g->object->root);
}

static const struct {
    const char *kind;
    void (*describe)(struct gathering *g);
} kinds[] = {
    { "Pod", describe_pod },
    { "Node", describe_node },
    { "PersistentVolumeClaim", describe_claim },
    { "HorizontalPodAutoscaler", describe_hpa },
    { "Deployment", describe_workload },
    { "StatefulSet", describe_workload },
    { "DaemonSet", describe_workload },
    { "ReplicaSet", describe_workload },
    { "Job", describe_workload },
    { "DeploymentConfig", describe_workload },
};

/* ---- events ---- */

static int64_t event_time(yyjson_val *event)
{
    static const char *const fields[] = { "/series/lastObservedTime", "/lastTimestamp", "/eventTime",
                                          "/firstTimestamp" };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (k8s_time_at(event, fields[i]))
            return k8s_time_at(event, fields[i]);
    return k8s_time_at(event, "/metadata/creationTimestamp");
}

static void add_event(struct gathering *g, yyjson_val *event)
{
    struct k8s_facts *f = g->facts;
    int64_t at = event_time(event);
    size_t place = f->events_len;
    while (place > 0 && f->events[place - 1].at < at)
        place--;
    if (place == K8S_FACTS_EVENTS_MAX)
        return;
    f->events_len = MIN(f->events_len + 1, K8S_FACTS_EVENTS_MAX);
    memmove(&f->events[place + 1], &f->events[place], (f->events_len - place - 1) * sizeof *f->events);
    int64_t count = k8s_int_at(event, "/series/count", k8s_int_at(event, "/count", 1));
    f->events[place] = (struct k8s_event_facts){
        cut(g, k8s_text_at(event, "/type")),
        cut(g, k8s_text_at(event, "/reason")),
        cut(g, k8s_text_at(event, "/message")),
        arena_printf(g->arena, "%s %s", cut(g, k8s_text_at(event, "/involvedObject/kind")),
                     cut(g, k8s_text_at(event, "/involvedObject/name"))),
        at,
        (int)count,
    };
}

static void add_events_of(struct gathering *g, const char *kind, const char *name)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    AUTO(text) char *selector = xasprintf("involvedObject.kind=%s,involvedObject.name=%s", kind, name);
    struct k8s_list_options options = { .field_selector = selector };
    struct error *why = NULL;
    const char *namespace = g->ref->resource->namespaced ? g->ref->namespace : "default";
    if (!k8s_list(g->k8s, &k8s_events, namespace, &options, &list, &why)) {
        note_missing(g, "events", why);
        return;
    }
    for (size_t i = 0; i < list.count; i++)
        add_event(g, list.items[i]);
}

static void add_events(struct gathering *g)
{
    add_events_of(g, g->facts->kind, g->facts->name);
    if (g->facts->pods_len && !g->facts->pods[0].ready) /* a workload's trouble is told of its pods */
        add_events_of(g, "Pod", g->facts->pods[0].name);
}

/* ---- the whole ---- */

static void begin(struct gathering *g)
{
    struct k8s_facts *f = g->facts;
    struct summary s = summarise(g->ref->resource->kind, g->object->root);
    yyjson_val *owner = k8s_controller_of(g->object->root);
    int64_t created = k8s_time_at(g->object->root, "/metadata/creationTimestamp");
    *f = (struct k8s_facts){
        .kind = g->ref->resource->kind,
        .namespace = cut(g, g->object->namespace),
        .name = cut(g, g->object->name),
        .uid = cut(g, g->object->uid),
        .owner = "",
        .phase = cut(g, s.phase),
        .summary = "",
        .age_s = created ? MAX((clock_utc_ms() - created) / 1000, 0) : -1,
        .is_deleting = k8s_at(g->object->root, "/metadata/deletionTimestamp") != NULL,
        .is_unschedulable = s.is_unschedulable,
        .replicas = s.replicas,
        .ready = s.ready,
        .updated = s.updated,
        .available = s.available,
        .last_termination = "",
        .node = "",
        .hpa = { .name = "" },
        .claim = { "", "", "", "", false },
        .node_state = { "", "", "", "", -1 },
        .missing = "",
    };
    if (owner)
        f->owner = arena_printf(g->arena, "%s %s", cut(g, k8s_text_at(owner, "/kind")),
                                cut(g, k8s_text_at(owner, "/name")));
}

static void finish(struct gathering *g)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    struct k8s_facts *f = g->facts;
    struct summary s = summarise(f->kind, g->object->root);
    if (*f->phase)
        strbuf_addf(&text, "%s, ", f->phase);
    if (f->replicas || f->ready)
        strbuf_addf(&text, "%d/%d ready, ", f->ready, f->replicas);
    if (*s.reason)
        strbuf_addf(&text, "%s, ", s.reason);
    if (f->restarts)
        strbuf_addf(&text, "%d restarts, ", f->restarts);
    if (*f->last_termination)
        strbuf_addf(&text, "last %s, ", f->last_termination);
    if (f->is_paused)
        strbuf_add_text(&text, "paused, ");
    if (f->is_unschedulable)
        strbuf_add_text(&text, "cordoned, ");
    if (f->is_deleting)
        strbuf_add_text(&text, "being deleted, ");
    f->summary = text.len ? arena_text(g->arena, str_slice(strbuf_str(&text), 0, text.len - 2)) : "";
    f->missing = g->missing.len ? arena_strdup(g->arena, g->missing.ptr) : "";
}

bool k8s_describe(struct k8s *k8s, struct k8s_cache *cache, struct arena *arena, const struct k8s_ref *ref,
                  int64_t deadline_ms, struct k8s_facts *facts, struct error **err)
{
    struct k8s_session_options bounded = { .writes = K8S_WRITES_NONE };
    bounded.until_mono_ms = clock_mono_ms() + (deadline_ms ? deadline_ms : GATHER_MS);
    AUTO(k8s) struct k8s *session = k8s_session(k8s, &bounded);
    AUTO(k8s_object) struct k8s_object *object = k8s_get(session, ref, NULL, err);
    if (!object)
        return false;
    struct gathering g = {
        .k8s = session, .cache = cache, .arena = arena, .ref = ref, .object = object, .facts = facts
    };
    begin(&g);
    add_conditions(&g);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, facts->kind))
            kinds[i].describe(&g);
    add_events(&g);
    finish(&g);
    strbuf_free(&g.missing);
    return true;
}
