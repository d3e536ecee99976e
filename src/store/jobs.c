#include "store/jobs.h"

#include "store/inbox.h"
#include "store_sql.h"

bool job_request(struct tx *tx, const struct job_request *request, struct error **err)
{
    int64_t now = clock_utc_ms(), due_at = request->due_at ? request->due_at : now;
    return tx_post(tx, &job_request_sql,
                   VALUES(V_TEXT(request->kind), V_TEXT(request->subject),
                          V_INT(inbox_rank_ms(request->severity, due_at)), V_INT(due_at),
                          V_TEXT(request->payload), V_TEXT(request->trace_id), V_INT(now)),
                   NULL, err);
}

static void read_job(struct rows *rows, struct arena *arena, const char *kind, const char *owner,
                     struct job *job)
{
    *job = (struct job){
        .kind = arena_strdup(arena, kind),
        .owner = arena_strdup(arena, owner),
        .subject = arena_text(arena, rows_text(rows, 0)),
        .payload = rows_is_null(rows, 1) ? NULL : arena_text(arena, rows_text(rows, 1)),
        .trace_id = arena_text(arena, rows_text(rows, 2)),
        .generation = rows_int(rows, 3),
        .attempts = rows_int(rows, 4),
        .fence = rows_int(rows, 5),
        .created_at = rows_int(rows, 6),
    };
}

static bool is_job_due(struct store *store, const char *kind, int64_t utc, bool *due, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    int64_t one;
    return tx && tx_query_int(tx, &job_due_sql,
                              VALUES(V_TEXT(kind), V_INT(tx_lease_now_ms(tx)), V_INT(utc),
                                     V_INT(inbox_rank_ms(SEVERITY_NONE, utc))),
                              &one, due, err);
}

/* On SQLite a look first, which needs no turn of the writer's: idle workers ask often. PostgreSQL's writers are many, and a
 * claim that finds nothing costs it no more than the look. */
bool job_claim(struct store *store, struct arena *arena, const char *kind, const char *owner,
               int64_t lease_ms, struct job *job, bool *found, struct error **err)
{
    int64_t utc = clock_utc_ms();
    if (!store_is_postgres(store)) {
        if (!is_job_due(store, kind, utc, found, err))
            return false;
        if (!*found)
            return true;
    }
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    if (!tx)
        return false;
    int64_t now = tx_lease_now_ms(tx);
    {
        AUTO(rows)
        struct rows *rows =
            tx_query(tx, SQL_FOR(tx, job_claim),
                     VALUES(V_TEXT(kind), V_INT(now), V_INT(utc), V_INT(inbox_rank_ms(SEVERITY_NONE, utc)),
                            V_TEXT(owner), V_INT(now + lease_ms)),
                     err);
        if (!rows || !rows_next(rows, found, err))
            return false;
        if (!*found)
            return true;
        read_job(rows, arena, kind, owner, job);
    }
    return tx_commit(STEAL(tx), err);
}

static bool still_ours(const struct job *job, int64_t changed, struct error **err)
{
    return changed == 1 ||
           error_set(err, ERROR_CONFLICT, "job %s %s is another worker's now", job->kind, job->subject);
}

#define JOB_KEY(job) V_TEXT((job)->kind), V_TEXT((job)->subject), V_TEXT((job)->owner), V_INT((job)->fence)

bool job_renew(struct tx *tx, const struct job *job, int64_t lease_ms, struct error **err)
{
    int64_t changed = 0;
    return tx_exec_count(tx, &job_renew_sql, VALUES(JOB_KEY(job), V_INT(tx_lease_now_ms(tx) + lease_ms)),
                         &changed, err) &&
           still_ours(job, changed, err);
}

bool job_finish(struct tx *tx, const struct job *job, struct error **err)
{
    int64_t deleted = 0, released = 0;
    if (!tx_exec_count(tx, &job_finish_sql, VALUES(JOB_KEY(job), V_INT(job->generation)), &deleted, err))
        return false;
    if (deleted == 1)
        return true;
    return tx_exec_count(tx, &job_again_sql, VALUES(JOB_KEY(job)), &released, err) &&
           still_ours(job, released, err);
}

bool job_retry(struct tx *tx, const struct job *job, int64_t after_ms, const char *why, struct error **err)
{
    int64_t changed = 0;
    return tx_exec_count(tx, &job_retry_sql,
                         VALUES(JOB_KEY(job), V_INT(clock_utc_ms() + after_ms), V_INT(after_ms), V_TEXT(why)),
                         &changed, err) &&
           still_ours(job, changed, err);
}

bool job_cancel(struct tx *tx, const char *kind, const char *subject, struct error **err)
{
    return tx_exec(tx, &job_cancel_sql, VALUES(V_TEXT(kind), V_TEXT(subject)), err);
}
