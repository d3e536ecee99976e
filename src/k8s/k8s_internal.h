/* What the files of src/k8s/ tell each other: client → call → transport, with credentials from kubeconfig.c and auth.c. */
#ifndef K8S_K8S_INTERNAL_H
#define K8S_K8S_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "k8s/k8s.h"

enum {
    K8S_DEADLINE_MS = 30 * 1000,
    K8S_CONNECT_MS = 10 * 1000,
    K8S_ANSWER_MAX = 64 * 1024 * 1024,
    K8S_DEPTH_MAX = 200,             /* of JSON; CRD schemas nest deeply */
    K8S_LINE_MAX = 16 * 1024 * 1024, /* one event of a watch */
    K8S_WATCH_S = 300,               /* after that the server ends a watch and we go on */
    K8S_TOKEN_FRESH_MS = 60 * 1000,  /* a token file is read again after that */
    K8S_EXEC_PLUGIN_MS = 60 * 1000,  /* an exec plugin gets so long */
    K8S_PLUGIN_OUTPUT_MAX = 1024 * 1024,
    K8S_FILE_MAX = 4 * 1024 * 1024,
};

/* ---- kubeconfig.c: what one context of the merged files says; texts of the arena, NULL where absent ---- */
struct kubeconfig_pair {
    const char *name, *value;
};
struct kubeconfig_exec {
    const char *api_version, *command, *install_hint;
    const char **args; /* ended by NULL */
    struct kubeconfig_pair *env;
    size_t env_len;
    bool provide_cluster_info;
    struct str cluster_config; /* JSON of the extension client.authentication.k8s.io/exec; may be empty */
};
struct kubeconfig {
    const char *context, *namespace, *user_name;
    const char *server, *ca_file, *tls_server_name, *proxy_url;
    struct str ca_data; /* decoded */
    bool insecure;
    const char *cert_file, *key_file, *token, *token_file, *username, *password;
    struct str cert_data, key_data;
    const char *as, *as_uid, **as_groups; /* impersonation; groups ended by NULL, may be NULL */
    struct kubeconfig_pair *as_extra;
    size_t as_extra_len;
    struct kubeconfig_exec *exec; /* NULL: none */
    bool in_cluster;
};
/* `paths` separated by colons; files that are not there are passed over as long as one is. */
bool kubeconfig_load(struct arena *arena, const char *paths, const char *context, struct kubeconfig *config,
                     struct error **err);
/* The same of a text, for tests and the fuzzer; `folder` is what relative paths are relative to. */
bool kubeconfig_read(struct arena *arena, struct str text, const char *name, const char *folder,
                     const char *context, struct kubeconfig *config, struct error **err);
/* The pod's service account below `root`; ERROR_NOT_FOUND outside a cluster. */
bool kubeconfig_in_cluster(struct arena *arena, const char *root, struct kubeconfig *config,
                           struct error **err);
bool base64_decode(struct arena *arena, struct str text, struct str *bytes);

/* ---- auth.c: who we are at this moment ---- */
struct auth;      /* locks itself */
struct identity { /* read-only; counted */
    atomic_uint references;
    char *authorization;        /* header value; NULL: none */
    char *cert_path, *key_path; /* NULL: none; /proc/self/fd/N of memory for keys that were data */
    int cert_fd, key_fd;        /* -1 */
    int64_t cert_expires;       /* UTC ms; 0: not known */
    uint64_t generation;
};
struct auth *auth_new(const struct kubeconfig *config,
                      struct error **err); /* copies nothing: the arena outlives it */
void auth_free(struct auth *auth);
/* `rejected`: the generation that got a 401 (0: none); anything older than that is read or made anew. */
struct identity *auth_identity(struct auth *auth, uint64_t rejected, struct error **err);
void identity_free(struct identity *identity);
static inline void identity_cleanup(struct identity **identity)
{
    identity_free(*identity);
}
int memory_file(struct str bytes, char **path); /* a file in memory; -1: failed */
int64_t certificate_expires(struct str pem);    /* UTC ms; 0: no certificate in it */

