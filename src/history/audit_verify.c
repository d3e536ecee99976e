#include <stdarg.h>
#include <stdio.h>

#include "history/audit_internal.h"
#include "history_sql.h"

enum { PROBLEMS_MAX = 100 };

struct checkpoint {
    const char *replica, *hash, *key_id, *signature;
    int64_t seq, at;
};
struct verifying {
    struct arena *arena;
    const struct audit_key *const *keys;
    size_t key_count;
    struct checkpoint *checkpoints; /* by replica and seq */
    size_t checkpoint_count;
    struct audit_verified *out;

    const char *replica; /* of the chain at hand */
    int64_t seq, signed_seq;
    char hash[SHA256_HEX_LEN + 1];
    size_t next; /* checkpoint of this chain that is still ahead */
};

__attribute__((format(printf, 4, 5))) static void report(struct verifying *v, const char *replica,
                                                         int64_t seq, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (v->out->problem_count < PROBLEMS_MAX)
        v->out->problems[v->out->problem_count++] =
            (struct audit_problem){ replica, seq, arena_strdup(v->arena, text) };
}

static bool read_checkpoints(struct verifying *v, struct tx *tx, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, &audit_checkpoints_sql, NO_VALUES, err);
    size_t room = 0;
    bool more = rows != NULL;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        if (!more)
            break;
        if (v->checkpoint_count == room) {
            struct checkpoint *old = v->checkpoints;
            room = room ? room * 2 : 256;
            v->checkpoints = ARENA_ARRAY(v->arena, struct checkpoint, room);
            if (old)
                memcpy(v->checkpoints, old, v->checkpoint_count * sizeof *old);
        }
        v->checkpoints[v->checkpoint_count++] =
            (struct checkpoint){ .replica = arena_text(v->arena, rows_text(rows, 0)),
                                 .seq = rows_int(rows, 1),
                                 .at = rows_int(rows, 2),
                                 .hash = arena_text(v->arena, rows_text(rows, 3)),
                                 .key_id = arena_text(v->arena, rows_text(rows, 4)),
                                 .signature = arena_text(v->arena, rows_text(rows, 5)) };
    }
    return rows != NULL;
}

static void check_signature(struct verifying *v, const struct checkpoint *c)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    audit_checkpoint_text(&text, c->replica, c->seq, c->at, c->hash);
    v->out->checkpoints++;
    for (size_t i = 0; i < v->key_count; i++)
        if (strcmp(audit_key_id(v->keys[i]), c->key_id) == 0) {
            if (!audit_key_verify(v->keys[i], strbuf_str(&text), str_of(c->signature)))
                report(v, c->replica, c->seq, "the checkpoint's signature is wrong: it was changed");
            return;
        }
    report(v, c->replica, c->seq, "the checkpoint is signed by key %s, which was not given: add --key",
           c->key_id);
}

/* The first checkpoint of a chain, where the entries begin right after it: that is where retention cut. */
static const struct checkpoint *cut_of(const struct verifying *v, const char *replica, int64_t first_seq)
{
    for (size_t i = 0; i < v->checkpoint_count; i++)
        if (strcmp(v->checkpoints[i].replica, replica) == 0)
            return v->checkpoints[i].seq == first_seq - 1 ? &v->checkpoints[i] : NULL;
    return NULL;
}

static void begin_chain(struct verifying *v, const struct audit_row *row)
{
    const struct checkpoint *cut = cut_of(v, row->replica, row->seq);
    v->replica = row->replica;
    v->seq = v->signed_seq = 0;
    v->hash[0] = '\0';
    if (cut) {
        v->seq = v->signed_seq = cut->seq;
        snprintf(v->hash, sizeof v->hash, "%s", cut->hash);
    }
    v->next = 0;
    while (v->next < v->checkpoint_count && strcmp(v->checkpoints[v->next].replica, row->replica) != 0)
        v->next++;
}

static bool is_ahead(const struct verifying *v)
{
    return v->next < v->checkpoint_count && strcmp(v->checkpoints[v->next].replica, v->replica) == 0;
}

static void check_checkpoints_at(struct verifying *v, const struct audit_row *row)
{
    for (; is_ahead(v) && v->checkpoints[v->next].seq <= row->seq; v->next++) {
        const struct checkpoint *c = &v->checkpoints[v->next];
        v->signed_seq = MAX(v->signed_seq, c->seq);
        if (c->seq == row->seq && strcmp(c->hash, row->hash) != 0)
            report(v, row->replica, row->seq,
                   "the entry is not the one that was signed: the chain was made anew");
    }
}

