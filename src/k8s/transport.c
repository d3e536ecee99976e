/* One request over libcurl. Each handle keeps its own connection (HTTP/2 where the server offers it) and is one call's
 * at a time; the pool bounds how many there are.
 *
 * A write is never sent twice: libcurl would repeat a request on a new connection when a kept one turns out dead, even
 * a PATCH that the server has already carried out. The pre-request hook sees that second sending and refuses it. */
#include "k8s/k8s.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "k8s/k8s_internal.h"

enum { POOL_MAX = 64, HEADERS_MAX = 64, STOP_POLL_MS = 200, STREAM_POLL_MS = 50 };

struct handle {
    CURL *easy;
    CURLM *multi;
    uint64_t generation; /* of the identity whose connection it keeps */
};
struct transport {
    char *base, *host, *connect_to; /* connect_to: NULL unless tls-server-name differs from the server's */
    char *ca_path, *proxy;
    int ca_fd;
    bool insecure;
    char *headers[HEADERS_MAX + 1]; /* impersonation, Host */
    size_t headers_len;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t freed;
    struct handle *idle[POOL_MAX];
    size_t idle_len, in_use, max;
};

struct exchange { /* what the callbacks know */
    CURL *easy;
    const struct request *request;
    struct response *response;
    size_t received;
    unsigned sendings;
    bool too_large, stopped;
};

static void initialise_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- construction ---- */

static void add_header(struct transport *transport, const char *name, const char *value)
{
    if (value && transport->headers_len < HEADERS_MAX && !strpbrk(value, "\r\n"))
        transport->headers[transport->headers_len++] = xasprintf("%s: %s", name, value);
}

static void add_impersonation(struct transport *transport, const struct kubeconfig *config)
{
    add_header(transport, "Impersonate-User", config->as);
    add_header(transport, "Impersonate-Uid", config->as_uid);
    for (const char **group = config->as_groups; group && *group; group++)
        add_header(transport, "Impersonate-Group", *group);
    for (size_t i = 0; i < config->as_extra_len; i++) {
        AUTO(strbuf) struct strbuf name = { 0 };
        strbuf_add_text(&name, "Impersonate-Extra-");
        strbuf_add_escaped(&name, config->as_extra[i].name);
        add_header(transport, name.ptr, config->as_extra[i].value);
    }
}

/* The certificate is checked against tls-server-name, and SNI says it: libcurl takes both from the URL, so the URL
 * gets that name, and the connection goes where `server` says. */
static bool take_server(struct transport *transport, const struct kubeconfig *config, struct error **err)
{
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *path = NULL, *scheme = NULL;
    bool ok = !curl_url_set(url, CURLUPART_URL, config->server, 0) &&
              !curl_url_get(url, CURLUPART_HOST, &host, 0) &&
              !curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
              !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) &&
              !curl_url_get(url, CURLUPART_PATH, &path, 0);
    if (ok) {
        size_t len = strlen(path);
        while (len && path[len - 1] == '/')
            path[--len] = 0;
        const char *name = config->tls_server_name ? config->tls_server_name : host;
        transport->base = xasprintf("%s://%s:%s%s", scheme, name, port, path);
        transport->host = xasprintf("%s:%s", host, port);
        if (config->tls_server_name)
            transport->connect_to = xasprintf("%s:%s:%s:%s", name, port, host, port);
        if (config->tls_server_name)
            add_header(transport, "Host", transport->host);
    } else
        error_set(err, ERROR_INVALID, "the server's URL \"%.200s\" cannot be read", config->server);
    curl_free(host), curl_free(port), curl_free(path), curl_free(scheme);
    curl_url_cleanup(url);
    return ok;
}

static bool take_authority(struct transport *transport, const struct kubeconfig *config, struct error **err)
{
    transport->insecure = config->insecure;
    if (config->ca_data.len) {
        transport->ca_fd = memory_file(config->ca_data, &transport->ca_path);
        return transport->ca_fd >= 0 ||
               error_set(err, ERROR_IO, "no memory file for the cluster's certificates");
    }
    transport->ca_path = xstrdup(config->ca_file);
    if (config->ca_file && access(config->ca_file, R_OK) != 0)
        return error_set(err, ERROR_NOT_FOUND, "certificate-authority %s cannot be read", config->ca_file);
    return true;
}

