/* What strangers may send to the whole program: each thing gets a clear answer, and afterwards everything works as before. */
#include "tests/cli/caller.h"

#define MIB (1024 * 1024)

static int start(void **state)
{
    *state = served_new("intake: { inbox_limit: 100000 }\n");
    return 0;
}

static void is_refused(const struct served *s, struct str body, long status, const char *text)
{
    AUTO(strbuf) struct strbuf answer = { 0 };
    long got = post(s, body, &answer);
    if (got != status || !strstr(answer.ptr ? answer.ptr : "", text))
        fail_msg("got %ld, expected %ld with \"%s\": %s", got, status, text, answer.ptr ? answer.ptr : "");
}

static void garbage_is_refused(void **state)
{
    const struct served *s = *state;
    struct rng rng = { 7 };
    char bytes[100 * 1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)rng_u64(&rng);
    is_refused(s, (struct str){ bytes, sizeof bytes }, 400, "\"status\":\"error\"");
    is_refused(s, STR("{"), 400, "\"status\":\"error\"");
    is_refused(s, STR(""), 400, "error");
    is_refused(s, STR("[]"), 400, "error");
    is_refused(s, STR("{\"version\":\"3\",\"alerts\":[]}"), 400, "version");
    is_refused(s, STR("{\"version\":\"4\",\"alerts\":5}"), 400, "alerts");
    is_refused(s, STR("{\"version\":\"4\",\"alerts\":[{\"status\":[],\"labels\":\"x\"}]}"), 400, "error");
    is_refused(
        s, STR("{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":{\"a\":\"\xff\xfe\"}}]}"),
        400, "error");
    works_as_before(s);
    assert_true(metric(s, "webhook_requests_total{status=\"error\"}") >= 8);
}

static void deep_and_wide_json_is_refused(void **state)
{
    const struct served *s = *state;
    AUTO(strbuf) struct strbuf deep = { 0 }, wide = { 0 };
    for (int i = 0; i < 200000; i++)
        strbuf_add_char(&deep, '[');
    is_refused(s, strbuf_str(&deep), 400, "error");
    strbuf_add_text(
        &wide,
        "{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"startsAt\":\"2026-11-21T10:00:00Z\",\"labels\":{\"alertname\":\"a\"");
    for (int i = 0; i < 100000; i++)
        strbuf_addf(&wide, ",\"label_%d\":\"v\"", i);
    strbuf_add_text(&wide, "}}]}");
    is_refused(s, strbuf_str(&wide), 400, "labels");
    works_as_before(s);
}

static void duplicate_keys_harm_nobody(void **state)
{
    const struct served *s = *state;
    long status = post(
        s,
        STR("{\"version\":\"4\",\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"status\":\"resolved\",\"labels\":"
            "{\"alertname\":\"a\",\"alertname\":\"b\"},\"startsAt\":\"2026-11-21T10:00:00Z\"}]}"),
        NULL);
    assert_true(status == 200 || status == 400);
    works_as_before(s);
}

static void gigabyte_is_refused_before_and_after_it_is_sent(void **state)
{
    const struct served *s = *state;
    static const char announced[] =
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n";
    int fd = dial(s);
    assert_true(send_all(fd, announced, sizeof announced - 1));
    assert_int_equal(status_of(fd), 413);
    close(fd);
    static const char chunked[] =
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    AUTO(strbuf) struct strbuf piece = { 0 };
    strbuf_addf(&piece, "%x\r\n", MIB);
    strbuf_reserve(&piece, MIB + 2);
    memset(piece.ptr + piece.len, ' ', MIB);
    piece.len += MIB;
    strbuf_add_text(&piece, "\r\n");
    fd = dial(s);
    bool open = send_all(fd, chunked, sizeof chunked - 1);
    for (int i = 0; i < 1024 && open; i++)
        open = send_all(fd, piece.ptr, piece.len);
    if (open && send_all(fd, "0\r\n\r\n", 5))
        assert_int_equal(status_of(fd), 413); /* else it was cut at its deadline, which is an answer too */
    close(fd);
    works_as_before(s);
    assert_true(metric(s, "process_resident_memory_bytes") < 100.0 * MIB);
}

static void truncated_body_leaves_nothing(void **state)
{
    const struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *whole = request_of("Half");
    for (int i = 0; i < 20; i++) {
        int fd = dial(s);
        assert_true(send_all(fd, whole, strlen(whole) - 10));
        close(fd);
    }
    works_as_before(s);
    assert_int_equal(ask(s->webhook, NULL, "/api/v1/alerts", &body), 200);
    assert_null(strstr(body.ptr, "Half"));
}

static void client_that_leaves_before_the_answer_harms_nobody(void **state)
{
    const struct served *s = *state;
    double received = metric(s, "alerts_received_total{severity=\"critical\",namespace=\"shop\"}");
    AUTO(text) char *whole = request_of("Left0");
    for (int i = 0; i < 50; i++) {
        int fd = dial(s);
        struct linger at_once = { 1, 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        assert_true(send_all(fd, whole, strlen(whole)));
        if (i % 2)
            usleep(5 * 1000); /* so that some are read before their sender is gone */
        close(fd);
    }
    works_as_before(s);
    assert_true(metric(s, "alerts_received_total{severity=\"critical\",namespace=\"shop\"}") > received);
    wait_for_alerts(s, "Left", 1);
    for (int i = 0; i < 100 && metric(s, "http_connections_open") > 5; i++)
        usleep(50 * 1000);
    assert_true(metric(s, "http_connections_open") <= 5);
}

/* It has said all it will say, and reads on: the answer is its due. */
static void half_closed_client_gets_its_answer(void **state)
{
    const struct served *s = *state;
    double before = metric(s, "http_requests_total{route=\"/alerts\",code=\"200\"}");
    for (int i = 0; i < 20; i++) {
        AUTO(text) char *name = xasprintf("Halved%d", i), *whole = request_of(name);
        int fd = dial(s);
        assert_true(send_all(fd, whole, strlen(whole)));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_int_equal(status_of(fd), 200);
        close(fd);
    }
    wait_for_alerts(s, "Halved", 20);
    works_as_before(s);
    wait_for_metric(s, "http_requests_total{route=\"/alerts\",code=\"200\"}", before + 20);
}

/* Half closed in the middle of its body, it will never send the rest: cut, and nothing of it stays. */
static void half_closed_client_with_half_a_body_is_let_go(void **state)
{
    const struct served *s = *state;
    AUTO(text) char *whole = request_of("Unfinished0");
    AUTO(strbuf) struct strbuf body = { 0 };
    int fd = dial(s);
    assert_true(send_all(fd, whole, strlen(whole) - 10));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    int status = status_of(fd);
    assert_true(status == 0 || status == 400);
    close(fd);
    works_as_before(s);
    assert_int_equal(ask(s->webhook, NULL, "/api/v1/alerts", &body), 200);
    assert_null(strstr(body.ptr, "Unfinished"));
}

static int flood(const struct served *s, int headers)
{
    AUTO(strbuf) struct strbuf request = { 0 };
    strbuf_add_text(&request, "POST /alerts HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < headers; i++)
        strbuf_addf(&request, "X-Header-%d: some value or other\r\n", i);
    strbuf_add_text(&request, "\r\n");
    int fd = dial(s);
    send_all(fd, request.ptr, request.len);
    int status = status_of(fd);
    close(fd);
    return status;
}

static void header_floods_are_cut_and_counted(void **state)
{
    const struct served *s = *state;
    assert_int_equal(flood(s, 1200), 431); /* over max_header_size, and still read whole */
    wait_for_metric(s, "http_refused_total{reason=\"size\"}", 1);
    double size = metric(s, "http_refused_total{reason=\"size\"}");
    int status =
        flood(s, 200000); /* cut while it is being sent; the answer may be lost with the connection */
    assert_true(status == 431 || status == 0);
    wait_for_metric(s, "http_refused_total{reason=\"size\"}", size + 1);
    works_as_before(s);
    assert_true(metric(s, "process_resident_memory_bytes") < 100.0 * MIB);
}

static void slow_loris_is_cut_and_others_are_served_meanwhile(void **state)
{
    (void)state;
    enum { LORISES = 40 };
    int fds[LORISES];
    struct served *s = served_prepare(", request_timeout: 1s, idle_timeout: 1s", "");
    void *own = s;
    start_program(s);
    wait_ready(s);
    for (size_t i = 0; i < LORISES; i++) {
        fds[i] = dial(s);
        assert_true(send_all(fds[i], "POST /alerts HTTP/1.1\r\n", 23));
    }
    for (int i = 0; i < 30; i++) { /* a byte every 100 ms keeps any inactivity timeout from firing */
        for (size_t k = 0; k < LORISES; k++)
            send_all(fds[k], "X", 1);
        usleep(100 * 1000);
        if (i % 10 == 0)
            works_as_before(s);
    }
    wait_for_metric(s, "http_refused_total{reason=\"slow\"}", LORISES);
    for (size_t i = 0; i < LORISES; i++) {
        assert_int_equal(status_of(fds[i]), 0);
        close(fds[i]);
    }
    works_as_before(s);
    served_stop(&own);
}

static int post_with(const struct served *s, const char *token)
{
    AUTO(text) char *header = xasprintf("Authorization: Bearer %s\r\n", token);
    AUTO(text) char *request = request_with("Credential0", header);
    int fd = dial(s);
    assert_true(send_all(fd, request, strlen(request)));
    int status = status_of(fd);
    close(fd);
    return status;
}

static void expired_credentials_are_refused_while_new_ones_hold(void **state)
{
    (void)state;
    char expires[CLOCK_TEXT_MAX];
    clock_format(clock_utc_ms() + 4000, expires);
    AUTO(text)
    char *config =
        xasprintf(", credentials: [ { name: old, scopes: [ingest], token: past, expires: \"%s\" }, "
                  "{ name: new, scopes: [ingest], token: present } ]",
                  expires);
    struct served *s = served_prepare(config, "");
    void *own = s;
    start_program(s);
    wait_ready(s);
    assert_int_equal(post_with(s, "past"), 200);
    assert_int_equal(post_with(s, "wrong"), 401);
    for (int i = 0; i < 200 && post_with(s, "past") == 200; i++)
        usleep(50 * 1000);
    assert_int_equal(post_with(s, "past"), 401);
    assert_int_equal(post_with(s, "present"), 200);
    assert_true(metric(s, "http_refused_total{reason=\"credentials\"}") >= 2);
    wait_for_alerts(s, "Credential", 1);
    served_stop(&own);
}

static void more_connections_than_files_are_survived(void **state)
{
    const struct served *s = *state;
    int fds[700];
    double before = metric(s, "process_open_fds"), most = metric(s, "process_max_fds");
    AUTO(text) char *limit = xasprintf("prlimit --pid %ld --nofile=%d:", (long)s->pid, (int)before + 40);
    AUTO(text) char *lift = xasprintf("prlimit --pid %ld --nofile=%d:", (long)s->pid, (int)most);
    assert_int_equal(post_alert(s, "BeforeTheLimit0", NULL), 200);
    assert_int_equal(system(limit), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial(s);
    usleep(200 * 1000);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 200 && post_alert(s, "DiskFull", NULL) != 200; i++)
        usleep(50 * 1000);
    works_as_before(s);
    assert_int_equal(metric(s, "process_max_fds"), (int)before + 40);
    wait_for_alerts(s, "BeforeTheLimit", 1);
    assert_int_equal(system(lift), 0);
    for (int i = 0; i < 100 && metric(s, "process_open_fds") > before + 20; i++)
        usleep(50 * 1000);
    assert_true(metric(s, "process_open_fds") <= before + 20);
}

int main(void)
{
    unsetenv("DATABASE_URL");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(deep_and_wide_json_is_refused),
        cmocka_unit_test(duplicate_keys_harm_nobody),
        cmocka_unit_test(gigabyte_is_refused_before_and_after_it_is_sent),
        cmocka_unit_test(truncated_body_leaves_nothing),
        cmocka_unit_test(client_that_leaves_before_the_answer_harms_nobody),
        cmocka_unit_test(half_closed_client_gets_its_answer),
        cmocka_unit_test(half_closed_client_with_half_a_body_is_let_go),
        cmocka_unit_test(header_floods_are_cut_and_counted),
        cmocka_unit_test(slow_loris_is_cut_and_others_are_served_meanwhile),
        cmocka_unit_test(expired_credentials_are_refused_while_new_ones_hold),
        cmocka_unit_test(more_connections_than_files_are_survived),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
