/* HTTP: the server (libmicrohttpd), and in client.h the client (libcurl).
 *
 * A room that answers requests has a table of routes and hands it to the server before it starts:
 *
 *     static const struct http_route routes[] = {
 *         { "POST", "/alerts", HTTP_GROUP_API, HTTP_SCOPE_INGEST, accept_alerts, .content_type = "application/json" },
 *         { "GET", "/api/v1/incidents/{id}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_incident },
 *         { 0 },
 *     };
 *     http_server_add(server, routes, webhook);
 *
 * A handler answers with http_respond(), at once or later from any thread (a group commit, say); exactly once either way.
 * The server has by then checked, in this order: method and path (404, 405), the client's network and rate, credentials
 * (401, 403), content type (415), size (413); nothing of the body is read before. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum http_scope { /* what a credential may do; none implies another */
                  HTTP_SCOPE_INGEST,
                  HTTP_SCOPE_READ,
                  HTTP_SCOPE_OPERATE,
                  HTTP_SCOPE_METRICS,
                  HTTP_SCOPE_HEALTH,
                  HTTP_SCOPE_COUNT,
                  HTTP_SCOPE_PUBLIC = -1, /* of a route: for everybody */
};

enum http_group { /* which listeners serve a route: bits */
                  HTTP_GROUP_API = 1,
                  HTTP_GROUP_METRICS = 2,
                  HTTP_GROUP_HEALTH = 4,
                  HTTP_GROUP_ALL = 7,
};

struct http_request; /* its handler's, until it has responded */
typedef void http_handler(struct http_request *request, void *context);

struct http_route {
    const char *method; /* "GET" also serves HEAD */
    const char *path;   /* {name} is one segment; {name...}, at the end, the rest, which may be empty */
    unsigned groups;
    int scope; /* enum http_scope */
    http_handler *handler;
    const char *content_type; /* that a body must have, else 415; NULL: any */
    size_t max_body;          /* 0: the server's */
};

/* The request. Everything is borrowed and lives until http_respond(). */
struct str http_request_method(const struct http_request *request);
struct str http_request_path(const struct http_request *request); /* decoded, without the query */
const struct http_route *http_request_route(const struct http_request *request);
struct str http_request_body(const struct http_request *request);
struct str http_request_header(const struct http_request *request,
                               const char *name); /* {0} if there is none */
struct str http_request_param(const struct http_request *request, const char *name); /* {name} of the path */
bool http_request_query(const struct http_request *request, const char *name,
                        struct str *value); /* the first of that name */
size_t http_request_query_count(const struct http_request *request);
void http_request_query_at(const struct http_request *request, size_t index, struct str *name,
                           struct str *value);
const char *
http_request_caller(const struct http_request *request); /* the credential's name; "" for anonymous */
const char *http_request_client(const struct http_request *request); /* IP address */
struct arena *http_request_arena(struct http_request *request);      /* for the handler's own memory */
int64_t
http_request_started_us(const struct http_request *request); /* clock_mono_us() when its header was read */

struct http_header {
    const char *name, *value;
};

/* The answer. The body is copied, unless it is `static_body`. */
struct http_response {
    unsigned status;
    const char *content_type; /* NULL: application/json */
    struct str body;
    bool static_body;                  /* the body outlives the server (embedded files) */
    const struct http_header *headers; /* ended by a NULL name; copied; may be NULL */
    unsigned retry_after_s;            /* 0: no Retry-After */
};
void http_respond(struct http_request *request, const struct http_response *response);
void http_respond_json(struct http_request *request, unsigned status, struct str json);

/* {"status":"error","error":"…"}; keep the message short and free of secrets. 503 gets a Retry-After. */
__attribute__((format(printf, 3, 4))) void http_respond_error(struct http_request *request, unsigned status,
                                                              const char *format, ...);
/* The status that fits the error's code, and its message; frees and clears *err. */
void http_respond_failure(struct http_request *request, struct error **err);
unsigned http_status_of(enum error_code code);

