/* Answers: made on any thread, handed to libmicrohttpd on its own. */
#include "http/http_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { RETRY_AFTER_S = 5 };

static void add_header(struct MHD_Response *answer, const char *name, const char *value)
{
    MHD_add_response_header(answer, name, value); /* fails on control characters: then it is left out */
}

static struct MHD_Response *make_answer(const struct http_response *response)
{
    enum MHD_ResponseMemoryMode mode = response->static_body ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY;
    struct MHD_Response *answer = MHD_create_response_from_buffer(
        response->body.len, (void *)(response->body.len ? response->body.ptr : ""), mode);
    if (!answer)
        return NULL;
    add_header(answer, "Content-Type", response->content_type ? response->content_type : "application/json");
    add_header(answer, "X-Content-Type-Options", "nosniff");
    bool cache = false;
    for (const struct http_header *header = response->headers; header && header->name; header++) {
        add_header(answer, header->name, header->value);
        cache |= strcasecmp(header->name, "Cache-Control") == 0;
    }
    if (!cache)
        add_header(answer, "Cache-Control", "no-store");
    if (response->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", response->retry_after_s);
        add_header(answer, "Retry-After", seconds);
    }
    return answer;
}

/* Out of the server's list of requests that handlers have; wakes a server that waits for it to be empty, which may be
 * gone as soon as the lock is free: so the handler's hold ends within. */
static void leave_waiting(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->waiting_lock);
    if (request->previous)
        request->previous->next = request->next;
    else if (server->waiting == request)
        server->waiting = request->next;
    if (request->next)
        request->next->previous = request->previous;
    request->previous = request->next = NULL;
    request_release(request);
    pthread_cond_broadcast(&server->waiting_changed);
    pthread_mutex_unlock(&server->waiting_lock);
}

/* The first answer counts. With request->lock held. */
static void settle(struct http_request *request, struct MHD_Response *answer_take, unsigned status)
{
    request->answer = answer_take;
    request->status = status;
    request->responded = true;
    if (request->suspended)
        MHD_resume_connection(request->mhd);
    request->suspended = false;
}

/* The handler's answer: its hold on the request ends here. */
static void respond_take(struct http_request *request, struct MHD_Response *answer, unsigned status)
{
    pthread_mutex_lock(&request->lock);
    bool first = !request->responded;
    if (first)
        settle(request, answer, status);
    pthread_mutex_unlock(&request->lock);
    if (!first && answer)
        MHD_destroy_response(answer); /* the server has answered in its place, at its end */
    leave_waiting(request);
}

/* As respond_take(); what the server had to answer itself leaves the stream without a reader. */
void respond_take_stream(struct http_request *request, struct MHD_Response *answer,
                         struct http_stream *stream)
{
    pthread_mutex_lock(&request->lock);
    bool first = !request->responded;
    if (first)
        request->stream = stream;
    pthread_mutex_unlock(&request->lock);
    if (!first)
        stream_lost(stream);
    respond_take(request, answer, MHD_HTTP_OK);
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    respond_take(request, make_answer(response), response->status);
}

void http_respond_json(struct http_request *request, unsigned status, struct str json)
{
    http_respond(request, &(struct http_response){ .status = status, .body = json });
}

static void add_error_body(struct strbuf *body, const char *message)
{
    strbuf_add_text(body, "{\"status\":\"error\",\"error\":");
    strbuf_add_json(body, str_of(message));
    strbuf_add_text(body, "}\n");
}

void http_respond_error(struct http_request *request, unsigned status, const char *format, ...)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *message = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&message, format, args) < 0)
        message = NULL;
    va_end(args);
    add_error_body(&body, message ? message : "");
    http_respond(request, &(struct http_response){
                              .status = status,
                              .body = strbuf_str(&body),
                              .retry_after_s = status == MHD_HTTP_SERVICE_UNAVAILABLE ? RETRY_AFTER_S : 0 });
}

unsigned http_status_of(enum error_code code)
{
    static const unsigned statuses[ERROR_CODE_COUNT] = {
        [ERROR_INVALID] = 400,   [ERROR_NOT_FOUND] = 404,   [ERROR_CONFLICT] = 409,
        [ERROR_EXISTS] = 409,    [ERROR_DENIED] = 403,      [ERROR_UNAUTHENTICATED] = 401,
        [ERROR_LIMIT] = 503,     [ERROR_UNAVAILABLE] = 503, [ERROR_UNSUPPORTED] = 501,
        [ERROR_NO_MEMORY] = 503, [ERROR_TIMEOUT] = 503,     [ERROR_IO] = 503,
        [ERROR_CORRUPT] = 503,   [ERROR_CANCELLED] = 503,   [ERROR_INTERNAL] = 500,
    };
    return (unsigned)code < ERROR_CODE_COUNT ? statuses[code] : 500;
}

void http_respond_failure(struct http_request *request, struct error **err)
{
    long wait_ms = error_retry_after_ms(*err);
    unsigned status = http_status_of(error_code(*err));
    AUTO(strbuf) struct strbuf body = { 0 };
    add_error_body(&body, error_message(*err));
    error_clear(err);
    unsigned wait_s = wait_ms > 0 ? (unsigned)((wait_ms + 999) / 1000) : RETRY_AFTER_S;
    http_respond(request, &(struct http_response){ .status = status,
                                                   .body = strbuf_str(&body),
                                                   .retry_after_s = status == 503 ? wait_s : 0 });
}

/* The server's own answer, on libmicrohttpd's thread, before any handler has the request. */
void respond_refuse(struct http_request *request, unsigned status, const char *message)
{
    AUTO(strbuf) struct strbuf body = { 0 }, allowed = { 0 };
    struct http_header headers[2] = { 0 };
    add_error_body(&body, message);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        route_allowed(request->server, request, request->connection->listening->groups, &allowed);
        headers[0] = (struct http_header){ "Allow", allowed.ptr };
    }
    if (status == MHD_HTTP_UNAUTHORIZED)
        headers[0] =
            (struct http_header){ "WWW-Authenticate", "Bearer, Basic realm=\"prometheus-alerts-slm\"" };
    bool later = status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS;
    struct http_response response = { .status = status,
                                      .body = strbuf_str(&body),
                                      .headers = headers[0].name ? headers : NULL,
                                      .retry_after_s = later ? RETRY_AFTER_S : 0 };
    pthread_mutex_lock(&request->lock);
    if (!request->responded)
        settle(request, make_answer(&response), status);
    pthread_mutex_unlock(&request->lock);
}

enum MHD_Result respond_queue(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    struct MHD_Response *answer = request->answer;
    unsigned status = request->status;
    request->queued = answer != NULL;
    pthread_mutex_unlock(&request->lock);
    return answer ? MHD_queue_response(request->mhd, status, answer) : MHD_NO; /* out of memory: the end */
}
