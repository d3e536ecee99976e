/* The server's life: ports, connections and their deadlines, start and stop.
 *
 * libmicrohttpd's own timeout counts from the last byte, so a client that sends one byte a second stays for ever. A
 * thread of ours therefore looks at all connections twice a second and shuts the sockets of those whose header or body
 * has taken too long; libmicrohttpd then sees their end and cleans up. */
#include "http/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    REAPER_MS = 500,
    PEM_MAX = 1024 * 1024,
    LOG_TEXT_MAX = 512,
    TLS_LOOK_MS = 5000,
    STOP_GRACE_MS = 2000,
    SEND_GRACE_MS = 500
};

static void apply_defaults(struct http_server_options *options)
{
    options->max_header = options->max_header ? options->max_header : HTTP_MAX_HEADER;
    options->max_body = options->max_body ? options->max_body : HTTP_MAX_BODY;
    options->request_timeout_ms =
        options->request_timeout_ms ? options->request_timeout_ms : HTTP_REQUEST_TIMEOUT_MS;
    options->idle_timeout_ms = options->idle_timeout_ms ? options->idle_timeout_ms : HTTP_IDLE_TIMEOUT_MS;
    options->max_connections = options->max_connections ? options->max_connections : HTTP_MAX_CONNECTIONS;
    options->threads = options->threads ? options->threads : HTTP_THREADS;
}

/* Listeners that agree in address and port become one that serves both their groups. */
static void merge_listeners(struct http_server *server)
{
    for (size_t i = 0; i < server->options.listeners_len; i++) {
        const struct http_listener *from = &server->options.listeners[i];
        const char *address = strcmp(from->address, "localhost") == 0 ? "127.0.0.1" : from->address;
        struct http_listening *to = server->listenings, *end = to + server->listenings_len;
        while (to < end && (from->port == 0 || to->port != from->port || strcmp(to->address, address) != 0))
            to++;
        if (to == end && server->listenings_len < HTTP_LISTENERS_MAX) {
            server->listenings_len++;
            *to = (struct http_listening){ .server = server, .port = from->port, .fd = -1 };
            snprintf(to->address, sizeof to->address, "%s", address);
        }
        if (to < server->listenings + server->listenings_len)
            to->groups |= from->groups;
    }
    server->options.listeners = NULL; /* the caller's; not needed any more */
}

static char *copy_if_given(const char *text)
{
    return text && *text ? xstrdup(text) : NULL;
}

static void init_locks(struct http_server *server)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_rwlock_init(&server->access_lock, NULL);
    pthread_mutex_init(&server->connections_lock, NULL);
    pthread_mutex_init(&server->waiting_lock, NULL);
    pthread_cond_init(&server->waiting_changed, &monotonic);
    pthread_cond_init(&server->reaper_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    apply_defaults(&server->options);
    merge_listeners(server);
    server->cert_file = copy_if_given(options->cert_file);
    server->key_file = copy_if_given(options->key_file);
    server->client_ca = copy_if_given(options->client_ca_file);
    server->body_held_max = HTTP_BODIES_HELD * server->options.max_body;
    init_locks(server);
    server->access = access_new(&(struct http_access){ .open_scopes = BIT(HTTP_SCOPE_COUNT) - 1 }, NULL);
    return server;
}

void http_server_add(struct http_server *server, const struct http_route *routes, void *context)
{
    server->added = xrealloc(server->added, (server->added_len + 1) * sizeof *server->added);
    server->added[server->added_len++] = (struct http_added){ routes, context };
}

bool http_server_set_access(struct http_server *server, const struct http_access *from, struct error **err)
{
    struct access *fresh = access_new(from, err);
    if (!fresh)
        return false;
    pthread_rwlock_wrlock(&server->access_lock);
    struct access *old = server->access;
    server->access = fresh;
    pthread_rwlock_unlock(&server->access_lock);
    access_free(old);
    return true;
}

