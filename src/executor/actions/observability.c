/* Looking closer: diagnostics, debug logging for a while, heap dumps. */
#include "executor/executor_internal.h"

/* ---- what looks like a credential does not leave the cluster */

static bool is_secret_word(struct str line, size_t at)
{
    static const char *const secrets[] = { "password", "passwd",      "secret",     "token",
                                           "apikey",   "api_key",     "api-key",    "authorization",
                                           "bearer",   "private_key", "access_key", "credential" };
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (str_eq_nocase(str_slice(line, at, at + strlen(secrets[i])), str_of(secrets[i])))
            return true;
    return false;
}

static bool redact_line(struct strbuf *out, struct str line)
{
    for (size_t at = 0; at < line.len; at++) {
        if (!is_secret_word(line, at))
            continue;
        size_t end = at;
        while (end < line.len && !strchr("=: ", line.ptr[end]))
            end++;
        if (end == line.len)
            return false;
        strbuf_add(out, str_slice(line, 0, end + 1));
        strbuf_add_text(out, "[redacted]");
        return true;
    }
    return false;
}

void redact(struct strbuf *out, struct str text)
{
    struct str line;
    bool first = true;
    while (str_split(&text, '\n', &line)) {
        if (!first)
            strbuf_add_char(out, '\n');
        first = false;
        if (!redact_line(out, line))
            strbuf_add(out, line);
    }
}

/* ---- collect_diagnostics */

static void add_log(struct run *run, struct strbuf *out, const char *namespace, const char *pod,
                    const char *container, bool previous, unsigned lines)
{
    AUTO(strbuf) struct strbuf text = { 0 }, clean = { 0 };
    struct k8s_ref ref = { &k8s_pods, namespace, pod, NULL };
    struct k8s_log_options options = { .container = container,
                                       .previous = previous,
                                       .timestamps = true,
                                       .tail_lines = lines,
                                       .max_bytes = 32 * 1024 };
    if (!k8s_log(run->k8s, &ref, &options, &text, NULL) || !text.len || out->len > EXECUTOR_FINDINGS_MAX)
        return;
    redact(&clean, strbuf_str(&text));
    strbuf_addf(out,
                "%s{\"pod\":\"%s\",\"container\":\"%s\",\"previous\":%s,\"log\":", out->len > 1 ? "," : "",
                pod, container, previous ? "true" : "false");
    strbuf_add_json(out, strbuf_str(&clean));
    strbuf_add_char(out, '}');
}

static void add_logs(struct run *run, struct strbuf *out)
{
    enum { PODS_MAX = 3 };
    struct k8s_list pods = { 0 };
    int64_t lines = 200;
    run_number(run, "tail_lines", &lines);
    if (run_pods(run, &pods, NULL))
        for (size_t i = 0, logged = 0; i < pods.count && logged < PODS_MAX; i++) {
            yyjson_val *pod = pods.items[i], *container;
            bool well = pods.count > PODS_MAX && strcmp(k8s_condition(pod, "Ready", NULL, NULL), "True") == 0;
            if (well && pods.count - i > PODS_MAX - logged)
                continue; /* the worst are shown first */
            logged++;
            yyjson_arr_iter containers = yyjson_arr_iter_with(k8s_at(pod, "/status/containerStatuses"));
            while ((container = yyjson_arr_iter_next(&containers))) {
                const char *namespace = k8s_text_at(pod, "/metadata/namespace"),
                           *name = k8s_text_at(pod, "/metadata/name");
                add_log(run, out, namespace, name, k8s_text_at(container, "/name"), false, (unsigned)lines);
                if (k8s_int_at(container, "/restartCount", 0) > 0)
                    add_log(run, out, namespace, name, k8s_text_at(container, "/name"), true,
                            (unsigned)lines);
            }
        }
}

