/* The whole program as a server: its endpoints on three ports, reload, stop. */
#include "tests/cli/served.h"

static int start(void **state)
{
    *state = served_new("");
    return 0;
}

static void each_port_serves_its_endpoints(void **state)
{
    struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    const unsigned ports[] = { s->webhook, s->metrics, s->health };
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        assert_int_equal(ask(ports[i], NULL, "/health", &body), 200);
        assert_int_equal(ask(ports[i], NULL, "/ready", NULL), 200);
        assert_int_equal(ask(ports[i], NULL, "/-/healthy", NULL), 200);
        assert_int_equal(ask(ports[i], NULL, "/-/ready", NULL), 200);
    }
    static const char *const fields[] = { "\"status\":\"healthy\"", "\"model_loaded\":false",
                                          "\"store\":\"ok\"", "\"timestamp\":\"" };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        assert_non_null(strstr(body.ptr, fields[i]));
    assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
    assert_non_null(strstr(body.ptr, "text/plain; version=0.0.4; charset=utf-8"));
    assert_non_null(strstr(body.ptr, "\nprometheus_alerts_slm_build_info{"));
    assert_int_equal(
        ask(s->metrics, &(struct http_call){ .accept = "application/openmetrics-text" }, "/metrics", &body),
        200);
    assert_non_null(strstr(body.ptr, "\n# EOF\n"));
    assert_int_equal(ask(s->webhook, NULL, "/metrics", NULL), 404);
    assert_int_equal(ask(s->metrics, NULL, "/alerts", NULL), 404);
    assert_int_equal(ask(s->webhook, NULL, "/alerts", NULL), 405);
    assert_int_equal(ask(s->health, NULL, "/status", &body), 200);
    static const char *const status[] = { "\"version\":", "\"uptime_seconds\":", "\"counts\":",
                                          "\"disk\":",    "\"memory\":",         "\"restarts\":0" };
    for (size_t i = 0; i < ARRAY_LEN(status); i++)
        assert_non_null(strstr(body.ptr, status[i]));
}

static void alert_goes_all_the_way_to_an_incident(void **state)
{
    struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    static const char alert[] =
        "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"r\",\"groupLabels\":{},\"alerts\":[{\"status\":\"firing\","
        "\"labels\":{\"alertname\":\"DiskFull\",\"severity\":\"critical\",\"namespace\":\"shop\",\"pod\":\"web-1\"},"
        "\"annotations\":{},\"startsAt\":\"2026-11-21T10:00:00Z\",\"endsAt\":\"0001-01-01T00:00:00Z\"}]}";
    struct http_call post = { .method = "POST", .body = str_of(alert) };
    assert_int_equal(ask(s->webhook, &post, "/alerts", &body), 200);
    assert_non_null(strstr(body.ptr, "\"status\":\"success\""));
    for (int i = 0; i < 300; i++, usleep(20 * 1000))
        if (ask(s->webhook, NULL, "/api/v1/incidents", &body) == 200 && strstr(body.ptr, "DiskFull"))
            break;
    assert_non_null(strstr(body.ptr, "\"title\":\"DiskFull\""));
    assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
    assert_non_null(strstr(body.ptr, "http_requests_total{route=\"/alerts\",code=\"200\"} 1"));
}

static void reload_keeps_the_old_configuration_when_the_new_one_is_bad(void **state)
{
    struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    struct http_call post = { .method = "POST" };
    write_config(s, "logging: { level: loud }\n");
    assert_int_equal(ask(s->webhook, &post, "/-/reload", &body), 500);
    assert_non_null(strstr(body.ptr, "logging.level"));
    kill(s->pid, SIGHUP);
    bool counted = false; /* the log already holds the sentence, of the request above */
    for (int i = 0; i < 200 && !counted; i++, usleep(50 * 1000)) {
        assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
        counted = strstr(body.ptr, "config_reloads_total{result=\"error\"} 2");
    }
    assert_true(counted);
    assert_int_equal(ask(s->webhook, NULL, "/health", NULL), 200);
    write_config(s, "webhook: { auth: { token: secret } }\n");
    kill(s->pid, SIGHUP);
    wait_for_log(s, "configuration read again");
    struct http_call alerts = { .method = "POST", .body = STR("{}") };
    assert_int_equal(ask(s->webhook, &alerts, "/alerts", NULL), 401);
    write_config(s, "");
    assert_int_equal(ask(s->webhook, &post, "/-/reload", &body), 200);
    assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
    assert_non_null(strstr(body.ptr, "config_reloads_total{result=\"error\"} 2"));
    assert_non_null(strstr(body.ptr, "config_reloads_total{result=\"success\"} 2"));
}

