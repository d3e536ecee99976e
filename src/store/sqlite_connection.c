/* One SQLite connection: prepared statements, values in, rows out, and what result codes mean to us. */
#include "store/sqlite_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERVER_BUSY_MS = 800, COMMAND_BUSY_MS = 5000 };

struct sqlite_rows {
    struct rows base;
    struct statement *statement;
    sqlite3 *db;
};

/* What passes by itself is ERROR_UNAVAILABLE: a webhook answers it with 503. */
static enum error_code code_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERROR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return ERROR_EXISTS;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:
        return ERROR_INTERNAL;
    case SQLITE_NOMEM:
        return ERROR_NO_MEMORY;
    default: /* busy, locked, full, read-only, input/output, cannot open */
        return ERROR_UNAVAILABLE;
    }
}

bool sqlite_fail(sqlite3 *db, int code, struct error **err)
{
    static const struct {
        int code;
        const char *advice;
    } advice[] = {
        { SQLITE_FULL, ": the disk is full; free some space" },
        { SQLITE_BUSY, ": another process has locked it" },
        { SQLITE_READONLY, ": the file or its folder may not be written" },
        { SQLITE_CORRUPT, ": damaged; `history salvage` saves what can be read" },
        { SQLITE_NOTADB, ": damaged; `history salvage` saves what can be read" },
    };
    const char *more = "";
    for (size_t i = 0; i < ARRAY_LEN(advice); i++)
        if (advice[i].code == (code & 0xff))
            more = advice[i].advice;
    return error_set(err, code_of(code), "SQLite: %s%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(code),
                     more);
}

bool connection_run(struct connection *connection, const char *sql, struct error **err)
{
    int code = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || sqlite_fail(connection->db, code, err);
}

static int count_pages(void *context, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_store *store = context;
    (void)db, (void)name;
    __atomic_store_n(&store->wal_pages, pages, __ATOMIC_RELAXED);
    return SQLITE_OK;
}

/* Only the server's background thread writes to the file itself, so that it can tell a foreign write from its own. */
static const char settings[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192;"
    "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;";

struct connection *connection_open(struct sqlite_store *store, struct error **err)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (store->is_server ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(store->path, &connection->db, flags, NULL);
    bool ok = code == SQLITE_OK || sqlite_fail(connection->db, code, err);
    if (ok) {
        sqlite3_busy_timeout(connection->db, store->is_server ? SERVER_BUSY_MS : COMMAND_BUSY_MS);
        sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !store->is_server, NULL);
        ok = connection_run(connection, settings, err);
        sqlite3_wal_hook(connection->db, count_pages, store);
    }
    if (!ok) {
        error_wrap(err, "%s", store->path);
        connection_close(connection);
        return NULL;
    }
    connection->generation = store->generation;
    return connection;
}

static void statement_free(struct statement *statement)
{
    sqlite3_finalize(statement->stmt);
    free(statement);
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    for (size_t i = 0; i < STATEMENT_BUCKETS; i++) {
        while (connection->statements[i]) {
            struct statement *statement = connection->statements[i];
            connection->statements[i] = statement->next;
            statement_free(statement);
        }
    }
    sqlite3_close_v2(connection->db);
    free(connection);
}

static struct statement *prepare(struct connection *connection, struct str sql, bool lasting,
                                 struct error **err)
{
    struct statement *statement = xcalloc(1, sizeof *statement);
    int code = sqlite3_prepare_v3(connection->db, sql.ptr, (int)sql.len,
                                  lasting ? SQLITE_PREPARE_PERSISTENT : 0, &statement->stmt, NULL);
    if (code != SQLITE_OK || !statement->stmt) {
        sqlite_fail(connection->db, code, err);
        error_wrap(err, "prepare " STR_FMT, STR_ARG(str_slice(sql, 0, 80)));
        free(statement);
        return NULL;
    }
    for (int i = 0; i < STATEMENT_PARAMETERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", i + 1);
        statement->parameters[i] = sqlite3_bind_parameter_index(statement->stmt, name);
    }
    return statement;
}

