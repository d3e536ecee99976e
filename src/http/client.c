#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    TIMEOUT_MS = 10 * 1000,
    CONNECT_TIMEOUT_MS = 5 * 1000,
    MAX_RESPONSE = 16 * 1024 * 1024,
    HEADERS_MAX = 128 * 1024,
    REDIRECTS_MAX = 5,
    TOKEN_MAX = 64 * 1024,
    HANDLES_KEPT = 16,
    RETRY_FIRST_MS = 100,
    RETRY_MOST_MS = 10 * 1000,
    EXCERPT_MAX = 200,
};

struct http_client {
    struct http_client_options options; /* copies; read-only, but for what lock guards */
    struct arena *arena;
    pthread_mutex_t lock;     /* guards idle, token, token_changed */
    CURL *idle[HANDLES_KEPT]; /* each with its connections */
    size_t idle_len;
    char *token;
    struct timespec token_changed;
};

/* One attempt at a call, as libcurl's callbacks see it. */
struct attempt {
    const struct http_call *call;
    struct http_reply *reply;
    CURL *curl;
    size_t max, received;
    bool too_large, stopped, cancelled;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void init_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void copy_options(struct http_client *client, const struct http_client_options *from)
{
    struct http_client_options *to = &client->options;
    const char **texts[] = { &to->base_url,    &to->token,   &to->token_file, &to->username,
                             &to->password,    &to->ca_file, &to->cert_file,  &to->key_file,
                             &to->server_name, &to->proxy,   &to->user_agent };
    *to = *from;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = arena_strdup(client->arena, *texts[i]);
    to->timeout_ms = to->timeout_ms ? to->timeout_ms : TIMEOUT_MS;
    to->connect_timeout_ms = to->connect_timeout_ms ? to->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    to->max_response = to->max_response ? to->max_response : MAX_RESPONSE;
    to->user_agent = to->user_agent ? to->user_agent : "prometheus-alerts-slm";
}

struct http_client *http_client_new(const struct http_client_options *options)
{
    pthread_once(&once, init_library);
    struct http_client *client = xcalloc(1, sizeof *client);
    client->arena = arena_new(1024);
    pthread_mutex_init(&client->lock, NULL);
    copy_options(client, options);
    client->token = options->token && *options->token ? xstrdup(options->token) : NULL;
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->idle_len)
        curl_easy_cleanup(client->idle[--client->idle_len]);
    pthread_mutex_destroy(&client->lock);
    free(client->token);
    arena_free(client->arena);
    free(client);
}

void http_client_set_token(struct http_client *client, const char *token)
{
    pthread_mutex_lock(&client->lock);
    free(client->token);
    client->token = token && *token ? xstrdup(token) : NULL;
    pthread_mutex_unlock(&client->lock);
}

/* With the lock held. A file that cannot be read just now leaves the token that we have. */
static void refresh_token(struct http_client *client)
{
    struct stat status;
    const char *path = client->options.token_file;
    if (!path || !*path || stat(path, &status) != 0 ||
        (client->token && status.st_mtim.tv_sec == client->token_changed.tv_sec &&
         status.st_mtim.tv_nsec == client->token_changed.tv_nsec))
        return;
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, TOKEN_MAX, &text, NULL))
        return;
    struct str token = str_trim(strbuf_str(&text));
    free(client->token);
    client->token = xstrndup(token.ptr ? token.ptr : "", token.len);
    client->token_changed = status.st_mtim;
}

static CURL *take_handle(struct http_client *client, char **token)
{
    pthread_mutex_lock(&client->lock);
    refresh_token(client);
    *token = xstrdup(client->token);
    CURL *curl = client->idle_len ? client->idle[--client->idle_len] : NULL;
    pthread_mutex_unlock(&client->lock);
    return curl ? curl : curl_easy_init();
}

