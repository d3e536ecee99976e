#include "history/audit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "history/audit_internal.h"
#include "history_sql.h"
#include "store/settings.h"

enum { REPLICA_MAX = 256 };

struct audit {
    struct audit_options options; /* these are set at open */
    char *replica;

    pthread_mutex_t lock; /* guards next_checkpoint_ms, next_retention_ms */
    int64_t next_checkpoint_ms, next_retention_ms;
};

void audit_row_hash(const struct audit_row *row, char hex[SHA256_HEX_LEN + 1])
{
    const char *const texts[] = { row->previous_hash, row->replica,    row->actor,  row->event,
                                  row->subject_kind,  row->subject_id, row->details };
    AUTO(strbuf) struct strbuf text = { 0 };
    strbuf_addf(&text, "%lld %lld", (long long)row->seq, (long long)row->at);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        strbuf_addf(&text, "\n%zu %s", strlen(texts[i]), texts[i]);
    sha256_hex(strbuf_str(&text), hex);
}

void audit_checkpoint_text(struct strbuf *out, const char *replica, int64_t seq, int64_t at, const char *hash)
{
    strbuf_addf(out, "prometheus-alerts-slm audit checkpoint\n%zu %s\n%lld\n%lld\n%s", strlen(replica),
                replica, (long long)seq, (long long)at, hash);
}

void audit_row_read(const struct rows *rows, struct arena *arena, struct audit_row *row)
{
    *row = (struct audit_row){ .replica = arena_text(arena, rows_text(rows, 0)),
                               .seq = rows_int(rows, 1),
                               .at = rows_int(rows, 2),
                               .actor = arena_text(arena, rows_text(rows, 3)),
                               .event = arena_text(arena, rows_text(rows, 4)),
                               .subject_kind = arena_text(arena, rows_text(rows, 5)),
                               .subject_id = arena_text(arena, rows_text(rows, 6)),
                               .details = arena_text(arena, rows_text(rows, 7)),
                               .previous_hash = arena_text(arena, rows_text(rows, 8)),
                               .hash = arena_text(arena, rows_text(rows, 9)) };
}

static bool lock_chain(struct audit *audit, struct tx *tx, struct error **err)
{
    int64_t one;
    bool found;
    return !tx_is_postgres(tx) ||
           tx_query_int(tx, &postgres_audit_lock_sql, VALUES(V_TEXT(audit->replica)), &one, &found, err);
}

static bool read_head(struct audit *audit, struct tx *tx, int64_t *seq, char hash[SHA256_HEX_LEN + 1],
                      struct error **err)
{
    bool found;
    AUTO(rows) struct rows *rows = tx_query(tx, &audit_last_sql, VALUES(V_TEXT(audit->replica)), err);
    *seq = 0;
    hash[0] = '\0';
    if (!rows || !rows_next(rows, &found, err))
        return false;
    if (found) {
        *seq = rows_int(rows, 0);
        snprintf(hash, SHA256_HEX_LEN + 1, STR_FMT, STR_ARG(rows_text(rows, 1)));
    }
    return true;
}

bool audit_append(struct audit *audit, struct tx *tx, const struct audit_entry *entry, struct error **err)
{
    char previous[SHA256_HEX_LEN + 1], hash[SHA256_HEX_LEN + 1];
    struct audit_row row = { .replica = audit->replica,
                             .at = clock_utc_ms(),
                             .actor = entry->actor,
                             .event = entry->event,
                             .subject_kind = entry->subject_kind,
                             .subject_id = entry->subject_id,
                             .details = entry->details ? entry->details : "{}",
                             .previous_hash = previous };
    if (!lock_chain(audit, tx, err) || !read_head(audit, tx, &row.seq, previous, err))
        return error_wrap(err, "audit log");
    row.seq++;
    audit_row_hash(&row, hash);
    return tx_exec(tx, &audit_insert_sql,
                   VALUES(V_TEXT(row.replica), V_INT(row.seq), V_INT(row.at), V_TEXT(row.actor),
                          V_TEXT(row.event), V_TEXT(row.subject_kind), V_TEXT(row.subject_id),
                          V_TEXT(row.details), V_TEXT(row.previous_hash), V_TEXT(hash)),
                   err) ||
           error_wrap(err, "audit log");
}

