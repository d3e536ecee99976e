#include "tests/http/fixture.h"

#include <pthread.h>

#include "http/client.h"

/* What the server was asked, and how often. */
static _Atomic int asked, failures_left;
static struct http_server *server;
static char base[64];

static void hello(struct http_request *request, void *context)
{
    (void)context;
    asked++;
    struct str authorization = http_request_header(request, "Authorization"),
               type = http_request_header(request, "Content-Type");
    struct str method = http_request_method(request), body = http_request_body(request);
    AUTO(text)
    char *text = xasprintf(STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT, STR_ARG(method),
                           STR_ARG(authorization), STR_ARG(type), STR_ARG(body));
    http_respond(request,
                 &(struct http_response){ .status = 200,
                                          .body = str_of(text),
                                          .headers = (struct http_header[]){ { "X-Mine", "yes" }, { 0 } } });
}

static void flaky(struct http_request *request, void *context)
{
    (void)context;
    asked++;
    if (failures_left-- > 0)
        http_respond(request, &(struct http_response){ .status = 503, .body = STR("busy") });
    else
        http_respond_json(request, 200, STR("1"));
}

static void large(struct http_request *request, void *context)
{
    (void)context;
    AUTO(strbuf) struct strbuf body = { 0 };
    for (int i = 0; i < 100000; i++)
        strbuf_add_text(&body, "0123456789");
    http_respond_json(request, 200, strbuf_str(&body));
}

static void *pour(void *stream)
{
    for (int i = 0; i < 100 && http_stream_write(stream, STR("data: x\n\n")); i++)
        usleep(5000);
    http_stream_close(stream);
    return NULL;
}

static void events(struct http_request *request, void *context)
{
    pthread_t thread;
    (void)context;
    struct http_stream *stream = http_respond_stream(request, NULL);
    assert_int_equal(pthread_create(&thread, NULL, pour, stream), 0);
    pthread_detach(thread);
}

static void *answer_late(void *request)
{
    sleep(2);
    http_respond_json(request, 200, STR("1"));
    return NULL;
}
static void slow(struct http_request *request, void *context)
{
    pthread_t thread;
    (void)context;
    assert_int_equal(pthread_create(&thread, NULL, answer_late, request), 0);
    pthread_detach(thread);
}

static void elsewhere(struct http_request *request, void *context)
{
    (void)context;
    http_respond(request,
                 &(struct http_response){
                     .status = 302, .headers = (struct http_header[]){ { "Location", "/hello" }, { 0 } } });
}

static const struct http_route routes[] = {
    { "GET", "/hello", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, hello },
    { "POST", "/hello", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, hello },
    { "GET", "/flaky", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, flaky },
    { "POST", "/flaky", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, flaky },
    { "GET", "/large", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, large },
    { "GET", "/events", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, events },
    { "GET", "/slow", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, slow },
    { "GET", "/elsewhere", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, elsewhere },
    { 0 },
};

static int start(void **state)
{
    struct error *err = NULL;
    (void)state;
    const struct http_listener listener = { "127.0.0.1", 0, HTTP_GROUP_API };
    server = http_server_new(&(struct http_server_options){ .listeners = &listener, .listeners_len = 1 });
    http_server_add(server, routes, NULL);
    assert_ok(http_server_start(server, &err), err);
    snprintf(base, sizeof base, "http://127.0.0.1:%u", http_server_port(server, HTTP_GROUP_API));
    unsetenv("http_proxy");
    return 0;
}
static int stop(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

static void call_carries_method_credentials_and_body(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client =
        http_client_new(&(struct http_client_options){ .base_url = base, .token = "t0" });
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/hello" }, &reply, &err), err);
    assert_int_equal(reply.status, 200);
    assert_str_equal(strbuf_str(&reply.body), STR("GET|Bearer t0||"));
    struct str mine;
    assert_true(http_reply_header(&reply, "x-mine", &mine));
    assert_str_equal(mine, STR("yes"));
    http_client_set_token(client, NULL);
    assert_ok(
        http_client_call(client, &(struct http_call){ .url = "/hello", .body = STR("{}") }, &reply, &err),
        err);
    assert_str_equal(strbuf_str(&reply.body), STR("POST||application/json|{}"));
    AUTO(http_client)
    struct http_client *named =
        http_client_new(&(struct http_client_options){ .base_url = base, .username = "u", .password = "p" });
    assert_ok(http_client_call(named, &(struct http_call){ .url = "/hello" }, &reply, &err), err);
    assert_str_equal(strbuf_str(&reply.body), STR("GET|Basic dTpw||"));
}

static void connection_is_used_again(void **state)
{
    (void)state;
    struct error *err = NULL;
    struct http_server_stats before, after;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    http_server_stats(server, &before);
    for (int i = 0; i < 20; i++)
        assert_ok(http_client_call(client, &(struct http_call){ .url = "/hello" }, &reply, &err), err);
    http_server_stats(server, &after);
    assert_int_equal(after.connections_total - before.connections_total, 1);
}

static void what_may_pass_is_tried_again(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    failures_left = 2;
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/flaky", .retries = 3 }, &reply, &err),
              err);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.attempts, 3);
    failures_left = 1; /* a POST is not repeated unless its caller says that it may be */
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/flaky", .retries = 3, .body = STR("1") },
                               &reply, &err),
              err);
    assert_int_equal(reply.status, 503);
    assert_fails(http_reply_ok(&reply, "flaky", &err), err, ERROR_UNAVAILABLE, "flaky: HTTP 503: busy");
    failures_left = 1;
    assert_ok(http_client_call(
                  client,
                  &(struct http_call){ .url = "/flaky", .retries = 3, .body = STR("1"), .repeatable = true },
                  &reply, &err),
              err);
    assert_int_equal(reply.status, 200);
    assert_fails(http_client_call(client, &(struct http_call){ .url = "http://127.0.0.1:1/", .retries = 2 },
                                  &reply, &err),
                 err, ERROR_UNAVAILABLE, "127.0.0.1:1");
    assert_int_equal(reply.attempts, 3);
}