static void give_handle(struct http_client *client, CURL *curl)
{
    curl_easy_reset(curl); /* options go, connections stay */
    pthread_mutex_lock(&client->lock);
    if (client->idle_len < HANDLES_KEPT)
        client->idle[client->idle_len++] = STEAL(curl);
    pthread_mutex_unlock(&client->lock);
    if (curl)
        curl_easy_cleanup(curl);
}

static bool is_cancelled(const struct http_call *call)
{
    return call->cancel && atomic_load(call->cancel);
}

static size_t on_body(char *data, size_t size, size_t count, void *attempt_)
{
    struct attempt *attempt = attempt_;
    struct str piece = { data, size * count };
    long status = 0;
    curl_easy_getinfo(attempt->curl, CURLINFO_RESPONSE_CODE, &status);
    attempt->cancelled = is_cancelled(attempt->call);
    if (attempt->cancelled)
        return 0;
    if (attempt->call->on_data && status / 100 == 2) {
        attempt->stopped = !attempt->call->on_data(piece, attempt->call->context);
        return attempt->stopped ? 0 : piece.len;
    }
    attempt->received += piece.len;
    attempt->too_large = attempt->received > attempt->max;
    if (attempt->too_large)
        return 0;
    strbuf_add(&attempt->reply->body, piece);
    return piece.len;
}

static size_t on_header(char *data, size_t size, size_t count, void *attempt_)
{
    struct attempt *attempt = attempt_;
    struct str line = { data, size * count };
    if (str_starts_with(
            line, STR("HTTP/"))) /* of a redirect or "100 Continue" before: only the last answer counts */
        strbuf_clear(&attempt->reply->headers);
    if (attempt->reply->headers.len + line.len > HEADERS_MAX) {
        attempt->too_large = true;
        return 0;
    }
    strbuf_add(&attempt->reply->headers, line);
    return line.len;
}

static int on_progress(void *attempt_, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct attempt *attempt = attempt_;
    (void)a, (void)b, (void)c, (void)d;
    attempt->cancelled = is_cancelled(attempt->call);
    return attempt->cancelled;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

static bool add_line(struct curl_slist **list, const char *name, const char *value, struct error **err)
{
    if (has_control(name) || has_control(value))
        return error_set(err, ERROR_INVALID, "the header %s cannot be sent: it holds control characters",
                         name);
    AUTO(text) char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer || error_set(err, ERROR_NO_MEMORY, "no memory for a header");
}

static bool add_headers(const struct http_call *call, const char *token, struct curl_slist **list,
                        struct error **err)
{
    AUTO(text) char *bearer = token ? xasprintf("Bearer %s", token) : NULL;
    if (bearer && !add_line(list, "Authorization", bearer, err))
        return false;
    if (call->accept && !add_line(list, "Accept", call->accept, err))
        return false;
    if (call->body.ptr &&
        !add_line(list, "Content-Type", call->content_type ? call->content_type : "application/json", err))
        return false;
    if (call->body.ptr && !add_line(list, "Expect", "", err))
        return false;
    for (const struct http_header *header = call->headers; header && header->name; header++)
        if (!add_line(list, header->name, header->value, err))
            return false;
    return true;
}

static void set_tls(CURL *curl, const struct http_client_options *o)
{
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
    if (o->ca_file && *o->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (o->cert_file && *o->cert_file)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, o->cert_file);
    if (o->key_file && *o->key_file)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, o->key_file);
}

static void set_connection(CURL *curl, const struct http_client_options *o)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, o->follow_redirects ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, o->user_agent);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    if (o->proxy)
        curl_easy_setopt(curl, CURLOPT_PROXY, o->proxy);
    if (o->username && *o->username) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, o->username);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, o->password ? o->password : "");
    }
}

static const char *method_of(const struct http_call *call)
{
    return call->method ? call->method : call->body.ptr ? "POST" : "GET";
}