static void set_client(struct http_connection *connection, const struct sockaddr *from)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    unsigned char *to = connection->address;
    if (from->sa_family == AF_INET) {
        memcpy(to, mapped, sizeof mapped);
        memcpy(to + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        memcpy(to, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
    }
    bool is_v4 = memcmp(to, mapped, sizeof mapped) == 0;
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? to + 12 : to, connection->client,
              sizeof connection->client);
    connection->is_loopback = is_v4 ? to[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)to);
}

static void connection_opened(struct http_listening *listening, struct MHD_Connection *mhd, void **own)
{
    struct http_server *server = listening->server;
    struct http_connection *connection = xcalloc(1, sizeof *connection);
    connection->listening = listening;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *address =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    if (address)
        set_client(connection, address);
    connection->deadline_ms = clock_mono_ms() + server->options.request_timeout_ms;
    atomic_fetch_add(&server->connections_total, 1);
    pthread_mutex_lock(&server->connections_lock);
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connections_open++;
    pthread_mutex_unlock(&server->connections_lock);
    *own = connection;
}

/* Called before the socket is closed, so that no other connection can have its number while ours is in the list. */
static void connection_closed(struct http_listening *listening, void **own)
{
    struct http_server *server = listening->server;
    struct http_connection *connection = STEAL(*own);
    if (!connection)
        return;
    pthread_mutex_lock(&server->connections_lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connections_open--;
    pthread_mutex_unlock(&server->connections_lock);
    free(connection);
}

static void notify_connection(void *listening, struct MHD_Connection *mhd, void **own,
                              enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_opened(listening, mhd, own);
    else
        connection_closed(listening, own);
}

static void cut_late(struct http_server *server, int64_t now)
{
    pthread_mutex_lock(&server->connections_lock);
    for (struct http_connection *connection = server->connections; connection;
         connection = connection->next) {
        if (connection->cut || connection->deadline_ms == 0 || connection->deadline_ms > now)
            continue;
        connection->cut = true;
        atomic_fetch_add(&server->cut_slow, 1);
        shutdown(connection->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->connections_lock);
}

/* The end of a client that came together with its last bytes is an event that libmicrohttpd (0.9.75, epoll) can miss: half a
 * request would then keep its connection, and a stop, waiting until its deadline. To close the direction that is closed
 * already makes it an event once more, and takes nothing from a request that is whole. */
static void nudge_ended(struct http_server *server)
{
    pthread_mutex_lock(&server->connections_lock);
    for (struct http_connection *connection = server->connections; connection;
         connection = connection->next) {
        struct pollfd end = { .fd = connection->fd, .events = POLLRDHUP };
        if (connection->nudged || connection->state > CONNECTION_BODY || poll(&end, 1, 0) != 1)
            continue;
        connection->nudged = true;
        shutdown(connection->fd, SHUT_RD);
    }
    pthread_mutex_unlock(&server->connections_lock);
}

static bool reaper_sleep(struct http_server *server)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REAPER_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&server->connections_lock);
    if (!server->reaper_end)
        pthread_cond_timedwait(&server->reaper_wake, &server->connections_lock, &until);
    bool end = server->reaper_end;
    pthread_mutex_unlock(&server->connections_lock);
    return !end;
}

static void look_at_certificate(struct http_server *server)
{
    AUTO(error) struct error *err = NULL;
    if (!server->cert_file || !tls_files_changed())
        return;
    if (tls_install(server->cert_file, server->key_file, &err))
        log_info("certificate read again", KV("file", server->cert_file));
    else
        log_warn("certificate could not be read again, the old one stays", KV("error", error_message(err)));
}

static void *reap(void *server_)
{
    struct http_server *server = server_;
    int64_t looked_ms = clock_mono_ms();
    while (reaper_sleep(server)) {
        int64_t now = clock_mono_ms();
        cut_late(server, now);
        nudge_ended(server);
        stream_ping_all(server);
        if (now - looked_ms < TLS_LOOK_MS)
            continue;
        looked_ms = now;
        look_at_certificate(server);
    }
    return NULL;
}