static void limits_of_time_and_size_hold(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    assert_fails(
        http_client_call(client, &(struct http_call){ .url = "/large", .max_response = 1000 }, &reply, &err),
        err, ERROR_LIMIT, "larger than 1000 bytes");
    int64_t before = clock_mono_ms();
    assert_fails(
        http_client_call(client, &(struct http_call){ .url = "/slow", .timeout_ms = 200 }, &reply, &err), err,
        ERROR_TIMEOUT, "/slow");
    assert_true(clock_mono_ms() - before < 1500);
}

static bool count_pieces(struct str piece, void *count)
{
    (void)piece;
    return ++*(int *)count < 3;
}

static void stream_can_be_stopped_by_its_reader_and_cancelled(void **state)
{
    (void)state;
    struct error *err = NULL;
    int count = 0;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    struct http_call call = {
        .url = "/events", .timeout_ms = -1, .on_data = count_pieces, .context = &count
    };
    assert_ok(http_client_call(client, &call, &reply, &err), err);
    assert_int_equal(count, 3);
    atomic_bool cancel = true;
    call.cancel = &cancel;
    assert_fails(http_client_call(client, &call, &reply, &err), err, ERROR_CANCELLED, "cancelled");
}

static void redirects_are_followed_only_when_allowed(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/elsewhere" }, &reply, &err), err);
    assert_int_equal(reply.status, 302);
    AUTO(http_client)
    struct http_client *follower =
        http_client_new(&(struct http_client_options){ .base_url = base, .follow_redirects = true });
    assert_ok(http_client_call(follower, &(struct http_call){ .url = "/elsewhere" }, &reply, &err), err);
    assert_int_equal(reply.status, 200);
}

static void token_file_is_read_again(void **state)
{
    (void)state;
    struct error *err = NULL;
    char path[] = "/tmp/client_test.XXXXXX";
    close(mkstemp(path));
    assert_ok(file_replace(path, STR("one\n"), 0600, &err), err);
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client =
        http_client_new(&(struct http_client_options){ .base_url = base, .token_file = path });
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/hello" }, &reply, &err), err);
    assert_str_equal(strbuf_str(&reply.body), STR("GET|Bearer one||"));
    usleep(20 * 1000);
    assert_ok(file_replace(path, STR("two\n"), 0600, &err), err);
    assert_ok(http_client_call(client, &(struct http_call){ .url = "/hello" }, &reply, &err), err);
    assert_str_equal(strbuf_str(&reply.body), STR("GET|Bearer two||"));
    unlink(path);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .base_url = base });
    assert_fails(http_client_call(client, &(struct http_call){ .url = "/a\r\nX: y" }, &reply, &err), err,
                 ERROR_INVALID, "control");
    struct http_header headers[] = { { "X-A", "b\r\nX-C: d" }, { 0 } };
    assert_fails(
        http_client_call(client, &(struct http_call){ .url = "/hello", .headers = headers }, &reply, &err),
        err, ERROR_INVALID, "X-A");
    assert_fails(http_client_call(client, &(struct http_call){ .url = "file:///etc/passwd" }, &reply, &err),
                 err, ERROR_INVALID, "file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_carries_method_credentials_and_body),
        cmocka_unit_test(connection_is_used_again),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(limits_of_time_and_size_hold),
        cmocka_unit_test(stream_can_be_stopped_by_its_reader_and_cancelled),
        cmocka_unit_test(redirects_are_followed_only_when_allowed),
        cmocka_unit_test(token_file_is_read_again),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
