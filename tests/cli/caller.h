/* One who calls a running server: well-behaved through the client, and as bare sockets that can misbehave. */
#ifndef TESTS_CLI_CALLER_H
#define TESTS_CLI_CALLER_H

#include "tests/cli/served.h"

#include <netinet/in.h>

/* One alert of its own: the name tells it from the others. The caller frees it. */
static inline char *alert_named(const char *name)
{
    return xasprintf(
        "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"r\",\"groupLabels\":{},\"alerts\":[{\"status\":\"firing\","
        "\"labels\":{\"alertname\":\"%s\",\"severity\":\"critical\",\"namespace\":\"shop\",\"pod\":\"web-1\"},"
        "\"annotations\":{},\"startsAt\":\"2026-11-21T10:00:00Z\",\"endsAt\":\"0001-01-01T00:00:00Z\"}]}",
        name);
}

static inline long post(const struct served *s, struct str body, struct strbuf *answer)
{
    struct http_call call = { .method = "POST", .body = body, .timeout_ms = 60 * 1000 };
    return ask(s->webhook, &call, "/alerts", answer);
}

static inline long post_alert(const struct served *s, const char *name, struct strbuf *answer)
{
    AUTO(text) char *alert = alert_named(name);
    return post(s, str_of(alert), answer);
}

static inline void works_as_before(const struct served *s)
{
    assert_int_equal(post_alert(s, "DiskFull", NULL), 200);
    assert_int_equal(ask(s->webhook, NULL, "/ready", NULL), 200);
}

/* Its value, with its labels as they are written; -1: there is none. */
static inline double metric(const struct served *s, const char *name)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *line = xasprintf("\n%s ", name);
    assert_int_equal(ask(s->metrics, NULL, "/metrics", &body), 200);
    const char *at = strstr(body.ptr, line);
    return at ? strtod(at + strlen(line), NULL) : -1;
}

static inline void wait_for_metric(const struct served *s, const char *name, double least)
{
    for (int i = 0; i < 200 && metric(s, name) < least; i++)
        usleep(50 * 1000);
    if (metric(s, name) < least)
        fail_msg("%s is %g, expected at least %g", name, metric(s, name), least);
}

/* Until the API shows an alert of each name "PREFIX0" … "PREFIX<count - 1>": all that was accepted is there. */
static inline void wait_for_alerts(const struct served *s, const char *prefix, int count)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    int found = 0;
    for (int i = 0; i < 300 && found < count; i++, usleep(50 * 1000)) {
        if (ask(s->webhook, NULL, "/api/v1/alerts?limit=1000", &body) != 200)
            continue;
        for (found = 0; found < count; found++) {
            AUTO(text) char *name = xasprintf("\"%s%d\"", prefix, found);
            if (!strstr(body.ptr, name))
                break;
        }
    }
    if (found < count)
        fail_msg("alert %s%d was accepted and is not there", prefix, found);
}

static inline int dial(const struct served *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->webhook) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = { 60, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline bool send_all(int fd, const char *bytes, size_t len)
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

/* The whole request of an alert, as bytes; `headers` each end with CR LF. The caller frees it. */
static inline char *request_with(const char *name, const char *headers)
{
    AUTO(text) char *alert = alert_named(name);
    return xasprintf(
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
        headers, strlen(alert), alert);
}

static inline char *request_of(const char *name)
{
    return request_with(name, "");
}

static inline int status_of(int fd)
{
    char head[256] = "";
    ssize_t got = recv(fd, head, sizeof head - 1, 0);
    return got > 12 ? atoi(head + 9) : 0;
}

#endif