static bool has_pods(const char *kind)
{
    static const char *const kinds[] = { "Pod",       "Deployment", "ReplicaSet",      "StatefulSet",
                                         "DaemonSet", "Job",        "DeploymentConfig" };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

/* What its events say, the newest last. */
static bool add_events(struct run *run, yyjson_mut_doc *doc, yyjson_mut_val *out, struct error **err)
{
    enum { EVENTS_MAX = 50, MESSAGE_MAX = 1000 };
    static const char *const fields[] = { "type", "reason", "message", "lastTimestamp", "count" };
    struct k8s_list events;
    if (!run_list(run, &k8s_events, run->row.namespace[0] ? run->row.namespace : NULL, NULL,
                  run_printf(run, "involvedObject.name=%s", run->row.name), &events, err))
        return false;
    for (size_t i = events.count > EVENTS_MAX ? events.count - EVENTS_MAX : 0; i < events.count; i++) {
        yyjson_mut_val *event = yyjson_mut_arr_add_obj(doc, out);
        for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
            yyjson_val *value = yyjson_obj_get(events.items[i], fields[f]);
            AUTO(strbuf) struct strbuf clean = { 0 };
            if (yyjson_is_str(value))
                redact(&clean, str_slice(str_of(yyjson_get_str(value)), 0, MESSAGE_MAX));
            if (value)
                yyjson_mut_obj_add(event, yyjson_mut_str(doc, fields[f]),
                                   yyjson_is_str(value)
                                       ? yyjson_mut_strncpy(doc, clean.ptr ? clean.ptr : "", clean.len)
                                       : yyjson_val_mut_copy(doc, value));
        }
    }
    return true;
}

static void add_pods(struct run *run, yyjson_mut_doc *doc, yyjson_mut_val *out)
{
    enum { PODS_MAX = 30 };
    static const char *const parts[] = { "/status/phase",
                                         "/status/reason",
                                         "/status/message",
                                         "/status/conditions",
                                         "/status/containerStatuses",
                                         "/spec/nodeName" };
    struct k8s_list pods = { 0 };
    AUTO(error) struct error *why = NULL;
    if (!has_pods(run->row.kind))
        return;
    if (!run_pods(run, &pods, &why)) { /* the rest is worth having, and what is missing is said */
        yyjson_mut_obj_add_strcpy(doc, yyjson_mut_arr_add_obj(doc, out), "error", error_message(why));
        return;
    }
    for (size_t i = 0; i < pods.count && i < PODS_MAX; i++) {
        yyjson_mut_val *pod = yyjson_mut_arr_add_obj(doc, out);
        yyjson_mut_obj_add_strcpy(doc, pod, "name", k8s_text_at(pods.items[i], "/metadata/name"));
        for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
            yyjson_val *value = k8s_at(pods.items[i], parts[p]);
            if (value)
                yyjson_mut_obj_add(pod, yyjson_mut_str(doc, strrchr(parts[p], '/') + 1),
                                   yyjson_val_mut_copy(doc, value));
        }
    }
}

bool plan_collect_diagnostics(struct run *run, struct error **err)
{
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *found = yyjson_mut_obj(doc);
    yyjson_val *status = k8s_at(run->target.object->root, "/status");
    AUTO(strbuf) struct strbuf logs = { 0 };
    if (status)
        yyjson_mut_obj_add(found, yyjson_mut_str(doc, "status"), yyjson_val_mut_copy(doc, status));
    if (!add_events(run, doc, yyjson_mut_obj_add_arr(doc, found, "events"), err))
        return false;
    add_pods(run, doc, yyjson_mut_obj_add_arr(doc, found, "pods"));
    strbuf_add_char(&logs, '[');
    if (has_pods(run->row.kind))
        add_logs(run, &logs);
    strbuf_add_char(&logs, ']');
    run->findings = json_with(run->arena, json_mut_text(run->arena, found), "/logs",
                              arena_text(run->arena, strbuf_str(&logs)));
    run->message =
        run_printf(run, "status, events, pods and logs of %s %s collected", run->row.kind, run->row.name);
    return true;
}

/* ---- enable_debug_mode */

