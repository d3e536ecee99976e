/* One call: waiting for its turn, sending, and deciding whether it may be sent again.
 *
 * What may: a 401 once, with credentials read anew; a 429, which says that nothing was done; what could not be
 * connected; and reads. A write that may have arrived is never repeated here: whoever asked reads first. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { ATTEMPTS_MAX = 6, BACKOFF_MS = 100, BACKOFF_MAX_MS = 5000 };

int64_t call_deadline(const struct k8s *k8s, int64_t deadline_ms)
{
    int64_t until = clock_mono_ms() + (deadline_ms ? deadline_ms : k8s->deadline_ms);
    return k8s->until_mono_ms ? MIN(until, k8s->until_mono_ms) : until;
}

bool call_is_secret(const struct call *call)
{
    return call->ref.resource && !*call->ref.resource->group &&
           !strcmp(call->ref.resource->plural, "secrets");
}

/* Microseconds to wait for a token of the bucket; the token is taken. */
static int64_t take_token_us(struct client *client)
{
    pthread_mutex_lock(&client->lock);
    int64_t now = clock_mono_us();
    client->tokens =
        MIN(client->burst, client->tokens + (double)(now - client->tokens_at_us) * client->rate / 1e6);
    client->tokens_at_us = now;
    client->tokens -= 1;
    int64_t wait_us = client->tokens >= 0 ? 0 : (int64_t)(-client->tokens / client->rate * 1e6);
    client->stats.throttled_ms += (uint64_t)(wait_us / 1000);
    pthread_mutex_unlock(&client->lock);
    return wait_us;
}

static bool not_sent(struct k8s_answer *answer, enum error_code code, const char *why, struct error **err)
{
    *answer = (struct k8s_answer){ .reason = K8S_NOT_SENT };
    snprintf(answer->message, sizeof answer->message, "%s", why);
    return error_set(err, code, "%s", why);
}

bool call_may_write(struct k8s *k8s, struct call *call, struct k8s_answer *answer, struct error **err)
{
    struct k8s_answer spare;
    if (call->is_write && k8s->writes == K8S_WRITES_DRY_RUN)
        call->is_dry_run = true;
    if (!call->is_write || k8s->writes != K8S_WRITES_NONE)
        return true;
    return not_sent(answer ? answer : &spare, ERROR_DENIED, "a plan makes no write", err);
}

static bool wait_turn(struct k8s *k8s, int64_t until_ms, struct k8s_answer *answer, struct error **err)
{
    int64_t wait_ms = (take_token_us(k8s->client) + 999) / 1000;
    if (clock_mono_ms() >= until_ms)
        return not_sent(answer, ERROR_TIMEOUT, "the deadline has come before the request was sent", err);
    if (clock_mono_ms() + wait_ms > until_ms)
        return not_sent(answer, ERROR_LIMIT,
                        "more requests than kubernetes' client-side rate allows until the deadline", err);
    if (wait_ms)
        clock_sleep_ms(wait_ms);
    return true;
}

static struct k8s_call describe(const struct call *call, const char *path, unsigned attempt)
{
    return (struct k8s_call){
        .verb = call->verb,
        .method = call->method,
        .path = path,
        .resource = call->ref.resource,
        .namespace = call->ref.namespace,
        .name = call->ref.name,
        .subresource = call->ref.subresource,
        .is_write = call->is_write,
        .is_dry_run = call->is_dry_run,
        .attempt = attempt,
        .started_utc_ms = clock_utc_ms(),
    };
}

static void send_once(struct k8s *k8s, const struct call *call, const char *path,
                      const struct identity *identity, int64_t until_ms, unsigned attempt,
                      struct response *response)
{
    struct request request = {
        .method = call->method,
        .path = path,
        .body = call->body,
        .content_type = call->content_type,
        .accept = call->accept,
        .is_write = call->is_write,
        .deadline_mono_ms = until_ms,
        .max_answer = call->max_answer ? call->max_answer : k8s->client->max_answer,
        .piece = call->piece,
        .context = call->context,
        .stop = call->stop,
    };
    struct k8s_call seen = describe(call, path, attempt);
    int64_t began_us = clock_mono_us();
    observe_before(k8s, &seen);
    transport_run(k8s->client->transport, identity, &request, response);
    seen.status = response->status;
    seen.duration_us = clock_mono_us() - began_us;
    observe_after(k8s, &seen);
    pthread_mutex_lock(&k8s->client->lock);
    k8s->client->stats.bytes_received += response->body.len;
    pthread_mutex_unlock(&k8s->client->lock);
}

static int64_t backoff_ms(unsigned attempt)
{
    int64_t most = MIN(BACKOFF_MS << MIN(attempt, 10), BACKOFF_MAX_MS);
    return most / 2 + (int64_t)(rand_unit() * (double)most / 2);
}

