/* The store's face: which back end, and what is the same for both. */
#include "store/store.h"

#include <stdlib.h>

#include "metrics/metrics.h"
#include "store/store_internal.h"

static const struct {
    const char *scheme;
    const struct backend *backend;
} backends[] = {
    { "sqlite:", &sqlite_backend },
    { "postgresql://", &postgres_backend },
    { "postgres://", &postgres_backend },
};

/* A thread that holds the store's only writer must not wait for it. */
static _Thread_local struct tx *current;

static void start_server_parts(struct store *store)
{
    store->inbox_writer = inbox_writer_start(store);
    metrics_on_collect(store_collect, store);
}

struct store *store_open(const struct store_options *options, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        if (!str_starts_with(str_of(options->url), str_of(backends[i].scheme)))
            continue;
        AUTO(store) struct store *store = backends[i].backend->open(options, err);
        if (!store)
            return NULL;
        if (options->is_server)
            start_server_parts(store);
        return STEAL(store);
    }
    error_set(err, ERROR_UNSUPPORTED,
              "store.url \"" STR_FMT "\": give sqlite:PATH or postgresql://USER@HOST/NAME",
              STR_ARG(str_slice(str_of(options->url), 0, 16)));
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->inbox_writer)
        metrics_off_collect(store_collect, store);
    inbox_writer_stop(store->inbox_writer);
    char *url = store->url;
    store->backend->close(store);
    free(url);
}

bool store_is_postgres(const struct store *store)
{
    return store->backend != &sqlite_backend;
}

const char *store_url(const struct store *store)
{
    return store->url;
}

bool store_check(struct store *store, struct error **err)
{
    return store->backend->check(store, err);
}

struct tx *tx_begin(struct store *store, enum tx_kind kind, struct error **err)
{
    if (current) {
        error_set(err, ERROR_INTERNAL, "this thread has a transaction already");
        return NULL;
    }
    current = store->backend->begin(store, kind, err);
    if (!current)
        metric_inc(METRIC_STORE_ERRORS, "begin");
    return current;
}

bool tx_commit(struct tx *tx, struct error **err)
{
    current = NULL;
    bool ok = tx->store->backend->commit(tx, err);
    if (!ok)
        metric_inc(METRIC_STORE_ERRORS, "commit");
    return ok;
}

void tx_abort(struct tx *tx)
{
    if (!tx)
        return;
    current = NULL;
    tx->store->backend->abort(tx);
}

int64_t tx_lease_now_ms(struct tx *tx)
{
    return tx->store->backend->lease_now_ms(tx);
}

bool tx_is_wanted(struct tx *tx)
{
    const struct backend *backend = tx->store->backend;
    return backend->is_wanted && backend->is_wanted(tx);
}

bool tx_is_postgres(const struct tx *tx)
{
    return store_is_postgres(tx->store);
}

struct rows *tx_query(struct tx *tx, const struct str *sql, struct values values, struct error **err)
{
    return tx->store->backend->query(tx, *sql, true, values, err);
}

struct rows *tx_query_text(struct tx *tx, struct str sql, struct values values, struct error **err)
{
    return tx->store->backend->query(tx, sql, false, values, err);
}

bool rows_next(struct rows *rows, bool *more, struct error **err)
{
    return rows->tx->store->backend->next(rows, more, err);
}

void rows_close(struct rows *rows)
{
    if (rows)
        rows->tx->store->backend->close_rows(rows);
}

bool rows_is_null(const struct rows *rows, int column)
{
    return rows->tx->store->backend->is_null(rows, column);
}

int64_t rows_int(const struct rows *rows, int column)
{
    return rows->tx->store->backend->integer(rows, column);
}

double rows_number(const struct rows *rows, int column)
{
    return rows->tx->store->backend->number(rows, column);
}

struct str rows_text(const struct rows *rows, int column)
{
    return rows->tx->store->backend->text(rows, column);
}

struct str rows_keep(const struct rows *rows, int column, struct arena *arena)
{
    return arena_str(arena, rows_text(rows, column));
}

bool tx_exec_count(struct tx *tx, const struct str *sql, struct values values, int64_t *changed,
                   struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, sql, values, err);
    bool more = rows != NULL;
    while (more)
        if (!rows_next(rows, &more, err))
            return false;
    if (rows && changed)
        *changed = tx->store->backend->changed(rows);
    return rows != NULL;
}

bool tx_exec(struct tx *tx, const struct str *sql, struct values values, struct error **err)
{
    return tx_exec_count(tx, sql, values, NULL, err);
}

bool tx_post(struct tx *tx, const struct str *sql, struct values values, const char *or_conflict,
             struct error **err)
{
    int64_t changed = 0;
    if (tx->store->backend->post)
        return tx->store->backend->post(tx, *sql, values, or_conflict, err);
    return tx_exec_count(tx, sql, values, &changed, err) &&
           (!or_conflict || changed == 1 || error_set(err, ERROR_CONFLICT, "%s", or_conflict));
}

bool tx_exec_script(struct tx *tx, struct str sql, struct error **err)
{
    return tx->store->backend->script(tx, sql, err);
}

bool tx_query_int(struct tx *tx, const struct str *sql, struct values values, int64_t *value, bool *found,
                  struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, sql, values, err);
    bool more = false;
    if (!rows || !rows_next(rows, &more, err))
        return false;
    if (found)
        *found = more;
    else if (!more)
        return error_set(err, ERROR_NOT_FOUND, "the query gave no row");
    if (more)
        *value = rows_int(rows, 0);
    return true;
}