static void second_server_on_the_same_store_or_port_is_refused(void **state)
{
    struct served *s = *state;
    AUTO(text) char *same = xasprintf("serve --config %s/config.yaml", s->folder);
    says(same, 1, "store");
    AUTO(text)
    char *other =
        xasprintf("serve --config %s/config.yaml -s store.url=sqlite:%s/other.db", s->folder, s->folder);
    says(other, 1, "listen on 127.0.0.1 port");
}

static void killed_server_counts_its_restart_and_keeps_its_incidents(void **state)
{
    struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    kill(s->pid, SIGKILL);
    assert_int_equal(end_of(s->pid), -SIGKILL);
    start_program(s);
    wait_ready(s);
    assert_int_equal(ask(s->health, NULL, "/status", &body), 200);
    assert_null(strstr(body.ptr, "\"restarts\":0"));
    assert_int_equal(ask(s->webhook, NULL, "/api/v1/incidents", &body), 200);
    assert_non_null(strstr(body.ptr, "DiskFull"));
}

static void health_command_asks_the_running_server(void **state)
{
    struct served *s = *state;
    AUTO(text)
    char *health = xasprintf("health --config %s/config.yaml", s->folder),
         *ready = xasprintf("%s --ready -o json", health);
    says(health, 0, "status: healthy");
    says(ready, 0, "\"status\": \"ready\"");
}

static void set_kubeconfig(const struct served *s)
{
    (void)s;
    setenv("KUBECONFIG", "/nowhere/of-the-shell", 1);
}

static void the_kubeconfig_of_the_file_is_used_and_the_shells_is_said_to_be_left_out(void **state)
{
    struct error *err = NULL;
    (void)state;
    AUTO(text) char *path = xstrdup("/tmp/serve_test_kubeconfig.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(file_replace(path,
                           STR("current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                               "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
                               "users: [{name: u, user: {token: t}}]\n"),
                           0600, &err),
              err);
    AUTO(text) char *more = xasprintf("kubernetes: { kubeconfig: %s }\n", path);
    void *served = served_prepare("", more);
    start_program_after(served, set_kubeconfig);
    wait_ready(served);
    assert_true(log_holds(served, "KUBECONFIG is not used: kubernetes.kubeconfig names another file"));
    assert_true(log_holds(served, "/nowhere/of-the-shell"));
    assert_true(log_holds(served, "https://127.0.0.1:1"));
    served_stop(&served);
    unlink(path);
}

static void stop_takes_no_longer_than_it_may(void **state)
{
    struct served *s = *state;
    int64_t before = clock_mono_ms();
    kill(s->pid, SIGTERM);
    assert_int_equal(end_of(s->pid), 0);
    s->pid = 0;
    assert_true(clock_mono_ms() - before < 5000);
    assert_true(log_holds(s, "\"stopped\""));
}

int main(void)
{
    unsetenv("DATABASE_URL");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_port_serves_its_endpoints),
        cmocka_unit_test(alert_goes_all_the_way_to_an_incident),
        cmocka_unit_test(reload_keeps_the_old_configuration_when_the_new_one_is_bad),
        cmocka_unit_test(second_server_on_the_same_store_or_port_is_refused),
        cmocka_unit_test(killed_server_counts_its_restart_and_keeps_its_incidents),
        cmocka_unit_test(health_command_asks_the_running_server),
        cmocka_unit_test(the_kubeconfig_of_the_file_is_used_and_the_shells_is_said_to_be_left_out),
        cmocka_unit_test(stop_takes_no_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
