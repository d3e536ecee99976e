/* Commands in a container, over WebSocket: binary frames whose first byte is a channel. v5 can close standard input; v4
 * cannot, so a command that reads it to its end must not be run there. */
#include "k8s/k8s.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "k8s/k8s_internal.h"

enum { CHANNEL_IN = 0, CHANNEL_OUT = 1, CHANNEL_ERR = 2, CHANNEL_STATUS = 3, CHANNEL_CLOSE = 255 };
enum { FRAME_MAX = 4 * 1024 * 1024, HEAD_MAX = 64 * 1024, STATUS_MAX = 64 * 1024, INPUT_PIECE = 32 * 1024 };

struct session {
    struct transport_stream *stream;
    int64_t until_ms;
    size_t max_output;
    unsigned version; /* of the channel protocol */
    struct strbuf in, message, status;
    struct k8s_exec_result *result;
    bool closed;
};

/* ---- the upgrade ---- */

static void add_command(struct call *call, const struct k8s_exec *options)
{
    for (const char *const *word = options->command; *word; word++) {
        strbuf_addf(&call->query, "%scommand=", call->query.len ? "&" : "");
        strbuf_add_escaped(&call->query, *word);
    }
    call_query(call, "container", options->container);
    call_query(call, "stdin", options->input.len ? "true" : NULL);
    call_query(call, "stdout", "true");
    call_query(call, "stderr", "true");
}

static void upgrade_request(struct k8s *k8s, const struct identity *identity, const char *path,
                            const char *key, struct strbuf *out)
{
    const struct transport *transport = k8s->client->transport;
    const char *server = k8s->client->config.server;
    const char *host = strstr(server, "://") + 3, *prefix = strchr(host, '/');
    AUTO(text) char *base = xstrdup(prefix ? prefix : "");
    size_t len = strlen(base);
    while (len && base[len - 1] == '/')
        base[--len] = 0;
    strbuf_addf(out, "GET %s%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", base,
                path, transport_host(transport));
    strbuf_addf(out, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key);
    strbuf_add_text(out, "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n");
    for (const char *const *header = transport_headers(transport); *header; header++)
        if (strncasecmp(*header, "Host:", 5))
            strbuf_addf(out, "%s\r\n", *header);
    if (identity->authorization)
        strbuf_addf(out, "Authorization: %s\r\n", identity->authorization);
    strbuf_add_text(out, "User-Agent: prometheus-alerts-slm\r\n\r\n");
}

static bool read_more(struct session *s, struct error **err)
{
    char piece[16 * 1024];
    size_t got = 0;
    if (!transport_stream_read(s->stream, piece, sizeof piece, &got, s->until_ms, err))
        return false;
    if (!got)
        return error_set(err, ERROR_IO, "the connection was cut");
    strbuf_add(&s->in, (struct str){ piece, got });
    return true;
}

static void drop(struct strbuf *buf, size_t len)
{
    memmove(buf->ptr, buf->ptr + len, buf->len - len);
    buf->len -= len;
    buf->ptr[buf->len] = 0;
}

static struct str header_of(struct str head, const char *name)
{
    struct str line;
    while (str_split(&head, '\n', &line)) {
        size_t colon;
        if (str_find(line, STR(":"), &colon) && str_eq_nocase(str_slice(line, 0, colon), str_of(name)))
            return str_trim(str_slice(line, colon + 1, line.len));
    }
    return (struct str){ 0 };
}

static bool read_head(struct session *s, struct strbuf *head, struct error **err)
{
    size_t end;
    while (!str_find(strbuf_str(&s->in), STR("\r\n\r\n"), &end)) {
        if (s->in.len > HEAD_MAX)
            return error_set(err, ERROR_LIMIT, "the header of the answer has more than %d bytes", HEAD_MAX);
        if (!read_more(s, err))
            return false;
    }
    strbuf_add(head, str_slice(strbuf_str(&s->in), 0, end + 2));
    drop(&s->in, end + 4);
    return true;
}

/* The body of a refusal, of the length that it says it has, or until the end. */
static void read_refusal(struct session *s, struct str head, struct response *response)
{
    uint64_t want = STATUS_MAX;
    str_to_u64(header_of(head, "content-length"), &want);
    want = MIN(want, STATUS_MAX);
    while (s->in.len < want && read_more(s, NULL))
        ;
    strbuf_add(&response->body, str_slice(strbuf_str(&s->in), 0, (size_t)want));
}

static bool check_upgrade(struct session *s, struct str head, const char *key, struct error **err)
{
    char accept[29];
    struct str protocol = header_of(head, "sec-websocket-protocol");
    websocket_accept(key, accept);
    if (!str_eq(header_of(head, "sec-websocket-accept"), str_of(accept)))
        return error_set(err, ERROR_INTERNAL, "exec: the server's Sec-WebSocket-Accept is wrong");
    s->version = str_eq(protocol, STR("v5.channel.k8s.io"))   ? 5
                 : str_eq(protocol, STR("v4.channel.k8s.io")) ? 4
                                                              : 0;
    return s->version ||
           error_set(err, ERROR_UNSUPPORTED, "exec: the server speaks neither v5 nor v4 channels");
}

