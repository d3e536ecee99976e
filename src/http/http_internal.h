/* What this folder's files tell each other about the server. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "http/http.h"

enum {
    HTTP_MAX_HEADER = 32 * 1024,
    HTTP_MAX_BODY = 32 * 1024 * 1024,
    HTTP_REQUEST_TIMEOUT_MS = 30 * 1000,
    HTTP_IDLE_TIMEOUT_MS = 120 * 1000,
    HTTP_ANSWER_TIMEOUT_MS = 300 * 1000, /* for a client to take its answer */
    HTTP_MAX_CONNECTIONS = 1000,
    HTTP_THREADS = 2,
    HTTP_LISTENERS_MAX = 8,
    HTTP_PARAMS_MAX = 4,
    HTTP_ADDRESS_MAX = 46,
    HTTP_PING_MS = 15 * 1000,
    HTTP_STREAM_MAX = 1024 * 1024,
    HTTP_BODIES_HELD = 4, /* bodies of the largest size that may be in memory together */
};

struct http_listening { /* one port; set at start, read-only since */
    struct http_server *server;
    char address[HTTP_ADDRESS_MAX];
    unsigned port, groups;
    int fd;
    struct MHD_Daemon *daemon;
};

/* A connection, in the server's list while it is open. */
struct http_connection {
    struct http_connection *previous, *next;
    struct http_listening *listening;
    int fd;
    enum {
        CONNECTION_HEADER,
        CONNECTION_BODY,
        CONNECTION_HANDLER,
        CONNECTION_ANSWER,
        CONNECTION_STREAM
    } state;
    int64_t deadline_ms; /* of the state; 0: none. Guarded, as state is, by connections_lock */
    bool cut;
    bool nudged; /* its client will send no more, and libmicrohttpd has been told again */
    char client[HTTP_ADDRESS_MAX];
    bool is_loopback;
    unsigned char address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
};

struct http_request {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    struct arena *arena;
    const char *target; /* as it was sent */
    struct str method, path, body;
    struct http_query query;
    const struct http_route *route;
    void *route_context;
    struct str params[HTTP_PARAMS_MAX];
    struct str param_names[HTTP_PARAMS_MAX];
    char caller[64], client[HTTP_ADDRESS_MAX];
    int64_t started_us;

    bool judged;    /* its header has been looked at */
    bool too_large; /* the body is being thrown away; 413 at its end */
    bool no_room;   /* likewise, 503 */
    struct strbuf body_buffer;
    size_t body_max;
    size_t held; /* of server->body_held */

    pthread_mutex_t lock; /* guards what follows: the handler may answer on any thread */
    struct MHD_Response *answer;
    unsigned status;
    bool handled, suspended, responded, queued;
    struct http_stream *stream;
    unsigned holders; /* libmicrohttpd, until completed, and the handler, until it responds */
    struct http_request *previous,
        *next; /* in server->waiting, while the handler has it; its lock guards these */
};

struct http_added {
    const struct http_route *routes;
    void *context;
};

struct http_server {
    struct http_server_options options; /* as the rest up to here set before start, read-only since */
    struct http_listening listenings[HTTP_LISTENERS_MAX];
    size_t listenings_len;
    struct http_added *added;
    size_t added_len;
    char *cert_file, *key_file, *client_ca;
    size_t body_held_max;

    pthread_rwlock_t access_lock; /* guards access */
    struct access *access;

    pthread_mutex_t
        connections_lock; /* guards connections, their state and deadlines, streams' registration */
    struct http_connection *connections;
    uint64_t connections_open;

    pthread_mutex_t waiting_lock; /* guards waiting and stopping */
    pthread_cond_t waiting_changed;
    struct http_request *waiting; /* handed to handlers, not answered */
    unsigned in_flight;           /* requests that have begun and are not completed */
    bool stopping;

    pthread_t reaper; /* watches deadlines, pings streams, looks at the certificate's files */
    bool started, stopped;
    pthread_cond_t reaper_wake; /* with connections_lock */
    bool reaper_end;

    _Atomic uint64_t connections_total, requests_total, cut_slow, cut_rate, refused_network,
        refused_credentials, refused_size;
    _Atomic size_t body_held;
}; /* lock order: waiting_lock, then request->lock; connections_lock and streams' last */

/* route.c */
const struct http_route *route_find(const struct http_server *server, struct http_request *request,
                                    unsigned groups, bool *other_method);
void route_allowed(const struct http_server *server, struct http_request *request, unsigned groups,
                   struct strbuf *allowed);

/* access.c */
struct access *access_new(const struct http_access *from, struct error **err);
void access_free(struct access *access);
bool access_network_allowed(const struct access *access, const struct http_connection *connection);
/* False: over the rate. */
bool access_take_turn(struct access *access, const struct http_connection *connection);
enum access_answer { ACCESS_GRANTED, ACCESS_UNKNOWN, ACCESS_FORBIDDEN };
struct presented { /* what a client proves itself with */
    struct str authorization;
    const char *const *names; /* of its verified certificate, ended by NULL; or NULL */
};
enum access_answer access_judge(const struct access *access, int scope, const struct presented *presented,
                                char *caller, size_t caller_size);

/* tls.c: the process' one certificate, for libmicrohttpd gives its callback nothing to tell servers apart by. */
bool tls_install(const char *cert_file, const char *key_file,
                 struct error **err); /* on failure the old one stays */
bool tls_files_changed(void);
void tls_uninstall(void);
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *request_ca, int request_ca_len,
                 const gnutls_pk_algorithm_t *algorithms, int algorithms_len, gnutls_pcert_st **certificate,
                 unsigned *certificate_len, gnutls_privkey_t *key);
const char *const *tls_client_names(struct arena *arena,
                                    struct MHD_Connection *mhd); /* NULL: none verified */

/* request.c: called by libmicrohttpd. */
void *request_begin(void *server, const char *target, struct MHD_Connection *mhd);
enum MHD_Result request_handle(void *listening, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **own);
void request_completed(void *server, struct MHD_Connection *mhd, void **own,
                       enum MHD_RequestTerminationCode code);
void request_release(struct http_request *request);
struct http_connection *connection_of(struct MHD_Connection *mhd);
void connection_enter(struct http_request *request, int state);

/* respond.c */
enum MHD_Result respond_queue(struct http_request *request);
void respond_take_stream(struct http_request *request, struct MHD_Response *answer_take,
                         struct http_stream *stream);
void respond_refuse(struct http_request *request, unsigned status, const char *message);

/* stream.c */
void stream_ping_all(struct http_server *server);
void stream_end_all(
    struct http_server *server); /* at the server's end: they close once what is pending is sent */
void stream_lost(struct http_stream *stream);

#endif