static const char *const level_names[] = { "LOG_LEVEL", "LOGLEVEL",   "LOGGING_LEVEL", "LOG_LEVEL_ROOT",
                                           "RUST_LOG",  "GLOG_LEVEL", "DEBUG_LEVEL" };

static bool plan_env(struct run *run, yyjson_val *container, const char *variable, const char *level)
{
    yyjson_val *object = run->target.object->root;
    const char *name = k8s_text_at(container, "/name");
    struct step *step = step_add(run, STEP_PATCH, run->target.resource, object,
                                 run_printf(run, "%s=%s in container %s", variable, level, name));
    const char *path =
        run_printf(run, "/spec/template/spec/containers[name=%s]/env[name=%s]/value", name, variable);
    const char *const form =
        "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":%s,\"env\":[{\"name\":%s,\"value\":%s}]}]}}}}";
    step_field(run, step, object, path, json_quote(run->arena, level));
    step->patch = K8S_PATCH_STRATEGIC;
    step->annotate = ANNOTATE_OURS;
    step->body = run_printf(run, form, json_quote(run->arena, name), json_quote(run->arena, variable),
                            json_quote(run->arena, level));
    step_undo_by_fields(run, step);
    step->undo->patch = K8S_PATCH_STRATEGIC;
    step->undo->body = run_printf(run, form, json_quote(run->arena, name), json_quote(run->arena, variable),
                                  step->fields[0].before);
    step_look(run, step, object);
    run->affected = k8s_int_at(object, "/spec/replicas", 1);
    return true;
}

static bool find_env(struct run *run, yyjson_val *containers, const char *level)
{
    yyjson_val *container, *item;
    yyjson_arr_iter list = yyjson_arr_iter_with(containers);
    while ((container = yyjson_arr_iter_next(&list)))
        for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
            item = k8s_find(container, "/env", "name", level_names[i]);
            if (item && yyjson_obj_get(item, "value"))
                return plan_env(run, container, level_names[i], level);
        }
    return false;
}

/* The level stands in a ConfigMap that the workload takes its environment from: changed there, and the pods restarted. */
static bool plan_config_map(struct run *run, const char *name, const char *level, bool *found,
                            struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_object *map = run_get(run, &k8s_configmaps, run->row.namespace, name, &why);
    if (!map && error_code(why) == ERROR_NOT_FOUND)
        return true;
    if (!map) {
        error_move(err, &why);
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(level_names) && !*found; i++) {
        const char *path = run_printf(run, "/data/%s", level_names[i]);
        if (!k8s_at(map->root, path))
            continue;
        if (!run_check_owner_of(run, &k8s_configmaps, map->root, path, err))
            return false;
        struct step *step = step_add(run, STEP_PATCH, &k8s_configmaps, map->root,
                                     run_printf(run, "%s=%s in ConfigMap %s", level_names[i], level, name));
        step_field(run, step, map->root, path, json_quote(run->arena, level));
        step_body_of_fields(run, step);
        step->annotate = ANNOTATE_OURS;
        step_undo_by_fields(run, step);
        step_look(run, step, map->root);
        *found = true;
        if (step->state == STEP_ALREADY)
            return true;
        return plan_rollout_restart(run, run->target.resource, run->target.object->root, false, err);
    }
    return true;
}

static bool find_config_map(struct run *run, yyjson_val *containers, const char *level, bool *found,
                            struct error **err)
{
    yyjson_val *container, *source;
    yyjson_arr_iter list = yyjson_arr_iter_with(containers);
    while ((container = yyjson_arr_iter_next(&list))) {
        yyjson_arr_iter sources = yyjson_arr_iter_with(k8s_at(container, "/envFrom"));
        while (!*found && (source = yyjson_arr_iter_next(&sources)))
            if (k8s_text_at(source, "/configMapRef/name")[0] &&
                !plan_config_map(run, k8s_text_at(source, "/configMapRef/name"), level, found, err))
                return false;
    }
    return true;
}

