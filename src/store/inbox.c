/* The inbox. Appends are handed to one thread: it takes all that came while it was busy and commits them as one. */
#include "store/inbox.h"

#include <stdlib.h>

#include <pthread.h>

#include "metrics/metrics.h"
#include "store/jobs.h"
#include "store/store_internal.h"
#include "store_sql.h"

enum { MINUTE_MS = 60 * 1000, BATCH_MAX = 256, BATCH_BYTES_MAX = 8 << 20, PRESSED = 16 };

static const int64_t rank_after_ms[SEVERITY_COUNT] = {
    [SEVERITY_CRITICAL] = 0,          [SEVERITY_WARNING] = 2 * MINUTE_MS, [SEVERITY_INFO] = 10 * MINUTE_MS,
    [SEVERITY_NONE] = 20 * MINUTE_MS, [SEVERITY_OTHER] = 5 * MINUTE_MS,
};

int64_t inbox_rank_ms(enum severity severity, int64_t at_ms)
{
    return at_ms + rank_after_ms[severity];
}

struct append {
    struct append *next;
    const struct inbox_item *item;
    inbox_done_fn *done;
    void *context;
};

struct inbox_writer {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows, but not `waiting` */
    pthread_cond_t wake;
    struct append *first, **last;
    unsigned pending; /* appends in the list; atomic to read */
    bool stopping;
    int64_t waiting; /* alerts; atomic */
};

static bool append_at(struct tx *tx, const struct inbox_item *item, int64_t now, struct error **err)
{
    if (item->payload.len &&
        !tx_exec(tx, &inbox_append_sql,
                 VALUES(V_INT(inbox_rank_ms(item->severity, now)), V_INT((int64_t)item->alerts), V_INT(now),
                        V_TEXT(item->trace_id), V_STR(item->payload)),
                 err))
        return false;
    if (!item->rest_subject)
        return true;
    return job_request(tx,
                       &(struct job_request){ .kind = JOB_FETCH_REST,
                                              .subject = item->rest_subject,
                                              .payload = item->rest_payload,
                                              .severity = item->severity,
                                              .trace_id = item->trace_id },
                       err);
}

bool inbox_is_pressed(struct store *store)
{
    const struct inbox_writer *writer = store->inbox_writer;
    return writer && __atomic_load_n(&writer->pending, __ATOMIC_RELAXED) >= PRESSED;
}

bool inbox_append_in(struct tx *tx, const struct inbox_item *item, struct error **err)
{
    return append_at(tx, item, clock_utc_ms(), err);
}

static bool append_all(struct store *store, const struct append *first, struct error **err)
{
    int64_t now = clock_utc_ms();
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    for (const struct append *a = first; tx && a; a = a->next)
        if (!append_at(tx, a->item, now, err))
            return false;
    return tx && tx_commit(STEAL(tx), err);
}

/* A failure is everybody's: the cause is the disk, the file or the database, not one of the payloads. */
static void append_and_tell(struct inbox_writer *writer, struct append *first)
{
    AUTO(error) struct error *error = NULL;
    int64_t began_us = clock_mono_us(), requests = 0;
    bool ok = append_all(writer->store, first, &error);
    metric_observe(METRIC_INBOX_COMMIT_DURATION, (double)(clock_mono_us() - began_us) / 1e6);
    while (first) {
        struct append *next = first->next;
        if (ok)
            __atomic_add_fetch(&writer->waiting, (int64_t)first->item->alerts, __ATOMIC_RELAXED);
        first->done(first->context, ok ? NULL : error);
        free(first);
        first = next;
        requests++;
    }
    metric_observe(METRIC_INBOX_COMMIT_REQUESTS, (double)requests);
}

/* All that waits, or as much as one transaction should hold. */
static struct append *take_batch(struct inbox_writer *writer)
{
    struct append *first = writer->first, *end = first;
    size_t bytes = 0, count = 0;
    while (end) {
        bytes += end->item->payload.len;
        if (++count == BATCH_MAX || bytes >= BATCH_BYTES_MAX || !end->next)
            break;
        end = end->next;
    }
    if (!end)
        return NULL;
    writer->first = end->next;
    __atomic_sub_fetch(&writer->pending, (unsigned)count, __ATOMIC_RELAXED);
    if (!writer->first)
        writer->last = &writer->first;
    end->next = NULL;
    return first;
}