struct transport *transport_new(const struct kubeconfig *config, unsigned connections, struct error **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialise_curl);
    struct transport *transport = xcalloc(1, sizeof *transport);
    transport->ca_fd = -1;
    transport->max = connections ? MIN(connections, POOL_MAX) : 16;
    transport->proxy = xstrdup(config->proxy_url);
    pthread_mutex_init(&transport->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&transport->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    add_impersonation(transport, config);
    if (take_server(transport, config, err) && take_authority(transport, config, err))
        return transport;
    transport_free(transport);
    return NULL;
}

static void handle_free(struct handle *handle)
{
    if (!handle)
        return;
    curl_easy_cleanup(handle->easy);
    curl_multi_cleanup(handle->multi);
    free(handle);
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    for (size_t i = 0; i < transport->idle_len; i++)
        handle_free(transport->idle[i]);
    for (size_t i = 0; i < transport->headers_len; i++)
        free(transport->headers[i]);
    if (transport->ca_fd >= 0)
        close(transport->ca_fd);
    pthread_mutex_destroy(&transport->lock);
    pthread_cond_destroy(&transport->freed);
    free(transport->base), free(transport->host), free(transport->connect_to);
    free(transport->ca_path), free(transport->proxy), free(transport);
}

const char *transport_host(const struct transport *transport)
{
    return transport->host;
}

const char *const *transport_headers(const struct transport *transport)
{
    return (const char *const *)transport->headers;
}

/* ---- the pool ---- */

static bool wait_for_slot(struct transport *transport, int64_t until_ms)
{
    struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
    while (transport->in_use >= transport->max)
        if (pthread_cond_timedwait(&transport->freed, &transport->lock, &until) != 0)
            return transport->in_use < transport->max;
    return true;
}

static struct handle *handle_new(void)
{
    struct handle *handle = xcalloc(1, sizeof *handle);
    handle->easy = curl_easy_init();
    handle->multi = curl_multi_init();
    return handle;
}

/* Streams last, so they have handles of their own and do not count. */
static struct handle *take_handle(struct transport *transport, bool is_stream,
                                  const struct identity *identity, int64_t until_ms)
{
    struct handle *handle = NULL;
    if (!is_stream) {
        pthread_mutex_lock(&transport->lock);
        if (!wait_for_slot(transport, until_ms)) {
            pthread_mutex_unlock(&transport->lock);
            return NULL;
        }
        transport->in_use++;
        if (transport->idle_len)
            handle = transport->idle[--transport->idle_len];
        pthread_mutex_unlock(&transport->lock);
    }
    if (handle && handle->generation != identity->generation) { /* another certificate: another connection */
        handle_free(handle);
        handle = NULL;
    }
    if (!handle)
        handle = handle_new();
    handle->generation = identity->generation;
    return handle;
}

static void give_handle(struct transport *transport, bool is_stream, struct handle *handle)
{
    if (is_stream) {
        handle_free(handle);
        return;
    }
    pthread_mutex_lock(&transport->lock);
    transport->in_use--;
    transport->idle[transport->idle_len++] = handle;
    pthread_cond_signal(&transport->freed);
    pthread_mutex_unlock(&transport->lock);
}

/* ---- what libcurl calls ---- */

static int before_sending(void *context, char *ip, char *local_ip, int port, int local_port)
{
    struct exchange *exchange = context;
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    return exchange->sendings++ && exchange->request->is_write ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct str piece = { bytes, size * count };
    long status = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->request->piece && status / 100 == 2) {
        exchange->stopped = !exchange->request->piece(piece, exchange->request->context);
        return exchange->stopped ? CURL_WRITEFUNC_ERROR : piece.len;
    }
    exchange->received += piece.len;
    exchange->too_large = exchange->received > exchange->request->max_answer;
    if (exchange->too_large)
        return CURL_WRITEFUNC_ERROR;
    strbuf_add(&exchange->response->body, piece);
    return piece.len;
}

/* Retry-After in seconds; the form with a date is not one that an API server sends. */
static int64_t retry_after_of(struct str value)
{
    uint64_t seconds;
    return str_to_u64(value, &seconds) && seconds < 24 * 3600 ? (int64_t)seconds * 1000 : 0;
}