bool audit_write(struct audit *audit, const struct audit_entry *entry, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(audit->options.store, TX_WRITE, err);
    return tx && audit_append(audit, tx, entry, err) && tx_commit(STEAL(tx), err);
}

/* --- checkpoints */

static bool sign_head(struct audit *audit, struct tx *tx, struct strbuf *signature, int64_t *seq,
                      char hash[SHA256_HEX_LEN + 1], struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    int64_t last = 0, at = clock_utc_ms();
    bool found;
    if (!read_head(audit, tx, seq, hash, err) ||
        !tx_query_int(tx, &audit_checkpoint_last_sql, VALUES(V_TEXT(audit->replica)), &last, &found, err))
        return false;
    if (*seq == 0 || (found && last >= *seq)) {
        *seq = 0; /* nothing new */
        return true;
    }
    audit_checkpoint_text(&text, audit->replica, *seq, at, hash);
    return audit_key_sign(audit->options.key, strbuf_str(&text), signature, err) &&
           tx_exec(tx, &audit_checkpoint_insert_sql,
                   VALUES(V_TEXT(audit->replica), V_INT(*seq), V_INT(at), V_TEXT(hash),
                          V_TEXT(audit_key_id(audit->options.key)), V_STR(strbuf_str(signature))),
                   err);
}

bool audit_checkpoint(struct audit *audit, struct error **err)
{
    char hash[SHA256_HEX_LEN + 1];
    AUTO(strbuf) struct strbuf signature = { 0 };
    int64_t seq;
    AUTO(tx) struct tx *tx = tx_begin(audit->options.store, TX_WRITE, err);
    if (!tx || !lock_chain(audit, tx, err) || !sign_head(audit, tx, &signature, &seq, hash, err) ||
        !tx_commit(STEAL(tx), err))
        return error_wrap(err, "audit checkpoint");
    if (seq) /* also where the store cannot reach: a cut tail shows */
        log_info("audit checkpoint", KV("replica", audit->replica), KV_INT("seq", seq), KV("hash", hash),
                 KV("key", audit_key_id(audit->options.key)), KV("signature", signature.ptr));
    return true;
}

static bool is_due(struct audit *audit, int64_t *next, int64_t every_ms)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&audit->lock);
    bool due = now >= *next;
    if (due)
        *next = now + every_ms;
    pthread_mutex_unlock(&audit->lock);
    return due;
}

static bool audit_feed(struct audit *audit, struct error **err);

bool audit_tend(struct audit *audit, struct error **err)
{
    enum { RETENTION_EVERY_MS = 3600 * 1000 };
    int64_t deleted;
    if (!audit_feed(audit, err))
        return false;
    if (is_due(audit, &audit->next_checkpoint_ms, audit->options.checkpoint_every_ms) &&
        !audit_checkpoint(audit, err))
        return false;
    return !is_due(audit, &audit->next_retention_ms, RETENTION_EVERY_MS) || audit->options.max_age_ms <= 0 ||
           audit_retain(audit->options.store, audit->options.max_age_ms, &deleted, err);
}

struct audit *audit_open(const struct audit_options *options, struct error **err)
{
    (void)err;
    char host[REPLICA_MAX] = "replica";
    struct audit *audit = xcalloc(1, sizeof *audit);
    gethostname(host, sizeof host - 1);
    audit->options = *options;
    audit->replica = xstrdup(options->replica && *options->replica ? options->replica : host);
    audit->next_checkpoint_ms = clock_mono_ms() + options->checkpoint_every_ms;
    audit->next_retention_ms = clock_mono_ms();
    pthread_mutex_init(&audit->lock, NULL);
    return audit;
}

