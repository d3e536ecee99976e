/* One PostgreSQL connection: statements prepared once, values in as text, rows out, SQLSTATEs into our codes.
 *
 * What is posted goes out in libpq's pipeline mode and is answered with the next statement that somebody waits for, so
 * that a transaction of many small writes is a few round trips. The mode is on only while answers are owed. */
#include "store/postgres_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_TEXT_MAX = 32, VALUES_MAX = 64 };

struct pg_rows {
    struct rows base;
    PGresult *result;
    int at; /* the row that next() came to; -1 before the first */
};

/* By class (the first two letters) or whole; the first that fits. Source: PostgreSQL manual, appendix A. */
static const struct {
    const char *state;
    enum error_code code;
    const char *advice;
} states[] = {
    { "23505", ERROR_EXISTS, "" },
    { "23", ERROR_CONFLICT, "" },
    { "40", ERROR_UNAVAILABLE, "" }, /* serialization failure, deadlock: the same again will do */
    { "08", ERROR_UNAVAILABLE, "" },
    { "53100", ERROR_UNAVAILABLE, ": the database server's disk is full" },
    { "53", ERROR_UNAVAILABLE, "" },
    { "57014", ERROR_TIMEOUT, "" },
    { "57", ERROR_UNAVAILABLE, "" },
    { "55", ERROR_UNAVAILABLE, "" },
    { "58", ERROR_UNAVAILABLE, "" },
    { "25006", ERROR_UNAVAILABLE, ": the database is read-only (a standby, or in recovery)" },
    { "28", ERROR_UNAUTHENTICATED, "" },
    { "42501", ERROR_DENIED, "" },
    { "22", ERROR_INVALID, "" },
    { "XX001", ERROR_CORRUPT, "" },
    { "XX002", ERROR_CORRUPT, "" },
};

bool pg_fail(PGconn *pg, const PGresult *result, struct error **err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!message || !message[0])
        message = PQerrorMessage(pg);
    struct str text = str_trim(str_of(message));
    if (!state || PQstatus(pg) != CONNECTION_OK)
        return error_set(err, ERROR_UNAVAILABLE, "PostgreSQL: " STR_FMT, STR_ARG(text));
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
            return error_set(err, states[i].code, "PostgreSQL: " STR_FMT "%s", STR_ARG(text),
                             states[i].advice);
    return error_set(err, ERROR_INTERNAL, "PostgreSQL: " STR_FMT " (%s)", STR_ARG(text), state);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

bool pg_run(PGconn *pg, const char *sql, struct error **err)
{
    PGresult *result = PQexec(pg, sql);
    bool ok = is_good(result) || pg_fail(pg, result, err);
    PQclear(result);
    return ok;
}

/* The server's time comes with it: in the same round trip, for whoever will ask about leases. */
bool pg_ensure_begun(struct pg_tx *tx, struct error **err)
{
#define THE_TIME "; SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    static const char *const begin[] = {
        [TX_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" THE_TIME,
        [TX_WRITE] = "BEGIN ISOLATION LEVEL READ COMMITTED" THE_TIME,
    };
#undef THE_TIME
    if (tx->begun)
        return true;
    PGresult *result = PQexec(tx->connection->pg, begin[tx->base.kind]);
    tx->begun = PQresultStatus(result) == PGRES_TUPLES_OK &&
                str_to_i64(str_of(PQgetvalue(result, 0, 0)), &tx->began_ms);
    tx->began_mono_ms = clock_boot_ms();
    if (!tx->begun)
        pg_fail(tx->connection->pg, result, err);
    PQclear(result);
    return tx->begun;
}

void pg_forget_statements(struct pg_connection *connection)
{
    for (size_t i = 0; i < PREPARED_BUCKETS; i++) {
        while (connection->prepared[i]) {
            struct prepared *prepared = connection->prepared[i];
            connection->prepared[i] = prepared->next;
            free(prepared);
        }
    }
}

static struct prepared **bucket_of(struct pg_connection *connection, struct str sql)
{
    return &connection->prepared[((uintptr_t)sql.ptr >> 4) % PREPARED_BUCKETS];
}

static const char *find_prepared(struct pg_connection *connection, struct str sql)
{
    for (struct prepared *p = *bucket_of(connection, sql); p; p = p->next)
        if (p->key == sql.ptr)
            return p->name;
    return NULL;
}

static const char *prepare(struct pg_connection *connection, struct str sql, struct error **err)
{
    struct prepared **bucket = bucket_of(connection, sql);
    struct prepared *prepared = xcalloc(1, sizeof *prepared);
    snprintf(prepared->name, sizeof prepared->name, "s%u", connection->prepared_count++);
    AUTO(text) char *text = xstrndup(sql.ptr, sql.len);
    PGresult *result = PQprepare(connection->pg, prepared->name, text, 0, NULL);
    bool ok = is_good(result) || pg_fail(connection->pg, result, err);
    PQclear(result);
    if (!ok) {
        error_wrap(err, "prepare %.80s", text);
        free(prepared);
        return NULL;
    }
    prepared->key = sql.ptr;
    prepared->next = *bucket;
    *bucket = prepared;
    return prepared->name;
}

