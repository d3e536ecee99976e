#include "tests/http/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

static atomic_bool observed[600];
static void observe(const struct http_request *request, unsigned status, int64_t duration_us, void *context)
{
    (void)request, (void)context;
    assert_true(duration_us >= 0);
    observed[status % 600] = true;
}

static void echo(struct http_request *request, void *context)
{
    (void)context;
    http_respond(request, &(struct http_response){ .status = 200,
                                                   .content_type = "text/plain",
                                                   .body = http_request_body(request) });
}

static void show_param(struct http_request *request, void *context)
{
    struct str limit = { 0 };
    http_request_query(request, "limit", &limit);
    struct str id = http_request_param(request, "id");
    AUTO(text)
    char *text = xasprintf("%s id=" STR_FMT " limit=" STR_FMT " caller=%s", (const char *)context,
                           STR_ARG(id), STR_ARG(limit), http_request_caller(request));
    http_respond_json(request, 200, str_of(text));
}

static void *answer_later(void *request)
{
    usleep(50 * 1000);
    http_respond_json(request, 202, STR("\"later\""));
    return NULL;
}

static void later(struct http_request *request, void *context)
{
    pthread_t thread;
    (void)context;
    assert_int_equal(pthread_create(&thread, NULL, answer_later, request), 0);
    pthread_detach(thread);
}

static struct http_request *_Atomic kept;
static void keep(struct http_request *request, void *context)
{
    (void)context;
    kept = request;
}

static struct http_stream *_Atomic stream;
static void events(struct http_request *request, void *context)
{
    (void)context;
    stream = http_respond_stream(request, NULL);
    http_stream_write(stream, STR("data: one\n\n"));
}

static void fail_busy(struct http_request *request, void *context)
{
    struct error *err = NULL;
    (void)context;
    error_set(&err, ERROR_UNAVAILABLE, "store busy");
    http_respond_failure(request, &err);
}

static const struct http_route routes[] = {
    { "POST", "/alerts", HTTP_GROUP_API, HTTP_SCOPE_INGEST, echo, .content_type = "application/json" },
    { "POST", "/small", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, echo, .max_body = 10 },
    { "GET", "/items/{id}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_param },
    { "DELETE", "/items/{id}", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, show_param },
    { "GET", "/files/{id...}", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, show_param },
    { "GET", "/later", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, later },
    { "GET", "/keep", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, keep },
    { "GET", "/events", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, events },
    { "GET", "/busy", HTTP_GROUP_API, HTTP_SCOPE_PUBLIC, fail_busy },
    { "GET", "/metrics", HTTP_GROUP_METRICS, HTTP_SCOPE_METRICS, show_param },
    { 0 },
};

static const struct http_credential credentials[] = {
    { .name = "am", .scopes = BIT(HTTP_SCOPE_INGEST), .tokens = "old\nnew\n" },
    { .name = "viewer", .scopes = BIT(HTTP_SCOPE_READ), .username = "u", .password = "p" },
    { .name = "gone", .scopes = BIT(HTTP_SCOPE_READ), .tokens = "expired", .expires_utc_ms = 1000 },
};
static const struct http_access closed = { credentials, ARRAY_LEN(credentials),
                                           .open_scopes = BIT(HTTP_SCOPE_METRICS) };

static struct http_server *start_with(const struct http_server_options *more,
                                      const struct http_access *access)
{
    struct error *err = NULL;
    struct http_server_options options = *more;
    const struct http_listener listener = { "127.0.0.1", 0, HTTP_GROUP_API };
    if (!options.listeners) {
        options.listeners = &listener;
        options.listeners_len = 1;
    }
    options.observe = observe;
    struct http_server *server = http_server_new(&options);
    http_server_add(server, routes, (void *)"ctx");
    assert_ok(!access || http_server_set_access(server, access, &err), err);
    assert_ok(http_server_start(server, &err), err);
    return server;
}
static struct http_server *start(const struct http_access *access)
{
    return start_with(&(struct http_server_options){ 0 }, access);
}

static void request_reaches_its_handler_and_comes_back(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(exchange(port, POST("/alerts", "", 5, "hello"), &answer), 200);
    assert_holds(&answer, "\r\n\r\nhello");
    assert_int_equal(exchange(port, GET("/items/a%20b?x=1&limit=5+6", ""), &answer), 200);
    assert_holds(&answer, "ctx id=a b limit=5 6 caller=");
    assert_int_equal(exchange(port, GET("/files/css/a.css", ""), &answer), 200);
    assert_holds(&answer, "id=css/a.css");
    assert_int_equal(exchange(port, GET("/later", ""), &answer), 202);
    assert_holds(&answer, "\"later\"");
    assert_int_equal(exchange(port, GET("/busy", ""), &answer), 503);
    assert_holds(&answer, "Retry-After: 5");
    assert_holds(&answer, "{\"status\":\"error\",\"error\":\"store busy\"}");
}

static void wrong_requests_are_refused_in_order(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(&closed);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(exchange(port, GET("/alerts", ""), &answer), 405);
    assert_holds(&answer, "Only POST method is allowed");
    assert_holds(&answer, "Allow: POST");
    assert_int_equal(ask(port, GET("/nowhere", "")), 404);
    assert_int_equal(ask(port, GET("/metrics", "")), 404);
    assert_int_equal(exchange(port, POST("/alerts", "", 2, "{}"), &answer), 401);
    assert_holds(&answer, "Authentication failed");
    assert_holds(&answer, "WWW-Authenticate: Bearer");
    assert_int_equal(
        ask(port,
            "POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer new\r\nContent-Type: text/plain\r\n"
            "Content-Length: 99999999999\r\n\r\n"),
        415);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer new\r\n", 99999999999, "{}")), 413);
    assert_int_equal(ask(port, GET("/items/%zz", "")), 400);
    assert_int_equal(ask(port, GET("/items/a%00b", "")), 400);
    assert_int_equal(ask(port, "nonsense\r\n\r\n"), 0);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer new\r\n", 2, "{}")), 200);
}

static void authentication_is_decided_before_the_body_is_read(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(&closed);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer wrong\r\n", 1000000, "")), 401);
    assert_int_equal(
        ask(port, POST("/alerts", "Expect: 100-continue\r\nAuthorization: Bearer wrong\r\n", 1000000, "")),
        401);
}

static void every_credential_has_its_scope_and_no_other(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(&closed);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer old\r\n", 2, "{}")), 200);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: bearer new\r\n", 2, "{}")), 200);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer ne\r\n", 2, "{}")), 401);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer \r\n", 2, "{}")), 401);
    assert_int_equal(ask(port, GET("/items/1", "Authorization: Bearer new\r\n")), 403);
    assert_int_equal(ask(port, GET("/items/1", "Authorization: Bearer expired\r\n")), 401);
    assert_int_equal(exchange(port, GET("/items/1", "Authorization: Basic dTpw\r\n"), &answer), 200);
    assert_holds(&answer, "caller=viewer");
    assert_int_equal(ask(port, GET("/items/1", "Authorization: Basic !!!!\r\n")), 401);
    assert_int_equal(ask(port, "DELETE /items/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic dTpw\r\n\r\n"),
                     403);
}