/* 299 - "text" */
static void take_warning(struct response *response, struct str value)
{
    size_t quote;
    if (response->warnings_len == K8S_WARNINGS_MAX || !str_find(value, STR("\""), &quote))
        return;
    AUTO(text) char *text = xstrndup(value.ptr + quote + 1, value.len - quote - 1);
    char *end = strrchr(text, '"');
    if (end)
        *end = 0;
    answer_copy_message(response->warnings[response->warnings_len++], sizeof response->warnings[0], text);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    struct response *response = ((struct exchange *)context)->response;
    struct str name = { bytes, size * count }, value;
    size_t colon;
    if (!str_find(name, STR(":"), &colon))
        return name.len;
    value = str_trim(str_slice(name, colon + 1, name.len));
    struct str key = str_slice(name, 0, colon);
    if (str_eq_nocase(key, STR("retry-after")))
        response->retry_after_ms = retry_after_of(value);
    else if (str_eq_nocase(key, STR("warning")))
        take_warning(response, value);
    else if (str_eq_nocase(key, STR("content-type")))
        snprintf(response->content_type, sizeof response->content_type, STR_FMT, STR_ARG(value));
    return name.len;
}

/* ---- one request ---- */

static void set_tls(CURL *easy, const struct transport *transport, const struct identity *identity)
{
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)!transport->insecure);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, transport->insecure ? 0L : 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (transport->ca_path) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, transport->ca_path);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (identity->cert_path) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, identity->cert_path);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, identity->key_path);
    }
}

static struct curl_slist *set_connection(CURL *easy, const struct transport *transport,
                                         const struct identity *identity, int64_t left_ms)
{
    struct curl_slist *hosts = transport->connect_to ? curl_slist_append(NULL, transport->connect_to) : NULL;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)MAX(left_ms, 1));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(MIN(left_ms, K8S_CONNECT_MS), 1));
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, hosts);
    if (transport->proxy) {
        curl_easy_setopt(easy, CURLOPT_PROXY, transport->proxy);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    }
    set_tls(easy, transport, identity);
    return hosts;
}

static struct curl_slist *build_headers(const struct transport *transport, const struct identity *identity,
                                        const struct request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < transport->headers_len; i++)
        list = curl_slist_append(list, transport->headers[i]);
    for (const char *const *header = request->headers; header && *header; header++)
        list = curl_slist_append(list, *header);
    AUTO(text) char *accept = xasprintf("Accept: %s", request->accept ? request->accept : "application/json");
    list = curl_slist_append(list, accept);
    AUTO(text)
    char *type = request->content_type ? xasprintf("Content-Type: %s", request->content_type) : NULL;
    list = curl_slist_append(list, type ? type : "Content-Type:");
    if (identity->authorization) {
        AUTO(text) char *authorization = xasprintf("Authorization: %s", identity->authorization);
        list = curl_slist_append(list, authorization);
        explicit_bzero(authorization, strlen(authorization));
    }
    return list;
}

static void set_request(CURL *easy, const struct request *request, struct exchange *exchange, const char *url)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "prometheus-alerts-slm");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, request->piece ? NULL : "gzip");
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body.ptr) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
    }
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
}

