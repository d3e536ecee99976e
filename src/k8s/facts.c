/* Facts as JSON: only what is known. */
#include "k8s/k8s.h"

#include <stdlib.h>

#include "k8s/k8s_internal.h"

static void text(yyjson_mut_doc *doc, yyjson_mut_val *map, const char *name, const char *value)
{
    if (value && *value)
        yyjson_mut_obj_add_strcpy(doc, map, name, value);
}

static void number(yyjson_mut_doc *doc, yyjson_mut_val *map, const char *name, int64_t value)
{
    if (value >= 0)
        yyjson_mut_obj_add_sint(doc, map, name, value);
}

static void flag(yyjson_mut_doc *doc, yyjson_mut_val *map, const char *name, bool value)
{
    if (value)
        yyjson_mut_obj_add_bool(doc, map, name, true);
}

static void when(yyjson_mut_doc *doc, yyjson_mut_val *map, const char *name, int64_t utc_ms)
{
    char at[CLOCK_TEXT_MAX];
    if (utc_ms)
        yyjson_mut_obj_add_strcpy(doc, map, name, clock_format(utc_ms, at));
}

static void add_containers(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    yyjson_mut_val *list = f->containers_len ? yyjson_mut_obj_add_arr(doc, root, "containers") : NULL;
    for (size_t i = 0; i < f->containers_len; i++) {
        const struct k8s_container_facts *c = &f->containers[i];
        yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);
        const char *pairs[][2] = { { "name", c->name },
                                   { "image", c->image },
                                   { "state", c->state },
                                   { "cpu_request", c->cpu_request },
                                   { "cpu_limit", c->cpu_limit },
                                   { "memory_request", c->memory_request },
                                   { "memory_limit", c->memory_limit },
                                   { "last_termination", c->last_termination } };
        for (size_t p = 0; p < ARRAY_LEN(pairs); p++)
            text(doc, map, pairs[p][0], pairs[p][1]);
        number(doc, map, "restarts", c->restarts);
    }
}

static void add_conditions(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    yyjson_mut_val *list = f->conditions_len ? yyjson_mut_obj_add_arr(doc, root, "conditions") : NULL;
    for (size_t i = 0; i < f->conditions_len; i++) {
        yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);
        text(doc, map, "type", f->conditions[i].type);
        text(doc, map, "status", f->conditions[i].status);
        text(doc, map, "reason", f->conditions[i].reason);
        text(doc, map, "message", f->conditions[i].message);
        when(doc, map, "since", f->conditions[i].since);
    }
}

static void add_pods(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    yyjson_mut_val *list = f->pods_len ? yyjson_mut_obj_add_arr(doc, root, "pods") : NULL;
    for (size_t i = 0; i < f->pods_len; i++) {
        yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);
        text(doc, map, "name", f->pods[i].name);
        text(doc, map, "phase", f->pods[i].phase);
        text(doc, map, "reason", f->pods[i].reason);
        text(doc, map, "node", f->pods[i].node);
        number(doc, map, "restarts", f->pods[i].restarts);
        yyjson_mut_obj_add_bool(doc, map, "ready", f->pods[i].ready);
    }
    if (f->pods_total)
        number(doc, root, "pods_total", (int64_t)f->pods_total);
}

static void add_revisions(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    yyjson_mut_val *list = f->revisions_len ? yyjson_mut_obj_add_arr(doc, root, "revisions") : NULL;
    for (size_t i = 0; i < f->revisions_len; i++) {
        yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);
        number(doc, map, "revision", f->revisions[i].revision);
        text(doc, map, "name", f->revisions[i].name);
        text(doc, map, "images", f->revisions[i].images);
        text(doc, map, "cause", f->revisions[i].cause);
        number(doc, map, "replicas", f->revisions[i].replicas);
        when(doc, map, "created", f->revisions[i].created);
    }
}

static void add_events(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    yyjson_mut_val *list = f->events_len ? yyjson_mut_obj_add_arr(doc, root, "events") : NULL;
    for (size_t i = 0; i < f->events_len; i++) {
        yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);
        text(doc, map, "type", f->events[i].type);
        text(doc, map, "reason", f->events[i].reason);
        text(doc, map, "message", f->events[i].message);
        text(doc, map, "object", f->events[i].object);
        when(doc, map, "at", f->events[i].at);
        number(doc, map, "count", f->events[i].count);
    }
}

static void add_parts(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    if (*f->hpa.name) {
        yyjson_mut_val *hpa = yyjson_mut_obj_add_obj(doc, root, "hpa");
        text(doc, hpa, "name", f->hpa.name);
        number(doc, hpa, "min", f->hpa.min);
        number(doc, hpa, "max", f->hpa.max);
        number(doc, hpa, "current", f->hpa.current);
        number(doc, hpa, "desired", f->hpa.desired);
        flag(doc, hpa, "at_max", f->hpa.at_max);
    }
    if (*f->claim.request) {
        yyjson_mut_val *claim = yyjson_mut_obj_add_obj(doc, root, "claim");
        text(doc, claim, "capacity", f->claim.capacity);
        text(doc, claim, "request", f->claim.request);
        text(doc, claim, "storage_class", f->claim.storage_class);
        text(doc, claim, "volume", f->claim.volume);
        yyjson_mut_obj_add_bool(doc, claim, "can_expand", f->claim.can_expand);
    }
    if (*f->node_state.kubelet) {
        yyjson_mut_val *node = yyjson_mut_obj_add_obj(doc, root, "node_state");
        text(doc, node, "kubelet", f->node_state.kubelet);
        text(doc, node, "taints", f->node_state.taints);
        text(doc, node, "cpu", f->node_state.cpu);
        text(doc, node, "memory", f->node_state.memory);
        number(doc, node, "pods", f->node_state.pods);
    }
}

static void add_head(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct k8s_facts *f)
{
    const char *pairs[][2] = { { "kind", f->kind },   { "namespace", f->namespace },
                               { "name", f->name },   { "owner", f->owner },
                               { "phase", f->phase }, { "summary", f->summary },
                               { "node", f->node },   { "last_termination", f->last_termination } };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        text(doc, root, pairs[i][0], pairs[i][1]);
    when(doc, root, "last_termination_at", f->last_termination_at);
    number(doc, root, "age_s", f->age_s);
    flag(doc, root, "is_deleting", f->is_deleting);
    flag(doc, root, "is_paused", f->is_paused);
    flag(doc, root, "is_unschedulable", f->is_unschedulable);
    number(doc, root, "replicas", f->replicas);
    number(doc, root, "ready", f->ready);
    number(doc, root, "updated", f->updated);
    number(doc, root, "available", f->available);
    number(doc, root, "restarts", f->restarts);
}

void k8s_facts_write(struct strbuf *json, const struct k8s_facts *facts)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    add_head(doc, root, facts);
    add_containers(doc, root, facts);
    add_conditions(doc, root, facts);
    add_pods(doc, root, facts);
    add_revisions(doc, root, facts);
    add_parts(doc, root, facts);
    add_events(doc, root, facts);
    text(doc, root, "missing", facts->missing);
    size_t len = 0;
    char *written = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
    strbuf_add(json, (struct str){ written, len });
    free(written);
    yyjson_mut_doc_free(doc);
}