/* A request's memory is given back after its answer went out: the next may come before that, and would be put off. */
static struct http_server_stats stats_once_nothing_is_held(struct http_server *server)
{
    struct http_server_stats stats = { .body_bytes_held = 1 };
    for (int i = 0; i < 500 && stats.body_bytes_held; i++, usleep(10 * 1000))
        http_server_stats(server, &stats);
    return stats;
}

static void body_over_the_limit_is_413_with_and_without_a_length(void **state)
{
    (void)state;
    AUTO(http_server)
    struct http_server *server = start_with(&(struct http_server_options){ .max_body = 4096 }, NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    assert_int_equal(ask(port, POST("/small", "", 11, "12345678901")), 413);
    assert_int_equal(ask(port, POST("/small", "", 10, "1234567890")), 200);
    stats_once_nothing_is_held(server);
    AUTO(strbuf) struct strbuf request = { 0 };
    strbuf_add_text(
        &request,
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++)
        strbuf_addf(&request, "400\r\n%01024d\r\n", i);
    strbuf_add_text(&request, "0\r\n\r\n");
    assert_int_equal(ask(port, request.ptr), 413);
    struct http_server_stats stats = stats_once_nothing_is_held(server);
    assert_int_equal(stats.refused_size, 2);
    assert_int_equal(stats.body_bytes_held, 0);
}

static void header_floods_are_cut(void **state)
{
    (void)state;
    AUTO(http_server)
    struct http_server *server = start_with(&(struct http_server_options){ .max_header = 4096 }, NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    AUTO(strbuf) struct strbuf request = { 0 };
    strbuf_add_text(&request, "GET /items/1 HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 150; i++)
        strbuf_addf(&request, "X-Header-%d: some value or other\r\n", i);
    strbuf_add_text(&request, "\r\n");
    assert_int_equal(ask(port, request.ptr), 431);
    for (int i = 0; i < 20000; i++)
        strbuf_addf(&request, "X-Header-%d: some value or other\r\n", i);
    int status = ask(port, request.ptr);
    assert_true(status == 431 || status == 0 || status == 413);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
}

static void slow_senders_are_cut_at_their_deadline(void **state)
{
    (void)state;
    AUTO(http_server)
    struct http_server *server = start_with(&(struct http_server_options){ .request_timeout_ms = 600 }, NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    int in_header = dial(port), in_body = dial(port);
    AUTO(strbuf) struct strbuf answer = { 0 };
    send_text(in_header, "GET /items/1 HT");
    send_text(in_body, POST("/alerts", "", 100, "x"));
    for (int i = 0; i < 20; i++) { /* a byte every 100 ms keeps any inactivity timeout from firing */
        usleep(100 * 1000);
        send_text(in_header, "T");
        send_text(in_body, "x");
    }
    assert_int_equal(receive(in_header, &answer), 0);
    assert_int_equal(receive(in_body, &answer), 0);
    close(in_header);
    close(in_body);
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.cut_slow, 2);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
}

static void half_closed_client_gets_its_answer(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    AUTO(strbuf) struct strbuf answer = { 0 };
    int fd = dial(port);
    send_text(fd, GET("/later", ""));
    shutdown(fd, SHUT_WR);
    assert_int_equal(receive(fd, &answer), 202);
    close(fd);
}

static void client_that_leaves_before_the_answer_harms_nobody(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    for (int i = 0; i < 20; i++) {
        int fd = dial(port);
        struct linger at_once = { 1, 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        send_text(fd, GET("/later", ""));
        close(fd);
    }
    usleep(200 * 1000);
    assert_int_equal(ask(port, GET("/later", "")), 202);
}

static void rate_over_the_limit_is_503_for_alerts_and_429_elsewhere(void **state)
{
    (void)state;
    const struct http_access access = { .open_scopes = ~0u, .rate_limit = 0.001, .rate_burst = 2 };
    AUTO(http_server) struct http_server *server = start(&access);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
    assert_int_equal(ask(port, GET("/items/1", "")), 429);
    assert_int_equal(ask(port, POST("/alerts", "", 2, "{}")), 503);
    for (int i = 0; i < 200 && !observed[503]; i++)
        usleep(10 * 1000);
    assert_true(observed[503]);
}

static void networks_outside_the_list_are_refused(void **state)
{
    (void)state;
    struct error *err = NULL;
    const char *const ours[] = { "10.0.0.0/8" };
    const char *const broken[] = { "10.0.0.0/99" };
    AUTO(http_server) struct http_server *server = start(NULL);
    assert_ok(http_server_set_access(
                  server,
                  &(struct http_access){ .open_scopes = ~0u, .allowed_cidrs = ours, .allowed_cidrs_len = 1 },
                  &err),
              err);
    assert_int_equal(ask(http_server_port(server, HTTP_GROUP_API), GET("/items/1", "")),
                     200); /* loopback always may */
    assert_fails(http_server_set_access(
                     server, &(struct http_access){ .allowed_cidrs = broken, .allowed_cidrs_len = 1 }, &err),
                 err, ERROR_INVALID, "not a network");
}

static void credentials_are_replaced_in_a_running_server(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_server) struct http_server *server = start(&closed);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    const struct http_credential fresh = { .name = "am",
                                           .scopes = BIT(HTTP_SCOPE_INGEST),
                                           .tokens = "fresh" };
    assert_ok(http_server_set_access(
                  server, &(struct http_access){ .credentials = &fresh, .credentials_len = 1 }, &err),
              err);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer fresh\r\n", 2, "{}")), 200);
    assert_int_equal(ask(port, POST("/alerts", "Authorization: Bearer new\r\n", 2, "{}")), 401);
}

static void listeners_share_a_port_or_have_their_own(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_server) struct http_server *first = start(NULL);
    unsigned free_port;
    {
        const struct http_listener two[] = { { "127.0.0.1", 0, HTTP_GROUP_API },
                                             { "127.0.0.1", 0, HTTP_GROUP_METRICS } };
        AUTO(http_server)
        struct http_server *server =
            start_with(&(struct http_server_options){ .listeners = two, .listeners_len = 2 }, NULL);
        free_port = http_server_port(server, HTTP_GROUP_API);
        assert_int_not_equal(free_port, http_server_port(server, HTTP_GROUP_METRICS));
        assert_int_equal(ask(http_server_port(server, HTTP_GROUP_METRICS), GET("/metrics", "")), 200);
        assert_int_equal(ask(free_port, GET("/metrics", "")), 404);
    }
    const struct http_listener shared[] = { { "127.0.0.1", free_port, HTTP_GROUP_API },
                                            { "localhost", free_port, HTTP_GROUP_METRICS } };
    AUTO(http_server)
    struct http_server *server =
        start_with(&(struct http_server_options){ .listeners = shared, .listeners_len = 2 }, NULL);
    assert_int_equal(ask(free_port, GET("/metrics", "")), 200);
    assert_int_equal(ask(free_port, GET("/items/1", "")), 200);
    AUTO(http_server)
    struct http_server *taken =
        http_server_new(&(struct http_server_options){ .listeners = shared, .listeners_len = 1 });
    assert_fails(http_server_start(taken, &err), err, ERROR_IO, "listen on 127.0.0.1 port");
}

static void events_are_streamed_until_closed(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(NULL);
    AUTO(strbuf) struct strbuf answer = { 0 };
    int fd = dial(http_server_port(server, HTTP_GROUP_API));
    char piece[1024];
    send_text(fd, GET("/events", ""));
    while (!answer.ptr || !strstr(answer.ptr, "data: one")) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        assert_true(got > 0);
        strbuf_add(&answer, (struct str){ piece, (size_t)got });
    }
    usleep(20 * 1000);
    assert_true(http_stream_write(stream, STR("data: two\n\n")));
    http_stream_close(stream);
    while (!strstr(answer.ptr, "\r\n0\r\n")) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        assert_true(got > 0);
        strbuf_add(&answer, (struct str){ piece, (size_t)got });
    }
    assert_holds(&answer, "data: two");
    assert_holds(&answer, "Content-Type: text/event-stream");
    close(fd);
}

