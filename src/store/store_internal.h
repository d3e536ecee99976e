/* What the files of store/ tell each other: a back end is a table of functions, and a store, a transaction and an answer
 * begin with what both back ends have. */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/store.h"

struct backend {
    struct store *(*open)(const struct store_options *options, struct error **err);
    void (*close)(struct store *store);
    bool (*check)(struct store *store, struct error **err);

    struct tx *(*begin)(struct store *store, enum tx_kind kind, struct error **err);
    bool (*commit)(struct tx *tx, struct error **err); /* frees tx, as does abort */
    void (*abort)(struct tx *tx);
    int64_t (*lease_now_ms)(struct tx *tx);
    bool (*is_wanted)(struct tx *tx); /* NULL: never */

    /* `lasting`: the text lives as long as the process, so its preparation may be kept. */
    struct rows *(*query)(struct tx *tx, struct str sql, bool lasting, struct values values,
                          struct error **err);
    /* tx_post() of a text that lives as long as the process; NULL: it is executed at once. */
    bool (*post)(struct tx *tx, struct str sql, struct values values, const char *or_conflict,
                 struct error **err);
    bool (*next)(struct rows *rows, bool *more, struct error **err);
    void (*close_rows)(struct rows *rows);
    int64_t (*changed)(const struct rows *rows);
    bool (*script)(struct tx *tx, struct str sql, struct error **err);

    bool (*is_null)(const struct rows *rows, int column);
    int64_t (*integer)(const struct rows *rows, int column);
    double (*number)(const struct rows *rows, int column);
    struct str (*text)(const struct rows *rows, int column);
};
extern const struct backend sqlite_backend, postgres_backend;

struct store {
    const struct backend *backend; /* these are set before anybody else sees the store */
    char *url;
    struct inbox_writer *inbox_writer; /* inbox.c's; made at open */
};

struct tx {
    struct store *store;
    enum tx_kind kind;
};

struct rows {
    struct tx *tx;
};

/* Within a write transaction on PostgreSQL, where others write too, a row that will be changed is locked as it is read;
 * `locked_NAME.sql` beside NAME.sql does that. */
static inline bool tx_must_lock(const struct tx *tx)
{
    return tx->kind == TX_WRITE && tx_is_postgres(tx);
}
#define SQL_LOCKED(tx, name) (tx_must_lock(tx) ? &locked_##name##_sql : &name##_sql)

/* migrations.c: bring the schema to this program's version within `tx`, or check that it is there. */
bool migrations_apply(struct tx *tx, struct error **err);
bool migrations_check(struct tx *tx, struct error **err);

/* collect.c: for metrics_on_collect(); the store is its context. */
void store_collect(void *context);

/* inbox.c: the thread that appends to the inbox. */
struct inbox_writer *inbox_writer_start(struct store *store);
void inbox_writer_stop(struct inbox_writer *writer);

#endif
