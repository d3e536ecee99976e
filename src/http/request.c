/* A request's way through the server: begin (its line is read), judge (its header is), body, handler, answer, end. */
#include "http/http_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_ARENA = 2048, BODY_RESERVE = 16 * 1024 };

struct http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static int64_t deadline_of(const struct http_server *server, int state)
{
    int64_t now = clock_mono_ms();
    switch (state) {
    case CONNECTION_HEADER:
        return now + server->options.idle_timeout_ms + server->options.request_timeout_ms;
    case CONNECTION_BODY:
        return now + server->options.request_timeout_ms;
    case CONNECTION_ANSWER:
        return now + HTTP_ANSWER_TIMEOUT_MS;
    default:
        return 0;
    }
}

void connection_enter(struct http_request *request, int state)
{
    pthread_mutex_lock(&request->server->connections_lock);
    request->connection->state = state;
    request->connection->deadline_ms = deadline_of(request->server, state);
    pthread_mutex_unlock(&request->server->connections_lock);
}

void *request_begin(void *server_, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = server_;
    struct http_request *request = xcalloc(1, sizeof *request);
    request->server = server;
    request->mhd = mhd;
    request->connection = connection_of(mhd);
    snprintf(request->client, sizeof request->client, "%s", request->connection->client);
    request->arena = arena_new(REQUEST_ARENA);
    request->target = arena_strdup(request->arena, target);
    request->holders = 1;
    pthread_mutex_init(&request->lock, NULL);
    return request;
}

void request_release(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    bool last = --request->holders == 0;
    pthread_mutex_unlock(&request->lock);
    if (!last)
        return;
    atomic_fetch_sub(&request->server->body_held, request->held);
    if (request->answer)
        MHD_destroy_response(request->answer);
    strbuf_free(&request->body_buffer);
    pthread_mutex_destroy(&request->lock);
    arena_free(request->arena);
    free(request);
}

static void refuse(struct http_request *request, _Atomic uint64_t *counter, unsigned status,
                   const char *message)
{
    if (counter)
        atomic_fetch_add(counter, 1);
    respond_refuse(request, status, message);
}

static struct str header_of(const struct http_request *request, const char *name)
{
    if (!request->mhd) /* the server has stopped, and answered in the handler's place */
        return (struct str){ 0 };
    return str_of(MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name));
}

static bool find_route(struct http_request *request)
{
    bool other_method;
    if (!http_target_parse(request->arena, str_of(request->target), &request->path, &request->query)) {
        refuse(request, NULL, MHD_HTTP_BAD_REQUEST, "The request's target is malformed");
        return false;
    }
    request->route =
        route_find(request->server, request, request->connection->listening->groups, &other_method);
    if (!request->route && other_method)
        refuse(request, NULL, MHD_HTTP_METHOD_NOT_ALLOWED,
               str_eq(request->path, STR("/alerts")) ? "Only POST method is allowed"
                                                     : "This method is not allowed here");
    else if (!request->route)
        refuse(request, NULL, MHD_HTTP_NOT_FOUND, "There is nothing here");
    return request->route != NULL;
}

/* Over the rate the webhook says 503, which Alertmanager tries again, and everybody else 429, which it would not. */
static bool check_client(struct http_request *request, struct access *access)
{
    struct http_server *server = request->server;
    if (!access_network_allowed(access, request->connection)) {
        refuse(request, &server->refused_network, MHD_HTTP_FORBIDDEN, "This network may not call");
        return false;
    }
    if (access_take_turn(access, request->connection))
        return true;
    bool ingest = request->route->scope == HTTP_SCOPE_INGEST;
    refuse(request, &server->cut_rate, ingest ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_TOO_MANY_REQUESTS,
           "Too many requests");
    return false;
}

static bool check_credentials(struct http_request *request, const struct access *access)
{
    struct presented presented = { header_of(request, MHD_HTTP_HEADER_AUTHORIZATION), NULL };
    if (request->server->client_ca)
        presented.names = tls_client_names(request->arena, request->mhd);
    switch (
        access_judge(access, request->route->scope, &presented, request->caller, sizeof request->caller)) {
    case ACCESS_GRANTED:
        return true;
    case ACCESS_FORBIDDEN:
        refuse(request, &request->server->refused_credentials, MHD_HTTP_FORBIDDEN,
               "This credential does not allow that");
        return false;
    default:
        refuse(request, &request->server->refused_credentials, MHD_HTTP_UNAUTHORIZED,
               "Authentication failed");
        return false;
    }
}

