/* A server on a free loopback port, and a client of bare sockets that can misbehave. */
#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include "tests/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"

static inline int dial(unsigned port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = { 20, 0 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

/* All there is until the answer is whole (by its Content-Length) or the connection ends; the status, 0 for none. */
static inline int receive(int fd, struct strbuf *answer)
{
    size_t head, at;
    char piece[4096];
    strbuf_clear(answer);
    for (;;) {
        if (answer->len && str_find(strbuf_str(answer), STR("\r\n\r\n"), &head)) {
            long length = 0;
            if (str_find(strbuf_str(answer), STR("Content-Length: "), &at) && at < head)
                length = strtol(answer->ptr + at + 16, NULL, 10);
            if (answer->len >= head + 4 + (size_t)length)
                break;
        }
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            break;
        strbuf_add(answer, (struct str){ piece, (size_t)got });
    }
    return answer->len > 12 ? atoi(answer->ptr + 9) : 0;
}

static inline int exchange(unsigned port, const char *request, struct strbuf *answer)
{
    int fd = dial(port);
    send_text(fd, request);
    int status = receive(fd, answer);
    close(fd);
    return status;
}

static inline int ask(unsigned port, const char *request)
{
    AUTO(strbuf) struct strbuf answer = { 0 };
    return exchange(port, request, &answer);
}

static inline void assert_holds(const struct strbuf *answer, const char *text)
{
    if (!answer->ptr || !strstr(answer->ptr, text))
        fail_msg("\"%s\" does not hold \"%s\"", answer->ptr ? answer->ptr : "", text);
}

#define GET(path, headers) "GET " path " HTTP/1.1\r\nHost: x\r\n" headers "\r\n"
#define POST(path, headers, length, body)                                                                    \
    "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" headers                        \
    "Content-Length: " #length "\r\n\r\n" body

#endif