static bool upgrade(struct k8s *k8s, struct session *s, const struct identity *identity, const char *path,
                    struct response *response, struct error **err)
{
    AUTO(strbuf) struct strbuf request = { 0 }, head = { 0 };
    char key[25];
    unsigned status = 0;
    websocket_key(key);
    upgrade_request(k8s, identity, path, key, &request);
    response->was_sent = true;
    bool ok =
        transport_stream_write(s->stream, strbuf_str(&request), s->until_ms, err) && read_head(s, &head, err);
    explicit_bzero(request.ptr, request.len);
    if (!ok)
        return false;
    if (sscanf(head.ptr, "HTTP/1.%*d %u", &status) != 1)
        return error_set(err, ERROR_INTERNAL, "exec: the answer is no HTTP");
    response->status = status;
    if (status == 101)
        return check_upgrade(s, strbuf_str(&head), key, err);
    read_refusal(s, strbuf_str(&head), response);
    return true;
}

/* ---- frames ---- */

static bool send_frame(struct session *s, enum websocket_opcode opcode, struct str payload,
                       struct error **err)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    websocket_add(&out, opcode, payload);
    return transport_stream_write(s->stream, strbuf_str(&out), s->until_ms, err);
}

static bool send_input(struct session *s, struct str input, struct error **err)
{
    AUTO(strbuf) struct strbuf payload = { 0 };
    bool any = input.len > 0;
    if (any && s->version < 5)
        return error_set(err, ERROR_UNSUPPORTED,
                         "exec: the server's v4 channels cannot close standard input");
    while (input.len) {
        struct str piece = str_slice(input, 0, INPUT_PIECE);
        input = str_slice(input, piece.len, input.len);
        strbuf_clear(&payload);
        strbuf_add_char(&payload, CHANNEL_IN);
        strbuf_add(&payload, piece);
        if (!send_frame(s, WS_BINARY, strbuf_str(&payload), err))
            return false;
    }
    return !any ||
           send_frame(s, WS_BINARY, (struct str){ (char[]){ (char)CHANNEL_CLOSE, CHANNEL_IN }, 2 }, err);
}

static void keep(struct session *s, struct strbuf *to, struct str bytes, size_t max)
{
    struct str fits = str_slice(bytes, 0, max - MIN(max, to->len));
    s->result->truncated = s->result->truncated || (to != &s->status && fits.len < bytes.len);
    strbuf_add(to, fits);
}

static void take_message(struct session *s, struct str message)
{
    if (!message.len)
        return;
    struct str rest = str_slice(message, 1, message.len);
    switch ((unsigned char)message.ptr[0]) {
    case CHANNEL_OUT:
        keep(s, &s->result->out, rest, s->max_output);
        break;
    case CHANNEL_ERR:
        keep(s, &s->result->err, rest, s->max_output);
        break;
    case CHANNEL_STATUS:
        keep(s, &s->status, rest, STATUS_MAX);
        break;
    }
}

static bool take_frame(struct session *s, const struct websocket_frame *frame, struct error **err)
{
    if (frame->opcode == WS_CLOSE)
        s->closed = true;
    else if (frame->opcode == WS_PING)
        return send_frame(s, WS_PONG, frame->payload, err);
    else if (frame->opcode != WS_PONG) {
        if (s->message.len + frame->payload.len > FRAME_MAX)
            return error_set(err, ERROR_LIMIT, "exec: a message of more than %d bytes", FRAME_MAX);
        strbuf_add(&s->message, frame->payload);
        if (frame->is_final) {
            take_message(s, strbuf_str(&s->message));
            strbuf_clear(&s->message);
        }
    }
    return true;
}

/* Until the status has come: nothing of interest follows it. */
static bool follow(struct session *s, struct error **err)
{
    while (!s->closed && !s->status.len) {
        struct websocket_frame frame = { 0 };
        size_t used = 0;
        if (!websocket_parse(strbuf_str(&s->in), FRAME_MAX, &frame, &used, err))
            return false;
        if (used) {
            if (!take_frame(s, &frame, err))
                return false;
            drop(&s->in, used);
        } else if (!read_more(s, err))
            return false;
    }
    return s->status.len ||
           error_set(err, ERROR_IO, "exec: the connection was closed before the command's end");
}

