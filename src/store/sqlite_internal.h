/* What SQLite's files tell each other.
 *
 *   sqlite.c             the back end's table; opening and closing; readers
 *   sqlite_connection.c  one connection: statements, values, rows, and what its result codes mean
 *   sqlite_writer.c      the one writer, and the group commit
 *   sqlite_watch.c       the background: checkpoints, and whether the file is still there and whole */
#ifndef STORE_SQLITE_INTERNAL_H
#define STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/store_internal.h"

enum { STATEMENT_PARAMETERS_MAX = 48, STATEMENT_BUCKETS = 128 };

struct statement {
    struct statement *next; /* in its bucket */
    const char *key;        /* the address of its text; NULL: not kept */
    sqlite3_stmt *stmt;
    bool in_use;
    int parameters[STATEMENT_PARAMETERS_MAX]; /* index of $1, $2, …; SQLite numbers them as they appear */
};

struct connection { /* one thread's at a time */
    sqlite3 *db;
    unsigned generation; /* of the file; an older one than the store's is closed when given back */
    struct statement *statements[STATEMENT_BUCKETS];
    struct connection *next; /* in the list of idle readers */
};

struct group {        /* write transactions that share one COMMIT */
    unsigned members; /* committed so far, and waiting for it */
    unsigned references;
    bool done, ok;
    int64_t began_us;
    struct error *error;
};

enum damage { DAMAGE_NONE, DAMAGE_LOST, DAMAGE_CORRUPT };

struct sqlite_store {
    struct store base;
    char *path;
    bool is_server;
    int lock_fd; /* of PATH.lock: one server a file; -1 for a command */

    pthread_mutex_t lock; /* guards all below but the writer's inside */
    pthread_cond_t group_done, reader_free, watch_wake;
    bool writer_busy; /* whoever set it owns `writer` and `group` */
    struct turn *first_turn, **last_turn; /* who waits for it, in order */
    struct connection *writer;
    struct group *group; /* NULL: no transaction is open */

    struct connection *idle_readers;
    size_t readers, readers_max;

    unsigned generation;
    enum damage damage;
    char *damage_text;
    struct stat seen; /* the file, as we last knew it */
    int wal_pages;    /* since the last checkpoint */
    bool stopping;
    pthread_t watcher;
};

struct sqlite_tx {
    struct tx base;
    struct connection *connection;
};

/* sqlite_connection.c */
struct connection *connection_open(struct sqlite_store *store, struct error **err);
void connection_close(struct connection *connection);
bool connection_run(struct connection *connection, const char *sql, struct error **err);
bool sqlite_fail(sqlite3 *db, int code, struct error **err); /* sets *err; returns false */

struct rows *sqlite_query(struct tx *tx, struct str sql, bool lasting, struct values values,
                          struct error **err);
bool sqlite_next(struct rows *rows, bool *more, struct error **err);
void sqlite_close_rows(struct rows *rows);
int64_t sqlite_changed(const struct rows *rows);
bool sqlite_script(struct tx *tx, struct str sql, struct error **err);
bool sqlite_is_null(const struct rows *rows, int column);
int64_t sqlite_integer(const struct rows *rows, int column);
double sqlite_number(const struct rows *rows, int column);
struct str sqlite_text(const struct rows *rows, int column);

/* sqlite_writer.c: the writer's turn, with and without a transaction. */
bool writer_enter(struct sqlite_store *store, struct error **err); /* busy, transaction and savepoint open */
bool writer_commit(struct sqlite_store *store, struct error **err);
void writer_abort(struct sqlite_store *store);
void writer_take(struct sqlite_store *store); /* busy, no transaction; waits for the group that is open */
bool writer_is_wanted(struct sqlite_store *store);
void writer_give(struct sqlite_store *store);

/* sqlite_watch.c */
void watch_start(struct sqlite_store *store);
void watch_stop(struct sqlite_store *store);
void watch_report(struct sqlite_store *store, enum damage damage, const char *text);
bool watch_is_whole(struct sqlite_store *store, struct error **err); /* the damage as an error */
void watch_remember(struct sqlite_store *store); /* the file as it is now is as it should be */

#endif
