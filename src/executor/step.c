/* Steps: made by plans, kept as JSON in the execution's row, read again by recovery and undo. */
#include "executor/executor_internal.h"

static const char *const verb_names[STEP_VERB_COUNT] = {
    "patch", "create", "delete", "evict", "exec", "wait"
};
const char *const step_state_names[STEP_STATE_COUNT] = { "planned", "done",   "already", "tried",
                                                         "sent",    "failed", "skipped" };
static const char *const wait_names[WAIT_COUNT] = { "",      "gone",  "new_uid",  "rolled_out", "job",
                                                    "ready", "phase", "capacity", "value",      "changed" };
static const char *const annotate_names[] = { "", "ours", "restore" };
static const char *const patch_names[K8S_PATCH_COUNT] = { "merge", "strategic", "json" };

static struct step *append(struct run *run, struct step *step)
{
    if (run->steps_len == run->steps_room) {
        struct step **old = run->steps;
        run->steps_room = run->steps_room ? run->steps_room * 2 : 8;
        run->steps = ARENA_ARRAY(run->arena, struct step *, run->steps_room);
        if (old)
            memcpy(run->steps, old, run->steps_len * sizeof *old);
    }
    return run->steps[run->steps_len++] = step;
}

struct step *step_add_named(struct run *run, enum step_verb verb, const struct k8s_resource *resource,
                            const char *namespace, const char *name, const char *what)
{
    struct step *step = ARENA_NEW(run->arena, struct step);
    *step = (struct step){ .verb = verb,
                           .resource = resource,
                           .namespace = arena_strdup(run->arena, namespace ? namespace : ""),
                           .name = arena_strdup(run->arena, name),
                           .what = arena_strdup(run->arena, what) };
    return append(run, step);
}

struct step *step_add(struct run *run, enum step_verb verb, const struct k8s_resource *resource,
                      yyjson_val *object, const char *what)
{
    struct step *step = step_add_named(run, verb, resource, k8s_text_at(object, "/metadata/namespace"),
                                       k8s_text_at(object, "/metadata/name"), what);
    step->uid = arena_strdup(run->arena, k8s_text_at(object, "/metadata/uid"));
    step->resource_version = arena_strdup(run->arena, k8s_text_at(object, "/metadata/resourceVersion"));
    step->annotation = arena_strdup(run->arena, k8s_annotation(object, EXECUTOR_ANNOTATION));
    return step;
}

void step_field(struct run *run, struct step *step, yyjson_val *object, const char *path, const char *want)
{
    if (step->fields_len < STEP_FIELDS_MAX)
        step->fields[step->fields_len++] =
            (struct step_field){ .path = arena_strdup(run->arena, path),
                                 .before = json_text(run->arena, json_at(object, path)),
                                 .want = arena_strdup(run->arena, want) };
}

static const char *merge_patch(struct run *run, const struct step *step, bool back)
{
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    for (size_t i = 0; i < step->fields_len; i++) {
        const struct step_field *field = &step->fields[i];
        yyjson_val *value = yyjson_doc_get_root(json_read(run->arena, back ? field->before : field->want));
        json_set(doc, root, field->path, value ? yyjson_val_mut_copy(doc, value) : yyjson_mut_null(doc));
    }
    return json_mut_text(run->arena, root);
}

void step_body_of_fields(struct run *run, struct step *step)
{
    step->patch = K8S_PATCH_MERGE;
    step->body = merge_patch(run, step, false);
}

static struct step *undo_like(struct run *run, const struct step *step)
{
    struct step *undo = ARENA_NEW(run->arena, struct step);
    *undo = (struct step){ .verb = step->verb,
                           .what = run_printf(run, "undo: %s", step->what),
                           .resource = step->resource,
                           .namespace = step->namespace,
                           .name = step->name,
                           .subresource = step->subresource,
                           .uid = step->uid,
                           .patch = step->patch,
                           .annotate = step->annotate == ANNOTATE_OURS ? ANNOTATE_RESTORE : ANNOTATE_NONE,
                           .annotation = step->annotation,
                           .fields_len = step->fields_len };
    for (size_t i = 0; i < step->fields_len; i++)
        undo->fields[i] = (struct step_field){ .path = step->fields[i].path, .want = step->fields[i].before };
    return undo;
}

