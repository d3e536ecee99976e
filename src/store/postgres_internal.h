/* What PostgreSQL's files tell each other.
 *
 *   postgres.c          the back end's table; the pool of connections; transactions; is the server there?
 *   postgres_news.c     what replicas tell each other
 *   postgres_query.c    statements, values, rows, and what SQLSTATEs mean */
#ifndef STORE_POSTGRES_INTERNAL_H
#define STORE_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>

#include "store/store_internal.h"

enum { PREPARED_BUCKETS = 256, POSTED_MAX = 64 };

struct pg_connection { /* one thread's at a time */
    PGconn *pg;
    struct pg_connection *next; /* in the list of idle ones */
    struct prepared {
        struct prepared *next;
        const char *key; /* the address of the text */
        char name[24];
    } *prepared[PREPARED_BUCKETS];
    unsigned prepared_count;
};

struct pg_store {
    struct store base;
    char **keywords, **values; /* of PQconnectdbParams(), ended by NULL */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t idle_wake, watch_wake;
    struct pg_connection *idle;
    size_t connections, connections_max;
    int64_t good_us, bad_us; /* when it last answered, and last failed */
    char *bad_text;
    bool stopping;
    pthread_t watcher;
    bool is_watched;
};

struct pg_tx {
    struct tx base;
    struct pg_connection *connection;
    bool begun;
    int64_t began_ms, began_mono_ms;     /* by the server's clock, and by ours */
    bool broken;                         /* a statement failed: only an abort is left */
    const char *or_conflict[POSTED_MAX]; /* of the statements whose answers have not been read */
    size_t posted;
};

/* postgres_query.c */
bool pg_fail(PGconn *pg, const PGresult *result, struct error **err);
bool pg_run(PGconn *pg, const char *sql, struct error **err);
/* With what was posted before it: in the same round trip. */
bool pg_commit_posted(struct pg_tx *tx, struct error **err);
/* Read the answers to what was posted. False: one of them failed, and the transaction is broken. */
bool pg_settle(struct pg_tx *tx, struct error **err);
bool pg_post(struct tx *tx, struct str sql, struct values values, const char *or_conflict,
             struct error **err);
bool pg_ensure_begun(struct pg_tx *tx, struct error **err);
void pg_forget_statements(struct pg_connection *connection);

struct rows *pg_query(struct tx *tx, struct str sql, bool lasting, struct values values, struct error **err);
bool pg_next(struct rows *rows, bool *more, struct error **err);
void pg_close_rows(struct rows *rows);
int64_t pg_changed(const struct rows *rows);
bool pg_script(struct tx *tx, struct str sql, struct error **err);
bool pg_is_null(const struct rows *rows, int column);
int64_t pg_integer(const struct rows *rows, int column);
double pg_number(const struct rows *rows, int column);
struct str pg_text(const struct rows *rows, int column);

#endif