/* plugin.c: run an exec plugin. */
struct plugin_credential {
    char *token, *cert, *key; /* PEM; NULL where not given; freed by plugin_credential_free() */
    int64_t expires;          /* UTC ms; 0: never */
};
bool plugin_run(const struct kubeconfig *config, int64_t timeout_ms, struct plugin_credential *credential,
                struct error **err);
bool plugin_parse(struct str output, const char *api_version, struct plugin_credential *credential,
                  struct error **err);
void plugin_credential_free(struct plugin_credential *credential);

/* ---- transport.c: one request over libcurl ---- */
struct transport; /* locks itself */
struct request {
    const char *method, *path; /* path with query */
    struct str body;
    const char *content_type, *accept;
    const char *const *headers; /* further ones, ended by NULL; may be NULL */
    bool is_write;              /* never sent twice, not even on a connection that turned out dead */
    int64_t deadline_mono_ms;
    size_t max_answer;
    /* Streams: each piece of a 2xx body goes to `piece` instead of the response; false ends it. */
    bool (*piece)(struct str bytes, void *context);
    void *context;
    const atomic_bool *stop; /* may be NULL */
};
struct response {
    unsigned status; /* 0: none came */
    struct strbuf body;
    char content_type[96];
    int64_t retry_after_ms;
    char warnings[K8S_WARNINGS_MAX][320];
    unsigned warnings_len;
    enum response_failure {
        RESPONSE_OK,
        RESPONSE_NOT_CONNECTED, /* nothing was sent */
        RESPONSE_BROKEN,        /* cut after something was sent */
        RESPONSE_TIMEOUT,
        RESPONSE_TOO_LARGE,
        RESPONSE_STOPPED, /* by `stop` or `piece` */
    } failure;
    bool was_sent; /* some of the request went out */
    bool is_tls_failure;
    char failure_text[320];
};
void response_free(struct response *response);
static inline void response_cleanup(struct response *response)
{
    response_free(response);
}
struct transport *transport_new(const struct kubeconfig *config, unsigned connections, struct error **err);
void transport_free(struct transport *transport);
void transport_run(struct transport *transport, const struct identity *identity,
                   const struct request *request, struct response *response);
/* A connected byte stream to the server (for WebSocket), closed with transport_stream_close(). */
struct transport_stream;
struct transport_stream *transport_stream_open(struct transport *transport, const struct identity *identity,
                                               int64_t deadline_mono_ms, struct error **err);
void transport_stream_close(struct transport_stream *stream);
static inline void transport_stream_cleanup(struct transport_stream **stream)
{
    transport_stream_close(*stream);
}
bool transport_stream_write(struct transport_stream *stream, struct str bytes, int64_t deadline_mono_ms,
                            struct error **err);
/* *got 0: the other side has closed. */
bool transport_stream_read(struct transport_stream *stream, char *bytes, size_t max, size_t *got,
                           int64_t deadline_mono_ms, struct error **err);
const char *transport_host(const struct transport *transport);           /* "host:port", for a Host header */
const char *const *transport_headers(const struct transport *transport); /* impersonation; ended by NULL */

/* ---- status.c: answers and errors ---- */
void answer_read(struct k8s_answer *answer, const struct response *response, bool is_secret, bool is_write);
bool answer_error(const struct k8s_answer *answer, const char *server,
                  struct error **err);                             /* returns false */
void answer_copy_message(char *to, size_t size, const char *text); /* one line, long values cut out */
yyjson_doc *json_parse(struct str text, struct error **err);       /* limits on depth */

/* ---- client.c, call.c ---- */
struct discovery;
struct client {
    struct arena *arena; /* holds config; written only by k8s_open */
    struct kubeconfig config;
    struct auth *auth;
    struct transport *transport;
    char *field_manager, *namespace;
    int64_t deadline_ms;
    size_t max_answer;
    struct k8s_observer observer;
    struct discovery *discovery; /* locks itself */

    pthread_mutex_t lock; /* guards the rest */
    double rate, tokens, burst;
    int64_t tokens_at_us;
    uint64_t calls;
    struct k8s_stats stats;
};
struct k8s {
    struct client *client;
    bool is_session;
    enum k8s_writes writes;
    int64_t deadline_ms, until_mono_ms;
    struct k8s_observer observer; /* the session's */
};

