/* The whole program as a server on free ports of this machine, with a folder of its own. */
#ifndef TESTS_CLI_SERVED_H
#define TESTS_CLI_SERVED_H

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
    const char *server; /* more keys of the section `server`, each after a comma */
    const char *disk;   /* the database's folder within ours, "/NAME"; "" for ours */
};

static inline unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline void write_config(const struct served *s, const char *more)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/config.yaml", s->folder);
    AUTO(text)
    char *text =
        xasprintf("server: { webhook_port: %u, metrics_port: %u, health_port: %u, reload_endpoint: true%s }\n"
                  "store: { url: \"sqlite:%s%s/alerts.db\" }\nslm: { provider: none }\n%s",
                  s->webhook, s->metrics, s->health, s->server, s->folder, s->disk, more);
    assert_ok(file_replace(path, str_of(text), 0600, &err), err);
}

/* `prepare` (NULL: none) runs in the new process, before the program takes its place. */
static inline void start_program_after(struct served *s, void (*prepare)(const struct served *))
{
    AUTO(text) char *config = xasprintf("%s/config.yaml", s->folder), *log = xasprintf("%s/log", s->folder);
    s->pid = fork();
    if (s->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDERR_FILENO);
        if (prepare)
            prepare(s);
        execl(getenv("PROGRAM"), "prometheus-alerts-slm", "serve", "--config", config, (char *)NULL);
        _exit(127);
    }
}

static inline void start_program(struct served *s)
{
    start_program_after(s, NULL);
}

static inline long ask(unsigned port, const struct http_call *how, const char *path, struct strbuf *body)
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

static inline void wait_ready(const struct served *s)
{
    for (int i = 0; i < 500 && ask(s->webhook, NULL, "/ready", NULL) != 200; i++)
        usleep(20 * 1000);
    assert_int_equal(ask(s->webhook, NULL, "/ready", NULL), 200);
}

static inline int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline bool log_holds(const struct served *s, const char *text)
{
    AUTO(text) char *path = xasprintf("%s/log", s->folder);
    AUTO(strbuf) struct strbuf log = { 0 };
    return file_read(path, 1 << 20, &log, NULL) && strstr(log.ptr, text);
}

static inline void wait_for_log(const struct served *s, const char *text)
{
    for (int i = 0; i < 300 && !log_holds(s, text); i++)
        usleep(20 * 1000);
    if (!log_holds(s, text))
        fail_msg("the log does not hold \"%s\"", text);
}

/* A folder, ports and a configuration, but no process yet: start_program() and wait_ready() are the caller's. */
static inline struct served *served_prepare(const char *server, const char *more)
{
    struct served *s = xcalloc(1, sizeof *s);
    strcpy(s->folder, "/tmp/serve_test.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->webhook = free_port();
    s->metrics = free_port();
    s->health = free_port();
    s->server = server;
    s->disk = "";
    write_config(s, more);
    return s;
}

static inline struct served *served_new(const char *more)
{
    struct served *s = served_prepare("", more);
    start_program(s);
    wait_ready(s);
    return s;
}

static inline int served_stop(void **state)
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

#endif
