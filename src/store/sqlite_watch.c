/* In the background of a SQLite store: move the write-ahead log into the file, and see whether the file is still ours.
 *
 * Only this thread writes to the file itself (everybody else appends to the log), so a time of change that it does not
 * know is somebody else's doing: then the file is checked page by page. A file that was deleted under us is written
 * anew from what our open connection still holds; one that was put in its place is opened instead. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "store/sqlite_internal.h"

enum { WATCH_MS = 250, CHECKPOINT_PAGES = 4096 };

void watch_report(struct sqlite_store *store, enum damage damage, const char *text)
{
    pthread_mutex_lock(&store->lock);
    bool is_news = store->damage != damage;
    store->damage = damage;
    free(store->damage_text);
    store->damage_text = xstrdup(text);
    pthread_mutex_unlock(&store->lock);
    if (!is_news || damage == DAMAGE_NONE)
        return;
    metric_inc(METRIC_STORE_ERRORS, "damage");
    log_error(
        "store is damaged", KV("path", store->path), KV("damage", text),
        KV("advice", "run `prometheus-alerts-slm history salvage`; alerts are refused with 503 until then"));
}

bool watch_is_whole(struct sqlite_store *store, struct error **err)
{
    pthread_mutex_lock(&store->lock);
    enum damage damage = store->damage;
    AUTO(text) char *text = xstrdup(store->damage_text);
    pthread_mutex_unlock(&store->lock);
    if (damage == DAMAGE_NONE)
        return true;
    return error_set(err, damage == DAMAGE_LOST ? ERROR_UNAVAILABLE : ERROR_CORRUPT, "%s: %s", store->path,
                     text);
}

void watch_remember(struct sqlite_store *store)
{
    struct stat now = { 0 };
    stat(store->path, &now);
    pthread_mutex_lock(&store->lock);
    store->seen = now;
    pthread_mutex_unlock(&store->lock);
}

/* The bulk while others write, the rest in our turn: then all is moved, and the log begins anew. */
static void checkpoint(struct sqlite_store *store)
{
    if (__atomic_load_n(&store->wal_pages, __ATOMIC_RELAXED) < CHECKPOINT_PAGES)
        return;
    struct connection *connection = connection_open(store, NULL);
    if (!connection)
        return;
    sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    writer_take(store);
    sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    __atomic_store_n(&store->wal_pages, 0, __ATOMIC_RELAXED);
    watch_remember(store);
    writer_give(store);
    connection_close(connection);
}

static bool passes_check(struct sqlite_store *store, struct error **err)
{
    struct connection *connection = connection_open(store, err);
    if (!connection)
        return false;
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_prepare_v2(connection->db, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    const char *answer = ok ? (const char *)sqlite3_column_text(stmt, 0) : sqlite3_errmsg(connection->db);
    ok = ok && strcmp(answer, "ok") == 0;
    if (!ok)
        error_set(err, ERROR_CORRUPT, "%s", answer);
    sqlite3_finalize(stmt);
    connection_close(connection);
    return ok;
}

/* Somebody wrote to the file. Whole: good, remember it. Else say so until it is replaced. */
static void examine(struct sqlite_store *store)
{
    AUTO(error) struct error *error = NULL;
    if (passes_check(store, &error))
        watch_report(store, DAMAGE_NONE, "");
    else if (error_code(error) == ERROR_CORRUPT)
        watch_report(store, DAMAGE_CORRUPT, error_message(error));
    watch_remember(store);
}

/* From now on everybody gets connections to the file that is there. In our turn. */
static bool reopen(struct sqlite_store *store, struct error **err)
{
    pthread_mutex_lock(&store->lock);
    store->generation++;
    struct connection *readers = store->idle_readers;
    store->idle_readers = NULL;
    for (struct connection *r = readers; r; r = r->next)
        store->readers--;
    pthread_mutex_unlock(&store->lock);
    while (readers) {
        struct connection *next = readers->next;
        connection_close(readers);
        readers = next;
    }
    struct connection *writer = connection_open(store, err);
    if (!writer)
        return false;
    connection_close(store->writer);
    store->writer = writer;
    return true;
}

/* What our connection still holds of a deleted file → a file at `path`. */
static bool rescue(struct sqlite_store *store, const char *path, struct error **err)
{
    unlink(path);
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", path);
    bool written = connection_run(store->writer, sql, err);
    sqlite3_free(sql);
    if (!written)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok || error_errno(err, errno, "sync %s", path);
}

static void remove_beside(const struct sqlite_store *store)
{
    static const char *const endings[] = { "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        AUTO(text) char *path = xasprintf("%s%s", store->path, endings[i]);
        unlink(path);
    }
}

static bool replace_lost(struct sqlite_store *store, struct error **err)
{
    AUTO(text) char *fresh = xasprintf("%s.rescued", store->path);
    if (!rescue(store, fresh, err))
        return false;
    remove_beside(store);
    if (rename(fresh, store->path) != 0)
        return error_errno(err, errno, "rename %s", fresh);
    return reopen(store, err);
}

static void file_is_gone(struct sqlite_store *store)
{
    watch_report(store, DAMAGE_LOST,
                 "the file was deleted; it is being written anew from what is still open");
    AUTO(error) struct error *error = NULL;
    writer_take(store);
    bool ok = replace_lost(store, &error);
    if (ok) {
        watch_remember(store);
        watch_report(store, DAMAGE_NONE, "");
    }
    writer_give(store);
    if (ok)
        log_warn("store was deleted and is written anew: nothing is lost", KV("path", store->path));
    else
        log_error("store was deleted and cannot be written anew", KV("path", store->path),
                  KV("error", error_message(error)));
}

static void file_is_another(struct sqlite_store *store)
{
    AUTO(error) struct error *error = NULL;
    writer_take(store);
    bool ok = reopen(store, &error);
    writer_give(store);
    if (ok)
        examine(store);
    else
        watch_report(store, DAMAGE_CORRUPT, error_message(error));
    log_warn("store was replaced by another file", KV("path", store->path),
             KV("error", ok ? NULL : error_message(error)));
}

static void look_at_file(struct sqlite_store *store)
{
    struct stat now;
    if (stat(store->path, &now) != 0) {
        if (errno == ENOENT)
            file_is_gone(store);
        return;
    }
    pthread_mutex_lock(&store->lock);
    struct stat seen = store->seen;
    pthread_mutex_unlock(&store->lock);
    if (now.st_ino != seen.st_ino)
        file_is_another(store);
    else if (now.st_mtim.tv_sec != seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != seen.st_mtim.tv_nsec)
        examine(store);
}

static void *watch(void *context)
{
    struct sqlite_store *store = context;
    pthread_mutex_lock(&store->lock);
    while (!store->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&store->watch_wake, &store->lock, &until);
        if (store->stopping)
            break;
        pthread_mutex_unlock(&store->lock);
        look_at_file(store);
        checkpoint(store);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

void watch_start(struct sqlite_store *store)
{
    if (store->is_server && pthread_create(&store->watcher, NULL, watch, store) != 0)
        abort();
}

void watch_stop(struct sqlite_store *store)
{
    if (!store->watcher)
        return;
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_signal(&store->watch_wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->watcher, NULL);
}