/* Values as texts; numbers into `numbers`, texts copied where they do not end with a NUL. */
struct arguments {
    const char *texts[VALUES_MAX];
    char numbers[VALUES_MAX][NUMBER_TEXT_MAX];
    char *copies[VALUES_MAX];
    size_t count;
};

static void add_argument(struct arguments *arguments, const struct value *value)
{
    size_t i = arguments->count++;
    char *number = arguments->numbers[i];
    arguments->copies[i] = NULL;
    switch (value->kind) {
    case VALUE_NULL:
        arguments->texts[i] = NULL;
        break;
    case VALUE_INT:
        snprintf(number, NUMBER_TEXT_MAX, "%lld", (long long)value->integer);
        arguments->texts[i] = number;
        break;
    case VALUE_NUMBER:
        snprintf(number, NUMBER_TEXT_MAX, "%.17g", value->number);
        arguments->texts[i] = number;
        break;
    case VALUE_TEXT:
        arguments->copies[i] = xstrndup(value->text.ptr ? value->text.ptr : "", value->text.len);
        arguments->texts[i] = arguments->copies[i];
        break;
    }
}

static bool send(struct pg_connection *connection, struct str sql, const char *name, struct values values)
{
    struct arguments arguments = { .count = 0 };
    bool sent;
    for (size_t i = 0; i < values.count && i < VALUES_MAX; i++)
        add_argument(&arguments, &values.items[i]);
    if (name) {
        sent =
            PQsendQueryPrepared(connection->pg, name, (int)arguments.count, arguments.texts, NULL, NULL, 0);
    } else {
        AUTO(text) char *text = xstrndup(sql.ptr, sql.len);
        sent = PQsendQueryParams(connection->pg, text, (int)arguments.count, NULL, arguments.texts, NULL,
                                 NULL, 0);
    }
    for (size_t i = 0; i < arguments.count; i++)
        free(arguments.copies[i]);
    return sent;
}

/* ---- what was posted */