/* Server-sent events, or any answer that grows. Writing never waits: a reader so slow that more than 1 MiB piles up
 * is cut off. The server sends a comment every 15 s, so that a client that has left is noticed. */
struct http_stream; /* locks itself */
struct http_stream *http_respond_stream(struct http_request *request,
                                        const char *content_type); /* NULL: text/event-stream */
bool http_stream_write(struct http_stream *stream,
                       struct str data); /* false: the client has left; close it */
void http_stream_close(struct http_stream *stream);

/* Who may call. The server keeps a copy, with digests in place of secrets. */
struct http_credential {
    const char *name;
    unsigned scopes;                 /* BIT(HTTP_SCOPE_…) */
    const char *tokens;              /* bearer tokens, one a line; NULL or "" for none */
    const char *username, *password; /* basic */
    const char *client_name;         /* CN, DNS or URI name of a verified client certificate */
    int64_t expires_utc_ms;          /* 0: never */
};
struct http_access {
    const struct http_credential *credentials;
    size_t credentials_len;
    unsigned open_scopes;             /* scopes that need no credential */
    const char *const *allowed_cidrs; /* empty: every network; loopback always */
    size_t allowed_cidrs_len;
    double rate_limit; /* requests a second and address; 0: none */
    unsigned rate_burst;
};

struct http_listener {
    const char *address; /* IP address, or "localhost" */
    unsigned port;       /* 0: any free one; see http_server_port() */
    unsigned groups;     /* listeners with the same address and port become one */
};

struct http_server_options {
    const struct http_listener *listeners;
    size_t listeners_len;
    const char *cert_file, *key_file, *client_ca_file; /* NULL or "": no TLS, no client certificates */
    size_t max_header, max_body;                       /* 0: 32 KiB, 32 MiB */
    int64_t request_timeout_ms;                        /* for header and body to arrive; 0: 30 s */
    int64_t idle_timeout_ms;                           /* 0: 120 s */
    unsigned max_connections;                          /* on each listener; 0: 1000 */
    unsigned max_connections_per_client;               /* 0: no limit of its own */
    unsigned threads;                                  /* for each listener; 0: 2 */

    /* Told of every request once it is answered; may be NULL. The route is NULL for 404 and 405. */
    void (*observe)(const struct http_request *request, unsigned status, int64_t duration_us, void *context);
    void *observe_context;
};

struct http_server;                                                             /* locks itself */
struct http_server *http_server_new(const struct http_server_options *options); /* copies options */
void http_server_free(struct http_server *server);                              /* stops it first */
static inline void http_server_cleanup(struct http_server **server)
{
    http_server_free(*server);
}

void http_server_add(struct http_server *server, const struct http_route *routes,
                     void *context); /* before start; borrowed */
bool http_server_set_access(struct http_server *server, const struct http_access *access, struct error **err);
bool http_server_start(struct http_server *server, struct error **err);
unsigned http_server_port(const struct http_server *server, enum http_group group); /* 0: nobody serves it */

/* Read certificate and key again; on failure the old ones stay. Also done by itself when the files change. */
bool http_server_reload_tls(struct http_server *server, struct error **err);

/* Stop accepting, wait for requests in flight; those unanswered at the deadline get 503. */
void http_server_stop(struct http_server *server, int64_t deadline_ms);

struct http_server_stats {
    uint64_t connections_open, connections_total, requests_total;
    uint64_t cut_slow, cut_rate, refused_network, refused_credentials, refused_size;
    uint64_t body_bytes_held;
};
void http_server_stats(struct http_server *server, struct http_server_stats *stats);

/* For what else reads them: a path and its query, percent-decoded. False if an escape is broken or a NUL appears. */
struct http_query {
    struct {
        struct str name, value;
    } *items;
    size_t count;
};
bool http_target_parse(struct arena *arena, struct str target, struct str *path, struct http_query *query);
enum { HTTP_QUERY_MAX = 100 }; /* more parameters are a broken target */

#endif
