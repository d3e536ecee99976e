/* The store: one interface over SQLite (the default, a file) and PostgreSQL (several replicas). All state of the
 * product lives here. This header is the ground: opening, transactions, queries. What is kept is told in the headers
 * that it includes, a subject each.
 *
 * SQL is in files under sql/, parameters are $1, $2, … in both dialects; NAME.sql serves both, where they differ there
 * is sqlite_NAME.sql and postgres_NAME.sql. A new table is a new migration: see migrations.c.
 *
 *     AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
 *     return tx && tx_exec(tx, &cooldown_set_sql, VALUES(V_TEXT(key), V_INT(until)), err) && tx_commit(STEAL(tx), err);
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct store; /* locks itself: any thread may use it */

struct store_options {
    const char *url;      /* sqlite:PATH, or postgresql://… */
    const char *password; /* for a PostgreSQL URL without one; NULL: none */
    const char *ssl_mode; /* libpq's; NULL or "": verify-full, on loopback prefer */
    size_t connections;   /* at most, to PostgreSQL, and of readers to SQLite; 0: 8 */
    bool is_server;       /* migrate, and be the only server of a SQLite file; else a command
                                                     that reads and writes beside one: it changes no schema */
};

/* Open, and for a server create and migrate. NULL with
 *   ERROR_NOT_FOUND     a command, and there is no store yet
 *   ERROR_CONFLICT      another server has this SQLite file, or its schema is not this program's
 *   ERROR_CORRUPT       damaged: the message says how it can be salvaged
 *   ERROR_UNAVAILABLE   no connection, no rights, locked, disk full */
struct store *store_open(const struct store_options *options, struct error **err);
void store_close(struct store *store);
static inline void store_cleanup(struct store **store)
{
    store_close(*store);
}

bool store_is_postgres(const struct store *store);
const char *store_url(const struct store *store); /* without a password */

/* Is it there and does it take writes? Costs nothing: the answer is at most half a second old. */
bool store_check(struct store *store, struct error **err);

/* A damaged SQLite file → a new one with every row that can still be read; the old one is kept beside it, as
 * PATH.damaged-TIME. A server that has the old one open goes on with the new one by itself. */
struct store_salvage {
    int64_t rows, tables_damaged;
    char *kept_as; /* the caller frees */
};
bool store_salvage(const char *url, struct store_salvage *result, struct error **err);

/* --- transactions */

struct tx; /* one thread's alone, for a short time: no waiting on anything in it */
enum tx_kind { TX_READ, TX_WRITE };

/* A read transaction sees one moment of the store. Write transactions of one process follow one another on SQLite;
 * those that come together share one fsync, and each is undone alone. A thread has at most one at a time.
 * ERROR_UNAVAILABLE: locked, gone, full; worth another try later. */
struct tx *tx_begin(struct store *store, enum tx_kind kind, struct error **err);

/* Durable once it returns true. Ends the transaction either way: tx_commit(STEAL(tx), err). */
bool tx_commit(struct tx *tx, struct error **err);
void tx_abort(struct tx *tx); /* forget what was done in it; NULL is fine */
static inline void tx_cleanup(struct tx **tx)
{
    tx_abort(*tx);
}

/* Now, by the clock that leases go by: monotonic across processes (CLOCK_BOOTTIME, or the database server's). */
int64_t tx_lease_now_ms(struct tx *tx);
/* Others wait for this transaction to end: one that can be cut into pieces ends early. */
bool tx_is_wanted(struct tx *tx);
bool tx_is_postgres(const struct tx *tx);

/* --- queries */

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_NUMBER, VALUE_TEXT };
struct value {
    enum value_kind kind;
    int64_t integer;
    double number;
    struct str text; /* UTF-8 without NUL */
};
struct values {
    const struct value *items;
    size_t count;
};
#define V_NULL ((struct value){ .kind = VALUE_NULL })
#define V_INT(v) ((struct value){ .kind = VALUE_INT, .integer = (v) })
#define V_BOOL(v) V_INT((v) ? 1 : 0)
#define V_NUM(v) ((struct value){ .kind = VALUE_NUMBER, .number = (v) })
#define V_STR(v) ((struct value){ .kind = VALUE_TEXT, .text = (v) })
#define V_TEXT(v) value_of_text(v) /* const char *; NULL is null */
#define V_TIME(v) value_of_time(v) /* UTC ms; 0 is null */
#define VALUES(...)                                                                                          \
    ((struct values){ (const struct value[]){ __VA_ARGS__ },                                                 \
                      sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value) })
#define NO_VALUES ((struct values){ 0 })

static inline struct value value_of_text(const char *text)
{
    return text ? V_STR(str_of(text)) : V_NULL;
}
static inline struct value value_of_time(int64_t ms)
{
    return ms ? V_INT(ms) : V_NULL;
}

/* Which of two texts: SQL_FOR(tx, inbox_claim) is &sqlite_inbox_claim_sql or &postgres_inbox_claim_sql. */
#define SQL_FOR(tx, name) (tx_is_postgres(tx) ? &postgres_##name##_sql : &sqlite_##name##_sql)

struct rows; /* an answer being read; belongs to its transaction's thread */

/* `sql` must live as long as the process (an embedded file): it is prepared once a connection. */
struct rows *tx_query(struct tx *tx, const struct str *sql, struct values values, struct error **err);
struct rows *tx_query_text(struct tx *tx, struct str sql, struct values values,
                           struct error **err); /* prepared anew */
bool rows_next(struct rows *rows, bool *more, struct error **err);
void rows_close(struct rows *rows);
static inline void rows_cleanup(struct rows **rows)
{
    rows_close(*rows);
}

/* Columns of the row that rows_next() came to, from 0. Texts are borrowed until the next call of rows_next(). */
bool rows_is_null(const struct rows *rows, int column);
int64_t rows_int(const struct rows *rows, int column); /* 0 for null */
double rows_number(const struct rows *rows, int column);
struct str rows_text(const struct rows *rows, int column); /* "" for null; numbers as text */
struct str rows_keep(const struct rows *rows, int column, struct arena *arena); /* a copy */

/* Without an answer; *changed (may be NULL) is the number of rows that it touched. */
bool tx_exec(struct tx *tx, const struct str *sql, struct values values, struct error **err);
bool tx_exec_count(struct tx *tx, const struct str *sql, struct values values, int64_t *changed,
                   struct error **err);
/* Like tx_exec(), for a statement whose outcome nobody waits for: on PostgreSQL it travels with the next one that is
 * waited for, and its failure is told by that one, or by tx_commit(). `or_conflict` (NULL, or a text that lives as long as
 * the process): it must touch one row, else ERROR_CONFLICT says so. */
bool tx_post(struct tx *tx, const struct str *sql, struct values values, const char *or_conflict,
             struct error **err);
bool tx_exec_script(struct tx *tx, struct str sql,
                    struct error **err); /* several statements, no parameters */

/* The first column of the one row: *found says whether there was one (NULL: there must be, else ERROR_NOT_FOUND). */
bool tx_query_int(struct tx *tx, const struct str *sql, struct values values, int64_t *value, bool *found,
                  struct error **err);

#endif