void step_undo_by_fields(struct run *run, struct step *step)
{
    step->undo = undo_like(run, step);
    step->undo->body = step->body ? merge_patch(run, step, true) : NULL;
}

void step_undo_by_delete(struct run *run, struct step *step)
{
    struct step *undo = ARENA_NEW(run->arena, struct step);
    *undo = (struct step){ .verb = STEP_DELETE,
                           .what = run_printf(run, "undo: %s", step->what),
                           .resource = step->resource,
                           .namespace = step->namespace,
                           .name = step->name };
    step->undo = undo;
}

static bool field_holds(struct run *run, const struct step_field *field, yyjson_val *object)
{
    yyjson_val *now = json_at(object, field->path);
    yyjson_val *want = yyjson_doc_get_root(json_read(run->arena, field->want));
    if (field->at_least && yyjson_is_str(now) && yyjson_is_str(want))
        return strcmp(yyjson_get_str(now), yyjson_get_str(want)) >= 0;
    return json_equal(now, want);
}

bool step_fields_hold(struct run *run, const struct step *step, yyjson_val *object)
{
    for (size_t i = 0; i < step->fields_len; i++)
        if (!field_holds(run, &step->fields[i], object))
            return false;
    return step->fields_len > 0;
}

void step_look(struct run *run, struct step *step, yyjson_val *object)
{
    if (step_fields_hold(run, step, object))
        step->state = STEP_ALREADY;
}

/* ---- as JSON */

static void add(struct strbuf *out, const char *name, const char *text)
{
    if (!text || !text[0])
        return;
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, str_of(text));
}

static void write_fields(struct strbuf *out, const struct step *step)
{
    strbuf_add_text(out, ",\"fields\":[");
    for (size_t i = 0; i < step->fields_len; i++) {
        const struct step_field *field = &step->fields[i];
        strbuf_addf(out, "%s{\"path\":", i ? "," : "");
        strbuf_add_json(out, str_of(field->path));
        strbuf_addf(out, ",\"before\":%s,\"want\":%s", field->before ? field->before : "null", field->want);
        if (field->after)
            strbuf_addf(out, ",\"after\":%s", field->after);
        strbuf_addf(out, "%s}", field->at_least ? ",\"at_least\":true" : "");
    }
    strbuf_add_char(out, ']');
}

static void write_step(struct strbuf *out, const struct step *step)
{
    const struct k8s_resource *r = step->resource;
    strbuf_addf(out, "{\"verb\":\"%s\",\"state\":\"%s\"", verb_names[step->verb],
                step_state_names[step->state]);
    add(out, "what", step->what);
    if (r)
        strbuf_addf(
            out, ",\"group\":\"%s\",\"version\":\"%s\",\"plural\":\"%s\",\"kind\":\"%s\",\"namespaced\":%s",
            r->group, r->version, r->plural, r->kind, r->namespaced ? "true" : "false");
    add(out, "namespace", step->namespace);
    add(out, "name", step->name);
    add(out, "subresource", step->subresource);
    add(out, "uid", step->uid);
    add(out, "resource_version", step->resource_version);
    if (step->verb == STEP_PATCH)
        add(out, "patch", patch_names[step->patch]);
    if (step->body && !step->secret)
        strbuf_addf(out, ",\"body\":%s", step->body);
    add(out, "annotate", annotate_names[step->annotate]);
    add(out, "annotation", step->annotation);
    if (step->fields_len)
        write_fields(out, step);
    add(out, "wait", wait_names[step->wait]);
    if (step->wait_ms)
        strbuf_addf(out, ",\"wait_ms\":%lld", (long long)step->wait_ms);
    for (size_t i = 0; step->command && step->command[i]; i++) {
        strbuf_add_text(out, i ? "," : ",\"command\":[");
        strbuf_add_json(out, str_of(step->command[i]));
    }
    strbuf_add_text(out, step->command ? "]" : "");
    add(out, "container", step->container);
    if (step->grace_s)
        strbuf_addf(out, ",\"grace_s\":%lld", (long long)step->grace_s);
    strbuf_add_text(out, step->may_fail ? ",\"may_fail\":true" : "");
    strbuf_add_text(out, step->secret ? ",\"secret\":true" : "");
    add(out, "note", step->note);
    add(out, "error", step->why_failed);
    if (step->undo) {
        strbuf_add_text(out, ",\"undo\":");
        write_step(out, step->undo);
    }
    strbuf_add_char(out, '}');
}

