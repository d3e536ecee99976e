#include "slm/remote.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "http/client.h"
#include "metrics/metrics.h"
#include "slm/breaker.h"
#include "slm/remote_internal.h"

enum {
    TIMEOUT_MS = 30 * 1000,
    MAX_TOKENS = 500,
    CONTEXT = 8192,
    ANSWER_MAX = 1024 * 1024, /* bytes of a server's answer, log-probabilities included */
    RETRY_FIRST_MS = 250,
    RETRY_MOST_MS = 10 * 1000,
};

struct remote {
    struct remote_options options; /* texts are ours */
    const struct protocol *protocol;
    struct http_client *client; /* locks itself */
    struct breaker breaker;     /* locks itself */
    _Atomic int level;          /* enum remote_level that the server last took */
};

static const struct protocol *const protocols[] = {
    [REMOTE_OPENAI] = &protocol_openai, [REMOTE_OLLAMA] = &protocol_ollama
};

/* The endpoint without a final slash or "/v1", which the protocols' paths bring. */
static char *base_of(const char *endpoint)
{
    struct str base = str_of(endpoint);
    while (str_ends_with(base, STR("/")))
        base.len--;
    if (str_ends_with(base, STR("/v1")))
        base.len -= 3;
    return xstrndup(base.ptr, base.len);
}

struct remote *remote_new(const struct remote_options *options)
{
    struct remote *remote = xcalloc(1, sizeof *remote);
    remote->options = *options;
    remote->options.endpoint = base_of(options->endpoint);
    remote->options.model = xstrdup(options->model);
    remote->options.api_key = remote->options.ca_file = NULL; /* the client has them */
    remote->options.timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    remote->options.max_tokens = options->max_tokens ? options->max_tokens : MAX_TOKENS;
    remote->options.context = options->context ? options->context : CONTEXT;
    remote->protocol = protocols[options->protocol];
    remote->breaker = (struct breaker)BREAKER_INIT;
    remote->client = http_client_new(&(struct http_client_options){
        .base_url = remote->options.endpoint,
        .token = options->api_key && *options->api_key ? options->api_key : NULL,
        .ca_file = options->ca_file,
        .timeout_ms = remote->options.timeout_ms,
        .max_response = ANSWER_MAX });
    return remote;
}

void remote_free(struct remote *remote)
{
    if (!remote)
        return;
    http_client_free(remote->client);
    free((char *)remote->options.endpoint);
    free((char *)remote->options.model);
    free(remote);
}

const char *remote_endpoint(const struct remote *remote)
{
    return remote->options.endpoint;
}

const char *remote_model(const struct remote *remote)
{
    return remote->options.model;
}

const char *remote_provider(const struct remote *remote)
{
    return remote->protocol->name;
}

/* ---- one exchange ---------------------------------------------------------------------------------------------- */

yyjson_mut_val *remote_messages_write(const struct remote_talk *talk, yyjson_mut_doc *doc)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < talk->message_count; i++) {
        yyjson_mut_val *message = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_str(doc, message, "role", talk->messages[i].role);
        yyjson_mut_obj_add_strn(doc, message, "content", talk->messages[i].content.ptr,
                                talk->messages[i].content.len);
    }
    return list;
}

static int64_t time_left(const struct remote *remote, const struct remote_request *request)
{
    int64_t left = request->deadline_ms ? request->deadline_ms - clock_mono_ms() : remote->options.timeout_ms;
    return MIN(left, remote->options.timeout_ms);
}

static bool post(struct remote *remote, const struct remote_talk *talk, struct http_reply *reply,
                 struct error **err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    remote->protocol->write(talk, doc, root);
    size_t len = 0;
    char *body = yyjson_mut_write(doc, 0, &len);
    yyjson_mut_doc_free(doc);
    if (!body)
        return error_set(err, ERROR_INVALID, "the prompt is not valid UTF-8");
    int64_t left = time_left(remote, talk->request);
    bool ok =
        left > 0
            ? http_client_call(remote->client,
                               &(struct http_call){
                                   .url = remote->protocol->path, .body = { body, len }, .timeout_ms = left },
                               reply, err)
            : error_set(err, ERROR_TIMEOUT, "no time was left to ask %s", remote->options.endpoint);
    free(body);
    return ok && http_reply_ok(reply, "ask the model", err);
}

/* Ask once and take the text out of the server's JSON. */
static bool exchange(struct remote *remote, struct arena *arena, const struct remote_talk *talk,
                     struct remote_text *text, long *status, struct error **err)
{
    AUTO(http_reply) struct http_reply reply = { 0 };
    int64_t began_us = clock_mono_us();
    metric_inc(METRIC_SLM_API_CALLS, remote->protocol->name);
    *text = (struct remote_text){ 0 };
    bool ok = post(remote, talk, &reply, err);
    *status = reply.status;
    if (ok) {
        yyjson_doc *doc = yyjson_read(reply.body.ptr, reply.body.len, 0);
        ok = doc ? remote->protocol->read(arena, yyjson_doc_get_root(doc), text, err)
                 : error_set(err, ERROR_INVALID, "%s did not answer in JSON", remote->options.endpoint);
        yyjson_doc_free(doc);
    }
    metric_observe(METRIC_SLM_REQUESTS_DURATION, (double)(clock_mono_us() - began_us) / 1e6,
                   remote->options.model);
    return ok;
}

