/* REST for actions and executions: what commands do, for scripts and the dashboard. Reading needs the scope `read`, all
 * else `operate`. An execution may take minutes, so it has a thread of its own and answers when it has ended; one that
 * waits for approval answers at once, with 202. */
#include "api/api_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "executor/executor.h"

enum { BODY_MAX = 64 * 1024, DEPTH_ARENA = 64 * 1024, THREADS_MAX = 16 };

struct task { /* one request, handed to its thread */
    struct http_request *request;
    struct executor *executor;
    bool (*run)(struct task *task, struct arena *arena, struct execution *execution, struct error **err);
    yyjson_doc *doc;
    const char *id;
};

static atomic_int running;

static const char *text_in(const struct task *task, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(task->doc), name));
}

static const char *caller_of(const struct task *task)
{
    const char *caller = http_request_caller(task->request);
    return caller && caller[0] ? caller : "api";
}

static void respond_execution(struct http_request *request, const struct execution *execution)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    bool waits = execution->state == EXECUTION_PENDING || execution->state == EXECUTION_APPROVED;
    execution_write(&out, execution);
    http_respond_json(request, waits ? 202 : 200, strbuf_str(&out));
}

static void *work(void *context)
{
    struct task *task = context;
    AUTO(arena) struct arena *arena = arena_new(DEPTH_ARENA);
    struct error *err = NULL;
    struct execution execution;
    if (task->run(task, arena, &execution, &err))
        respond_execution(task->request, &execution);
    else
        http_respond_failure(task->request, &err);
    yyjson_doc_free(task->doc);
    free(task);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* The body: nothing, or a JSON object whose members are all among `names`. */
static bool read_body(struct http_request *request, const char *const *names, yyjson_doc **doc,
                      struct error **err)
{
    struct str body = http_request_body(request);
    *doc = NULL;
    if (str_trim(body).len == 0)
        return true;
    *doc = yyjson_read(body.ptr, body.len, 0);
    yyjson_val *root = yyjson_doc_get_root(*doc), *key;
    if (!yyjson_is_obj(root))
        return error_set(err, ERROR_INVALID, "the body is no JSON object");
    yyjson_obj_iter keys = yyjson_obj_iter_with(root);
    while ((key = yyjson_obj_iter_next(&keys))) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], yyjson_get_str(key)) != 0)
            i++;
        if (!names[i])
            return error_set(err, ERROR_INVALID, "unknown member \"%.64s\"", yyjson_get_str(key));
    }
    return true;
}

static void begin(struct http_request *request, struct executor *executor, const char *const *names,
                  bool (*run)(struct task *, struct arena *, struct execution *, struct error **))
{
    struct error *err = NULL;
    yyjson_doc *doc;
    pthread_t thread;
    if (!read_body(request, names, &doc, &err)) {
        yyjson_doc_free(doc);
        http_respond_failure(request, &err);
        return;
    }
    struct task *task = xcalloc(1, sizeof *task);
    *task = (struct task){ request, executor, run, doc,
                           arena_text(http_request_arena(request), http_request_param(request, "id")) };
    bool busy = atomic_fetch_add(&running, 1) >= THREADS_MAX;
    if (!busy && pthread_create(&thread, NULL, work, task) == 0) {
        pthread_detach(thread);
        return;
    }
    atomic_fetch_sub(&running, 1);
    yyjson_doc_free(doc);
    free(task);
    http_respond_error(request, 503, "%d executions are begun already", THREADS_MAX);
}

/* ---- run, undo, approve, deny */

static bool run_action(struct task *task, struct arena *arena, struct execution *execution,
                       struct error **err)
{
    const char *name = text_in(task, "action"), *mode = text_in(task, "dry_run");
    yyjson_val *parameters = yyjson_obj_get(yyjson_doc_get_root(task->doc), "parameters");
    char *text = parameters ? yyjson_val_write(parameters, 0, NULL) : NULL;
    struct execution_request request = { .kind = text_in(task, "kind"),
                                         .namespace = text_in(task, "namespace"),
                                         .name = text_in(task, "name"),
                                         .key = text_in(task, "key"),
                                         .parameters = arena_strdup(arena, text),
                                         .confidence = 1,
                                         .requested_by = caller_of(task) };
    free(text);
    if (!name || !action_parse(str_of(name), &request.action))
        return error_set(err, ERROR_INVALID, "\"action\" names no action: see GET /api/v1/actions");
    if (mode && !executor_mode_parse(str_of(mode), &request.mode))
        return error_set(err, ERROR_INVALID, "\"dry_run\" is plan, server or off");
    return executor_execute(task->executor, arena, &request, execution, NULL, err);
}

static bool undo_execution(struct task *task, struct arena *arena, struct execution *execution,
                           struct error **err)
{
    const char *mode = text_in(task, "dry_run");
    struct execution_undo undo = { .id = task->id,
                                   .requested_by = caller_of(task),
                                   .reason = text_in(task, "reason"),
                                   .mode = EXECUTOR_REAL,
                                   .force = yyjson_get_bool(
                                       yyjson_obj_get(yyjson_doc_get_root(task->doc), "force")) };
    if (mode && !executor_mode_parse(str_of(mode), &undo.mode))
        return error_set(err, ERROR_INVALID, "\"dry_run\" is plan, server or off");
    return executor_undo(task->executor, arena, &undo, execution, err);
}

static bool decide(struct task *task, struct arena *arena, bool approve, struct execution *execution,
                   struct error **err)
{
    struct approval approval;
    return executor_approve(task->executor, arena, task->id, approve, caller_of(task),
                            text_in(task, "reason"), &approval, err) &&
           executor_get(task->executor, arena, task->id, execution, err);
}

