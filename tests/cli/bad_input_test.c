/* What strangers may send to the whole program: each thing gets a clear answer, and afterwards everything works as before. */
#include "tests/cli/served.h"

#include <netinet/in.h>

#define MIB (1024 * 1024)

static const char good[] =
    "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"r\",\"groupLabels\":{},\"alerts\":[{\"status\":\"firing\","
    "\"labels\":{\"alertname\":\"DiskFull\",\"severity\":\"critical\",\"namespace\":\"shop\",\"pod\":\"web-1\"},"
    "\"annotations\":{},\"startsAt\":\"2026-11-21T10:00:00Z\",\"endsAt\":\"0001-01-01T00:00:00Z\"}]}";

static int start(void **state)
{
    *state = served_new("intake: { inbox_limit: 100000 }\n");
    return 0;
}

static long post(const struct served *s, struct str body, struct strbuf *answer)
{
    struct http_call call = { .method = "POST", .body = body, .timeout_ms = 60 * 1000 };
    return ask(s->webhook, &call, "/alerts", answer);
}

static void is_refused(const struct served *s, struct str body, long status, const char *text)
{
    AUTO(strbuf) struct strbuf answer = { 0 };
    long got = post(s, body, &answer);
    if (got != status || !strstr(answer.ptr ? answer.ptr : "", text))
        fail_msg("got %ld, expected %ld with \"%s\": %s", got, status, text, answer.ptr ? answer.ptr : "");
}

static void works_as_before(const struct served *s)
{
    assert_int_equal(post(s, str_of(good), NULL), 200);
    assert_int_equal(ask(s->webhook, NULL, "/ready", NULL), 200);
}

static double metric(const struct served *s, const char *name)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *line = xasprintf("\n%s ", name);
    assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
    const char *at = strstr(body.ptr, line);
    return at ? strtod(at + strlen(line), NULL) : -1;
}

static int dial(const struct served *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->webhook) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = { 60, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static int status_of(int fd)
{
    char head[256] = "";
    ssize_t got = recv(fd, head, sizeof head - 1, 0);
    return got > 12 ? atoi(head + 9) : 0;
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
    AUTO(text)
    char *half = xasprintf(
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        sizeof good + 10,
        "{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":{\"alertname\":\"Half\"");
    for (int i = 0; i < 20; i++) {
        int fd = dial(s);
        assert_true(send_all(fd, half, strlen(half)));
        close(fd);
    }
    works_as_before(s);
    assert_int_equal(ask(s->webhook, NULL, "/api/v1/alerts", &body), 200);
    assert_null(strstr(body.ptr, "Half"));
}

static void client_that_leaves_before_the_answer_harms_nobody(void **state)
{
    const struct served *s = *state;
    AUTO(text)
    char *whole = xasprintf(
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        sizeof good - 1, good);
    for (int i = 0; i < 50; i++) {
        int fd = dial(s);
        struct linger at_once = { 1, 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        assert_true(send_all(fd, whole, strlen(whole)));
        close(fd);
    }
    works_as_before(s);
}

static void more_connections_than_files_are_survived(void **state)
{
    const struct served *s = *state;
    int fds[700];
    double before = metric(s, "process_open_fds"), most = metric(s, "process_max_fds");
    AUTO(text) char *limit = xasprintf("prlimit --pid %ld --nofile=%d:", (long)s->pid, (int)before + 40);
    AUTO(text) char *lift = xasprintf("prlimit --pid %ld --nofile=%d:", (long)s->pid, (int)most);
    assert_int_equal(system(limit), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial(s);
    usleep(200 * 1000);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 200 && post(s, str_of(good), NULL) != 200; i++)
        usleep(50 * 1000);
    works_as_before(s);
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
        cmocka_unit_test(more_connections_than_files_are_survived),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