static void set_call(CURL *curl, const struct http_call *call, struct attempt *attempt, int64_t left_ms)
{
    const char *method = method_of(call);
    if (call->body.ptr) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.ptr);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (left_ms > 0)
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    if (call->idle_timeout_ms > 0) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((call->idle_timeout_ms + 999) / 1000));
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, attempt);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, attempt);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, call->cancel ? 0L : 1L);
}

static enum error_code code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ERROR_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return ERROR_DENIED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERROR_INVALID;
    default:
        return ERROR_UNAVAILABLE;
    }
}

static bool judge(const struct attempt *attempt, CURLcode code, const char *detail, const char *url,
                  struct error **err)
{
    if (code == CURLE_OK || attempt->stopped)
        return true;
    if (attempt->cancelled)
        return error_set(err, ERROR_CANCELLED, "%s: cancelled", url);
    if (attempt->too_large)
        return error_set(err, ERROR_LIMIT, "%s: the answer is larger than %zu bytes", url, attempt->max);
    return error_set(err, code_of(code), "%s: %s", url, *detail ? detail : curl_easy_strerror(code));
}

/* server_name: connect to the URL's host, but let TLS ask for another name. */
static struct curl_slist *connect_to(const struct http_client_options *o, const char *url, char **renamed)
{
    CURLU *parsed = curl_url();
    char *host = NULL, *port = NULL, *whole = NULL;
    struct curl_slist *list = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(parsed, CURLUPART_HOST, o->server_name, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_URL, &whole, 0) == CURLUE_OK) {
        AUTO(text) char *line = xasprintf("%s:%s:%s:%s", o->server_name, port, host, port);
        list = curl_slist_append(NULL, line);
        *renamed = xstrdup(whole);
    }
    curl_free(host), curl_free(port), curl_free(whole);
    curl_url_cleanup(parsed);
    return list;
}

static bool perform(struct http_client *client, CURL *curl, const struct http_call *call, const char *url,
                    const char *token, int64_t left_ms, struct http_reply *reply, struct error **err)
{
    struct attempt attempt = { .call = call,
                               .reply = reply,
                               .curl = curl,
                               .max =
                                   call->max_response ? call->max_response : client->options.max_response };
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL, *to = NULL;
    AUTO(text) char *renamed = NULL;
    bool ok = add_headers(call, token, &headers, err);
    strbuf_clear(&reply->body);
    strbuf_clear(&reply->headers);
    if (ok) {
        if (client->options.server_name && *client->options.server_name)
            to = connect_to(&client->options, url, &renamed);
        set_connection(curl, &client->options);
        set_tls(curl, &client->options);
        set_call(curl, call, &attempt, left_ms);
        curl_easy_setopt(curl, CURLOPT_URL, renamed ? renamed : url);
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
        ok = judge(&attempt, curl_easy_perform(curl), detail, url, err);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    }
    curl_slist_free_all(headers);
    curl_slist_free_all(to);
    return ok;
}