static bool approve_execution(struct task *task, struct arena *arena, struct execution *execution,
                              struct error **err)
{
    return decide(task, arena, true, execution, err);
}

static bool deny_execution(struct task *task, struct arena *arena, struct execution *execution,
                           struct error **err)
{
    return decide(task, arena, false, execution, err);
}

static void post_run(struct http_request *request, void *context)
{
    begin(
        request, context,
        (const char *const[]){ "action", "parameters", "kind", "namespace", "name", "dry_run", "key", NULL },
        run_action);
}

static void post_undo(struct http_request *request, void *context)
{
    begin(request, context, (const char *const[]){ "dry_run", "force", "reason", NULL }, undo_execution);
}

static void post_approve(struct http_request *request, void *context)
{
    begin(request, context, (const char *const[]){ "reason", NULL }, approve_execution);
}

static void post_deny(struct http_request *request, void *context)
{
    begin(request, context, (const char *const[]){ "reason", NULL }, deny_execution);
}

/* ---- reading */

static void list_executions(struct http_request *request, void *context)
{
    struct execution_query query = { .limit = API_LIMIT_DEFAULT };
    const struct {
        const char *name, **field;
    } known[] = { { "state", &query.state },
                  { "action", &query.action },
                  { "incident_id", &query.incident_id },
                  { "namespace", &query.namespace },
                  { "kind", &query.kind },
                  { "name", &query.name },
                  { "requested_by", &query.requested_by },
                  { "cursor", &query.before_id } };
    for (size_t i = 0; i < http_request_query_count(request); i++) {
        struct str name, value;
        size_t k = 0;
        http_request_query_at(request, i, &name, &value);
        while (k < ARRAY_LEN(known) && !str_eq(name, str_of(known[k].name)))
            k++;
        bool limit = str_eq(name, STR("limit"));
        if (limit ? !str_to_i64(value, &query.limit) || query.limit < 1 || query.limit > API_LIMIT_MAX
                  : k == ARRAY_LEN(known) || !utf8_is_valid(value)) {
            http_respond_error(request, 400,
                               limit ? "limit: give a number from 1 to 1000" : "unknown parameter");
            return;
        }
        if (!limit)
            *known[k].field = arena_text(http_request_arena(request), value);
    }
    AUTO(strbuf) struct strbuf out = { 0 };
    struct error *err = NULL;
    if (executor_write_list(context, &query, &out, &err))
        http_respond_json(request, 200, strbuf_str(&out));
    else
        http_respond_failure(request, &err);
}

static void show_execution(struct http_request *request, void *context)
{
    AUTO(arena) struct arena *arena = arena_new(DEPTH_ARENA);
    struct error *err = NULL;
    struct execution execution;
    const char *id = arena_text(http_request_arena(request), http_request_param(request, "id"));
    AUTO(strbuf) struct strbuf out = { 0 };
    if (!executor_get(context, arena, id, &execution, &err)) {
        http_respond_failure(request, &err);
        return;
    }
    execution_write(&out, &execution);
    http_respond_json(request, 200, strbuf_str(&out));
}

static void list_actions(struct http_request *request, void *context)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    (void)context;
    strbuf_add_text(&out, "{\"actions\":[");
    for (int action = 0; action < ACTION_COUNT; action++) {
        strbuf_add_text(&out, action ? "," : "");
        executor_write_action((enum action)action, &out);
    }
    strbuf_add_text(&out, "],\"next_cursor\":null}");
    http_respond_json(request, 200, strbuf_str(&out));
}

static void show_action(struct http_request *request, void *context)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    enum action action;
    (void)context;
    if (!action_parse(http_request_param(request, "name"), &action)) {
        http_respond_error(request, 404, "there is no such action");
        return;
    }
    executor_write_action(action, &out);
    http_respond_json(request, 200, strbuf_str(&out));
}

/* ---- the switch */

static void set_switch(struct http_request *request, struct executor *executor, bool stop)
{
    struct error *err = NULL;
    yyjson_doc *doc = NULL;
    const char *caller = http_request_caller(request);
    bool ok = read_body(request, (const char *const[]){ "reason", NULL }, &doc, &err) &&
              executor_set_stopped(executor, stop, caller[0] ? caller : "api",
                                   yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "reason")), &err);
    yyjson_doc_free(doc);
    if (ok)
        http_respond_json(request, 200, stop ? STR("{\"stopped\":true}") : STR("{\"stopped\":false}"));
    else
        http_respond_failure(request, &err);
}

static void post_stop(struct http_request *request, void *context)
{
    set_switch(request, context, true);
}

static void post_resume(struct http_request *request, void *context)
{
    set_switch(request, context, false);
}

#define JSON .content_type = "application/json", .max_body = BODY_MAX
#define PLAIN .max_body = BODY_MAX
static const struct http_route routes[] = {
    { "GET", "/api/v1/actions", HTTP_GROUP_API, HTTP_SCOPE_READ, list_actions },
    { "GET", "/api/v1/actions/{name}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_action },
    { "GET", "/api/v1/executions", HTTP_GROUP_API, HTTP_SCOPE_READ, list_executions },
    { "GET", "/api/v1/executions/{id}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_execution },
    { "POST", "/api/v1/executions", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_run, JSON },
    { "POST", "/api/v1/executions/stop", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_stop, PLAIN },
    { "POST", "/api/v1/executions/resume", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_resume, PLAIN },
    { "POST", "/api/v1/executions/{id}/approve", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_approve, PLAIN },
    { "POST", "/api/v1/executions/{id}/deny", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_deny, PLAIN },
    { "POST", "/api/v1/executions/{id}/undo", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, post_undo, PLAIN },
    { 0 },
};

void api_add_executions_to(struct http_server *server, struct executor *executor)
{
    http_server_add(server, routes, executor);
}