/* Whether to send again, and after how long. */
static bool may_repeat(const struct call *call, const struct response *response,
                       const struct k8s_answer *answer, unsigned attempt, int64_t *wait_ms)
{
    bool is_read = !call->is_write;
    *wait_ms =
        answer->retry_after_ms ? answer->retry_after_ms + (int64_t)(rand_unit() * 100) : backoff_ms(attempt);
    if (attempt >= ATTEMPTS_MAX || call->piece || response->failure == RESPONSE_STOPPED)
        return false;
    if (answer->reason == K8S_NO_ANSWER)
        return !response->is_tls_failure && response->failure != RESPONSE_TIMEOUT &&
               (is_read || !response->was_sent);
    if (answer->reason == K8S_TOO_MANY_REQUESTS)
        return !call->is_final_429;
    if (!is_read || answer->status < 500)
        return false;
    return answer->status == 503 || answer->status == 504 || answer->retry_after_ms || attempt < 2;
}

static void explain_authentication(struct k8s *k8s, const struct identity *identity, struct error **err)
{
    char text[CLOCK_TEXT_MAX];
    const char *user = k8s->client->config.user_name ? k8s->client->config.user_name : "the service account";
    if (identity->cert_expires && identity->cert_expires < clock_utc_ms())
        error_wrap(err, "the client certificate of \"%s\" expired at %s: renew it", user,
                   clock_format(identity->cert_expires, text));
    else if (err && *err && error_code(*err) == ERROR_UNAUTHENTICATED)
        error_wrap(err, "the credentials of \"%s\" are not accepted: renew them", user);
}

/* Send until it is answered for good; `response` is that of the last attempt. */
static bool attempt_all(struct k8s *k8s, struct call *call, const char *path, struct response *response,
                        struct k8s_answer *answer, struct error **err)
{
    int64_t until_ms = call_deadline(k8s, call->deadline_ms), wait_ms;
    uint64_t rejected = 0;
    for (unsigned attempt = 1;; attempt++) {
        if (!wait_turn(k8s, until_ms, answer, err))
            return false;
        AUTO(identity) struct identity *identity = auth_identity(k8s->client->auth, rejected, err);
        if (!identity)
            return not_sent(answer, err && *err ? error_code(*err) : ERROR_UNAUTHENTICATED,
                            err && *err ? error_message(*err) : "no credentials", err);
        response_free(response);
        *response = (struct response){ 0 };
        send_once(k8s, call, path, identity, until_ms, attempt, response);
        answer->attempts = attempt;
        answer_read(answer, response, call_is_secret(call), call->is_write);
        if (answer->reason == K8S_OK)
            return true;
        bool again = answer->reason == K8S_UNAUTHORIZED && !rejected;
        wait_ms = 0;
        if (again)
            rejected = identity->generation;
        else
            again = may_repeat(call, response, answer, attempt, &wait_ms);
        if (!again || clock_mono_ms() + wait_ms >= until_ms) {
            answer_error(answer, k8s->client->config.server, err);
            if (answer->reason == K8S_UNAUTHORIZED || response->is_tls_failure)
                explain_authentication(k8s, identity, err);
            return false;
        }
        clock_sleep_ms(wait_ms);
    }
}

bool call_run(struct k8s *k8s, struct call *call, struct strbuf *body, struct k8s_answer *answer,
              struct error **err)
{
    AUTO(strbuf) struct strbuf path = { 0 };
    AUTO(response) struct response response = { 0 };
    struct k8s_answer spare;
    struct error *why = NULL;
    char text[640];
    answer = answer ? answer : &spare;
    *answer = (struct k8s_answer){ 0 };
    bool ok = call_may_write(k8s, call, answer, &why);
    if (ok && call->is_dry_run && strcmp(call->method, "DELETE")) /* there it stands in the body: write.c */
        call_query(call, "dryRun", "All");
    if (ok && !call_path(call, &path, &why))
        ok = not_sent(answer, ERROR_INVALID, error_message(why), &why);
    ok = ok && attempt_all(k8s, call, path.ptr, &response, answer, &why);
    strbuf_free(&call->query);
    if (ok && body)
        *body = response.body, response.body = (struct strbuf){ 0 };
    if (!ok) {
        error_wrap(&why, "%s %s", call->verb,
                   call->ref.resource ? k8s_ref_text(&call->ref, text) : call->path);
        error_move(err, &why);
    }
    return ok;
}

struct k8s_object *call_object(struct k8s *k8s, struct call *call, struct k8s_answer *answer,
                               struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct k8s_answer spare;
    char text[640];
    answer = answer ? answer : &spare;
    if (!call_run(k8s, call, &body, answer, err))
        return NULL;
    struct error *why = NULL;
    struct k8s_object *object = k8s_object_parse(strbuf_str(&body), &why);
    if (object)
        return object;
    /* The server said 2xx, so a write has happened, but what it made of it cannot be read. */
    answer->reason = K8S_BAD_ANSWER;
    answer->outcome_unknown = call->is_write;
    snprintf(answer->message, sizeof answer->message, "%s", error_message(why));
    error_set(err, ERROR_INTERNAL, "%s %s: answered %u with what is no object: %s", call->verb,
              k8s_ref_text(&call->ref, text), answer->status, error_message(why));
    error_free(why);
    return NULL;
}
