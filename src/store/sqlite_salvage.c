/* A damaged file → a new one with every row that can still be read. Tables are read in the order of their row numbers
 * from both ends, so that a damaged page in the middle costs no more than the rows on it. The old file is kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

enum { TABLES_MAX = 128, TEXT_MAX = 256 };

struct salvage {
    sqlite3 *from, *to;
    struct store_salvage *result;
};

/* "INSERT INTO t (a, b, …) VALUES (?, ?, …)" for the columns that `select` gives after its first, the row number. */
static sqlite3_stmt *prepare_insert(struct salvage *salvage, const char *table, sqlite3_stmt *select)
{
    AUTO(strbuf) struct strbuf sql = { 0 };
    AUTO(strbuf) struct strbuf marks = { 0 };
    sqlite3_stmt *insert = NULL;
    strbuf_addf(&sql, "INSERT OR IGNORE INTO \"%s\" (", table);
    for (int i = 1; i < sqlite3_column_count(select); i++) {
        strbuf_addf(&sql, "%s\"%s\"", i > 1 ? ", " : "", sqlite3_column_name(select, i));
        strbuf_add_text(&marks, i > 1 ? ", ?" : "?");
    }
    strbuf_addf(&sql, ") VALUES (%s)", marks.ptr ? marks.ptr : "");
    sqlite3_prepare_v2(salvage->to, sql.ptr, -1, &insert, NULL);
    return insert;
}

static void copy_row(struct salvage *salvage, sqlite3_stmt *select, sqlite3_stmt *insert)
{
    for (int i = 1; i < sqlite3_column_count(select); i++)
        sqlite3_bind_value(insert, i, sqlite3_column_value(select, i));
    if (sqlite3_step(insert) == SQLITE_DONE)
        salvage->result->rows += sqlite3_changes(salvage->to);
    sqlite3_reset(insert);
}

/* In one direction until the end or the damage; true if the end was reached. */
static bool copy_towards(struct salvage *salvage, const char *table, const char *direction)
{
    AUTO(text)
    char *sql = xasprintf("SELECT rowid, * FROM \"%s\" NOT INDEXED ORDER BY rowid %s", table, direction);
    sqlite3_stmt *select = NULL;
    if (sqlite3_prepare_v2(salvage->from, sql, -1, &select, NULL) != SQLITE_OK)
        return false;
    sqlite3_stmt *insert = prepare_insert(salvage, table, select);
    int code = SQLITE_ERROR;
    while (insert && (code = sqlite3_step(select)) == SQLITE_ROW)
        copy_row(salvage, select, insert);
    sqlite3_finalize(insert);
    sqlite3_finalize(select);
    return code == SQLITE_DONE;
}

/* What the new schema has: the damaged file's own list of tables may be what is damaged. */
static size_t list_tables(sqlite3 *db, char names[TABLES_MAX][TEXT_MAX])
{
    sqlite3_stmt *stmt = NULL;
    size_t count = 0;
    sqlite3_prepare_v2(db,
                       "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND "
                       "name <> 'schema_migrations'",
                       -1, &stmt, NULL);
    while (count < TABLES_MAX && sqlite3_step(stmt) == SQLITE_ROW)
        snprintf(names[count++], TEXT_MAX, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return count;
}

static void copy_tables(struct salvage *salvage)
{
    char(*names)[TEXT_MAX] = xcalloc(TABLES_MAX, TEXT_MAX);
    size_t count = list_tables(salvage->to, names);
    sqlite3_exec(salvage->to, "BEGIN", NULL, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        if (copy_towards(salvage, names[i], "ASC"))
            continue;
        copy_towards(salvage, names[i], "DESC");
        salvage->result->tables_damaged++;
    }
    sqlite3_exec(salvage->to, "COMMIT", NULL, NULL, NULL);
    free(names);
}

/* An empty store with our schema at `path`. */
static bool make_empty(const char *path, struct error **err)
{
    AUTO(text) char *url = xasprintf("sqlite:%s", path);
    unlink(path);
    struct store_options options = { .url = url, .is_server = true };
    AUTO(store) struct store *store = store_open(&options, err);
    return store != NULL;
}

static bool fill(const char *path, const char *fresh, struct store_salvage *result, struct error **err)
{
    struct salvage salvage = { .result = result };
    bool ok = sqlite3_open_v2(path, &salvage.from, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
              sqlite3_open_v2(fresh, &salvage.to, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_exec(salvage.to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL); /* one file, complete */
        copy_tables(&salvage);
    } else {
        sqlite_fail(salvage.from, SQLITE_CANTOPEN, err);
    }
    sqlite3_close_v2(salvage.from);
    sqlite3_close_v2(salvage.to);
    return ok;
}

static void remove_beside(const char *path, const char *const *endings)
{
    for (; *endings; endings++) {
        AUTO(text) char *other = xasprintf("%s%s", path, *endings);
        unlink(other);
    }
}

/* The damaged file, with its log, under another name; the new one in its place. A server that has the old one open sees
 * another file there and opens that. */
static bool exchange(const char *path, const char *fresh, const char *kept, struct error **err)
{
    static const char *const log[] = { "-wal", "-shm", NULL };
    for (size_t i = 0; log[i]; i++) {
        AUTO(text) char *from = xasprintf("%s%s", path, log[i]);
        AUTO(text) char *to = xasprintf("%s%s", kept, log[i]);
        rename(from, to);
    }
    if (rename(path, kept) != 0 || rename(fresh, path) != 0)
        return error_errno(err, errno, "put %s in the place of %s", fresh, path);
    return true;
}

bool store_salvage(const char *url, struct store_salvage *result, struct error **err)
{
    static const char *const endings[] = { "-wal", "-shm", ".lock", NULL };
    *result = (struct store_salvage){ 0 };
    if (strncmp(url, "sqlite:", 7) != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "only a SQLite store is salvaged; PostgreSQL has tools of its own");
    const char *path = url + 7;
    if (!file_exists(path))
        return error_set(err, ERROR_NOT_FOUND, "there is no store at %s", path);
    AUTO(text) char *fresh = xasprintf("%s.salvaged", path);
    AUTO(text) char *kept = xasprintf("%s.damaged-%lld", path, (long long)(clock_utc_ms() / 1000));
    bool ok = make_empty(fresh, err) && fill(path, fresh, result, err) && exchange(path, fresh, kept, err);
    remove_beside(fresh, endings);
    if (!ok)
        return error_wrap(err, "salvage %s", path);
    result->kept_as = STEAL(kept);
    return true;
}