/* ---- again ----------------------------------------------------------------------------------------------------- */

/* 400 and 422 are how servers say that they do not know a field. */
static bool is_refused_field(long status)
{
    return status == 400 || status == 422 || status == 501;
}

static bool may_pass(long status, const struct error *err)
{
    return status >= 500 || status == 408 || status == 429 ||
           (status == 0 && error_code(err) == ERROR_UNAVAILABLE);
}

/* Wait before attempt `attempt`, as long as the server asked for if it did. False if the deadline comes first. */
static bool wait_before(const struct remote_request *request, unsigned attempt, const struct error *err)
{
    int64_t most = MIN((int64_t)RETRY_FIRST_MS << MIN(attempt, 10u), RETRY_MOST_MS);
    int64_t wait = MAX((int64_t)((double)most * (0.5 + 0.5 * rand_unit())), error_retry_after_ms(err));
    if (request->deadline_ms && clock_mono_ms() + wait >= request->deadline_ms)
        return false;
    clock_sleep_ms(wait);
    return true;
}

/* Exchange, with less where the server refuses a field, and again where it may help. */
static bool converse(struct remote *remote, struct arena *arena, struct remote_talk *talk,
                     struct remote_text *text, unsigned *attempts, struct error **err)
{
    int first = atomic_load(&remote->level);
    for (unsigned failures = 0;;) {
        AUTO(error) struct error *why = NULL;
        long status = 0;
        ++*attempts;
        if (exchange(remote, arena, talk, text, &status, &why)) {
            atomic_store(&remote->level, (int)talk->level);
            return true;
        }
        metric_inc(METRIC_SLM_API_ERRORS, remote->protocol->name, error_code_name(error_code(why)));
        if (is_refused_field(status) && talk->level + 1 < REMOTE_LEVEL_COUNT) {
            talk->level++;
            continue;
        }
        if (is_refused_field(status))
            talk->level = (enum remote_level)first;
        if (!may_pass(status, why) || failures++ >= remote->options.retries ||
            !wait_before(talk->request, failures, why)) {
            error_move(err, &why);
            return false;
        }
    }
}

/* Ask the model to mend what it answered. */
static bool repair(struct remote *remote, struct arena *arena, struct remote_talk *talk,
                   struct remote_text *text, struct remote_answer *answer, struct error **err)
{
    AUTO(error) struct error *wrong = *err;
    *err = NULL;
    const char *complaint = arena_printf(
        arena, "That is not a valid answer: %s. Answer again, with one JSON object and nothing else.",
        error_message(wrong));
    talk->messages[talk->message_count++] =
        (struct remote_message){ "assistant", str_slice(text->content, 0, 4000) };
    talk->messages[talk->message_count++] = (struct remote_message){ "user", str_of(complaint) };
    answer->repairs++;
    return converse(remote, arena, talk, text, &answer->attempts, err) &&
           remote_answer_read(arena, text, talk->request, answer, err);
}

static bool ask(struct remote *remote, struct arena *arena, const struct remote_request *request,
                struct remote_answer *answer, struct error **err)
{
    struct error *why = NULL;
    struct remote_text text;
    struct remote_talk talk = { .options = &remote->options,
                                .request = request,
                                .level = (enum remote_level)atomic_load(&remote->level),
                                .messages = { { "system", request->system }, { "user", request->user } },
                                .message_count = 2 };
    bool ok = converse(remote, arena, &talk, &text, &answer->attempts, &why);
    bool conversed = ok;
    if (ok && !remote_answer_read(arena, &text, request, answer, &why))
        ok = repair(remote, arena, &talk, &text, answer, &why);
    if (ok || conversed) /* a server that talks nonsense is there all the same */
        breaker_succeeded(&remote->breaker);
    else
        breaker_failed(&remote->breaker);
    error_move(err, &why);
    return ok;
}

bool remote_ask(struct remote *remote, struct arena *arena, const struct remote_request *request,
                struct remote_answer *answer, struct error **err)
{
    *answer = (struct remote_answer){ .confidence = NAN };
    answer->log_probabilities[0] = NAN;
    if (!breaker_allows(&remote->breaker))
        return error_set(err, ERROR_UNAVAILABLE,
                         "%s failed %d times in a row and is left alone for %lld s more",
                         remote->options.endpoint, BREAKER_FAILURES,
                         (long long)(breaker_wait_ms(&remote->breaker) + 999) / 1000);
    metric_observe(METRIC_SLM_CONTEXT_BYTES, (double)(request->system.len + request->user.len),
                   remote->protocol->name);
    if (ask(remote, arena, request, answer, err))
        return true;
    return error_wrap(err, "ask %s at %s", remote->options.model, remote->options.endpoint);
}

bool remote_health(struct remote *remote, int64_t timeout_ms, struct error **err)
{
    AUTO(http_reply) struct http_reply reply = { 0 };
    return http_client_call(
               remote->client,
               &(struct http_call){ .url = remote->protocol->health_path, .timeout_ms = timeout_ms }, &reply,
               err) &&
           http_reply_ok(&reply, remote->options.endpoint, err);
}
