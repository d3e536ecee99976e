/* The PostgreSQL back end: a pool of connections, for several replicas of us. Leases go by the server's clock. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/postgres_internal.h"

enum { CONNECTIONS = 8, WATCH_MS = 400, SILENT_MS = 5000, KEYWORDS_MAX = 64 };

/* Given to every connection unless the URL says otherwise. A query that hangs, a server that vanishes: all have an end. */
static const struct {
    const char *keyword, *value;
} defaults[] = {
    { "application_name", "prometheus-alerts-slm" },
    { "connect_timeout", "5" },
    { "target_session_attrs", "read-write" },
    { "keepalives_idle", "10" },
    { "keepalives_interval", "5" },
    { "keepalives_count", "2" },
    { "tcp_user_timeout", "15000" },
    { "client_encoding", "UTF8" },
    { "options", "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s "
                 "-c synchronous_commit=on -c client_min_messages=warning" },
};

/* --- the connection's parameters */

static bool is_loopback(const char *host)
{
    if (!host || !host[0] || host[0] == '/' || host[0] == '@') /* a socket of this machine */
        return true;
    struct str hosts = str_of(host), one;
    while (str_split(&hosts, ',', &one))
        if (!str_eq(one, STR("localhost")) && !str_starts_with(one, STR("127.")) &&
            !str_eq(one, STR("::1")) && !str_starts_with(one, STR("/")))
            return false;
    return true;
}

static const char *parameter(const struct pg_store *store, const char *keyword)
{
    for (size_t i = 0; store->keywords[i]; i++)
        if (strcmp(store->keywords[i], keyword) == 0)
            return store->values[i];
    return NULL;
}

static void set_parameter(struct pg_store *store, const char *keyword, const char *value)
{
    size_t i = 0;
    while (store->keywords[i] && strcmp(store->keywords[i], keyword) != 0)
        i++;
    if (i >= KEYWORDS_MAX - 1)
        return;
    free(store->keywords[i]);
    free(store->values[i]);
    store->keywords[i] = xstrdup(keyword);
    store->values[i] = xstrdup(value);
}

static void set_default(struct pg_store *store, const char *keyword, const char *value)
{
    const char *given = parameter(store, keyword);
    if (!given || !given[0])
        set_parameter(store, keyword, value);
}

/* Verified unless somebody says otherwise or it stays on this machine. libpq does not look at the system's authorities
 * by itself before version 16. */
static void set_tls(struct pg_store *store, const struct store_options *options)
{
    static const char authorities[] = "/etc/ssl/certs/ca-certificates.crt";
    const char *host = parameter(store, "hostaddr");
    bool loopback = is_loopback(host && host[0] ? host : parameter(store, "host"));
    if (options->ssl_mode && options->ssl_mode[0])
        set_parameter(store, "sslmode", options->ssl_mode);
    else
        set_default(store, "sslmode", loopback ? "prefer" : "verify-full");
    if (strncmp(parameter(store, "sslmode"), "verify", 6) == 0 && file_exists(authorities) &&
        !getenv("PGSSLROOTCERT"))
        set_default(store, "sslrootcert", authorities);
}

static bool read_url(struct pg_store *store, const struct store_options *options, struct error **err)
{
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(options->url, &why);
    if (!parsed) {
        error_set(err, ERROR_INVALID, "store.url: %s", why ? why : "not a PostgreSQL URL");
        PQfreemem(why);
        return false;
    }
    store->keywords = xcalloc(KEYWORDS_MAX, sizeof *store->keywords);
    store->values = xcalloc(KEYWORDS_MAX, sizeof *store->values);
    for (PQconninfoOption *o = parsed; o->keyword; o++)
        if (o->val)
            set_parameter(store, o->keyword, o->val);
    PQconninfoFree(parsed);
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        set_default(store, defaults[i].keyword, defaults[i].value);
    if (options->password && options->password[0])
        set_default(store, "password", options->password);
    set_tls(store, options);
    return true;
}

/* For logs and people: postgresql://user@host:port/name. */
static char *url_to_show(const struct pg_store *store)
{
    const char *user = parameter(store, "user"), *host = parameter(store, "host"),
               *port = parameter(store, "port");
    const char *name = parameter(store, "dbname");
    return xasprintf("postgresql://%s%s%s%s%s/%s", user ? user : "", user ? "@" : "", host ? host : "",
                     port ? ":" : "", port ? port : "", name ? name : "");
}

