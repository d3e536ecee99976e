/* POST /alerts over a real server and a real store. */
#include "tests/http/fixture.h"

#include <stdlib.h>

#include "api/api.h"
#include "processor/processor.h"
#include "store/inbox.h"
#include "webhook/webhook.h"

struct site {
    char folder[64];
    struct store *store;
    struct config_live *config;
    struct webhook *webhook;
    struct http_server *server;
    struct processor *processor;
    unsigned port;
    struct error *err;
};

static void wake(void *site)
{
    struct site *s = site;
    struct processor *processor = __atomic_load_n(&s->processor, __ATOMIC_ACQUIRE);
    if (processor)
        processor_wake(processor);
}

static void open_site(struct site *s, const char *const *set)
{
    static char *const environment[] = { NULL };
    struct config_options options = { .environment = environment, .set = set };
    struct config *config = config_load(&options, &s->err);
    assert_ok(config, s->err);
    s->config = config_live_new_take(config, &options);
    AUTO(text) char *url = xasprintf("sqlite:%s/store.db", s->folder);
    assert_ok(s->store = store_open(&(struct store_options){ .url = url, .is_server = true }, &s->err),
              s->err);
    const struct http_listener listener = { "127.0.0.1", 0, HTTP_GROUP_ALL };
    s->server = http_server_new(
        &(struct http_server_options){ .listeners = &listener, .listeners_len = 1, .max_body = 1 << 20 });
    const struct http_access access = { .open_scopes = BIT(HTTP_SCOPE_INGEST) | BIT(HTTP_SCOPE_READ) };
    assert_ok(http_server_set_access(s->server, &access, &s->err), s->err);
    s->webhook = webhook_new(&(struct webhook_options){
        .store = s->store, .config = s->config, .path = "/alerts", .accepted = wake, .context = s });
    webhook_add_to(s->webhook, s->server);
    api_add_to(s->server, s->store);
    assert_ok(http_server_start(s->server, &s->err), s->err);
    s->port = http_server_port(s->server, HTTP_GROUP_API);
}

static void close_site(struct site *s)
{
    http_server_stop(s->server, 2000);
    processor_stop(s->processor);
    http_server_free(s->server);
    webhook_free(s->webhook);
    store_close(s->store);
    config_live_free(s->config);
}