static void check_posted(struct pg_tx *tx, size_t at, const PGresult *result, struct error **first)
{
    const char *or_conflict = tx->or_conflict[at];
    if (*first || PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        return;
    if (!is_good(result))
        pg_fail(tx->connection->pg, result, first);
    else if (or_conflict && strcmp(PQcmdTuples((PGresult *)result), "1") != 0)
        error_set(first, ERROR_CONFLICT, "%s", or_conflict);
}

/* Answers in their order, each followed by a NULL, and the pipeline's end. Two NULLs: the connection is gone. `last` (may
 * be NULL) gets the answer to the statement that was sent after the posted ones. */
static bool read_answers(struct pg_tx *tx, PGresult **last, struct error **first)
{
    PGconn *pg = tx->connection->pg;
    size_t at = 0;
    for (int nulls = 0; nulls < 2;) {
        PGresult *result = PQgetResult(pg);
        nulls = result ? 0 : nulls + 1;
        bool ended = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (result && !ended && at < tx->posted)
            check_posted(tx, at, result, first);
        if (result && !ended && at++ == tx->posted && last)
            *last = STEAL(result);
        PQclear(result);
        if (ended)
            return true;
    }
    return false;
}

static bool end_pipeline(struct pg_tx *tx, PGresult **last, struct error **err)
{
    PGconn *pg = tx->connection->pg;
    AUTO(error) struct error *first = NULL;
    bool ended = PQpipelineSync(pg) && read_answers(tx, last, &first) && PQexitPipelineMode(pg);
    tx->posted = 0;
    if (!ended && !first)
        pg_fail(pg, NULL, &first);
    if (!first)
        return true;
    tx->broken = true;
    if (last)
        PQclear(STEAL(*last));
    error_move(err, &first);
    return false;
}

bool pg_settle(struct pg_tx *tx, struct error **err)
{
    return tx->posted == 0 || end_pipeline(tx, NULL, err);
}

/* Behind a statement that fails nothing is done until the pipeline's end, so COMMIT is not either. One that touched no
 * row has not failed as the server sees it: such are looked at first. */
bool pg_commit_posted(struct pg_tx *tx, struct error **err)
{
    PGresult *result = NULL;
    bool conditional = false;
    for (size_t i = 0; i < tx->posted; i++)
        conditional = conditional || tx->or_conflict[i];
    if (conditional && !pg_settle(tx, err))
        return false;
    if (!tx->posted)
        return pg_run(tx->connection->pg, "COMMIT", err);
    send(tx->connection, STR("COMMIT"), NULL, NO_VALUES);
    if (!end_pipeline(tx, &result, err))
        return false;
    bool ok = is_good(result) || pg_fail(tx->connection->pg, result, err);
    PQclear(result);
    return ok;
}

static bool check_usable(const struct pg_tx *tx, struct error **err)
{
    return !tx->broken ||
           error_set(err, ERROR_INTERNAL, "a statement of this transaction has failed: abort it");
}

/* The statement's name. To prepare one that is new, the pipeline has to end. */
static const char *prepared_name(struct pg_tx *tx, struct str sql, struct error **err)
{
    const char *name = find_prepared(tx->connection, sql);
    if (name)
        return name;
    name = pg_settle(tx, err) ? prepare(tx->connection, sql, err) : NULL;
    tx->broken = tx->broken || !name;
    return name;
}

bool pg_post(struct tx *base, struct str sql, struct values values, const char *or_conflict,
             struct error **err)
{
    struct pg_tx *tx = (struct pg_tx *)base;
    const char *name = check_usable(tx, err) ? prepared_name(tx, sql, err) : NULL;
    if (!name)
        return false;
    if ((!tx->posted && !PQenterPipelineMode(tx->connection->pg)) ||
        !send(tx->connection, sql, name, values)) {
        tx->broken = true;
        return pg_fail(tx->connection->pg, NULL, err);
    }
    tx->or_conflict[tx->posted++] = or_conflict;
    return tx->posted < POSTED_MAX || pg_settle(tx, err);
}

/* ---- what is waited for */

static PGresult *execute(struct pg_tx *tx, struct str sql, const char *name, struct values values,
                         struct error **err)
{
    PGconn *pg = tx->connection->pg;
    PGresult *result = NULL, *more;
    bool sent = send(tx->connection, sql, name, values);
    if (tx->posted) {
        if (!end_pipeline(tx, &result, err))
            return NULL;
    } else if (sent) {
        result = PQgetResult(pg);
        while ((more = PQgetResult(pg)))
            PQclear(more);
    }
    if (is_good(result))
        return result;
    pg_fail(pg, result, err);
    PQclear(result);
    return NULL;
}

struct rows *pg_query(struct tx *base, struct str sql, bool lasting, struct values values, struct error **err)
{
    struct pg_tx *tx = (struct pg_tx *)base;
    const char *name = NULL;
    if (!check_usable(tx, err))
        return NULL;
    if (!pg_ensure_begun(tx, err) || (lasting && !(name = prepared_name(tx, sql, err)))) {
        tx->broken = true;
        return NULL;
    }
    PGresult *result = execute(tx, sql, name, values, err);
    if (!result) {
        tx->broken = true;
        return NULL;
    }
    struct pg_rows *rows = xcalloc(1, sizeof *rows);
    *rows = (struct pg_rows){ .base = { base }, .result = result, .at = -1 };
    return &rows->base;
}

bool pg_next(struct rows *base, bool *more, struct error **err)
{
    struct pg_rows *rows = (struct pg_rows *)base;
    (void)err;
    *more = ++rows->at < PQntuples(rows->result);
    return true;
}

void pg_close_rows(struct rows *base)
{
    PQclear(((struct pg_rows *)base)->result);
    free(base);
}

int64_t pg_changed(const struct rows *base)
{
    int64_t changed = 0;
    str_to_i64(str_of(PQcmdTuples(((const struct pg_rows *)base)->result)), &changed);
    return changed;
}

bool pg_script(struct tx *base, struct str sql, struct error **err)
{
    struct pg_tx *tx = (struct pg_tx *)base;
    AUTO(text) char *text = xstrndup(sql.ptr, sql.len);
    bool ok = !tx->broken && pg_settle(tx, err) && pg_ensure_begun(tx, err) &&
              pg_run(tx->connection->pg, text, err);
    tx->broken = tx->broken || !ok;
    return ok;
}

bool pg_is_null(const struct rows *base, int column)
{
    const struct pg_rows *rows = (const struct pg_rows *)base;
    return PQgetisnull(rows->result, rows->at, column);
}

struct str pg_text(const struct rows *base, int column)
{
    const struct pg_rows *rows = (const struct pg_rows *)base;
    if (PQgetisnull(rows->result, rows->at, column))
        return (struct str){ 0 };
    return (struct str){ PQgetvalue(rows->result, rows->at, column),
                         (size_t)PQgetlength(rows->result, rows->at, column) };
}

int64_t pg_integer(const struct rows *base, int column)
{
    int64_t value = 0;
    struct str text = pg_text(base, column);
    if (str_eq(text, STR("t"))) /* a comparison's answer */
        return 1;
    str_to_i64(text, &value);
    return value;
}

double pg_number(const struct rows *base, int column)
{
    double value = 0;
    str_to_double(pg_text(base, column), &value);
    return value;
}