/* --- is it there? */

static void note(struct pg_store *store, bool good, const char *text)
{
    pthread_mutex_lock(&store->lock);
    bool was_good = store->good_us >= store->bad_us;
    *(good ? &store->good_us : &store->bad_us) = clock_mono_us();
    if (!good) {
        free(store->bad_text);
        store->bad_text = xstrdup(text);
    }
    pthread_mutex_unlock(&store->lock);
    if (was_good && !good)
        log_error("store does not answer", KV("store", store->base.url), KV("error", text));
    else if (!was_good && good)
        log_info("store answers again", KV("store", store->base.url));
}

static bool pg_check(struct store *base, struct error **err)
{
    struct pg_store *store = (struct pg_store *)base;
    pthread_mutex_lock(&store->lock);
    bool good = store->good_us >= store->bad_us;
    int64_t silent_ms = store->is_watched ? (clock_mono_us() - store->good_us) / 1000 : 0;
    AUTO(text) char *text = good ? NULL : xstrdup(store->bad_text);
    pthread_mutex_unlock(&store->lock);
    if (good && silent_ms >= SILENT_MS) /* the watcher asks more often, and waits like everybody */
        return error_set(err, ERROR_UNAVAILABLE, "PostgreSQL has not answered for %lld s",
                         (long long)silent_ms / 1000);
    return good || error_set(err, ERROR_UNAVAILABLE, "%s", text);
}

/* --- the pool */

static void close_connection(struct pg_connection *connection)
{
    pg_forget_statements(connection);
    PQfinish(connection->pg);
    free(connection);
}

static struct pg_connection *connect_new(struct pg_store *store, struct error **err)
{
    struct pg_connection *connection = xcalloc(1, sizeof *connection);
    connection->pg =
        PQconnectdbParams((const char *const *)store->keywords, (const char *const *)store->values, 0);
    if (PQstatus(connection->pg) == CONNECTION_OK)
        return connection;
    struct str why = str_trim(str_of(PQerrorMessage(connection->pg)));
    error_set(err, ERROR_UNAVAILABLE, "PostgreSQL: " STR_FMT, STR_ARG(why));
    close_connection(connection);
    return NULL;
}