static CURLcode drive(struct handle *handle, struct exchange *exchange)
{
    const atomic_bool *stop = exchange->request->stop;
    CURLcode code = CURLE_FAILED_INIT;
    int running = 0, left = 0;
    CURLMsg *message;
    curl_multi_add_handle(handle->multi, handle->easy);
    do {
        if (curl_multi_perform(handle->multi, &running) != CURLM_OK)
            break;
        exchange->stopped = exchange->stopped || (stop && atomic_load(stop));
        if (running && !exchange->stopped)
            curl_multi_poll(handle->multi, NULL, 0, stop ? STOP_POLL_MS : 1000, NULL);
    } while (running && !exchange->stopped);
    while ((message = curl_multi_info_read(handle->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            code = message->data.result;
    curl_multi_remove_handle(handle->multi, handle->easy);
    return exchange->stopped ? CURLE_ABORTED_BY_CALLBACK : code;
}

static enum response_failure failure_of(const struct exchange *exchange, CURLcode code)
{
    if (code == CURLE_OK)
        return RESPONSE_OK;
    if (exchange->stopped)
        return RESPONSE_STOPPED;
    if (exchange->too_large)
        return RESPONSE_TOO_LARGE;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return RESPONSE_TIMEOUT;
    return exchange->sendings ? RESPONSE_BROKEN : RESPONSE_NOT_CONNECTED;
}

static bool is_tls(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR;
}

static void take_outcome(struct exchange *exchange, CURLcode code, const char *text)
{
    struct response *response = exchange->response;
    long status = 0;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = exchange->sendings ? (unsigned)status : 0; /* not what a proxy answered to CONNECT */
    response->was_sent = exchange->sendings > 0;
    response->is_tls_failure = is_tls(code);
    response->failure = failure_of(exchange, code);
    if (response->failure != RESPONSE_OK)
        answer_copy_message(response->failure_text, sizeof response->failure_text,
                            *text ? text : curl_easy_strerror(code));
}

void transport_run(struct transport *transport, const struct identity *identity,
                   const struct request *request, struct response *response)
{
    struct handle *handle =
        take_handle(transport, request->piece != NULL, identity, request->deadline_mono_ms);
    if (!handle) {
        response->failure = RESPONSE_TIMEOUT;
        snprintf(response->failure_text, sizeof response->failure_text, "all %zu connections were in use",
                 transport->max);
        return;
    }
    char why[CURL_ERROR_SIZE] = "";
    struct exchange exchange = { .easy = handle->easy, .request = request, .response = response };
    AUTO(text) char *url = xasprintf("%s%s", transport->base, request->path);
    struct curl_slist *hosts =
        set_connection(handle->easy, transport, identity, request->deadline_mono_ms - clock_mono_ms());
    struct curl_slist *headers = build_headers(transport, identity, request);
    set_request(handle->easy, request, &exchange, url);
    curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle->easy, CURLOPT_ERRORBUFFER, why);
    CURLcode code = drive(handle, &exchange);
    take_outcome(&exchange, code, why);
    curl_easy_reset(handle->easy);
    curl_slist_free_all(headers);
    curl_slist_free_all(hosts);
    give_handle(transport, request->piece != NULL, handle);
}

void response_free(struct response *response)
{
    strbuf_free(&response->body);
}

/* ---- byte streams, for WebSocket ---- */

struct transport_stream {
    CURL *easy;
    struct curl_slist *hosts;
};

struct transport_stream *transport_stream_open(struct transport *transport, const struct identity *identity,
                                               int64_t deadline_mono_ms, struct error **err)
{
    struct transport_stream *stream = xcalloc(1, sizeof *stream);
    char why[CURL_ERROR_SIZE] = "";
    stream->easy = curl_easy_init();
    stream->hosts = set_connection(stream->easy, transport, identity, deadline_mono_ms - clock_mono_ms());
    curl_easy_setopt(stream->easy, CURLOPT_URL, transport->base);
    curl_easy_setopt(stream->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(stream->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(stream->easy, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(stream->easy);
    curl_easy_setopt(stream->easy, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK)
        return stream;
    error_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_UNAVAILABLE, "connect to %s: %s",
              transport->host, *why ? why : curl_easy_strerror(code));
    transport_stream_close(stream);
    return NULL;
}

void transport_stream_close(struct transport_stream *stream)
{
    if (!stream)
        return;
    curl_easy_cleanup(stream->easy);
    curl_slist_free_all(stream->hosts);
    free(stream);
}

/* False: the deadline. The wait is short, as TLS may have bytes ready that the socket does not show. */
static bool stream_wait(struct transport_stream *stream, short events, int64_t deadline_mono_ms,
                        struct error **err)
{
    int64_t left = deadline_mono_ms - clock_mono_ms();
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (left <= 0)
        return error_set(err, ERROR_TIMEOUT, "the deadline has come");
    curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &socket);
    struct pollfd wait = { .fd = (int)socket, .events = events };
    poll(&wait, 1, (int)MIN(left, STREAM_POLL_MS));
    return true;
}

bool transport_stream_write(struct transport_stream *stream, struct str bytes, int64_t deadline_mono_ms,
                            struct error **err)
{
    while (bytes.len) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(stream->easy, bytes.ptr, bytes.len, &sent);
        if (code != CURLE_OK && code != CURLE_AGAIN)
            return error_set(err, ERROR_IO, "send: %s", curl_easy_strerror(code));
        bytes = str_slice(bytes, sent, bytes.len);
        if (!sent && !stream_wait(stream, POLLOUT, deadline_mono_ms, err))
            return false;
    }
    return true;
}

bool transport_stream_read(struct transport_stream *stream, char *bytes, size_t max, size_t *got,
                           int64_t deadline_mono_ms, struct error **err)
{
    for (;;) {
        CURLcode code = curl_easy_recv(stream->easy, bytes, max, got);
        if (code == CURLE_OK)
            return true;
        if (code != CURLE_AGAIN)
            return error_set(err, ERROR_IO, "receive: %s", curl_easy_strerror(code));
        if (!stream_wait(stream, POLLIN, deadline_mono_ms, err))
            return false;
    }
}