static bool make_address(const struct http_listening *listening, struct sockaddr_storage *storage,
                         socklen_t *len, struct error **err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
    memset(storage, 0, sizeof *storage);
    if (inet_pton(AF_INET, listening->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)listening->port);
        *len = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, listening->address, &v6->sin6_addr) != 1)
        return error_set(err, ERROR_INVALID, "%s is not an IP address", listening->address);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)listening->port);
    *len = sizeof *v6;
    return true;
}

static void read_port(struct http_listening *listening)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t len = sizeof bound;
    if (getsockname(listening->fd, (struct sockaddr *)&bound, &len) == 0)
        listening->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                            : ((struct sockaddr_in *)&bound)->sin_port);
}

static bool open_port(struct http_listening *listening, struct error **err)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    int yes = 1, no = 0;
    if (!make_address(listening, &address, &len, err))
        return false;
    listening->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening->fd < 0)
        return error_errno(err, errno, "open a socket");
    setsockopt(listening->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listening->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (address.ss_family == AF_INET6)
        setsockopt(listening->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(listening->fd, (struct sockaddr *)&address, len) != 0 || listen(listening->fd, BACKLOG) != 0)
        return error_errno(err, errno, "listen on %s port %u", listening->address, listening->port);
    read_port(listening);
    return true;
}

static void log_from_library(void *context, const char *format, va_list args)
{
    char text[LOG_TEXT_MAX];
    (void)context;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd says", KV("text", text));
}

static bool start_daemon(struct http_listening *listening, const char *client_ca_pem, struct error **err)
{
    struct http_server *server = listening->server;
    const struct http_server_options *o = &server->options;
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;
    struct MHD_OptionItem items[8];
    size_t n = 0;
    if (server->cert_file) {
        flags |= MHD_USE_TLS;
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
                                              (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" };
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve };
    }
    if (client_ca_pem)
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)client_ca_pem };
    if (o->threads > 1)
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)o->threads, NULL };
    if (o->max_connections_per_client)
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                              (intptr_t)o->max_connections_per_client, NULL };
    items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    listening->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_handle, listening, MHD_OPTION_EXTERNAL_LOGGER, log_from_library, NULL,
        MHD_OPTION_LISTEN_SOCKET, listening->fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * o->max_header + 4096,
        MHD_OPTION_CONNECTION_LIMIT, MAX(o->max_connections, o->threads), MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((o->idle_timeout_ms + 999) / 1000), MHD_OPTION_NOTIFY_CONNECTION, notify_connection,
        listening, MHD_OPTION_NOTIFY_COMPLETED, request_completed, server, MHD_OPTION_URI_LOG_CALLBACK,
        request_begin, server, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    return listening->daemon ||
           error_set(err, ERROR_UNAVAILABLE, "the HTTP server on %s port %u could not be started",
                     listening->address, listening->port);
}

static void close_ports(struct http_server *server)
{
    for (size_t i = 0; i < server->listenings_len; i++) {
        struct http_listening *listening = &server->listenings[i];
        if (listening->daemon)
            MHD_stop_daemon(STEAL(listening->daemon));
        if (listening->fd >= 0)
            close(listening->fd);
        listening->fd = -1;
    }
}

static bool start_ports(struct http_server *server, struct error **err)
{
    AUTO(strbuf) struct strbuf ca = { 0 };
    if (server->cert_file && !tls_install(server->cert_file, server->key_file, err))
        return false;
    if (server->client_ca && !file_read(server->client_ca, PEM_MAX, &ca, err))
        return false;
    for (size_t i = 0; i < server->listenings_len; i++)
        if (!open_port(&server->listenings[i], err))
            return false;
    for (size_t i = 0; i < server->listenings_len; i++)
        if (!start_daemon(&server->listenings[i], server->client_ca ? ca.ptr : NULL, err))
            return false;
    return true;
}

bool http_server_start(struct http_server *server, struct error **err)
{
    if (!start_ports(server, err)) {
        close_ports(server);
        return false;
    }
    if (pthread_create(&server->reaper, NULL, reap, server) != 0) {
        close_ports(server);
        return error_set(err, ERROR_UNAVAILABLE, "a thread could not be started");
    }
    server->started = true;
    return true;
}

