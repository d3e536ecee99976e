/* What is too old or too much goes, a piece a transaction. Success rates and calibration's sums stay: they are small,
 * and forget by themselves. */
#include "history/history_internal.h"

#include "history_sql.h"

enum { PIECE = 500 };

struct ids {
    char (*items)[ULID_LEN + 1];
    size_t count;
};

static bool read_ids(struct rows *rows, struct arena *arena, size_t max, struct ids *ids, struct error **err)
{
    bool more = rows != NULL;
    *ids = (struct ids){ .items = arena_calloc(arena, max, ULID_LEN + 1) };
    while (more && ids->count < max && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        snprintf(ids->items[ids->count++], ULID_LEN + 1, STR_FMT, STR_ARG(rows_text(rows, 0)));
    }
    return rows && ids->count == max;
}

static bool delete_by(struct tx *tx, const char *table, const char *column, const char *id, int64_t *deleted,
                      struct error **err)
{
    AUTO(strbuf) struct strbuf sql = { 0 };
    strbuf_addf(&sql, "DELETE FROM %s WHERE %s = $1 RETURNING 1", table, column);
    AUTO(rows) struct rows *rows = tx_query_text(tx, strbuf_str(&sql), VALUES(V_TEXT(id)), err);
    bool more = rows != NULL;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        *deleted += more;
    }
    return rows != NULL;
}

static bool delete_executions(struct tx *tx, const struct ids *ids, int64_t *deleted, struct error **err)
{
    static const char *const parts[][2] = { { "assessments", "execution_id" },
                                            { "approvals", "execution_id" },
                                            { "verdicts", "execution_id" },
                                            { "executions", "id" } };
    for (size_t i = 0; i < ids->count; i++)
        for (size_t p = 0; p < ARRAY_LEN(parts); p++)
            if (!delete_by(tx, parts[p][0], parts[p][1], ids->items[i], deleted, err))
                return false;
    return true;
}

static bool retain_old_executions(struct tx *tx, struct arena *arena, int64_t before, int64_t *deleted,
                                  struct error **err)
{
    struct ids ids;
    {
        AUTO(rows)
        struct rows *rows =
            tx_query(tx, &retain_executions_old_sql, VALUES(V_INT(before), V_INT(PIECE)), err);
        if (!rows || !read_ids(rows, arena, PIECE, &ids, err))
            return false;
    }
    return delete_executions(tx, &ids, deleted, err);
}

/* Whole statements for rows that nothing hangs on; the row's own time says whether it is old. */
static bool retain_rows(struct tx *tx, int64_t before, int64_t *deleted, struct error **err)
{
    static const char *const statements[] = {
        "DELETE FROM verdicts WHERE id IN (SELECT id FROM verdicts WHERE created_at < $1 LIMIT 500)",
        "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE created_at < $1 LIMIT 500)",
        "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE created_at < $1 "
        "AND state <> 'pending' LIMIT 500)",
        "DELETE FROM detections WHERE id IN (SELECT id FROM detections WHERE detected_at < $1 "
        "AND resolved_at IS NOT NULL LIMIT 500)",
        "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE received_at < $1 AND last_seen_at < $1 "
        "AND status = 'resolved' LIMIT 500)",
        "DELETE FROM incident_keys WHERE incident_id IN (SELECT id FROM incidents WHERE status <> 'open' "
        "AND updated_at < $1 LIMIT 500)",
        "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE status <> 'open' AND updated_at < $1 "
        "LIMIT 500)",
        "DELETE FROM calibration WHERE execution_id IN (SELECT execution_id FROM calibration WHERE at < $1 LIMIT 500)",
    };
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        AUTO(strbuf) struct strbuf sql = { 0 };
        strbuf_addf(&sql, "%s RETURNING 1", statements[i]);
        AUTO(rows) struct rows *rows = tx_query_text(tx, strbuf_str(&sql), VALUES(V_INT(before)), err);
        bool more = rows != NULL;
        while (more) {
            if (!rows_next(rows, &more, err))
                return false;
            *deleted += more;
        }
        if (!rows)
            return false;
    }
    return true;
}

static bool retain_piece(struct store *store, int64_t before, int64_t *deleted, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(32 * 1024);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx && retain_old_executions(tx, arena, before, deleted, err) &&
           retain_rows(tx, before, deleted, err) && tx_commit(STEAL(tx), err);
}

struct crowded {
    const char *cluster, *namespace, *kind, *name;
};

static bool read_crowded(struct store *store, struct arena *arena, int64_t max, struct crowded *crowded,
                         size_t *count, struct error **err)
{
    enum { CROWDED_MAX = 100 }; /* as in the statement */
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    AUTO(rows) struct rows *rows = tx ? tx_query(tx, &retain_crowded_sql, VALUES(V_INT(max)), err) : NULL;
    bool more = rows != NULL;
    *count = 0;
    while (more && *count < CROWDED_MAX && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        crowded[(*count)++] =
            (struct crowded){ arena_text(arena, rows_text(rows, 0)), arena_text(arena, rows_text(rows, 1)),
                              arena_text(arena, rows_text(rows, 2)), arena_text(arena, rows_text(rows, 3)) };
    }
    return rows && *count == CROWDED_MAX;
}

static bool thin_out(struct store *store, const struct crowded *one, int64_t keep, int64_t *deleted,
                     struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(32 * 1024);
    struct ids ids;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    if (!tx)
        return false;
    {
        AUTO(rows)
        struct rows *rows = tx_query(tx, &retain_executions_many_sql,
                                     VALUES(V_TEXT(one->cluster), V_TEXT(one->namespace), V_TEXT(one->kind),
                                            V_TEXT(one->name), V_INT(keep)),
                                     err);
        if (!rows || !read_ids(rows, arena, PIECE, &ids, err))
            return false;
    }
    return delete_executions(tx, &ids, deleted, err) && tx_commit(STEAL(tx), err);
}

static bool retain_crowded(struct store *store, int64_t max, int64_t *deleted, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    struct crowded crowded[100];
    size_t count;
    if (!read_crowded(store, arena, max, crowded, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t before;
        do {
            before = *deleted;
            if (!thin_out(store, &crowded[i], max, deleted, err))
                return false;
        } while (*deleted - before >= PIECE);
    }
    return true;
}

static bool record_run(struct store *store, int64_t deleted, int64_t before, int64_t began_us,
                       struct error **err)
{
    static const struct str insert =
        STR("INSERT INTO retention_runs (id, at, reason, rows_deleted, oldest_kept, "
            "duration_ms) VALUES ($1, $2, $3, $4, $5, $6)");
    char id[ULID_LEN + 1];
    ulid_new(id);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx &&
           tx_exec(tx, &insert,
                   VALUES(V_TEXT(id), V_INT(clock_utc_ms()), V_TEXT("age and count"), V_INT(deleted),
                          V_INT(before), V_NUM((double)(clock_mono_us() - began_us) / 1000)),
                   err) &&
           tx_commit(STEAL(tx), err);
}

bool history_retain(struct store *store, const struct config *config, int64_t *deleted, struct error **err)
{
    int64_t before = clock_utc_ms() - config->history.max_age_ms, began = clock_mono_us(), last;
    *deleted = 0;
    do {
        last = *deleted;
        if (!retain_piece(store, before, deleted, err))
            return error_wrap(err, "retention");
    } while (*deleted > last);
    if (!retain_crowded(store, config->history.max_actions, deleted, err))
        return error_wrap(err, "retention");
    return *deleted == 0 || record_run(store, *deleted, before, began, err);
}