static void stop_answers_what_no_handler_has(void **state)
{
    (void)state;
    struct http_server *server = start(NULL);
    AUTO(strbuf) struct strbuf answer = { 0 };
    int fd = dial(http_server_port(server, HTTP_GROUP_API));
    send_text(fd, GET("/keep", ""));
    while (!kept)
        usleep(1000);
    http_server_stop(server, clock_mono_ms() + 100);
    assert_int_equal(receive(fd, &answer), 503);
    assert_holds(&answer, "Shutting down");
    http_respond_json(kept, 200, STR("too late"));
    http_server_free(server);
    close(fd);
}

static void connections_beyond_the_limit_wait_and_are_served_later(void **state)
{
    (void)state;
    AUTO(http_server)
    struct http_server *server = start_with(&(struct http_server_options){ .max_connections = 4 }, NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    int idle[8];
    for (size_t i = 0; i < ARRAY_LEN(idle); i++)
        idle[i] = dial(port);
    usleep(100 * 1000);
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_true(stats.connections_open <= 4);
    for (size_t i = 0; i < ARRAY_LEN(idle); i++)
        close(idle[i]);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
}

static void file_descriptor_limit_is_survived(void **state)
{
    (void)state;
    AUTO(http_server) struct http_server *server = start(NULL);
    unsigned port = http_server_port(server, HTTP_GROUP_API);
    int fds[64];
    size_t count = 0;
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    int probe = dup(0);
    close(probe);
    for (; count < 20; count++)
        fds[count] = dial(port);
    low = before;
    low.rlim_cur = (rlim_t)probe + 30; /* the server's ends of these do not all fit */
    setrlimit(RLIMIT_NOFILE, &low);
    usleep(100 * 1000);
    setrlimit(RLIMIT_NOFILE, &before);
    while (count)
        close(fds[--count]);
    assert_int_equal(ask(port, GET("/items/1", "")), 200);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_reaches_its_handler_and_comes_back),
        cmocka_unit_test(wrong_requests_are_refused_in_order),
        cmocka_unit_test(authentication_is_decided_before_the_body_is_read),
        cmocka_unit_test(every_credential_has_its_scope_and_no_other),
        cmocka_unit_test(body_over_the_limit_is_413_with_and_without_a_length),
        cmocka_unit_test(header_floods_are_cut),
        cmocka_unit_test(slow_senders_are_cut_at_their_deadline),
        cmocka_unit_test(half_closed_client_gets_its_answer),
        cmocka_unit_test(client_that_leaves_before_the_answer_harms_nobody),
        cmocka_unit_test(rate_over_the_limit_is_503_for_alerts_and_429_elsewhere),
        cmocka_unit_test(networks_outside_the_list_are_refused),
        cmocka_unit_test(credentials_are_replaced_in_a_running_server),
        cmocka_unit_test(listeners_share_a_port_or_have_their_own),
        cmocka_unit_test(events_are_streamed_until_closed),
        cmocka_unit_test(stop_answers_what_no_handler_has),
        cmocka_unit_test(connections_beyond_the_limit_wait_and_are_served_later),
        cmocka_unit_test(file_descriptor_limit_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