static struct pg_connection *take(struct pg_store *store, struct error **err)
{
    pthread_mutex_lock(&store->lock);
    while (!store->idle && store->connections >= store->connections_max)
        pthread_cond_wait(&store->idle_wake, &store->lock);
    struct pg_connection *connection = store->idle;
    if (connection)
        store->idle = connection->next;
    else
        store->connections++;
    pthread_mutex_unlock(&store->lock);
    if (connection || (connection = connect_new(store, err)))
        return connection;
    pthread_mutex_lock(&store->lock);
    store->connections--;
    pthread_cond_signal(&store->idle_wake);
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* One that broke is closed, and so are the idle ones: they are of the same server, and know nothing of its end yet. */
static void give(struct pg_store *store, struct pg_connection *connection)
{
    bool broken =
        PQstatus(connection->pg) != CONNECTION_OK || PQpipelineStatus(connection->pg) != PQ_PIPELINE_OFF;
    struct pg_connection *closing = NULL;
    pthread_mutex_lock(&store->lock);
    connection->next = store->idle;
    store->idle = connection;
    if (broken) {
        closing = store->idle;
        store->idle = NULL;
        for (struct pg_connection *c = closing; c; c = c->next)
            store->connections--;
    }
    pthread_cond_signal(&store->idle_wake);
    pthread_mutex_unlock(&store->lock);
    while (closing) {
        struct pg_connection *next = closing->next;
        close_connection(closing);
        closing = next;
    }
}

/* --- transactions */

static bool try_begin(struct pg_store *store, struct pg_tx *tx, struct error **err)
{
    tx->connection = take(store, err);
    if (!tx->connection)
        return false;
    if (pg_ensure_begun(tx, err))
        return true;
    give(store, tx->connection);
    return false;
}

static struct tx *pg_begin(struct store *base, enum tx_kind kind, struct error **err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct pg_tx *tx = xcalloc(1, sizeof *tx);
    AUTO(error) struct error *error = NULL;
    tx->base = (struct tx){ base, kind };
    /* An idle connection whose server was restarted fails here, before anything was done: once more, on a new one. */
    if (try_begin(store, tx, &error) || try_begin(store, tx, &error)) {
        note(store, true, NULL);
        return &tx->base;
    }
    note(store, false, error_message(error));
    error_move(err, &error);
    free(tx);
    return NULL;
}

static void end(struct pg_tx *tx)
{
    give((struct pg_store *)tx->base.store, tx->connection);
    free(tx);
}

static bool pg_commit(struct tx *base, struct error **err)
{
    struct pg_tx *tx = (struct pg_tx *)base;
    AUTO(error) struct error *error = NULL;
    PGconn *pg = tx->connection->pg;
    bool was_broken = tx->broken, ok = !was_broken && pg_commit_posted(tx, &error);
    if (was_broken)
        error_set(&error, ERROR_INTERNAL, "a statement of this transaction has failed");
    if (!ok && PQstatus(pg) == CONNECTION_OK)
        pg_run(pg, "ROLLBACK", NULL);
    if (!ok && error_code(error) == ERROR_UNAVAILABLE)
        note((struct pg_store *)base->store, false, error_message(error));
    if (!ok)
        error_move(err, &error);
    end(tx);
    return ok;
}

static void pg_abort(struct tx *base)
{
    struct pg_tx *tx = (struct pg_tx *)base;
    pg_settle(tx, NULL);
    if (tx->begun && PQstatus(tx->connection->pg) == CONNECTION_OK)
        pg_run(tx->connection->pg, "ROLLBACK", NULL);
    end(tx);
}

static int64_t pg_lease_now_ms(struct tx *base)
{
    const struct pg_tx *tx = (const struct pg_tx *)base;
    return tx->began_ms + clock_boot_ms() - tx->began_mono_ms;
}

/* --- opening and closing */

static void *watch(void *context)
{
    struct pg_store *store = context;
    pthread_mutex_lock(&store->lock);
    while (!store->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&store->watch_wake, &store->lock, &until);
        bool known = clock_mono_us() - store->good_us < WATCH_MS * 1000;
        if (store->stopping)
            break;
        pthread_mutex_unlock(&store->lock);
        struct tx *tx = known ? NULL : pg_begin(&store->base, TX_READ, NULL);
        if (tx)
            pg_abort(tx);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void pg_close(struct store *base)
{
    struct pg_store *store = (struct pg_store *)base;
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_signal(&store->watch_wake);
    pthread_mutex_unlock(&store->lock);
    if (store->is_watched)
        pthread_join(store->watcher, NULL);
    while (store->idle) {
        struct pg_connection *connection = store->idle;
        store->idle = connection->next;
        close_connection(connection);
    }
    for (size_t i = 0; store->keywords && i < KEYWORDS_MAX; i++) {
        free(store->keywords[i]);
        free(store->values[i]);
    }
    free(store->keywords);
    free(store->values);
    free(store->bad_text);
    free(store);
}

/* Replicas start together: one migrates, the others wait for it. */
static bool migrate(struct pg_store *store, bool is_server, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(&store->base, is_server ? TX_WRITE : TX_READ, err);
    if (!tx)
        return false;
    if (!is_server)
        return migrations_check(tx, err);
    return tx_exec_script(tx, STR("SELECT pg_advisory_xact_lock(7241905316)"), err) &&
           migrations_apply(tx, err) && tx_commit(STEAL(tx), err);
}

static struct store *pg_open(const struct store_options *options, struct error **err)
{
    struct pg_store *store = xcalloc(1, sizeof *store);
    store->base.backend = &postgres_backend;
    store->connections_max = options->connections ? options->connections : CONNECTIONS;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->idle_wake, NULL);
    pthread_cond_init(&store->watch_wake, NULL);
    bool ok = read_url(store, options, err);
    if (ok)
        store->base.url = url_to_show(store);
    if (!ok || !migrate(store, options->is_server, err)) {
        free(store->base.url);
        pg_close(&store->base);
        return NULL;
    }
    store->is_watched = options->is_server && pthread_create(&store->watcher, NULL, watch, store) == 0;
    return &store->base;
}

const struct backend postgres_backend = {
    .open = pg_open,
    .close = pg_close,
    .check = pg_check,
    .begin = pg_begin,
    .commit = pg_commit,
    .abort = pg_abort,
    .lease_now_ms = pg_lease_now_ms,
    .query = pg_query,
    .post = pg_post,
    .next = pg_next,
    .close_rows = pg_close_rows,
    .changed = pg_changed,
    .script = pg_script,
    .is_null = pg_is_null,
    .integer = pg_integer,
    .number = pg_number,
    .text = pg_text,
};