bool plan_enable_debug_mode(struct run *run, struct error **err)
{
    const char *level = run_text(run, "log_level");
    yyjson_val *containers = k8s_at(run->target.object->root, "/spec/template/spec/containers");
    bool found = false;
    run->undo_after_ms = 30 * 60 * 1000;
    run_number(run, "duration", &run->undo_after_ms);
    if (!run_check_owner(run, "/spec/template/spec/containers/env", err))
        return false;
    if (find_env(run, containers, level))
        return true;
    return find_config_map(run, containers, level, &found, err) &&
           (found ||
            error_set(
                err, ERROR_UNSUPPORTED,
                "nothing in %s %s/%s reads a log level that we know: no LOG_LEVEL in its environment or in a "
                "ConfigMap of it",
                run->row.kind, run->row.namespace, run->row.name));
}

/* ---- create_heap_dump */

static const struct {
    const char *runtime, *words, *command[8]; /* FILE stands for the dump's path */
    const char *suffix;
} runtimes[] = {
    { "jvm",
      "java jdk jre openjdk tomcat spring kafka elasticsearch cassandra",
      { "jcmd", "1", "GC.heap_dump", "FILE" },
      "hprof" },
    { "dotnet", "dotnet aspnet", { "dotnet-gcdump", "collect", "-p", "1", "-o", "FILE" }, "gcdump" },
    { "python", "python django flask gunicorn", { "py-spy", "dump", "--pid", "1" }, NULL },
    { "node", "node npm", { "kill", "-USR2", "1" }, NULL },
    { "go", "golang", { "wget", "-q", "-O", "FILE", "http://localhost:6060/debug/pprof/heap" }, "pprof" },
};

static size_t runtime_of(struct run *run, const char *image)
{
    const char *said = run_text(run, "runtime");
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        struct str rest = str_of(runtimes[i].words), word;
        if (strcmp(said, "auto") && said[0] && !strcmp(said, runtimes[i].runtime))
            return i;
        while ((!said[0] || !strcmp(said, "auto")) && str_split(&rest, ' ', &word))
            if (strcasestr(image, arena_text(run->arena, word)))
                return i;
    }
    return ARRAY_LEN(runtimes);
}

bool plan_create_heap_dump(struct run *run, struct error **err)
{
    yyjson_val *pod = run->target.object->root;
    const char *name = run_text(run, "container"), *path = run_text(run, "dump_path");
    name = name[0] ? name : run_label(run, "container");
    yyjson_val *container = name[0] ? k8s_find(pod, "/spec/containers", "name", name)
                                    : yyjson_arr_get_first(k8s_at(pod, "/spec/containers"));
    if (!container)
        return run_refuse(run, err, "pod %s has no container %s", run->row.name, name);
    if (strcmp(k8s_text_at(pod, "/status/phase"), "Running") != 0)
        return run_refuse(run, err, "pod %s is %s: there is no process to dump", run->row.name,
                          k8s_text_at(pod, "/status/phase"));
    size_t i = runtime_of(run, k8s_text_at(container, "/image"));
    if (i == ARRAY_LEN(runtimes))
        return error_set(err, ERROR_UNSUPPORTED,
                         "the runtime of image %s is not known: say it, runtime=jvm|node|dotnet|python|go",
                         k8s_text_at(container, "/image"));
    const char *file =
        run_printf(run, "%s/%s.%s", path, run->row.id, runtimes[i].suffix ? runtimes[i].suffix : "dump");
    const char **command = ARENA_ARRAY(run->arena, const char *, 9);
    for (size_t w = 0; w < 8 && runtimes[i].command[w]; w++)
        command[w] = strcmp(runtimes[i].command[w], "FILE") ? runtimes[i].command[w] : file;
    plan_exec(run, pod, k8s_text_at(container, "/name"),
              run_printf(run, "dump the heap (%s)", runtimes[i].runtime), command);
    if (runtimes[i].suffix)
        run->message = run_printf(run, "the dump is %s in container %s: it may hold secrets", file,
                                  k8s_text_at(container, "/name"));
    return true;
}