void audit_close(struct audit *audit)
{
    AUTO(error) struct error *err = NULL;
    if (!audit)
        return;
    if (!audit_checkpoint(audit, &err))
        log_warn("last audit checkpoint failed", KV("error", error_message(err)));
    audit_key_free(audit->options.key);
    pthread_mutex_destroy(&audit->lock);
    free(audit->replica);
    free(audit);
}

/* --- the feed: rows of other tables that are new become entries */

enum { FEED_LAG_MS = 2000 }; /* so that a transaction that is still open is not passed over */

struct feed {
    const char *setting; /* how far it has come */
    const struct str *sql;
    const char *kind;
    int actor, state; /* columns; -1: none */
    const char *event;
    const char *const *columns; /* names for the details, by position; NULL: left out */
};

static const char *const execution_columns[] = { NULL,         NULL,        NULL,    NULL,
                                                 "action",     "namespace", "kind",  "name",
                                                 "parameters", "dry_run",   "error", "undo_of" };
static const char *const verdict_columns[] = { NULL,   NULL,     "execution_id", NULL,
                                               "rule", "reason", "policy_sha256" };
static const char *const approval_columns[] = { NULL, NULL, NULL, NULL, "execution_id", "reason" };
static const struct feed feeds[] = {
    { "audit.feed.verdicts", &audit_feed_verdicts_sql, "verdict", -1, 3, "verdict", verdict_columns },
    { "audit.feed.approvals", &audit_feed_approvals_sql, "approval", 2, 3, "approval", approval_columns },
    { "audit.feed.executions", &audit_feed_executions_sql, "execution", 2, 3, "execution",
      execution_columns },
};
static const size_t feed_columns[] = { ARRAY_LEN(verdict_columns), ARRAY_LEN(approval_columns),
                                       ARRAY_LEN(execution_columns) };

struct pending {
    struct audit_entry entry;
    int64_t at;
};

static void read_pending(const struct feed *feed, size_t columns, const struct rows *rows,
                         struct arena *arena, struct pending *pending)
{
    AUTO(strbuf) struct strbuf details = { 0 };
    strbuf_add_char(&details, '{');
    for (size_t i = 0; i < columns; i++)
        if (feed->columns[i] && !rows_is_null(rows, (int)i)) {
            strbuf_addf(&details, "%s\"%s\":", details.len > 1 ? "," : "", feed->columns[i]);
            strbuf_add_json(&details, rows_text(rows, (int)i));
        }
    strbuf_add_char(&details, '}');
    struct str actor = feed->actor < 0 ? STR("policy") : rows_text(rows, feed->actor);
    pending->at = rows_int(rows, 0);
    pending->entry = (struct audit_entry){
        .actor = arena_text(arena, actor.len ? actor : STR("system")),
        .event = arena_printf(arena, "%s " STR_FMT, feed->event, STR_ARG(rows_text(rows, feed->state))),
        .subject_kind = feed->kind,
        .subject_id = arena_text(arena, rows_text(rows, 1)),
        .details = arena_text(arena, strbuf_str(&details)),
    };
}

static bool read_cursor(struct tx *tx, struct arena *arena, const struct feed *feed, int64_t *cursor,
                        struct error **err)
{
    struct str text;
    bool found;
    *cursor = 0;
    return setting_get(tx, arena, feed->setting, &text, &found, err) &&
           (!found || str_to_i64(text, cursor) || true);
}