void steps_write(struct strbuf *out, struct step *const *steps, size_t count)
{
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        strbuf_add_text(out, i ? "," : "");
        write_step(out, steps[i]);
    }
    strbuf_add_char(out, ']');
}

static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

static const char *text_of(struct run *run, yyjson_val *object, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));
    return arena_strdup(run->arena, text);
}

static const char *text_or(struct run *run, yyjson_val *object, const char *key, const char *otherwise)
{
    const char *text = text_of(run, object, key);
    return text ? text : otherwise;
}

static const struct k8s_resource *read_resource(struct run *run, yyjson_val *json)
{
    if (!yyjson_obj_get(json, "plural"))
        return NULL;
    struct k8s_resource *resource = ARENA_NEW(run->arena, struct k8s_resource);
    *resource = (struct k8s_resource){ text_or(run, json, "group", ""), text_or(run, json, "version", "v1"),
                                       text_or(run, json, "plural", ""), text_or(run, json, "kind", ""),
                                       yyjson_get_bool(yyjson_obj_get(json, "namespaced")) };
    return resource;
}

static void read_fields(struct run *run, yyjson_val *list, struct step *step)
{
    yyjson_val *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    while ((item = yyjson_arr_iter_next(&items)) && step->fields_len < STEP_FIELDS_MAX) {
        yyjson_val *after = yyjson_obj_get(item, "after");
        step->fields[step->fields_len++] =
            (struct step_field){ .path = text_or(run, item, "path", ""),
                                 .before = json_text(run->arena, yyjson_obj_get(item, "before")),
                                 .want = json_text(run->arena, yyjson_obj_get(item, "want")),
                                 .after = after ? json_text(run->arena, after) : NULL,
                                 .at_least = yyjson_get_bool(yyjson_obj_get(item, "at_least")) };
    }
}

