/* What an answer means. Messages of the API server can be many KiB, with newlines and whole objects in them, so what is
 * kept is one line with long values cut out; of a Secret's, nothing is kept. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

enum { KEPT_GROUP = 48, KEPT_QUOTE = 160 };

const char *const k8s_reason_names[K8S_REASON_COUNT] = {
    [K8S_OK] = "OK",
    [K8S_BAD_REQUEST] = "BadRequest",
    [K8S_UNAUTHORIZED] = "Unauthorized",
    [K8S_FORBIDDEN] = "Forbidden",
    [K8S_NOT_FOUND] = "NotFound",
    [K8S_NOT_SERVED] = "NotServed",
    [K8S_CONFLICT] = "Conflict",
    [K8S_ALREADY_EXISTS] = "AlreadyExists",
    [K8S_GONE] = "Expired",
    [K8S_TOO_LARGE] = "RequestEntityTooLarge",
    [K8S_UNSUPPORTED] = "Unsupported",
    [K8S_INVALID] = "Invalid",
    [K8S_TOO_MANY_REQUESTS] = "TooManyRequests",
    [K8S_INTERNAL] = "InternalError",
    [K8S_UNAVAILABLE] = "ServiceUnavailable",
    [K8S_TIMEOUT] = "Timeout",
    [K8S_OTHER] = "Other",
    [K8S_BAD_ANSWER] = "BadAnswer",
    [K8S_NO_ANSWER] = "NoAnswer",
    [K8S_NOT_SENT] = "NotSent",
};

static const enum error_code codes[K8S_REASON_COUNT] = {
    [K8S_OK] = ERROR_INTERNAL,
    [K8S_BAD_REQUEST] = ERROR_INVALID,
    [K8S_UNAUTHORIZED] = ERROR_UNAUTHENTICATED,
    [K8S_FORBIDDEN] = ERROR_DENIED,
    [K8S_NOT_FOUND] = ERROR_NOT_FOUND,
    [K8S_NOT_SERVED] = ERROR_UNSUPPORTED,
    [K8S_CONFLICT] = ERROR_CONFLICT,
    [K8S_ALREADY_EXISTS] = ERROR_EXISTS,
    [K8S_GONE] = ERROR_NOT_FOUND,
    [K8S_TOO_LARGE] = ERROR_LIMIT,
    [K8S_UNSUPPORTED] = ERROR_UNSUPPORTED,
    [K8S_INVALID] = ERROR_INVALID,
    [K8S_TOO_MANY_REQUESTS] = ERROR_UNAVAILABLE,
    [K8S_INTERNAL] = ERROR_INTERNAL,
    [K8S_UNAVAILABLE] = ERROR_UNAVAILABLE,
    [K8S_TIMEOUT] = ERROR_TIMEOUT,
    [K8S_OTHER] = ERROR_INTERNAL,
    [K8S_BAD_ANSWER] = ERROR_INTERNAL,
    [K8S_NO_ANSWER] = ERROR_UNAVAILABLE,
    [K8S_NOT_SENT] = ERROR_LIMIT,
};

static const struct {
    unsigned status;
    enum k8s_reason reason;
} by_status[] = {
    { 400, K8S_BAD_REQUEST }, { 401, K8S_UNAUTHORIZED }, { 403, K8S_FORBIDDEN },
    { 404, K8S_NOT_FOUND },   { 405, K8S_UNSUPPORTED },  { 406, K8S_UNSUPPORTED },
    { 409, K8S_CONFLICT },    { 410, K8S_GONE },         { 413, K8S_TOO_LARGE },
    { 415, K8S_UNSUPPORTED }, { 422, K8S_INVALID },      { 429, K8S_TOO_MANY_REQUESTS },
    { 500, K8S_INTERNAL },    { 502, K8S_UNAVAILABLE },  { 503, K8S_UNAVAILABLE },
    { 504, K8S_TIMEOUT },
};

/* The length of a group or quoted text that begins at `text`; one that does not end reaches to the end. */
static size_t group_len(const char *text)
{
    size_t depth = 0, at = 0;
    for (; text[at]; at++) {
        depth += text[at] == '{';
        if (text[at] == '}' && --depth == 0)
            return at + 1;
    }
    return at;
}

static size_t quote_len(const char *text)
{
    size_t at = 1;
    while (text[at] && text[at] != '"')
        at += text[at] == '\\' && text[at + 1] ? 2 : 1;
    return at + (text[at] == '"');
}

void answer_copy_message(char *to, size_t size, const char *text)
{
    size_t used = 0;
    while (*text && used + 8 < size) {
        size_t len = *text == '{' ? group_len(text) : *text == '"' ? quote_len(text) : 1;
        bool cut = (*text == '{' && len > KEPT_GROUP) || (*text == '"' && len > KEPT_QUOTE);
        if (cut) {
            used += (size_t)sprintf(to + used, *text == '{' ? "{…}" : "\"…\"");
            text += len;
            continue;
        }
        bool blank = (unsigned char)*text <= ' ' || *text == 0x7f;
        if (!blank || (used && to[used - 1] != ' '))
            to[used++] = blank ? ' ' : *text;
        text++;
    }
    to[used] = 0;
    if (*text) /* cut: not within a character */
        used = utf8_prefix((struct str){ to, used }, used).len;
    strcpy(to + used, *text ? "…" : "");
}

bool k8s_answer_has_cause(const struct k8s_answer *answer, const char *reason)
{
    for (unsigned i = 0; i < answer->causes_len; i++)
        if (!strcmp(answer->causes[i].reason, reason))
            return true;
    return false;
}