static int setup(void **state)
{
    struct site *s = xcalloc(1, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "/tmp/webhook-test-XXXXXX");
    if (!mkdtemp(s->folder))
        return -1;
    *state = s;
    open_site(s, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    AUTO(text) char *command = xasprintf("rm -rf '%s'", s->folder);
    close_site(s);
    error_free(s->err);
    free(s);
    return system(command);
}

static int post(struct site *s, const char *headers, const char *body, struct strbuf *answer)
{
    AUTO(text)
    char *request = xasprintf("POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s"
                              "Content-Length: %zu\r\n\r\n%s",
                              headers, strlen(body), body);
    return exchange(s->port, request, answer);
}

static int get(struct site *s, const char *target, struct strbuf *answer)
{
    AUTO(text) char *request = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    return exchange(s->port, request, answer);
}

#define ALERT                                                                                                       \
    "{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\",\"namespace\":\"shop\"," \
    "\"deployment\":\"web\"},\"startsAt\":\"2026-11-21T07:00:00Z\"}]}"

static void accepted_alerts_are_in_the_inbox_when_the_answer_comes(void **state)
{
    struct site *s = *state;
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(post(s, "", ALERT, &answer), 200);
    assert_holds(&answer, "{\"status\":\"success\",\"message\":\"Successfully processed 1 alerts\"}");
    assert_int_equal(inbox_waiting(s->store), 1);
    assert_int_equal(post(s, "", "{\"version\":\"4\",\"alerts\":[]}", &answer), 200);
    assert_int_equal(inbox_waiting(s->store), 1);
}

static void from_the_webhook_to_the_incident_in_the_api(void **state)
{
    struct site *s = *state;
    AUTO(strbuf) struct strbuf answer = { 0 };
    __atomic_store_n(&s->processor, processor_start(s->store, s->config, NULL), __ATOMIC_RELEASE);
    assert_int_equal(
        post(s, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n", ALERT, &answer),
        200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(get(s, "/api/v1/incidents?namespace=shop&limit=5", &answer), 200);
        if (strstr(answer.ptr, "\"work\":\"none\"") && strstr(answer.ptr, "web"))
            break;
        clock_sleep_ms(10);
    }
    assert_holds(&answer, "\"incidents\":[{\"id\":\"");
    assert_holds(&answer, "\"kind\":\"Deployment\",\"name\":\"web\"");
    assert_holds(&answer, "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    assert_holds(&answer, "\"decision\":null");
    assert_holds(&answer, "\"next_cursor\":null");
    char id[ULID_LEN + 1] = "";
    memcpy(id, strstr(answer.ptr, "[{\"id\":\"") + 8, ULID_LEN);
    AUTO(text) char *target = xasprintf("/api/v1/incidents/%s", id);
    assert_int_equal(get(s, target, &answer), 200);
    assert_holds(&answer, "\"alerts\":[{\"id\":\"");
    assert_holds(&answer, "\"executions\":[]");
    assert_int_equal(get(s, "/api/v1/alerts?status=firing", &answer), 200);
    assert_holds(&answer, "\"starts_at\":\"2026-11-21T07:00:00.000Z\"");
}

static void what_can_never_be_accepted_is_refused_with_the_reason(void **state)
{
    struct site *s = *state;
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(post(s, "", "{\"version\":\"4\",\"alerts\":[", &answer), 400);
    assert_int_equal(post(s, "", "{\"version\":\"3\",\"alerts\":[]}", &answer), 400);
    assert_holds(&answer, "version: must be");
    assert_int_equal(get(s, "/alerts", &answer), 405);
    assert_int_equal(get(s, "/nothing", &answer), 404);
    assert_int_equal(
        ask(s->port,
            "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
        415);
    assert_int_equal(ask(s->port, "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 99999999\r\n\r\n"),
                     413);
    assert_int_equal(inbox_waiting(s->store), 0);
}

static void a_full_inbox_says_503_and_when_to_come_back(void **state)
{
    struct site *s = *state;
    AUTO(strbuf) struct strbuf answer = { 0 };
    close_site(s);
    s->processor = NULL;
    open_site(s, (const char *const[]){ "intake.inbox_limit=2", NULL });
    assert_int_equal(post(s, "", ALERT, &answer), 200);
    assert_int_equal(post(s, "", ALERT, &answer), 200);
    assert_true(!webhook_is_ready(s->webhook, NULL));
    assert_int_equal(post(s, "", ALERT, &answer), 503);
    assert_holds(&answer, "Retry-After: 1");
    assert_holds(&answer, "intake.inbox_limit");
}

static void misspelt_filters_and_cursors_are_refused(void **state)
{
    struct site *s = *state;
    AUTO(strbuf) struct strbuf answer = { 0 };
    assert_int_equal(get(s, "/api/v1/alerts?namspace=x", &answer), 400);
    assert_holds(&answer, "unknown parameter");
    assert_int_equal(get(s, "/api/v1/alerts?status=on", &answer), 400);
    assert_int_equal(get(s, "/api/v1/alerts?limit=0", &answer), 400);
    assert_int_equal(get(s, "/api/v1/incidents?cursor=%27", &answer), 400);
    assert_int_equal(get(s, "/api/v1/incidents/01m7q5cqg0dha4d29v83g7dbyv", &answer), 404);
    assert_int_equal(get(s, "/api/v1/incidents?namespace=%ff", &answer), 400);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(accepted_alerts_are_in_the_inbox_when_the_answer_comes),
        TEST(from_the_webhook_to_the_incident_in_the_api),
        TEST(what_can_never_be_accepted_is_refused_with_the_reason),
        TEST(a_full_inbox_says_503_and_when_to_come_back),
        TEST(misspelt_filters_and_cursors_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