static void end_chain(struct verifying *v)
{
    if (!v->replica)
        return;
    for (; is_ahead(v); v->next++)
        report(v, v->replica, v->seq + 1, "the tail is cut: entry %lld was signed, and the log ends at %lld",
               (long long)v->checkpoints[v->next].seq, (long long)v->seq);
    v->out->unsigned_tail += v->seq - v->signed_seq;
    v->replica = NULL;
}

static void check_row(struct verifying *v, const struct audit_row *row)
{
    char hash[SHA256_HEX_LEN + 1];
    if (!v->replica || strcmp(v->replica, row->replica) != 0) {
        end_chain(v);
        begin_chain(v, row);
    }
    v->out->entries++;
    if (row->seq > v->seq + 1)
        report(v, row->replica, v->seq + 1, "%lld missing: the next one is entry %lld",
               (long long)(row->seq - v->seq - 1), (long long)row->seq);
    audit_row_hash(row, hash);
    if (strcmp(hash, row->hash) != 0)
        report(v, row->replica, row->seq, "the entry was changed: its content does not have its hash");
    else if (row->seq == v->seq + 1 && strcmp(row->previous_hash, v->hash) != 0)
        report(v, row->replica, row->seq,
               "the entry does not follow the one before: one of them was replaced or moved");
    check_checkpoints_at(v, row);
    v->seq = row->seq;
    snprintf(v->hash, sizeof v->hash, "%s", row->hash);
}

static bool check_rows(struct verifying *v, struct tx *tx, struct error **err)
{
    AUTO(arena) struct arena *names = arena_new(4096);
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    AUTO(rows) struct rows *rows = tx_query(tx, &audit_all_sql, NO_VALUES, err);
    bool more = rows != NULL;
    while (more) {
        struct audit_row row;
        if (!rows_next(rows, &more, err))
            return false;
        if (!more)
            break;
        arena_reset(arena);
        audit_row_read(rows, arena, &row);
        if (!v->replica || strcmp(v->replica, row.replica) != 0)
            row.replica = arena_strdup(v->arena, row.replica); /* outlives the row: problems name it */
        else
            row.replica = v->replica;
        check_row(v, &row);
    }
    end_chain(v);
    return rows != NULL;
}

/* Chains of which nothing but checkpoints is left. A single one is where retention cut everything off. */
static bool check_empty_chains(struct verifying *v, struct tx *tx, struct error **err)
{
    static const struct str has = STR("SELECT seq FROM audit_log WHERE replica = $1 LIMIT 1");
    for (size_t i = 0; i < v->checkpoint_count; i++) {
        const struct checkpoint *c = &v->checkpoints[i];
        bool first = i == 0 || strcmp(v->checkpoints[i - 1].replica, c->replica) != 0, found;
        int64_t seq;
        if (first)
            continue;
        if (!tx_query_int(tx, &has, VALUES(V_TEXT(c->replica)), &seq, &found, err))
            return false;
        if (!found)
            report(v, c->replica, c->seq,
                   "the entry is missing: it was signed, and the log of this replica is empty");
    }
    return true;
}

bool audit_verify(struct store *store, struct arena *arena, const struct audit_key *const *keys,
                  size_t key_count, struct audit_verified *verified, struct error **err)
{
    struct verifying v = { .arena = arena, .keys = keys, .key_count = key_count, .out = verified };
    *verified = (struct audit_verified){ .problems = ARENA_ARRAY(arena, struct audit_problem, PROBLEMS_MAX) };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !read_checkpoints(&v, tx, err))
        return false;
    for (size_t i = 0; i < v.checkpoint_count; i++)
        check_signature(&v, &v.checkpoints[i]);
    return check_rows(&v, tx, err) && check_empty_chains(&v, tx, err);
}

void audit_verified_write(const struct audit_verified *v, struct strbuf *out)
{
    strbuf_addf(out,
                "{\"ok\":%s,\"entries\":%lld,\"checkpoints\":%lld,\"entries_after_last_checkpoint\":%lld,"
                "\"problems\":[",
                v->problem_count ? "false" : "true", (long long)v->entries, (long long)v->checkpoints,
                (long long)v->unsigned_tail);
    for (size_t i = 0; i < v->problem_count; i++) {
        strbuf_addf(out, "%s{\"replica\":", i ? "," : "");
        strbuf_add_json(out, str_of(v->problems[i].replica));
        strbuf_addf(out, ",\"seq\":%lld,\"problem\":", (long long)v->problems[i].seq);
        strbuf_add_json(out, str_of(v->problems[i].what));
        strbuf_add_char(out, '}');
    }
    strbuf_add_text(out, "]}");
}
