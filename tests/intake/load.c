/* A load generator for POST of alerts over loopback: as many keep-alive connections as asked for, each with one request
 * in flight, until the time is over or the other side is gone.
 *
 *   load PORT PATH SECONDS CONNECTIONS ALERTS [--api] [--log FILE] [--seed N] [--own] [--count N]
 *
 * Every request carries ALERTS alerts that nobody sent before: alertname, namespace, deployment and a number of its own.
 * --api sends Alertmanager's API form, a bare list. --log writes the number of every alert whose request was answered
 * with 200, as soon as it was. --own gives every alert a deployment of its own, else they share 600. --count ends after so
 * many alerts. The last line on standard output is JSON: what was accepted and how long answers took. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 4096, NAMESPACES = 40, DEPLOYMENTS = 300 };

struct connection {
    int fd;
    struct strbuf out;
    size_t sent;
    char answer[ANSWER_MAX];
    size_t received;
    int64_t began_us;
    uint64_t first; /* number of its first alert */
};

struct load {
    unsigned port;
    const char *path;
    int64_t seconds;
    size_t connections;
    unsigned alerts;
    bool api, own;
    uint64_t count; /* of alerts; 0: whatever the time allows */
    FILE *log;
    uint64_t seed, next;

    uint64_t accepted, refused, broken; /* requests */
    uint64_t answered;                  /* alerts */
    uint32_t *latencies_us;
    size_t latency_count, latency_room;
    struct connection all[CONNECTIONS_MAX];
    char starts[CLOCK_TEXT_MAX];
};

static void add_alert(struct load *load, struct strbuf *body, uint64_t number)
{
    strbuf_addf(
        body,
        "{%s\"labels\":{\"alertname\":\"KubePodCrashLooping\",\"cluster\":\"production\",\"container\":\"app\","
        "\"deployment\":\"web-%llu\",\"namespace\":\"shop-%llu\",\"severity\":\"%s\",\"n\":\"%llu-%llu\"},"
        "\"annotations\":{\"description\":\"Pod web-%llu is in waiting state (reason: CrashLoopBackOff).\","
        "\"summary\":\"Pod is crash looping.\"},\"startsAt\":\"%s\"%s,"
        "\"generatorURL\":\"http://prometheus/graph?g0.expr=up\"}",
        load->api ? "" : "\"status\":\"firing\",",
        (unsigned long long)(load->own ? load->seed * 1000000 + number : number % DEPLOYMENTS),
        (unsigned long long)(number % NAMESPACES), number % 10 ? "warning" : "critical",
        (unsigned long long)load->seed, (unsigned long long)number,
        (unsigned long long)(number % DEPLOYMENTS), load->starts,
        load->api ? "" : ",\"endsAt\":\"0001-01-01T00:00:00Z\"");
}

static void make_request(struct load *load, struct connection *c)
{
    static struct strbuf body;
    strbuf_clear(&body);
    strbuf_add_text(
        &body,
        load->api
            ? "["
            : "{\"version\":\"4\",\"receiver\":\"slm\",\"groupKey\":\"{}:{}\",\"truncatedAlerts\":0,\"alerts\":[");
    c->first = load->next;
    for (unsigned i = 0; i < load->alerts; i++) {
        if (i)
            strbuf_add_char(&body, ',');
        add_alert(load, &body, load->next++);
    }
    strbuf_add_text(&body, load->api ? "]" : "]}");
    strbuf_clear(&c->out);
    strbuf_addf(
        &c->out,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        load->path, body.len);
    strbuf_add(&c->out, strbuf_str(&body));
    c->sent = c->received = 0;
    c->began_us = clock_mono_us();
}