static struct statement *find_statement(struct connection *connection, struct str sql, bool lasting,
                                        struct error **err)
{
    struct statement **bucket = &connection->statements[((uintptr_t)sql.ptr >> 4) % STATEMENT_BUCKETS];
    for (struct statement *s = *bucket; lasting && s; s = s->next)
        if (s->key == sql.ptr && !s->in_use)
            return s;
    struct statement *statement = prepare(connection, sql, lasting, err);
    if (statement && lasting) {
        statement->key = sql.ptr;
        statement->next = *bucket;
        *bucket = statement;
    }
    return statement;
}

static int bind(struct statement *statement, size_t i, const struct value *value)
{
    int at = i < STATEMENT_PARAMETERS_MAX ? statement->parameters[i] : 0;
    if (at == 0) /* a parameter that this dialect's text does not use */
        return SQLITE_OK;
    switch (value->kind) {
    case VALUE_INT:
        return sqlite3_bind_int64(statement->stmt, at, value->integer);
    case VALUE_NUMBER:
        return sqlite3_bind_double(statement->stmt, at, value->number);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement->stmt, at, value->text.ptr ? value->text.ptr : "",
                                   value->text.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    case VALUE_NULL:
        break;
    }
    return sqlite3_bind_null(statement->stmt, at);
}

struct rows *sqlite_query(struct tx *tx, struct str sql, bool lasting, struct values values,
                          struct error **err)
{
    struct connection *connection = ((struct sqlite_tx *)tx)->connection;
    struct statement *statement = find_statement(connection, sql, lasting, err);
    if (!statement)
        return NULL;
    statement->in_use = true;
    struct sqlite_rows *rows = xcalloc(1, sizeof *rows);
    *rows = (struct sqlite_rows){ .base = { tx }, .statement = statement, .db = connection->db };
    for (size_t i = 0; i < values.count; i++) {
        int code = bind(statement, i, &values.items[i]);
        if (code == SQLITE_OK)
            continue;
        sqlite_fail(connection->db, code, err);
        sqlite_close_rows(&rows->base);
        return NULL;
    }
    return &rows->base;
}

bool sqlite_next(struct rows *base, bool *more, struct error **err)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;
    int code = sqlite3_step(rows->statement->stmt);
    *more = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return true;
    sqlite_fail(rows->db, code, err);
    if (code_of(code) == ERROR_CORRUPT)
        watch_report((struct sqlite_store *)base->tx->store, DAMAGE_CORRUPT, sqlite3_errmsg(rows->db));
    return false;
}

void sqlite_close_rows(struct rows *base)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;
    sqlite3_reset(rows->statement->stmt);
    sqlite3_clear_bindings(rows->statement->stmt);
    rows->statement->in_use = false;
    if (!rows->statement->key)
        statement_free(rows->statement);
    free(rows);
}

int64_t sqlite_changed(const struct rows *base)
{
    return sqlite3_changes(((const struct sqlite_rows *)base)->db);
}

bool sqlite_script(struct tx *tx, struct str sql, struct error **err)
{
    AUTO(text) char *text = xstrndup(sql.ptr, sql.len);
    return connection_run(((struct sqlite_tx *)tx)->connection, text, err);
}

static sqlite3_stmt *stmt_of(const struct rows *base)
{
    return ((const struct sqlite_rows *)base)->statement->stmt;
}

bool sqlite_is_null(const struct rows *rows, int column)
{
    return sqlite3_column_type(stmt_of(rows), column) == SQLITE_NULL;
}

int64_t sqlite_integer(const struct rows *rows, int column)
{
    return sqlite3_column_int64(stmt_of(rows), column);
}

double sqlite_number(const struct rows *rows, int column)
{
    return sqlite3_column_double(stmt_of(rows), column);
}

struct str sqlite_text(const struct rows *rows, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt_of(rows), column);
    return (struct str){ text, text ? (size_t)sqlite3_column_bytes(stmt_of(rows), column) : 0 };
}
