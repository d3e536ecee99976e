/* The SQLite back end: a file, one writer with group commit, several readers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

static void configure_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* its counters cost a lock at every allocation */
    sqlite3_initialize();
}

/* Two servers on one file would take each other's leases for their own. */
static bool lock_for_server(struct sqlite_store *store, struct error **err)
{
    AUTO(text) char *path = xasprintf("%s.lock", store->path);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return error_errno(err, errno, "open %s", path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return error_set(err, ERROR_CONFLICT,
                     "%s is served by another process (it holds %s): stop that one, or give store.url",
                     store->path, path);
}

static bool prepare_folder(struct sqlite_store *store, struct error **err)
{
    AUTO(text) char *folder = xstrdup(store->path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return true;
    *slash = 0;
    return file_exists(folder) || file_make_directories(folder, err);
}

static bool prepare_file(struct sqlite_store *store, struct error **err)
{
    if (store->is_server)
        return prepare_folder(store, err) && lock_for_server(store, err);
    return file_exists(store->path) ||
           error_set(err, ERROR_NOT_FOUND,
                     "there is no store at %s yet: start `serve` first, or give store.url", store->path);
}

/* A dead server's leases are nobody's: we have its lock now. */
static bool migrate(struct sqlite_store *store, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(&store->base, store->is_server ? TX_WRITE : TX_READ, err);
    if (!tx)
        return false;
    if (!store->is_server)
        return migrations_check(tx, err);
    return migrations_apply(tx, err) &&
           tx_exec_script(tx,
                          STR("UPDATE inbox_claims SET lease_until = 0;"
                              "UPDATE jobs SET owner = NULL, lease_until = 0 WHERE lease_until > 0;"
                              "UPDATE executions SET lease_until = 0 WHERE lease_until > 0;"),
                          err) &&
           tx_commit(STEAL(tx), err);
}

static void sqlite_close(struct store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    watch_stop(store);
    while (store->idle_readers) {
        struct connection *reader = store->idle_readers;
        store->idle_readers = reader->next;
        connection_close(reader);
    }
    connection_close(store->writer);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->damage_text);
    free(store->path);
    free(store);
}

static struct sqlite_store *store_new(const struct store_options *options)
{
    struct sqlite_store *store = xcalloc(1, sizeof *store);
    store->base.backend = &sqlite_backend;
    store->base.url = xstrdup(options->url);
    store->path = xstrdup(options->url + strlen("sqlite:"));
    store->is_server = options->is_server;
    store->lock_fd = -1;
    store->readers_max = options->connections ? options->connections : 8;
    store->last_turn = &store->first_turn;
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_t *const conditions[] = { &store->group_done, &store->reader_free,
                                           &store->watch_wake };
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        pthread_cond_init(conditions[i], &monotonic);
    pthread_condattr_destroy(&monotonic);
    return store;
}

static struct store *sqlite_open(const struct store_options *options, struct error **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_library);
    struct sqlite_store *store = store_new(options);
    if (prepare_file(store, err) && (store->writer = connection_open(store, err)) && migrate(store, err)) {
        watch_remember(store);
        watch_start(store);
        return &store->base;
    }
    free(store->base.url);
    sqlite_close(&store->base);
    return NULL;
}

/* --- readers */

static struct connection *take_reader(struct sqlite_store *store, struct error **err)
{
    pthread_mutex_lock(&store->lock);
    while (!store->idle_readers && store->readers >= store->readers_max)
        pthread_cond_wait(&store->reader_free, &store->lock);
    struct connection *reader = store->idle_readers;
    if (reader)
        store->idle_readers = reader->next;
    else
        store->readers++;
    pthread_mutex_unlock(&store->lock);
    if (reader || (reader = connection_open(store, err)))
        return reader;
    pthread_mutex_lock(&store->lock);
    store->readers--;
    pthread_cond_signal(&store->reader_free);
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void give_reader(struct sqlite_store *store, struct connection *reader)
{
    pthread_mutex_lock(&store->lock);
    bool is_old = reader->generation != store->generation;
    if (is_old) {
        store->readers--;
    } else {
        reader->next = store->idle_readers;
        store->idle_readers = reader;
    }
    pthread_cond_signal(&store->reader_free);
    pthread_mutex_unlock(&store->lock);
    if (is_old)
        connection_close(reader);
}

static bool enter_reader(struct sqlite_store *store, struct connection **connection, struct error **err)
{
    if (!watch_is_whole(store, err))
        return false;
    struct connection *reader = take_reader(store, err);
    if (!reader)
        return false;
    if (connection_run(reader, "BEGIN", err)) {
        *connection = reader;
        return true;
    }
    give_reader(store, reader);
    return false;
}

/* --- transactions */

static struct tx *sqlite_begin(struct store *base, enum tx_kind kind, struct error **err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct connection *connection = NULL;
    if (kind == TX_READ ? !enter_reader(store, &connection, err) : !writer_enter(store, err))
        return NULL;
    struct sqlite_tx *tx = xcalloc(1, sizeof *tx);
    *tx = (struct sqlite_tx){ .base = { base, kind },
                              .connection = kind == TX_READ ? connection : store->writer };
    return &tx->base;
}

static void end_reading(struct sqlite_tx *tx)
{
    connection_run(tx->connection, "ROLLBACK", NULL);
    give_reader((struct sqlite_store *)tx->base.store, tx->connection);
}

static bool sqlite_commit(struct tx *base, struct error **err)
{
    struct sqlite_tx *tx = (struct sqlite_tx *)base;
    bool ok = true;
    if (base->kind == TX_READ)
        end_reading(tx);
    else
        ok = writer_commit((struct sqlite_store *)base->store, err);
    free(tx);
    return ok;
}

static void sqlite_abort(struct tx *base)
{
    struct sqlite_tx *tx = (struct sqlite_tx *)base;
    if (base->kind == TX_READ)
        end_reading(tx);
    else
        writer_abort((struct sqlite_store *)base->store);
    free(tx);
}

static int64_t sqlite_lease_now_ms(struct tx *tx)
{
    (void)tx;
    return clock_boot_ms();
}

static bool sqlite_is_wanted(struct tx *tx)
{
    return tx->kind == TX_WRITE && writer_is_wanted((struct sqlite_store *)tx->store);
}

static bool sqlite_check(struct store *base, struct error **err)
{
    return watch_is_whole((struct sqlite_store *)base, err);
}

const struct backend sqlite_backend = {
    .open = sqlite_open,
    .close = sqlite_close,
    .check = sqlite_check,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .abort = sqlite_abort,
    .lease_now_ms = sqlite_lease_now_ms,
    .is_wanted = sqlite_is_wanted,
    .query = sqlite_query,
    .next = sqlite_next,
    .close_rows = sqlite_close_rows,
    .changed = sqlite_changed,
    .script = sqlite_script,
    .is_null = sqlite_is_null,
    .integer = sqlite_integer,
    .number = sqlite_number,
    .text = sqlite_text,
};