static void read_command(struct run *run, yyjson_val *list, struct step *step)
{
    size_t count = yyjson_arr_size(list);
    if (!list)
        return;
    const char **command = ARENA_ARRAY(run->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        command[i] = arena_strdup(run->arena, yyjson_get_str(yyjson_arr_get(list, i)));
    step->command = command;
}

static struct step *read_step(struct run *run, yyjson_val *json)
{
    struct step *step = ARENA_NEW(run->arena, struct step);
    yyjson_val *body = yyjson_obj_get(json, "body"), *undo = yyjson_obj_get(json, "undo");
    *step = (struct step){
        .verb = (enum step_verb)index_of(verb_names, STEP_VERB_COUNT, text_or(run, json, "verb", "wait")),
        .state = (enum step_state)index_of(step_state_names, STEP_STATE_COUNT,
                                           text_or(run, json, "state", "planned")),
        .what = text_or(run, json, "what", ""),
        .resource = read_resource(run, json),
        .namespace = text_or(run, json, "namespace", ""),
        .name = text_or(run, json, "name", ""),
        .subresource = text_of(run, json, "subresource"),
        .uid = text_of(run, json, "uid"),
        .resource_version = text_of(run, json, "resource_version"),
        .patch = (enum k8s_patch)index_of(patch_names, K8S_PATCH_COUNT, text_or(run, json, "patch", "merge")),
        .body = body ? json_text(run->arena, body) : NULL,
        .annotate = (enum step_annotate)index_of(annotate_names, 3, text_or(run, json, "annotate", "")),
        .annotation = text_of(run, json, "annotation"),
        .wait = (enum step_wait)index_of(wait_names, WAIT_COUNT, text_or(run, json, "wait", "")),
        .wait_ms = yyjson_get_sint(yyjson_obj_get(json, "wait_ms")),
        .container = text_of(run, json, "container"),
        .grace_s = yyjson_get_sint(yyjson_obj_get(json, "grace_s")),
        .may_fail = yyjson_get_bool(yyjson_obj_get(json, "may_fail")),
        .secret = yyjson_get_bool(yyjson_obj_get(json, "secret")),
        .note = text_of(run, json, "note"),
        .undo = undo ? read_step(run, undo) : NULL,
    };
    read_fields(run, yyjson_obj_get(json, "fields"), step);
    read_command(run, yyjson_obj_get(json, "command"), step);
    return step;
}

bool steps_read(struct run *run, const char *json, struct error **err)
{
    yyjson_val *item, *list = yyjson_doc_get_root(json_read(run->arena, json ? json : "[]"));
    if (!yyjson_is_arr(list))
        return error_set(err, ERROR_CORRUPT, "execution %s: its steps are no list", run->row.id);
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    run->steps_len = 0;
    while ((item = yyjson_arr_iter_next(&items)))
        append(run, read_step(run, item));
    return true;
}

const char *steps_inverse(struct run *run)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    for (size_t i = run->steps_len; i-- > 0;) {
        struct step *step = run->steps[i], *undo = step->undo;
        if (step->state != STEP_DONE || !undo)
            continue;
        undo->uid = step->uid;
        for (size_t f = 0; f < undo->fields_len && f < step->fields_len; f++)
            undo->fields[f].before = step->fields[f].after ? step->fields[f].after : step->fields[f].want;
        strbuf_add_text(&out, out.len > 1 ? "," : "");
        write_step(&out, undo);
    }
    strbuf_add_char(&out, ']');
    return out.len > 2 ? arena_text(run->arena, strbuf_str(&out)) : NULL;
}

const char *steps_values(struct run *run, bool after)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_char(&out, '[');
    for (size_t i = 0; i < run->steps_len; i++) {
        const struct step *step = run->steps[i];
        if (!step->resource || (!step->fields_len && step->verb > STEP_EVICT))
            continue;
        strbuf_addf(&out, "%s{\"kind\":\"%s\"", out.len > 1 ? "," : "", step->resource->kind);
        add(&out, "namespace", step->namespace);
        add(&out, "name", step->name);
        add(&out, "uid", step->uid);
        bool done = step->state == STEP_DONE || step->state == STEP_ALREADY || step->state == STEP_TRIED;
        bool goes = step->verb == STEP_DELETE || step->verb == STEP_EVICT, comes = step->verb == STEP_CREATE;
        if (goes || comes)
            strbuf_addf(&out, ",\"exists\":%s",
                        (comes == after && done) || (goes && !(after && done)) ? "true" : "false");
        strbuf_add_text(&out, ",\"fields\":{");
        for (size_t f = 0; f < step->fields_len; f++) {
            const struct step_field *field = &step->fields[f];
            const char *value = !after         ? field->before
                                : field->after ? field->after
                                : done         ? field->want
                                               : field->before;
            strbuf_add_text(&out, f ? "," : "");
            strbuf_add_json(&out, str_of(field->path));
            strbuf_addf(&out, ":%s", value ? value : "null");
        }
        strbuf_add_text(&out, "}}");
    }
    strbuf_add_char(&out, ']');
    return arena_text(run->arena, strbuf_str(&out));
}