/* A millisecond is taken whole or not at all: the last one of a full page waits for the next. */
static bool feed_one(struct audit *audit, struct tx *tx, struct arena *arena, size_t index,
                     struct error **err)
{
    enum { PAGE = 500 }; /* as in the statements */
    const struct feed *feed = &feeds[index];
    struct pending *pending = ARENA_ARRAY(arena, struct pending, PAGE);
    int64_t cursor, until = clock_utc_ms() - FEED_LAG_MS;
    size_t count = 0;
    if (!read_cursor(tx, arena, feed, &cursor, err))
        return false;
    {
        AUTO(rows) struct rows *rows = tx_query(tx, feed->sql, VALUES(V_INT(cursor), V_INT(until)), err);
        bool more = rows != NULL;
        while (more) {
            if (!rows_next(rows, &more, err))
                return false;
            if (more && count < PAGE)
                read_pending(feed, feed_columns[index], rows, arena, &pending[count++]);
        }
        if (!rows)
            return false;
    }
    if (!count)
        return true;
    size_t take = count;
    while (count == PAGE && take > 0 && pending[take - 1].at == pending[count - 1].at)
        take--;
    if (take == 0)
        take = count; /* five hundred within one millisecond: those beyond are told of at their next change */
    for (size_t i = 0; i < take; i++)
        if (!audit_append(audit, tx, &pending[i].entry, err))
            return false;
    return setting_set(tx, feed->setting,
                       str_of(arena_printf(arena, "%lld", (long long)pending[take - 1].at)), err);
}

/* A look first, which needs no turn of the writer's. */
static bool has_news(struct audit *audit, struct arena *arena, bool *news, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(audit->options.store, TX_READ, err);
    *news = false;
    for (size_t i = 0; i < ARRAY_LEN(feeds); i++) {
        int64_t cursor;
        bool more;
        if (!tx || !read_cursor(tx, arena, &feeds[i], &cursor, err))
            return false;
        AUTO(rows)
        struct rows *rows =
            tx_query(tx, feeds[i].sql, VALUES(V_INT(cursor), V_INT(clock_utc_ms() - FEED_LAG_MS)), err);
        if (!rows || !rows_next(rows, &more, err))
            return false;
        *news |= more;
    }
    return true;
}

static bool audit_feed(struct audit *audit, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    bool news;
    if (!has_news(audit, arena, &news, err))
        return false;
    if (!news)
        return true;
    AUTO(tx) struct tx *tx = tx_begin(audit->options.store, TX_WRITE, err);
    int64_t one;
    bool found;
    static const struct str lock =
        STR("SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtext('audit feed'))) x");
    if (!tx || (tx_is_postgres(tx) && !tx_query_int(tx, &lock, NO_VALUES, &one, &found, err)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(feeds); i++)
        if (!feed_one(audit, tx, arena, i, err))
            return error_wrap(err, "audit log");
    return tx_commit(STEAL(tx), err);
}

/* --- retention: at checkpoints, so that what is left can still be verified */

bool audit_retain(struct store *store, int64_t max_age_ms, int64_t *deleted, struct error **err)
{
    enum { REPLICAS_MAX = 256 };
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    const char *replicas[REPLICAS_MAX];
    int64_t seqs[REPLICAS_MAX];
    size_t count = 0;
    *deleted = 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    if (!tx)
        return false;
    {
        AUTO(rows)
        struct rows *rows = tx_query(tx, &audit_old_sql, VALUES(V_INT(clock_utc_ms() - max_age_ms)), err);
        bool more = rows != NULL;
        while (more) {
            if (!rows_next(rows, &more, err))
                return false;
            if (more && count < REPLICAS_MAX) {
                replicas[count] = arena_text(arena, rows_text(rows, 0));
                seqs[count++] = rows_int(rows, 1);
            }
        }
        if (!rows)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t now_deleted = 0;
        if (!tx_exec_count(tx, &audit_cut_sql, VALUES(V_TEXT(replicas[i]), V_INT(seqs[i])), &now_deleted,
                           err) ||
            !tx_exec(tx, &audit_cut_checkpoints_sql, VALUES(V_TEXT(replicas[i]), V_INT(seqs[i])), err))
            return false;
        *deleted += now_deleted;
    }
    return tx_commit(STEAL(tx), err);
}