static void *write_inbox(void *context)
{
    struct inbox_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->first && !writer->stopping)
            pthread_cond_wait(&writer->wake, &writer->lock);
        struct append *batch = take_batch(writer);
        if (!batch)
            break;
        pthread_mutex_unlock(&writer->lock);
        append_and_tell(writer, batch);
        pthread_mutex_lock(&writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct inbox_writer *inbox_writer_start(struct store *store)
{
    struct inbox_writer *writer = xcalloc(1, sizeof *writer);
    writer->store = store;
    writer->last = &writer->first;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->wake, NULL);
    store->inbox_writer = writer;
    inbox_recount(store, NULL);
    if (pthread_create(&writer->thread, NULL, write_inbox, writer) != 0)
        abort();
    return writer;
}

void inbox_writer_stop(struct inbox_writer *writer)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->wake);
    free(writer);
}

void inbox_append_then(struct store *store, const struct inbox_item *item, inbox_done_fn *done, void *context)
{
    struct inbox_writer *writer = store->inbox_writer;
    struct append *append = xmalloc(sizeof *append);
    *append = (struct append){ .item = item, .done = done, .context = context };
    pthread_mutex_lock(&writer->lock);
    *writer->last = append;
    writer->last = &append->next;
    __atomic_add_fetch(&writer->pending, 1, __ATOMIC_RELAXED);
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done, ok;
    struct error *error;
};

static void wake_waiter(void *context, const struct error *error)
{
    struct waiter *waiter = context;
    pthread_mutex_lock(&waiter->lock);
    waiter->ok = !error;
    if (error)
        error_set(&waiter->error, error_code(error), "%s", error_message(error));
    waiter->done = true;
    pthread_cond_signal(&waiter->wake);
    pthread_mutex_unlock(&waiter->lock);
}

bool inbox_append(struct store *store, const struct inbox_item *item, struct error **err)
{
    struct waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
    inbox_append_then(store, item, wake_waiter, &waiter);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        pthread_cond_wait(&waiter.wake, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    if (!waiter.ok)
        error_move(err, &waiter.error);
    return waiter.ok;
}

int64_t inbox_waiting(struct store *store)
{
    return store->inbox_writer ? __atomic_load_n(&store->inbox_writer->waiting, __ATOMIC_RELAXED) : 0;
}

void inbox_appended(struct store *store, size_t alerts)
{
    if (store->inbox_writer)
        __atomic_add_fetch(&store->inbox_writer->waiting, (int64_t)alerts, __ATOMIC_RELAXED);
}

void inbox_finished(struct store *store, size_t alerts)
{
    if (store->inbox_writer)
        __atomic_sub_fetch(&store->inbox_writer->waiting, (int64_t)alerts, __ATOMIC_RELAXED);
}

bool inbox_recount(struct store *store, struct error **err)
{
    int64_t waiting = 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !tx_query_int(tx, &inbox_count_sql, NO_VALUES, &waiting, NULL, err))
        return false;
    __atomic_store_n(&store->inbox_writer->waiting, waiting, __ATOMIC_RELAXED);
    return true;
}

static bool read_candidates(struct tx *tx, struct arena *arena, int64_t now, size_t max,
                            struct inbox_claim *claims, size_t *count, struct error **err)
{
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, SQL_FOR(tx, inbox_candidates), VALUES(V_INT(now), V_INT((int64_t)max)), err);
    bool more = rows != NULL;
    while (more && *count < max) {
        if (!rows_next(rows, &more, err))
            return false;
        if (!more)
            break;
        claims[(*count)++] = (struct inbox_claim){
            .id = rows_int(rows, 0),
            .received_at = rows_int(rows, 1),
            .alerts = (size_t)rows_int(rows, 2),
            .trace_id = arena_text(arena, rows_text(rows, 3)),
            .payload = rows_keep(rows, 4, arena),
        };
    }
    return rows != NULL;
}