/* One call: what is asked, and by whom it may be asked again. Filled in by read.c, write.c …, run by call_run(). */
struct call {
    const char *verb, *method;
    struct k8s_ref ref;  /* resource NULL: `path` as it is; name NULL: the collection */
    const char *path;    /* of a raw call */
    struct strbuf query; /* "a=b&c=d"; freed by call_run() */
    struct str body;
    const char *content_type, *accept;
    bool is_write, is_dry_run;
    bool is_final_429; /* an eviction: a budget's no, not the server's load */
    int64_t deadline_ms;
    size_t max_answer;
    bool (*piece)(struct str bytes, void *context);
    void *context;
    const atomic_bool *stop;
};
/* Sends it and reads the answer into `body` (may be NULL) and `answer` (may be NULL). False: not a 2xx, or none. */
bool call_run(struct k8s *k8s, struct call *call, struct strbuf *body, struct k8s_answer *answer,
              struct error **err);
/* The same, the body parsed: the caller frees the object. */
struct k8s_object *call_object(struct k8s *k8s, struct call *call, struct k8s_answer *answer,
                               struct error **err);
void call_query(struct call *call, const char *name,
                const char *value); /* escaped; NULL or "" value: left out */
bool call_is_secret(const struct call *call);
bool call_path(const struct call *call, struct strbuf *path, struct error **err);
int64_t call_deadline(const struct k8s *k8s, int64_t deadline_ms); /* as clock_mono_ms */
/* A write that this session does not make: sets answer and error, false. */
bool call_may_write(struct k8s *k8s, struct call *call, struct k8s_answer *answer, struct error **err);
void observe_before(struct k8s *k8s, struct k8s_call *seen);
void observe_after(struct k8s *k8s, struct k8s_call *seen);

struct k8s_object *object_take(yyjson_doc *doc); /* the object frees it */
/* A list page by page: `page` takes each document; false ends it, with *err set. */
struct list_taker {
    bool (*page)(yyjson_doc *page, bool more, void *context, struct error **err);
    void *context;
    char *resource_version; /* [64] */
};
bool list_pages(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
                const struct k8s_list_options *options, const struct list_taker *taker,
                struct k8s_answer *answer, struct error **err);
void strbuf_add_escaped(struct strbuf *out, const char *text); /* percent-encoding */

struct discovery *discovery_new(void);
void discovery_free(struct discovery *discovery);

/* ---- summary.c; texts borrowed from the object, "" where they do not apply ---- */
struct summary {
    const char *phase, *reason;
    const char *ended; /* why a container ended last */
    int ended_code;
    int64_t ended_at;
    int replicas, ready, updated, available, restarts;
    bool is_ready, is_unschedulable;
};
struct summary summarise(const char *kind, yyjson_val *object);

/* ---- stream.c: newline-delimited events of a watch, in pieces as they come ---- */
struct watch_stream {
    struct strbuf line;
    char resource_version[64]; /* of the last event or bookmark */
    bool (*event)(const char *type, yyjson_val *object, void *context);
    void *context;
    bool failed, ended; /* failed: not JSON, too long a line; ended: `event` said so */
};
bool watch_stream_feed(struct watch_stream *stream, struct str bytes); /* false: failed or ended */
void watch_stream_free(struct watch_stream *stream);

/* ---- websocket.c: RFC 6455 frames, no I/O ---- */
enum websocket_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};
struct websocket_frame {
    bool is_final;
    enum websocket_opcode opcode;
    struct str payload; /* borrowed from the buffer */
};
/* The first frame of `bytes`: *used is its length, 0 if it is not complete yet. False: broken, or longer than `max`. */
bool websocket_parse(struct str bytes, size_t max, struct websocket_frame *frame, size_t *used,
                     struct error **err);
void websocket_add(struct strbuf *out, enum websocket_opcode opcode,
                   struct str payload);                  /* masked, as clients must */
void websocket_key(char key[25]);                        /* of 16 random bytes */
void websocket_accept(const char *key, char accept[29]); /* what the server must answer */

#endif