static bool send_more(struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

/* 1: an answer is whole; 0: not yet; -1: the connection has ended. */
static int receive_more(struct connection *c, int *status)
{
    ssize_t n = recv(c->fd, c->answer + c->received, ANSWER_MAX - 1 - c->received, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    c->received += (size_t)n;
    c->answer[c->received] = 0;
    char *head = strstr(c->answer, "\r\n\r\n");
    if (!head)
        return 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    size_t body = length && length < head ? strtoul(length + 17, NULL, 10) : 0;
    *status = atoi(c->answer + 9);
    return c->received >= (size_t)(head + 4 - c->answer) + body;
}

static bool is_enough(const struct load *load)
{
    return load->count && load->next >= load->count;
}

static void note(struct load *load, const struct connection *c, int status)
{
    load->answered += load->alerts;
    if (status != 200) {
        load->refused++;
        return;
    }
    load->accepted++;
    if (load->latency_count == load->latency_room) {
        load->latency_room = load->latency_room ? load->latency_room * 2 : 1 << 16;
        load->latencies_us = xrealloc(load->latencies_us, load->latency_room * sizeof *load->latencies_us);
    }
    load->latencies_us[load->latency_count++] = (uint32_t)(clock_mono_us() - c->began_us);
    for (unsigned i = 0; load->log && i < load->alerts; i++)
        fprintf(load->log, "%llu-%llu\n", (unsigned long long)load->seed, (unsigned long long)(c->first + i));
}

static bool dial(struct load *load, struct connection *c, int epoll)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)load->port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(c->fd);
        c->fd = -1;
        return false;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

/* Everything this connection can do now; false when it is gone. */
static bool serve(struct load *load, struct connection *c)
{
    for (;;) {
        int status = 0, got = 0;
        if (!send_more(c))
            return false;
        while (c->sent == c->out.len && (got = receive_more(c, &status)) == 0 && errno != EAGAIN)
            ;
        if (got <= 0)
            return got == 0;
        note(load, c, status);
        if (strcasestr(c->answer, "connection: close"))
            return false;
        if (is_enough(load))
            return true;
        make_request(load, c);
    }
}

static void run(struct load *load)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    size_t alive = 0;
    int64_t until = clock_mono_us() + load->seconds * 1000000;
    for (size_t i = 0; i < load->connections; i++) {
        if (!dial(load, &load->all[i], epoll))
            continue;
        alive++;
        make_request(load, &load->all[i]);
        send_more(&load->all[i]);
    }
    while (alive && clock_mono_us() < until && !(is_enough(load) && load->answered >= load->next)) {
        int n = epoll_wait(epoll, events, ARRAY_LEN(events), 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (serve(load, c))
                continue;
            load->broken++;
            load->answered += load->alerts;
            close(c->fd);
            alive -= !dial(load, c, epoll);
            if (c->fd >= 0 && !is_enough(load)) {
                make_request(load, c);
                send_more(c);
            }
        }
        if (load->log)
            fflush(load->log);
    }
    close(epoll);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(const struct load *load, double share)
{
    if (load->latency_count == 0)
        return 0;
    size_t at = (size_t)(share * (double)(load->latency_count - 1));
    return load->latencies_us[at] / 1000.0;
}

static void read_options(struct load *load, int argc, char **argv)
{
    *load = (struct load){ .port = (unsigned)atoi(argv[1]),
                           .path = argv[2],
                           .seconds = atoi(argv[3]),
                           .connections = (size_t)atoi(argv[4]),
                           .alerts = (unsigned)atoi(argv[5]),
                           .seed = rand_u64() };
    for (int i = 6; i < argc; i++) {
        if (strcmp(argv[i], "--api") == 0)
            load->api = true;
        else if (strcmp(argv[i], "--own") == 0)
            load->own = true;
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            load->count = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
            load->log = fopen(argv[++i], "a");
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            load->seed = strtoull(argv[++i], NULL, 10);
    }
    load->connections = MIN(load->connections, (size_t)CONNECTIONS_MAX);
    clock_format(clock_utc_ms(), load->starts);
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc < 6) {
        fprintf(stderr, "usage: load PORT PATH SECONDS CONNECTIONS ALERTS [--api] [--log FILE] [--seed N]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    read_options(&load, argc, argv);
    int64_t began = clock_mono_us();
    run(&load);
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    qsort(load.latencies_us, load.latency_count, sizeof *load.latencies_us, by_size);
    if (load.log)
        fclose(load.log);
    printf(
        "{\"seconds\":%.3f,\"requests\":%llu,\"alerts\":%llu,\"refused\":%llu,\"broken\":%llu,\"requests_per_s\":%.0f,"
        "\"alerts_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
        seconds, (unsigned long long)load.accepted, (unsigned long long)load.accepted * load.alerts,
        (unsigned long long)load.refused, (unsigned long long)load.broken, (double)load.accepted / seconds,
        (double)load.accepted * load.alerts / seconds, percentile_ms(&load, 0.5), percentile_ms(&load, 0.99));
    return 0;
}