static void take_causes(struct k8s_answer *answer, yyjson_val *causes, bool is_secret)
{
    size_t i, count;
    yyjson_val *cause;
    yyjson_arr_foreach(causes, i, count, cause)
    {
        if (answer->causes_len == K8S_CAUSES_MAX)
            return;
        struct k8s_cause *to = &answer->causes[answer->causes_len++];
        snprintf(to->reason, sizeof to->reason, "%s", k8s_text_at(cause, "/reason"));
        snprintf(to->field, sizeof to->field, "%s", k8s_text_at(cause, "/field"));
        if (!is_secret)
            answer_copy_message(to->message, sizeof to->message, k8s_text_at(cause, "/message"));
    }
}

static void take_status(struct k8s_answer *answer, yyjson_val *status, bool is_secret)
{
    snprintf(answer->server_reason, sizeof answer->server_reason, "%s", k8s_text_at(status, "/reason"));
    snprintf(answer->name, sizeof answer->name, "%s", k8s_text_at(status, "/details/name"));
    snprintf(answer->uid, sizeof answer->uid, "%s", k8s_text_at(status, "/details/uid"));
    if (is_secret)
        snprintf(answer->message, sizeof answer->message, "(what the server says of a Secret is not shown)");
    else
        answer_copy_message(answer->message, sizeof answer->message, k8s_text_at(status, "/message"));
    take_causes(answer, k8s_at(status, "/details/causes"), is_secret);
    int64_t retry_s = k8s_int_at(status, "/details/retryAfterSeconds", 0);
    if (!answer->retry_after_ms && retry_s > 0 && retry_s < 24 * 3600)
        answer->retry_after_ms = retry_s * 1000;
}

static enum k8s_reason reason_of(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(by_status); i++)
        if (by_status[i].status == status)
            return by_status[i].reason;
    return K8S_OTHER;
}

/* What the status alone does not tell. */
static void refine(struct k8s_answer *answer, bool has_status)
{
    const char *message = answer->message;
    if (answer->reason == K8S_NOT_FOUND && !has_status)
        answer->reason = K8S_NOT_SERVED;
    if (answer->reason == K8S_CONFLICT && !strcmp(answer->server_reason, "AlreadyExists"))
        answer->reason = K8S_ALREADY_EXISTS;
    if (answer->reason == K8S_FORBIDDEN && strstr(message, "User \"system:anonymous\""))
        answer->reason = K8S_UNAUTHORIZED;
    answer->forbidden_by_rbac =
        answer->reason == K8S_FORBIDDEN && strstr(message, "User \"") && strstr(message, "\" cannot ");
}

static void read_failure(struct k8s_answer *answer, const struct response *response, bool is_secret)
{
    yyjson_doc *doc = json_parse(strbuf_str(&response->body), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool has_status = !strcmp(k8s_text_at(root, "/kind"), "Status");
    if (has_status)
        take_status(answer, root, is_secret);
    else if (!is_secret && response->body.len)
        answer_copy_message(answer->message, sizeof answer->message, response->body.ptr);
    answer->reason = reason_of(response->status);
    refine(answer, has_status);
    /* RBAC's refusal holds no value of a Secret, and without its text nobody knows what to grant. */
    if (is_secret && response->status == 403 && strstr(k8s_text_at(root, "/message"), "\" cannot ")) {
        answer_copy_message(answer->message, sizeof answer->message, k8s_text_at(root, "/message"));
        answer->forbidden_by_rbac = true;
    }
    yyjson_doc_free(doc);
}

void answer_read(struct k8s_answer *answer, const struct response *response, bool is_secret, bool is_write)
{
    unsigned attempts = answer->attempts;
    *answer = (struct k8s_answer){ .status = response->status, .attempts = attempts };
    answer->retry_after_ms = response->retry_after_ms;
    answer->warnings_len = response->warnings_len;
    memcpy(answer->warnings, response->warnings, sizeof answer->warnings);
    if (response->failure != RESPONSE_OK) {
        bool answered = response->status / 100 == 2 && response->failure == RESPONSE_TOO_LARGE;
        answer->reason = response->failure == RESPONSE_TOO_LARGE ? K8S_BAD_ANSWER : K8S_NO_ANSWER;
        answer->outcome_unknown = is_write && response->was_sent && !answered;
        snprintf(answer->message, sizeof answer->message, "%s", response->failure_text);
        return;
    }
    if (response->status / 100 == 2)
        return;
    read_failure(answer, response, is_secret);
    /* A 5xx may come from a proxy that had already passed the write on. */
    answer->outcome_unknown = is_write && response->status >= 500;
}

static enum error_code code_of(const struct k8s_answer *answer)
{
    bool timed_out = answer->reason == K8S_NO_ANSWER && strcasestr(answer->message, "timed out");
    return timed_out ? ERROR_TIMEOUT : codes[answer->reason];
}

bool answer_error(const struct k8s_answer *answer, const char *server, struct error **err)
{
    enum error_code code = code_of(answer);
    if (answer->reason == K8S_NO_ANSWER)
        error_set(err, code, "no answer from %s: %s%s", server, answer->message,
                  answer->outcome_unknown ? " (it may have been done)" : "");
    else if (!answer->status)
        error_set(err, code, "%s", answer->message);
    else
        error_set(err, code, "%u %s%s%s", answer->status,
                  *answer->server_reason ? answer->server_reason : k8s_reason_names[answer->reason],
                  *answer->message ? ": " : "", answer->message);
    if (err && *err)
        error_set_retry_after_ms(*err, (long)answer->retry_after_ms);
    return false;
}