static bool check_access(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_rwlock_rdlock(&server->access_lock);
    bool ok = check_client(request, server->access) && check_credentials(request, server->access);
    pthread_rwlock_unlock(&server->access_lock);
    return ok;
}

/* "application/json; charset=utf-8" is application/json. */
static bool check_content_type(struct http_request *request)
{
    struct str type = header_of(request, MHD_HTTP_HEADER_CONTENT_TYPE), media;
    const char *wanted = request->route->content_type;
    if (!wanted || (str_split(&type, ';', &media) && str_eq_nocase(str_trim(media), str_of(wanted))))
        return true;
    AUTO(text) char *message = xasprintf("Content-Type must be %s", wanted);
    refuse(request, NULL, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, message);
    return false;
}

static bool check_size(struct http_request *request)
{
    struct str text = header_of(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    size_t route_max = request->route->max_body;
    uint64_t length = 0;
    request->body_max =
        route_max ? MIN(route_max, request->server->options.max_body) : request->server->options.max_body;
    if (text.len == 0 || (str_to_u64(text, &length) && length <= request->body_max))
        return true;
    refuse(request, &request->server->refused_size, MHD_HTTP_CONTENT_TOO_LARGE, "The body is too large");
    return false;
}

/* The header has its own limit; libmicrohttpd's, which ends a connection with 431 by itself, is twice that. */
static bool check_header_size(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!info || info->header_size <= request->server->options.max_header)
        return true;
    refuse(request, &request->server->refused_size, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
           "The header is too large");
    return false;
}

static bool check_running(struct http_request *request)
{
    pthread_mutex_lock(&request->server->waiting_lock);
    request->server->in_flight++;
    bool stopping = request->server->stopping;
    pthread_mutex_unlock(&request->server->waiting_lock);
    if (stopping)
        refuse(request, NULL, MHD_HTTP_SERVICE_UNAVAILABLE, "Shutting down");
    return !stopping;
}

/* The header has been read and nothing of the body: refuse now what will be refused anyway. */
static void judge(struct http_request *request, const char *method)
{
    request->judged = true;
    request->started_us = clock_mono_us();
    request->method = arena_str(request->arena, str_of(method));
    atomic_fetch_add(&request->server->requests_total, 1);
    bool running = check_running(request);
    if (running && check_header_size(request) && find_route(request) && check_access(request) &&
        check_content_type(request) && check_size(request))
        connection_enter(request, CONNECTION_BODY);
    else
        connection_enter(request, CONNECTION_ANSWER);
}

/* libmicrohttpd cannot answer in the middle of a body, so one that grows too large is read on, thrown away, and answered
 * at its end; the deadline ends one that has none. */
static void take_body(struct http_request *request, const char *upload, size_t size)
{
    struct http_server *server = request->server;
    if (request->too_large || request->no_room)
        return;
    if (request->body_buffer.len + size > request->body_max) {
        request->too_large = true;
    } else if (request->body_buffer.len + size > request->held) {
        size_t more = MAX(request->body_buffer.len + size, (size_t)BODY_RESERVE);
        request->held += more;
        request->no_room = atomic_fetch_add(&server->body_held, more) + more > server->body_held_max;
    }
    if (request->too_large || request->no_room)
        strbuf_free(&request->body_buffer);
    else
        strbuf_add(&request->body_buffer, (struct str){ upload, size });
}

static void enter_waiting(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->waiting_lock);
    request->next = server->waiting;
    if (request->next)
        request->next->previous = request;
    server->waiting = request;
    pthread_mutex_unlock(&server->waiting_lock);
}

static enum MHD_Result answer(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    bool streams = request->stream != NULL;
    pthread_mutex_unlock(&request->lock);
    connection_enter(request, streams ? CONNECTION_STREAM : CONNECTION_ANSWER);
    return respond_queue(request);
}