static bool may_repeat(const struct http_call *call)
{
    static const char *const idempotent[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" };
    for (size_t i = 0; i < ARRAY_LEN(idempotent); i++)
        if (strcmp(method_of(call), idempotent[i]) == 0)
            return true;
    return call->repeatable;
}

static int64_t retry_after_ms(const struct http_reply *reply)
{
    struct str value;
    int64_t seconds;
    if (!http_reply_header(reply, "Retry-After", &value) || !str_to_i64(value, &seconds) || seconds < 0 ||
        seconds > 3600)
        return 0;
    return seconds * 1000;
}

static bool is_passing(bool answered, const struct http_reply *reply, const struct error *error)
{
    if (!answered)
        return error_code(error) == ERROR_UNAVAILABLE;
    return reply->status == 429 || reply->status == 502 || reply->status == 503 || reply->status == 504;
}

/* Waits before the next attempt; false when there is no time for one. Half of the wait is chance, so that many callers
 * that failed together do not come back together. */
static bool wait_for_turn(const struct http_call *call, const struct http_reply *reply, int64_t deadline_ms)
{
    int64_t grown = MIN((int64_t)RETRY_FIRST_MS << MIN(reply->attempts - 1, 10u), (int64_t)RETRY_MOST_MS);
    int64_t wait = grown / 2 + (int64_t)(rand_unit() * (double)grown / 2);
    wait = MAX(wait, retry_after_ms(reply));
    if (is_cancelled(call) || (deadline_ms && clock_mono_ms() + wait >= deadline_ms))
        return false;
    clock_sleep_ms(wait);
    return true;
}

static bool try_calls(struct http_client *client, CURL *curl, const struct http_call *call, const char *url,
                      const char *token, struct http_reply *reply, struct error **err)
{
    int64_t timeout = call->timeout_ms ? call->timeout_ms : client->options.timeout_ms;
    int64_t deadline = timeout > 0 ? clock_mono_ms() + timeout : 0;
    for (;;) {
        AUTO(error) struct error *why = NULL;
        int64_t left = deadline ? MAX(deadline - clock_mono_ms(), (int64_t)1) : 0;
        reply->attempts++;
        bool answered = perform(client, curl, call, url, token, left, reply, &why);
        bool again = reply->attempts <= call->retries && may_repeat(call) && is_passing(answered, reply, why);
        if (again && wait_for_turn(call, reply, deadline))
            continue;
        if (!answered)
            error_move(err, &why);
        return answered;
    }
}

bool http_client_call(struct http_client *client, const struct http_call *call, struct http_reply *reply,
                      struct error **err)
{
    AUTO(text) char *token = NULL;
    AUTO(text)
    char *url = xasprintf(
        "%s%s", *call->url == '/' && client->options.base_url ? client->options.base_url : "", call->url);
    if (has_control(url))
        return error_set(err, ERROR_INVALID, "a URL may not hold control characters");
    CURL *curl = take_handle(client, &token);
    if (!curl)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an HTTP client");
    reply->attempts = 0;
    bool ok = try_calls(client, curl, call, url, token, reply, err);
    give_handle(client, curl);
    return ok;
}

void http_reply_cleanup(struct http_reply *reply)
{
    strbuf_free(&reply->body);
    strbuf_free(&reply->headers);
}

bool http_reply_header(const struct http_reply *reply, const char *name, struct str *value)
{
    struct str rest = strbuf_str(&reply->headers), line, key;
    while (str_split(&rest, '\n', &line)) {
        if (!str_split(&line, ':', &key) || !str_eq_nocase(key, str_of(name)))
            continue;
        *value = str_trim(line);
        return true;
    }
    return false;
}

static enum error_code code_of_status(long status)
{
    switch (status) {
    case 401:
        return ERROR_UNAUTHENTICATED;
    case 403:
        return ERROR_DENIED;
    case 404:
    case 410:
        return ERROR_NOT_FOUND;
    case 409:
        return ERROR_CONFLICT;
    case 408:
    case 504:
        return ERROR_TIMEOUT;
    case 413:
        return ERROR_LIMIT;
    case 429:
        return ERROR_UNAVAILABLE;
    default:
        return status >= 500 ? ERROR_UNAVAILABLE : ERROR_INVALID;
    }
}

bool http_reply_ok(const struct http_reply *reply, const char *what, struct error **err)
{
    if (reply->status / 100 == 2)
        return true;
    struct str excerpt = utf8_prefix(str_trim(strbuf_str(&reply->body)), EXCERPT_MAX);
    if (!utf8_is_valid(excerpt))
        excerpt = (struct str){ 0 };
    error_set(err, code_of_status(reply->status), "%s: HTTP %ld%s" STR_FMT, what, reply->status,
              excerpt.len ? ": " : "", STR_ARG(excerpt));
    if (err)
        error_set_retry_after_ms(*err, (long)retry_after_ms(reply));
    return false;
}