/* Refusals of the runtime before anything ran. Any other failure may have come in the middle. */
static bool could_not_start(const char *message)
{
    static const char *const texts[] = { "executable file not found", "no such file or directory",
                                         "permission denied",         "error sending request",
                                         "container not found",       "unable to upgrade connection",
                                         "error dialing backend" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (strstr(message, texts[i]))
            return true;
    return false;
}

/* {"status":"Success"}, or Failure with reason NonZeroExitCode and a cause ExitCode; any other Failure is the runtime's:
 * no such command, no such container. */
static bool read_status(struct session *s, struct error **err)
{
    AUTO(k8s_object) struct k8s_object *status = k8s_object_parse(strbuf_str(&s->status), err);
    char message[400];
    if (!status)
        return error_wrap(err, "exec: the command's status");
    bool success = !strcmp(k8s_text_at(status->root, "/status"), "Success");
    yyjson_val *cause = k8s_find(status->root, "/details/causes", "reason", "ExitCode");
    if (!success && !cause) {
        answer_copy_message(message, sizeof message, k8s_text_at(status->root, "/message"));
        s->result->started = !could_not_start(message);
        return error_set(err, s->result->started ? ERROR_IO : ERROR_NOT_FOUND, "exec: %s", message);
    }
    s->result->ended = true;
    s->result->exit_code = success ? 0 : atoi(k8s_text_at(cause, "/message"));
    return true;
}

/* ---- one command ---- */

static bool run_session(struct k8s *k8s, struct session *s, const struct identity *identity, const char *path,
                        const struct k8s_exec *options, struct response *response, struct error **err)
{
    if (!upgrade(k8s, s, identity, path, response, err))
        return false;
    if (response->status != 101)
        return true;
    s->result->started = true;
    return send_input(s, options->input, err) && follow(s, err) && read_status(s, err);
}

static bool explain(struct k8s *k8s, const struct response *response, struct k8s_answer *answer,
                    struct error **why)
{
    if (response->status && response->status != 101 && response->status < 400) {
        answer->reason = K8S_BAD_ANSWER;
        snprintf(answer->message, sizeof answer->message,
                 "answered %u where 101 was asked for: a proxy before the API server passes no WebSocket",
                 response->status);
        return error_set(why, ERROR_UNSUPPORTED, "%s", answer->message);
    }
    if (response->status && response->status != 101) {
        answer_read(answer, response, false, true);
        return answer_error(answer, k8s->client->config.server, why);
    }
    answer->status = response->status;
    answer->reason = K8S_NO_ANSWER;
    answer->outcome_unknown = response->was_sent;
    snprintf(answer->message, sizeof answer->message, "%s", error_message(*why));
    return false;
}

static bool connect_and_run(struct k8s *k8s, struct call *call, const char *path,
                            const struct k8s_exec *options, struct k8s_exec_result *result,
                            struct k8s_answer *answer, struct error **why)
{
    AUTO(response) struct response response = { 0 };
    struct session s = { .result = result, .until_ms = call_deadline(k8s, options->deadline_ms) };
    s.max_output = options->max_output ? options->max_output : 1024 * 1024;
    AUTO(identity) struct identity *identity = auth_identity(k8s->client->auth, 0, why);
    s.stream = identity ? transport_stream_open(k8s->client->transport, identity, s.until_ms, why) : NULL;
    struct k8s_call seen = { .verb = call->verb,
                             .method = "GET",
                             .path = path,
                             .resource = &k8s_pods,
                             .namespace = call->ref.namespace,
                             .name = call->ref.name,
                             .subresource = "exec",
                             .is_write = true,
                             .attempt = 1,
                             .started_utc_ms = clock_utc_ms() };
    int64_t began_us = clock_mono_us();
    observe_before(k8s, &seen);
    bool ok = s.stream && run_session(k8s, &s, identity, path, options, &response, why);
    seen.status = response.status;
    seen.duration_us = clock_mono_us() - began_us;
    observe_after(k8s, &seen);
    transport_stream_close(s.stream);
    ok = (ok && response.status == 101) || explain(k8s, &response, answer, why);
    answer->status = response.status;
    /* No 101 has come, but it may have been sent, and the command begun: only a plain refusal says that it was not. */
    answer->outcome_unknown = !ok && answer->outcome_unknown && !could_not_start(answer->message);
    strbuf_free(&s.in), strbuf_free(&s.message), strbuf_free(&s.status);
    return ok;
}

bool k8s_exec(struct k8s *k8s, const struct k8s_ref *pod, const struct k8s_exec *options,
              struct k8s_exec_result *result, struct error **err)
{
    AUTO(strbuf) struct strbuf path = { 0 };
    struct k8s_answer spare, *answer = options->answer ? options->answer : &spare;
    struct call call = { .verb = "create", .method = "GET", .is_write = true };
    struct error *why = NULL;
    char text[640];
    *result = (struct k8s_exec_result){ 0 };
    *answer = (struct k8s_answer){ .attempts = 1 };
    call.ref = (struct k8s_ref){ &k8s_pods, pod->namespace, pod->name, "exec" };
    if (k8s->writes != K8S_WRITES_REAL)
        return error_set(err, ERROR_DENIED, "a command has no dry run: it is not run in one");
    if (!options->command || !options->command[0])
        return error_set(err, ERROR_INVALID, "exec: no command");
    add_command(&call, options);
    bool ok =
        call_path(&call, &path, &why) && connect_and_run(k8s, &call, path.ptr, options, result, answer, &why);
    strbuf_free(&call.query);
    if (!ok) {
        error_wrap(&why, "exec in %s", k8s_ref_text(&call.ref, text));
        error_move(err, &why);
    }
    return ok;
}

void k8s_exec_result_free(struct k8s_exec_result *result)
{
    strbuf_free(&result->out);
    strbuf_free(&result->err);
}