/* Hand it over. The handler answers before this returns, or the connection is suspended until it does. */
static enum MHD_Result call_handler(struct http_request *request)
{
    request->handled = true;
    request->body = strbuf_str(&request->body_buffer);
    request->holders = 2;
    connection_enter(request, CONNECTION_HANDLER);
    enter_waiting(request);
    request->route->handler(request, request->route_context);
    pthread_mutex_lock(&request->lock);
    bool now = request->responded;
    if (!now) {
        MHD_suspend_connection(request->mhd);
        request->suspended = true;
    }
    pthread_mutex_unlock(&request->lock);
    return now ? answer(request) : MHD_YES;
}

static enum MHD_Result finish_body(struct http_request *request)
{
    if (request->too_large)
        refuse(request, &request->server->refused_size, MHD_HTTP_CONTENT_TOO_LARGE, "The body is too large");
    else if (request->no_room)
        refuse(request, NULL, MHD_HTTP_SERVICE_UNAVAILABLE, "Too many large requests at a time");
    else
        return call_handler(request);
    connection_enter(request, CONNECTION_ANSWER);
    return respond_queue(request);
}

/* Called with the header, then with pieces of the body, then with none; and once more when a suspended request resumes. */
enum MHD_Result request_handle(void *listening, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **own)
{
    (void)listening, (void)mhd, (void)url, (void)version;
    struct http_request *request = *own;
    if (!request->judged) {
        judge(request, method);
        return request->responded ? respond_queue(request) : MHD_YES;
    }
    if (*upload_size) {
        take_body(request, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (!request->handled)
        return finish_body(request);
    return answer(request);
}

/* libmicrohttpd has answered by itself: the header was malformed, or over its limit while it came. */
static void count_unread(struct http_request *request, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    if (info && info->http_status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
        atomic_fetch_add(&request->server->refused_size, 1);
}

void request_completed(void *server_, struct MHD_Connection *mhd, void **own,
                       enum MHD_RequestTerminationCode code)
{
    struct http_server *server = server_;
    struct http_request *request = *own;
    (void)code;
    if (!request)
        return;
    if (!request->judged)
        count_unread(request, mhd);
    *own = NULL;
    if (request->stream)
        stream_lost(request->stream);
    if (request->judged && server->options.observe)
        server->options.observe(request, request->queued ? request->status : 499,
                                clock_mono_us() - request->started_us, server->options.observe_context);
    connection_enter(request, CONNECTION_HEADER);
    pthread_mutex_lock(&server->waiting_lock);
    server->in_flight -= request->judged;
    pthread_cond_broadcast(&server->waiting_changed);
    pthread_mutex_unlock(&server->waiting_lock);
    request->mhd = NULL;
    request_release(request);
}

struct str http_request_method(const struct http_request *request)
{
    return request->method;
}
struct str http_request_path(const struct http_request *request)
{
    return request->path;
}
const struct http_route *http_request_route(const struct http_request *request)
{
    return request->route;
}
struct str http_request_body(const struct http_request *request)
{
    return request->body;
}
struct str http_request_header(const struct http_request *request, const char *name)
{
    return header_of(request, name);
}
const char *http_request_caller(const struct http_request *request)
{
    return request->caller;
}
const char *http_request_client(const struct http_request *request)
{
    return request->client;
}
struct arena *http_request_arena(struct http_request *request)
{
    return request->arena;
}
int64_t http_request_started_us(const struct http_request *request)
{
    return request->started_us;
}

struct str http_request_param(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        if (request->param_names[i].len && str_eq(request->param_names[i], str_of(name)))
            return request->params[i];
    return (struct str){ 0 };
}

bool http_request_query(const struct http_request *request, const char *name, struct str *value)
{
    for (size_t i = 0; i < request->query.count; i++) {
        if (str_eq(request->query.items[i].name, str_of(name))) {
            *value = request->query.items[i].value;
            return true;
        }
    }
    return false;
}

size_t http_request_query_count(const struct http_request *request)
{
    return request->query.count;
}

void http_request_query_at(const struct http_request *request, size_t index, struct str *name,
                           struct str *value)
{
    *name = request->query.items[index].name;
    *value = request->query.items[index].value;
}
