/* A server that answers what a test tells it to, byte for byte: the next answer of a list for each request. */
#ifndef TESTS_SLM_BROKEN_SERVER_H
#define TESTS_SLM_BROKEN_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/test.h"

struct canned {
    int status;          /* 0: hang up without a word */
    const char *headers; /* more lines, each ended by \r\n; NULL: none */
    const char *body;
    size_t pad;   /* so many bytes of 'x' follow the body */
    size_t claim; /* Content-Length, where it is not the truth */
    int delay_ms;
};

struct broken_server {
    int socket;
    unsigned port;
    pthread_t thread;
    const struct canned *answers; /* the last is repeated; set before the requests */
    size_t count;
    atomic_size_t requests;
    pthread_mutex_t lock; /* guards last */
    struct strbuf last;   /* the last request, whole */
};

static inline bool read_request(int fd, struct strbuf *request)
{
    char piece[16384];
    size_t body_at = 0, wanted = SIZE_MAX, length_at;
    while (request->len < wanted) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            return false;
        strbuf_add(request, (struct str){ piece, (size_t)got });
        if (wanted == SIZE_MAX && str_find(strbuf_str(request), STR("\r\n\r\n"), &body_at)) {
            bool has = str_find(strbuf_str(request), STR("Content-Length: "), &length_at);
            wanted = body_at + 4 + (has ? strtoul(request->ptr + length_at + 16, NULL, 10) : 0);
        }
    }
    return true;
}

static inline void send_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes = str_slice(bytes, (size_t)sent, bytes.len);
    }
}

static inline void answer_one(struct broken_server *server, int fd)
{
    AUTO(strbuf) struct strbuf request = { 0 }, out = { 0 };
    if (!read_request(fd, &request))
        return;
    size_t number = atomic_fetch_add(&server->requests, 1);
    const struct canned *canned = &server->answers[MIN(number, server->count - 1)];
    pthread_mutex_lock(&server->lock);
    strbuf_clear(&server->last);
    strbuf_add(&server->last, strbuf_str(&request));
    pthread_mutex_unlock(&server->lock);
    char peek;
    for (int waited = 0; waited < canned->delay_ms && recv(fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
         waited += 10)
        usleep(10000);
    if (!canned->status)
        return;
    size_t length = strlen(canned->body) + canned->pad;
    strbuf_addf(
        &out,
        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
        canned->status, canned->claim ? canned->claim : length, canned->headers ? canned->headers : "",
        canned->body);
    for (size_t i = 0; i < canned->pad; i++)
        strbuf_add_char(&out, 'x');
    send_all(fd, strbuf_str(&out));
}

static inline void *serve_broken(void *context)
{
    struct broken_server *server = context;
    for (;;) {
        int fd = accept(server->socket, NULL, NULL);
        if (fd < 0)
            return NULL;
        answer_one(server, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}

static inline void broken_server_start(struct broken_server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    memset(server, 0, sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    server->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->socket, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->socket, 64), 0);
    assert_int_equal(getsockname(server->socket, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, serve_broken, server);
}

static inline void broken_server_stop(struct broken_server *server)
{
    shutdown(server->socket, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->socket);
    strbuf_free(&server->last);
    pthread_mutex_destroy(&server->lock);
}

static inline void broken_server_answers(struct broken_server *server, const struct canned *answers,
                                         size_t count)
{
    server->answers = answers, server->count = count;
    atomic_store(&server->requests, 0);
}

#endif
