/* HTTP, the asking side, over libcurl: connections are reused, every call has a deadline, every answer a size limit,
 * TLS is verified. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "http/http.h"

struct http_client_options {
    const char *base_url;   /* put in front of a call's url where that begins with '/' */
    const char *token;      /* bearer */
    const char *token_file; /* instead: read again when it changes (projected service account tokens) */
    const char *username, *password;  /* basic */
    const char *ca_file;              /* NULL or "": the system's authorities */
    const char *cert_file, *key_file; /* our own certificate */
    const char *server_name;          /* the certificate's, where it is not the URL's */
    bool insecure;                    /* do not verify TLS: for kubeconfigs that say so */
    const char *proxy;                /* NULL: as the environment says; "": none */
    const char *user_agent;           /* NULL: prometheus-alerts-slm */
    int64_t timeout_ms;               /* for one call with its retries; 0: 10 s */
    int64_t connect_timeout_ms;       /* 0: 5 s */
    size_t max_response;              /* 0: 16 MiB */
    bool follow_redirects;            /* to http and https, at most 5, without credentials on another host */
};

struct http_client; /* locks itself: any number of threads call at a time */
struct http_client *http_client_new(const struct http_client_options *options); /* copies options */
void http_client_free(struct http_client *client);                              /* after the last call */
static inline void http_client_cleanup(struct http_client **client)
{
    http_client_free(*client);
}
void http_client_set_token(struct http_client *client, const char *token); /* from the next call on */

struct http_call {
    const char *method; /* NULL: GET, with a body POST */
    const char *url;
    const char *content_type; /* of the body; NULL: application/json */
    const char *accept;
    const struct http_header *headers; /* more, ended by a NULL name */
    struct str body;
    int64_t timeout_ms;      /* 0: the client's; negative: none (watches) */
    int64_t idle_timeout_ms; /* ends a call that receives nothing for so long; 0: none */
    unsigned retries;        /* after failed connections, 429, 502, 503, 504; needs an idempotent
                                                   * method or `repeatable`. Waits grow with jitter; Retry-After is kept */
    bool repeatable;
    size_t max_response;       /* 0: the client's */
    const atomic_bool *cancel; /* looked at about once a second, and at every piece */

    /* Takes the body of a 2xx answer piece by piece, in place of reply->body; false ends the call, which is then a success. */
    bool (*on_data)(struct str piece, void *context);
    void *context;
};

struct http_reply {
    long status;
    struct strbuf body;
    struct strbuf headers; /* "name: value" lines of the last answer */
    unsigned attempts;
};
void http_reply_cleanup(struct http_reply *reply); /* AUTO(http_reply) struct http_reply reply = {0}; */
bool http_reply_header(const struct http_reply *reply, const char *name, struct str *value);

/* Ask. True: there was an answer, of whatever status; see http_reply_ok(). False with
 *   ERROR_TIMEOUT      the deadline passed
 *   ERROR_UNAVAILABLE  no connection, or it broke
 *   ERROR_DENIED       TLS: the certificate could not be verified
 *   ERROR_LIMIT        the answer is too large
 *   ERROR_CANCELLED    *cancel became true
 *   ERROR_INVALID      a URL or header that cannot be sent */
bool http_client_call(struct http_client *client, const struct http_call *call, struct http_reply *reply,
                      struct error **err);

/* False for a status that is not 2xx, with the error's code from it, Retry-After, and the answer's first bytes as message. */
bool http_reply_ok(const struct http_reply *reply, const char *what, struct error **err);

#endif
