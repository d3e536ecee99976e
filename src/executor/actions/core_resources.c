/* increase_resources, and how optimize_resources writes what it found. */
#include "executor/executor_internal.h"

static const char *const names[] = { "cpu", "memory" };

/* ---- what the namespace allows: a dry run of a template does not ask its quota */

static bool check_limit_ranges(struct run *run, yyjson_val *resources, struct error **err)
{
    struct k8s_list ranges;
    if (!run_list(run, &k8s_limit_ranges, run->row.namespace, NULL, NULL, &ranges, err))
        return false;
    for (size_t i = 0; i < ranges.count; i++) {
        yyjson_val *container = k8s_find(ranges.items[i], "/spec/limits", "type", "Container");
        for (size_t n = 0; container && n < ARRAY_LEN(names); n++) {
            int64_t most, wanted;
            if (k8s_quantity_at(container, run_printf(run, "/max/%s", names[n]), &most) &&
                k8s_quantity_at(resources, run_printf(run, "/limits/%s", names[n]), &wanted) && wanted > most)
                return run_refuse(run, err, "LimitRange %s allows containers at most %s of %s",
                                  k8s_text_at(ranges.items[i], "/metadata/name"),
                                  k8s_text_at(container, run_printf(run, "/max/%s", names[n])), names[n]);
        }
    }
    return true;
}

static bool check_quota(struct run *run, yyjson_val *quota, yyjson_val *before, yyjson_val *after,
                        int64_t pods, struct error **err)
{
    static const char *const sides[] = { "limits", "requests" };
    for (size_t s = 0; s < ARRAY_LEN(sides); s++)
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            int64_t hard, used = 0, old = 0, new = 0;
            const char *key = run_printf(run, "%s.%s", sides[s], names[n]);
            if (!k8s_quantity_at(quota, run_printf(run, "/status/hard/%s", key), &hard))
                continue;
            k8s_quantity_at(quota, run_printf(run, "/status/used/%s", key), &used);
            k8s_quantity_at(before, run_printf(run, "/%s/%s", sides[s], names[n]), &old);
            k8s_quantity_at(after, run_printf(run, "/%s/%s", sides[s], names[n]), &new);
            if (new > old && used + (new - old) * pods > hard)
                return run_refuse(run, err, "ResourceQuota %s has no room: %s would be over %s",
                                  k8s_text_at(quota, "/metadata/name"), key,
                                  k8s_text_at(quota, run_printf(run, "/status/hard/%s", key)));
        }
    return true;
}

static bool check_room(struct run *run, yyjson_val *before, yyjson_val *after, int64_t pods,
                       struct error **err)
{
    struct k8s_list quotas;
    if (!check_limit_ranges(run, after, err) ||
        !run_list(run, &k8s_resource_quotas, run->row.namespace, NULL, NULL, &quotas, err))
        return false;
    for (size_t i = 0; i < quotas.count; i++)
        if (!check_quota(run, quotas.items[i], before, after, pods, err))
            return false;
    return true;
}

/* ---- the step */

static const char *resources_body(struct run *run, const char *container, const char *resources, bool is_pod)
{
    const char *entry = json_with(run->arena, "{}", "/name", json_quote(run->arena, container));
    entry = json_with(run->arena, entry, "/resources", strcmp(resources, "null") ? resources : "{}");
    entry = json_with(run->arena, entry, "/resources/$patch", "\"replace\"");
    const char *list = run_printf(run, "[%s]", entry);
    return json_with(run->arena, "{}", is_pod ? "/spec/containers" : "/spec/template/spec/containers", list);
}

static bool check_requests(struct run *run, yyjson_val *resources, struct error **err)
{
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        int64_t request, limit;
        if (k8s_quantity_at(resources, run_printf(run, "/requests/%s", names[n]), &request) &&
            k8s_quantity_at(resources, run_printf(run, "/limits/%s", names[n]), &limit) && request > limit)
            return run_refuse(run, err, "the %s request %s would be over the limit %s", names[n],
                              k8s_text_at(resources, run_printf(run, "/requests/%s", names[n])),
                              k8s_text_at(resources, run_printf(run, "/limits/%s", names[n])));
    }
    return true;
}

/* Which way it went, for the record; how the template was found is in the target's path. */
static const char *where_of(struct run *run)
{
    if (strcmp(run->row.kind, "Pod") != 0)
        return run_printf(run, "in the template of %s %s", run->row.kind, run->row.name);
    return k8s_controller_of(run->target.object->root)
               ? "of the pod itself, in place: the template of its Job cannot change"
               : "of the pod itself, in place: no controller has made it";
}