unsigned http_server_port(const struct http_server *server, enum http_group group)
{
    for (size_t i = 0; i < server->listenings_len; i++)
        if (server->listenings[i].groups & group)
            return server->listenings[i].port;
    return 0;
}

bool http_server_reload_tls(struct http_server *server, struct error **err)
{
    return !server->cert_file || tls_install(server->cert_file, server->key_file, err);
}

/* No new connections; new requests on old ones get 503. */
static void stop_accepting(struct http_server *server)
{
    for (size_t i = 0; i < server->listenings_len; i++) {
        struct http_listening *listening = &server->listenings[i];
        if (listening->daemon && MHD_quiesce_daemon(listening->daemon) == MHD_INVALID_SOCKET)
            listening->fd = -1;
    }
    pthread_mutex_lock(&server->waiting_lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->waiting_lock);
}

static void wait_while(struct http_server *server, bool (*busy)(const struct http_server *),
                       int64_t deadline_ms)
{
    struct timespec until = { .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };
    int result = 0;
    pthread_mutex_lock(&server->waiting_lock);
    while (result == 0 && busy(server))
        result = pthread_cond_timedwait(&server->waiting_changed, &server->waiting_lock, &until);
    pthread_mutex_unlock(&server->waiting_lock);
}

static bool has_requests(const struct http_server *server)
{
    return server->in_flight > 0;
}

static bool has_handlers(const struct http_server *server)
{
    return server->waiting != NULL;
}

/* libmicrohttpd cannot be stopped while a connection is suspended, so nobody stays so. */
static void answer_the_rest(struct http_server *server)
{
    pthread_mutex_lock(&server->waiting_lock);
    for (struct http_request *request = server->waiting; request; request = request->next)
        respond_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Shutting down");
    pthread_mutex_unlock(&server->waiting_lock);
}

static void stop_reaper(struct http_server *server)
{
    pthread_mutex_lock(&server->connections_lock);
    server->reaper_end = true;
    pthread_cond_signal(&server->reaper_wake);
    pthread_mutex_unlock(&server->connections_lock);
    pthread_join(server->reaper, NULL);
}

void http_server_stop(struct http_server *server, int64_t deadline_ms)
{
    if (!server->started || server->stopped)
        return;
    server->stopped = true;
    stop_accepting(server);
    stream_end_all(server);
    wait_while(server, has_requests, deadline_ms);
    answer_the_rest(server);
    stream_end_all(server);
    wait_while(server, has_requests, clock_mono_ms() + SEND_GRACE_MS);
    stop_reaper(server);
    close_ports(server);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_server_stop(server, clock_mono_ms());
    wait_while(server, has_handlers, clock_mono_ms() + STOP_GRACE_MS);
    if (server->waiting) { /* a handler still has one: better a leak than memory used after its end */
        log_error("a request was never answered", KV_STR("path", server->waiting->path));
        return;
    }
    if (server->cert_file)
        tls_uninstall();
    access_free(server->access);
    pthread_rwlock_destroy(&server->access_lock);
    pthread_mutex_destroy(&server->connections_lock);
    pthread_mutex_destroy(&server->waiting_lock);
    pthread_cond_destroy(&server->waiting_changed);
    pthread_cond_destroy(&server->reaper_wake);
    free(server->added);
    free(server->cert_file);
    free(server->key_file);
    free(server->client_ca);
    free(server);
}

void http_server_stats(struct http_server *server, struct http_server_stats *stats)
{
    pthread_mutex_lock(&server->connections_lock);
    stats->connections_open = server->connections_open;
    pthread_mutex_unlock(&server->connections_lock);
    stats->connections_total = atomic_load(&server->connections_total);
    stats->requests_total = atomic_load(&server->requests_total);
    stats->cut_slow = atomic_load(&server->cut_slow);
    stats->cut_rate = atomic_load(&server->cut_rate);
    stats->refused_network = atomic_load(&server->refused_network);
    stats->refused_credentials = atomic_load(&server->refused_credentials);
    stats->refused_size = atomic_load(&server->refused_size);
    stats->body_bytes_held = atomic_load(&server->body_held);
}