static bool claim_each(struct tx *tx, struct arena *arena, const char *owner, int64_t lease_ms, int64_t now,
                       struct inbox_claim *claims, size_t *count, struct error **err)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool ours = false;
        claims[kept] = claims[i];
        claims[kept].owner = arena_strdup(arena, owner);
        if (!tx_query_int(tx, &inbox_claim_sql,
                          VALUES(V_INT(claims[i].id), V_TEXT(owner), V_INT(now + lease_ms), V_INT(now)),
                          &claims[kept].fence, &ours, err))
            return false;
        kept += ours;
    }
    *count = kept;
    return true;
}

static const char *id_array(struct arena *arena, const struct inbox_claim *claims, size_t count)
{
    AUTO(strbuf) struct strbuf ids = { 0 };
    for (size_t i = 0; i < count; i++)
        strbuf_addf(&ids, "%c%lld", i ? ',' : '{', (long long)claims[i].id);
    strbuf_add_char(&ids, '}');
    return arena_text(arena, strbuf_str(&ids));
}

/* The same in one round trip. A fence begins at 1: what is 0 did not come back. */
static bool claim_all(struct tx *tx, struct arena *arena, const char *owner, int64_t lease_ms, int64_t now,
                      struct inbox_claim *claims, size_t *count, struct error **err)
{
    size_t kept = 0;
    AUTO(rows)
    struct rows *rows = tx_query(
        tx, &postgres_inbox_claim_all_sql,
        VALUES(V_TEXT(id_array(arena, claims, *count)), V_TEXT(owner), V_INT(now + lease_ms), V_INT(now)),
        err);
    bool more = rows != NULL;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        for (size_t i = 0; more && i < *count; i++)
            if (claims[i].id == rows_int(rows, 0))
                claims[i].fence = rows_int(rows, 1);
    }
    for (size_t i = 0; i < *count; i++) {
        claims[i].owner = arena_strdup(arena, owner);
        if (claims[i].fence)
            claims[kept++] = claims[i];
    }
    *count = kept;
    return rows != NULL;
}

bool inbox_claim(struct store *store, struct arena *arena, const char *owner, int64_t lease_ms, size_t max,
                 struct inbox_claim *claims, size_t *count, struct error **err)
{
    *count = 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    if (!tx)
        return false;
    int64_t now = tx_lease_now_ms(tx);
    if (!read_candidates(tx, arena, now, max, claims, count, err))
        return false;
    return *count == 0 || ((tx_is_postgres(tx) ? claim_all : claim_each)(tx, arena, owner, lease_ms, now,
                                                                         claims, count, err) &&
                           tx_commit(STEAL(tx), err));
}

static const char another_has_it[] = "a payload of the inbox is another worker's now";

bool inbox_renew(struct tx *tx, const struct inbox_claim *claim, int64_t lease_until, struct error **err)
{
    return tx_post(tx, &inbox_renew_sql,
                   VALUES(V_INT(claim->id), V_TEXT(claim->owner), V_INT(claim->fence), V_INT(lease_until)),
                   another_has_it, err);
}

bool inbox_finish(struct tx *tx, const struct inbox_claim *claim, struct error **err)
{
    return tx_post(tx, &inbox_release_sql,
                   VALUES(V_INT(claim->id), V_TEXT(claim->owner), V_INT(claim->fence)), another_has_it,
                   err) &&
           tx_post(tx, &inbox_delete_sql, VALUES(V_INT(claim->id)), another_has_it, err);
}

bool inbox_free(struct tx *tx, const struct inbox_claim *claim, struct error **err)
{
    return tx_exec(tx, &inbox_free_sql, VALUES(V_INT(claim->id), V_TEXT(claim->owner), V_INT(claim->fence)),
                   err);
}

bool inbox_refuse(struct tx *tx, const struct inbox_claim *claim, const char *why, struct error **err)
{
    char id[ULID_LEN + 1];
    ulid_new(id);
    return tx_exec(tx, &inbox_refuse_sql,
                   VALUES(V_TEXT(id), V_INT(claim->received_at), V_INT(clock_utc_ms()),
                          V_TEXT(claim->trace_id), V_STR(claim->payload), V_TEXT(why)),
                   err) &&
           inbox_finish(tx, claim, err);
}