/* `requests` and `limits`: JSON objects with what is to change; the rest of the block stays. */
bool plan_resources(struct run *run, yyjson_val *container, const char *requests, const char *limits,
                    struct error **err)
{
    yyjson_val *object = run->target.object->root, *before = k8s_at(container, "/resources");
    bool is_pod = strcmp(run->row.kind, "Pod") == 0;
    const char *name = k8s_text_at(container, "/name");
    const char *block = before ? json_text(run->arena, before) : "{}";
    static const char *const sides[] = { "requests", "limits" };
    const char *const given[] = { requests, limits };
    for (size_t s = 0; s < ARRAY_LEN(sides); s++)
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            yyjson_val *value =
                yyjson_obj_get(yyjson_doc_get_root(json_read(run->arena, given[s])), names[n]);
            if (value)
                block = json_with(run->arena, block, run_printf(run, "/%s/%s", sides[s], names[n]),
                                  json_text(run->arena, value));
        }
    yyjson_val *after = yyjson_doc_get_root(json_read(run->arena, block));
    int64_t pods = is_pod ? 1
                          : k8s_int_at(object, "/spec/replicas",
                                       k8s_int_at(object, "/status/desiredNumberScheduled", 1));
    if (!check_requests(run, after, err) || !check_room(run, before, after, pods, err))
        return false;
    struct step *step = step_add(run, STEP_PATCH, run->target.resource, object,
                                 run_printf(run, "resources of container %s %s", name, where_of(run)));
    step->patch = K8S_PATCH_STRATEGIC;
    step->subresource = is_pod ? "resize" : NULL;
    step->annotate = is_pod ? ANNOTATE_NONE : ANNOTATE_OURS;
    step_field(run, step, object,
               run_printf(run,
                          is_pod ? "/spec/containers[name=%s]/resources"
                                 : "/spec/template/spec/containers[name=%s]/resources",
                          name),
               block);
    step->body = resources_body(run, name, block, is_pod);
    step_undo_by_fields(run, step);
    step->undo->patch = K8S_PATCH_STRATEGIC;
    step->undo->body = resources_body(run, name, step->fields[0].before, is_pod);
    step_look(run, step, object);
    run->affected += pods;
    return true;
}

/* ---- increase_resources */

static yyjson_val *containers_of(struct run *run)
{
    yyjson_val *object = run->target.object->root;
    return k8s_at(object,
                  strcmp(run->row.kind, "Pod") ? "/spec/template/spec/containers" : "/spec/containers");
}

static bool choose_container(struct run *run, yyjson_val **chosen, struct error **err)
{
    const char *name = run_text(run, "container");
    yyjson_val *containers = containers_of(run), *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(containers);
    if (!name[0])
        name = run_label(run, "container");
    while (name[0] && (item = yyjson_arr_iter_next(&items)))
        if (strcmp(k8s_text_at(item, "/name"), name) == 0) {
            *chosen = item;
            return true;
        }
    if (name[0])
        return run_refuse(run, err, "%s %s has no container %s", run->row.kind, run->row.name, name);
    *chosen = yyjson_arr_get_first(containers);
    return yyjson_arr_size(containers) == 1 ||
           run_refuse(run, err, "%s %s has %zu containers: say which, container=NAME", run->row.kind,
                      run->row.name, yyjson_arr_size(containers));
}

/* What was not said: half as much again of the memory limit, for that is what is asked for most. */
static bool raise_by_half(struct run *run, yyjson_val *container, const char **limits, struct error **err)
{
    int64_t memory;
    char text[QUANTITY_TEXT_MAX];
    if (!k8s_quantity_at(container, "/resources/limits/memory", &memory))
        return run_refuse(run, err, "container %s has no memory limit that could be raised: say what to set",
                          k8s_text_at(container, "/name"));
    int64_t mebibyte = INT64_C(1024) * 1024 * 1000,
            raised = (memory + memory / 2 + mebibyte - 1) / mebibyte * mebibyte;
    quantity_format(raised, QUANTITY_BYTES, text);
    *limits = json_with(run->arena, *limits, "/memory", json_quote(run->arena, text));
    run->row.parameters =
        json_with(run->arena, run->row.parameters, "/memory_limit", json_quote(run->arena, text));
    return true;
}

static bool is_lower(yyjson_val *container, const char *path, const char *text)
{
    int64_t before, after;
    return k8s_quantity_at(container, path, &before) && quantity_parse(str_of(text), &after) &&
           after < before;
}

bool plan_increase_resources(struct run *run, struct error **err)
{
    static const struct {
        const char *parameter, *path, *name;
        bool limit;
    } given[] = { { "memory_limit", "/resources/limits/memory", "/memory", true },
                  { "cpu_limit", "/resources/limits/cpu", "/cpu", true },
                  { "memory_request", "/resources/requests/memory", "/memory", false },
                  { "cpu_request", "/resources/requests/cpu", "/cpu", false } };
    const char *requests = "{}", *limits = "{}";
    yyjson_val *container = NULL;
    bool any = false;
    if (!choose_container(run, &container, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        const char *text = run_text(run, given[i].parameter);
        if (!text[0])
            continue;
        if (is_lower(container, given[i].path, text))
            return run_refuse(run, err, "%s=%s is less than the present %s: this action only raises",
                              given[i].parameter, text, k8s_text_at(container, given[i].path));
        const char **side = given[i].limit ? &limits : &requests;
        *side = json_with(run->arena, *side, given[i].name, json_quote(run->arena, text));
        any = true;
    }
    return (any || raise_by_half(run, container, &limits, err)) &&
           run_check_owner(run,
                           strcmp(run->row.kind, "Pod") ? "/spec/template/spec/containers/resources"
                                                        : "/spec/containers/resources",
                           err) &&
           plan_resources(run, container, requests, limits, err);
}
