/* The schema, forward by numbered steps. A step that was applied is remembered with the hash of its text: a store whose
 * history is not this program's is refused rather than guessed at. Never change a step that was released; add one.
 *
 * To add tables: a file sql/migrations/both_NNNN_NAME.sql (both_…, or sqlite_… and postgres_…), its name in
 * meson.build, and a row here. */
#include "store/store_internal.h"

#include "migrations_sql.h"

struct migration {
    int number;
    const char *name;
    const struct str *sqlite, *postgres;
};

#define BOTH(file) &file##_sql, &file##_sql
static const struct migration migrations[] = {
    { 1, "inbox", &sqlite_0001_inbox_sql, &postgres_0001_inbox_sql },
    { 2, "intake", BOTH(both_0002_intake) },
    { 3, "history", BOTH(both_0003_history) },
    { 4, "executions", BOTH(both_0004_executions) },
    { 5, "memory", BOTH(both_0005_memory) },
    { 6, "views", &sqlite_0006_views_sql, &postgres_0006_views_sql },
    { 7, "audit feed", BOTH(both_0007_audit_feed) },
    { 8, "decision work", BOTH(both_0008_decision_work) },
};

static const char create_table_text[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, "
    "name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)";
static const struct str create_table = { create_table_text, sizeof create_table_text - 1 };
static const char select_text[] = "SELECT number, sha256 FROM schema_migrations ORDER BY number";
static const struct str select_applied = { select_text, sizeof select_text - 1 };
static const char insert_text[] =
    "INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES ($1, $2, $3, $4)";
static const struct str insert_applied = { insert_text, sizeof insert_text - 1 };

static void hash_of(const struct tx *tx, const struct migration *migration, char hex[SHA256_HEX_LEN + 1])
{
    sha256_hex(tx_is_postgres(tx) ? *migration->postgres : *migration->sqlite, hex);
}

static bool compare(struct tx *tx, struct rows *rows, size_t at, struct error **err)
{
    char hex[SHA256_HEX_LEN + 1];
    int64_t number = rows_int(rows, 0);
    if (at >= ARRAY_LEN(migrations))
        return error_set(err, ERROR_CONFLICT,
                         "the store's schema is version %lld, this program knows %zu: use the newer program",
                         (long long)number, ARRAY_LEN(migrations));
    hash_of(tx, &migrations[at], hex);
    if (number == migrations[at].number && str_eq(rows_text(rows, 1), str_of(hex)))
        return true;
    return error_set(err, ERROR_CONFLICT, "the store's schema step %lld is not the one that this program has",
                     (long long)number);
}

/* How many of our steps the store has, each the same as ours. */
static bool count_applied(struct tx *tx, size_t *count, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, &select_applied, NO_VALUES, err);
    bool more = rows != NULL;
    *count = 0;
    while (more) {
        if (!rows_next(rows, &more, err) || (more && !compare(tx, rows, *count, err)))
            return false;
        *count += more;
    }
    return rows != NULL;
}

static bool apply(struct tx *tx, const struct migration *migration, struct error **err)
{
    char hex[SHA256_HEX_LEN + 1];
    hash_of(tx, migration, hex);
    if (!tx_exec_script(tx, tx_is_postgres(tx) ? *migration->postgres : *migration->sqlite, err) ||
        !tx_exec(
            tx, &insert_applied,
            VALUES(V_INT(migration->number), V_TEXT(migration->name), V_TEXT(hex), V_INT(clock_utc_ms())),
            err))
        return error_wrap(err, "schema step %d (%s)", migration->number, migration->name);
    return true;
}

bool migrations_apply(struct tx *tx, struct error **err)
{
    size_t applied;
    if (!tx_exec(tx, &create_table, NO_VALUES, err) || !count_applied(tx, &applied, err))
        return false;
    for (size_t i = applied; i < ARRAY_LEN(migrations); i++)
        if (!apply(tx, &migrations[i], err))
            return false;
    return true;
}

bool migrations_check(struct tx *tx, struct error **err)
{
    size_t applied;
    if (!count_applied(tx, &applied, err))
        return false;
    return applied == ARRAY_LEN(migrations) ||
           error_set(err, ERROR_CONFLICT,
                     "the store's schema is version %zu, this program needs %zu: start `serve` once, "
                     "which brings it forward",
                     applied, ARRAY_LEN(migrations));
}
