/* The whole program as a server: its endpoints on three ports, reload, stop. */
#include "tests/cli/run.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "http/client.h"

struct served {
    char folder[64];
    pid_t pid;
    unsigned webhook, metrics, health;
};

static unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void write_config(const struct served *s, const char *more)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/config.yaml", s->folder);
    AUTO(text)
    char *text =
        xasprintf("server: { webhook_port: %u, metrics_port: %u, health_port: %u, reload_endpoint: true }\n"
                  "store: { url: \"sqlite:%s/alerts.db\" }\nslm: { provider: none }\n%s",
                  s->webhook, s->metrics, s->health, s->folder, more);
    assert_ok(file_replace(path, str_of(text), 0600, &err), err);
}

static void start_program(struct served *s)
{
    AUTO(text) char *config = xasprintf("%s/config.yaml", s->folder), *log = xasprintf("%s/log", s->folder);
    s->pid = fork();
    if (s->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDERR_FILENO);
        execl(getenv("PROGRAM"), "prometheus-alerts-slm", "serve", "--config", config, (char *)NULL);
        _exit(127);
    }
}

static long ask(unsigned port, const struct http_call *how, const char *path, struct strbuf *body)
{
    AUTO(text) char *url = xasprintf("http://127.0.0.1:%u%s", port, path);
    AUTO(http_client)
    struct http_client *client = http_client_new(&(struct http_client_options){ .proxy = "" });
    AUTO(http_reply) struct http_reply reply = { 0 };
    struct http_call call = how ? *how : (struct http_call){ 0 };
    call.url = url;
    bool ok = http_client_call(client, &call, &reply, NULL);
    if (body) {
        strbuf_clear(body);
        strbuf_add(body, strbuf_str(&reply.headers));
        strbuf_add(body, strbuf_str(&reply.body));
    }
    return ok ? reply.status : 0;
}

static void wait_ready(const struct served *s)
{
    for (int i = 0; i < 500 && ask(s->webhook, NULL, "/ready", NULL) != 200; i++)
        usleep(20 * 1000);
    assert_int_equal(ask(s->webhook, NULL, "/ready", NULL), 200);
}

static int start(void **state)
{
    struct served *s = xcalloc(1, sizeof *s);
    strcpy(s->folder, "/tmp/serve_test.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->webhook = free_port();
    s->metrics = free_port();
    s->health = free_port();
    write_config(s, "");
    start_program(s);
    wait_ready(s);
    *state = s;
    return 0;
}

static int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int stop(void **state)
{
    struct served *s = *state;
    if (s->pid) {
        kill(s->pid, SIGTERM);
        assert_int_equal(end_of(s->pid), 0);
    }
    AUTO(text) char *clean = xasprintf("rm -r %s", s->folder);
    int status = system(clean);
    free(s);
    return status;
}

static bool log_holds(const struct served *s, const char *text)
{
    AUTO(text) char *path = xasprintf("%s/log", s->folder);
    AUTO(strbuf) struct strbuf log = { 0 };
    return file_read(path, 1 << 20, &log, NULL) && strstr(log.ptr, text);
}

static void wait_for_log(const struct served *s, const char *text)
{
    for (int i = 0; i < 300 && !log_holds(s, text); i++)
        usleep(20 * 1000);
    if (!log_holds(s, text))
        fail_msg("the log does not hold \"%s\"", text);
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
    wait_for_log(s, "the configuration is not good, the old one stays");
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
        cmocka_unit_test(stop_takes_no_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
