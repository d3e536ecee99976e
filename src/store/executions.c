#include "store/executions.h"

#include <math.h>
#include <stdio.h>

#include "store/list.h"
#include "store_sql.h"

const char *const execution_state_names[EXECUTION_STATE_COUNT] = { "pending",     "approved", "executing",
                                                                   "completed",   "failed",   "refused",
                                                                   "unsupported", "unknown",  "cancelled",
                                                                   "rolled-back" };

#define ENDS                                                                                                 \
    (BIT(EXECUTION_REFUSED) | BIT(EXECUTION_UNSUPPORTED) | BIT(EXECUTION_CANCELLED) | BIT(EXECUTION_FAILED))
static const unsigned may_become[EXECUTION_STATE_COUNT] = {
    [EXECUTION_PENDING] = BIT(EXECUTION_APPROVED) | ENDS,
    [EXECUTION_APPROVED] = BIT(EXECUTION_EXECUTING) | ENDS,
    [EXECUTION_EXECUTING] = BIT(EXECUTION_COMPLETED) | BIT(EXECUTION_UNKNOWN) | ENDS,
    [EXECUTION_COMPLETED] = BIT(EXECUTION_ROLLED_BACK),
    [EXECUTION_FAILED] = BIT(EXECUTION_ROLLED_BACK),
    [EXECUTION_UNKNOWN] = BIT(EXECUTION_ROLLED_BACK),
};

bool execution_state_parse(struct str name, enum execution_state *state)
{
    for (int i = 0; i < EXECUTION_STATE_COUNT; i++)
        if (str_eq(name, str_of(execution_state_names[i]))) {
            *state = (enum execution_state)i;
            return true;
        }
    return false;
}

bool execution_state_is_final(enum execution_state state)
{
    return state > EXECUTION_EXECUTING;
}

bool execution_may_become(enum execution_state from, enum execution_state to)
{
    return may_become[from] & BIT(to);
}

#define COLUMNS                                                                                              \
    "id, incident_id, decision_id, alert_id, alert_name, trace_id, state, action, parameters, cluster, "     \
    "namespace, kind, name, uid, dry_run, idempotency_key, requested_by, created_at, started_at, "           \
    "finished_at, updated_at, duration_ms, state_before, state_after, inverse, operations, error, undo_of, " \
    "undone_by, details, severity, confidence, affected, undo_at, owner, lease_until, fence"

static const char *keep(const struct rows *rows, int column, struct arena *arena)
{
    return rows_is_null(rows, column) ? NULL : arena_text(arena, rows_text(rows, column));
}

static void read_execution(struct rows *rows, struct arena *arena, struct execution *e)
{
    *e = (struct execution){ .state = EXECUTION_PENDING };
    snprintf(e->id, sizeof e->id, STR_FMT, STR_ARG(rows_text(rows, 0)));
    execution_state_parse(rows_text(rows, 6), &e->state);
    const char **const texts[] = { &e->incident_id, &e->decision_id, &e->alert_id, &e->alert_name,
                                   &e->trace_id };
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        *texts[i] = keep(rows, 1 + i, arena);
    const char **const names[] = { &e->action,      &e->parameters, &e->cluster,
                                   &e->namespace,   &e->kind,       &e->name,
                                   &e->uid,         &e->dry_run,    &e->idempotency_key,
                                   &e->requested_by };
    for (int i = 0; i < (int)ARRAY_LEN(names); i++)
        *names[i] = keep(rows, 7 + i, arena);
    e->created_at = rows_int(rows, 17);
    e->started_at = rows_int(rows, 18);
    e->finished_at = rows_int(rows, 19);
    e->updated_at = rows_int(rows, 20);
    e->duration_ms = rows_number(rows, 21);
    const char **const rest[] = { &e->state_before, &e->state_after, &e->inverse, &e->operations, &e->error,
                                  &e->undo_of,      &e->undone_by,   &e->details, &e->severity };
    for (int i = 0; i < (int)ARRAY_LEN(rest); i++)
        *rest[i] = keep(rows, 22 + i, arena);
    e->confidence = rows_is_null(rows, 31) ? NAN : rows_number(rows, 31);
    e->affected = rows_int(rows, 32);
    e->undo_at = rows_int(rows, 33);
    e->owner = keep(rows, 34, arena);
    e->lease_until = rows_int(rows, 35);
    e->fence = rows_int(rows, 36);
}

static struct value number_or_null(double number)
{
    return isnan(number) ? V_NULL : V_NUM(number);
}

bool execution_insert(struct tx *tx, struct execution *e, const char *owner, int64_t lease_ms, bool *inserted,
                      struct error **err)
{
    int64_t changed = 0;
    if (!e->id[0])
        ulid_new(e->id);
    e->updated_at = clock_utc_ms();
    if (!e->created_at)
        e->created_at = e->updated_at;
    e->lease_until = tx_lease_now_ms(tx) + lease_ms;
    e->owner = owner;
    e->fence = 1;
    if (!tx_exec_count(tx, &execution_insert_sql,
                       VALUES(V_TEXT(e->id), V_TEXT(e->incident_id), V_TEXT(e->decision_id),
                              V_TEXT(e->alert_id), V_TEXT(e->alert_name), V_TEXT(e->trace_id),
                              V_TEXT(execution_state_names[e->state]), V_TEXT(e->action),
                              V_TEXT(e->parameters), V_TEXT(e->cluster), V_TEXT(e->namespace),
                              V_TEXT(e->kind), V_TEXT(e->name), V_TEXT(e->dry_run),
                              V_TEXT(e->idempotency_key), V_TEXT(e->requested_by), V_INT(e->created_at),
                              V_TEXT(e->undo_of), V_TEXT(owner), V_INT(e->lease_until), V_TEXT(e->details),
                              V_TEXT(e->severity), number_or_null(e->confidence)),
                       &changed, err))
        return false;
    *inserted = changed == 1;
    return true;
}

static const char by_id_text[] = "SELECT " COLUMNS " FROM executions WHERE id = $1";
static const struct str by_id = { by_id_text, sizeof by_id_text - 1 };
static const char by_key_text[] = "SELECT " COLUMNS " FROM executions WHERE idempotency_key = $1";
static const struct str by_key = { by_key_text, sizeof by_key_text - 1 };

static bool read_one(struct tx *tx, struct arena *arena, const struct str *sql, const char *key,
                     struct execution *execution, bool *found, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, sql, VALUES(V_TEXT(key)), err);
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (*found)
        read_execution(rows, arena, execution);
    return true;
}

bool execution_get(struct tx *tx, struct arena *arena, const char *id, struct execution *execution,
                   struct error **err)
{
    bool found = false;
    return read_one(tx, arena, &by_id, id, execution, &found, err) &&
           (found ||
            error_set(err, ERROR_NOT_FOUND, "there is no execution %.40s: see `executions list`", id));
}

bool execution_by_key(struct tx *tx, struct arena *arena, const char *key, struct execution *execution,
                      bool *found, struct error **err)
{
    return read_one(tx, arena, &by_key, key, execution, found, err);
}

static bool save(struct tx *tx, struct execution *e, enum execution_state before, int64_t lease_ms,
                 struct error **err)
{
    int64_t changed = 0;
    e->updated_at = clock_utc_ms();
    e->lease_until = lease_ms ? tx_lease_now_ms(tx) + lease_ms : 0;
    if (!tx_exec_count(tx, &execution_save_sql,
                       VALUES(V_TEXT(e->id), V_INT(e->fence), V_TEXT(e->parameters), V_TEXT(e->cluster),
                              V_TEXT(e->namespace), V_TEXT(e->kind), V_TEXT(e->name), V_TEXT(e->uid),
                              V_TIME(e->started_at), V_TIME(e->finished_at),
                              e->finished_at ? V_NUM(e->duration_ms) : V_NULL, V_TEXT(e->state_before),
                              V_TEXT(e->state_after), V_TEXT(e->inverse), V_TEXT(e->operations),
                              V_TEXT(e->error), V_TEXT(e->undone_by), V_TEXT(e->details), V_INT(e->affected),
                              V_TIME(e->undo_at), V_TEXT(execution_state_names[e->state]),
                              V_INT(e->updated_at), V_INT(e->lease_until),
                              V_TEXT(execution_state_names[before])),
                       &changed, err))
        return false;
    return changed == 1 || error_set(err, ERROR_CONFLICT, "execution %s is another worker's now", e->id);
}

bool execution_save(struct tx *tx, struct execution *execution, int64_t lease_ms, struct error **err)
{
    return save(tx, execution, execution->state, lease_ms, err);
}

bool execution_enter(struct tx *tx, struct execution *execution, enum execution_state next, int64_t lease_ms,
                     struct error **err)
{
    enum execution_state before = execution->state;
    if (!execution_may_become(before, next))
        return error_set(err, ERROR_CONFLICT, "execution %s is %s and cannot become %s", execution->id,
                         execution_state_names[before], execution_state_names[next]);
    execution->state = next;
    if (next == EXECUTION_EXECUTING)
        execution->started_at = clock_utc_ms();
    if (execution_state_is_final(next) && !execution->finished_at) {
        execution->finished_at = clock_utc_ms();
        execution->duration_ms =
            (double)(execution->finished_at -
                     (execution->started_at ? execution->started_at : execution->created_at));
    }
    if (save(tx, execution, before, execution_state_is_final(next) ? 0 : lease_ms, err))
        return true;
    execution->state = before;
    return false;
}

bool execution_renew(struct tx *tx, const struct execution *execution, int64_t lease_ms, struct error **err)
{
    int64_t changed = 0;
    return tx_exec_count(
               tx, &execution_renew_sql,
               VALUES(V_TEXT(execution->id), V_INT(execution->fence), V_INT(tx_lease_now_ms(tx) + lease_ms)),
               &changed, err) &&
           (changed == 1 ||
            error_set(err, ERROR_CONFLICT, "execution %s is another worker's now", execution->id));
}

bool execution_take(struct tx *tx, struct arena *arena, const char *id, const char *owner, int64_t lease_ms,
                    struct execution *execution, bool *taken, struct error **err)
{
    int64_t changed = 0, now = tx_lease_now_ms(tx);
    if (!tx_exec_count(tx, &execution_take_sql,
                       VALUES(V_TEXT(id), V_TEXT(owner), V_INT(now + lease_ms), V_INT(now)), &changed, err))
        return false;
    *taken = changed == 1;
    return execution_get(tx, arena, id, execution, err);
}

bool execution_set_undone(struct tx *tx, const char *id, const char *by, struct error **err)
{
    return tx_exec(tx, &execution_undone_sql,
                   VALUES(V_TEXT(id), V_TEXT(by), V_TEXT(execution_state_names[EXECUTION_ROLLED_BACK]),
                          V_INT(clock_utc_ms())),
                   err);
}

bool execution_set_undo_at(struct tx *tx, const char *id, int64_t undo_at, struct error **err)
{
    return tx_exec(tx, &execution_undo_at_sql, VALUES(V_TEXT(id), V_INT(undo_at)), err);
}

bool execution_list(struct tx *tx, struct arena *arena, const struct execution_query *query,
                    struct executions *executions, struct error **err)
{
    struct list_query list = { .select = "SELECT " COLUMNS " FROM executions" };
    list_where(&list, "state = ?", V_TEXT(query->state));
    list_where(&list, "action = ?", V_TEXT(query->action));
    list_where(&list, "incident_id = ?", V_TEXT(query->incident_id));
    list_where(&list, "namespace = ?", V_TEXT(query->namespace));
    list_where(&list, "lower(kind) = lower(?)", V_TEXT(query->kind));
    list_where(&list, "name = ?", V_TEXT(query->name));
    list_where(&list, "requested_by = ?", V_TEXT(query->requested_by));
    list_where(&list, "id < ?", V_TEXT(query->before_id));
    AUTO(rows) struct rows *rows = list_run(tx, &list, query->limit, err);
    size_t room = 0;
    bool more = rows != NULL;
    *executions = (struct executions){ 0 };
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (executions->count == room) {
            struct execution *old = executions->items;
            room = room ? room * 2 : 32;
            executions->items = ARENA_ARRAY(arena, struct execution, room);
            if (old)
                memcpy(executions->items, old, executions->count * sizeof *old);
        }
        read_execution(rows, arena, &executions->items[executions->count++]);
    }
    return false;
}

static bool read_ids(struct rows *rows, struct arena *arena, struct id_list *ids, struct error **err)
{
    enum { PAGE = 20 }; /* as the statements say */
    bool more = rows != NULL;
    *ids = (struct id_list){ .items = ARENA_ARRAY(arena, const char *, PAGE) };
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (ids->count < PAGE)
            ids->items[ids->count++] = arena_text(arena, rows_text(rows, 0));
    }
    return false;
}

bool execution_abandoned(struct tx *tx, struct arena *arena, struct id_list *ids, struct error **err)
{
    AUTO(rows)
    struct rows *rows = tx_query(tx, &execution_abandoned_sql, VALUES(V_INT(tx_lease_now_ms(tx))), err);
    return read_ids(rows, arena, ids, err);
}

bool execution_expired(struct tx *tx, struct arena *arena, struct id_list *ids, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, &execution_expired_sql, VALUES(V_INT(clock_utc_ms())), err);
    return read_ids(rows, arena, ids, err);
}

bool execution_gate(struct tx *tx, struct error **err)
{
    return tx_exec(tx, &gate_close_sql, VALUES(V_INT(clock_utc_ms())), err);
}

bool execution_running(struct tx *tx, const char *except_id, int64_t *count, struct error **err)
{
    return tx_query_int(tx, &execution_running_sql, VALUES(V_TEXT(except_id)), count, NULL, err);
}

bool execution_busy(struct tx *tx, struct arena *arena, const struct execution *e, const char **id,
                    struct error **err)
{
    bool found = false;
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &execution_busy_sql,
                 VALUES(V_TEXT(e->namespace), V_TEXT(e->kind), V_TEXT(e->name), V_TEXT(e->id)), err);
    *id = NULL;
    if (!rows || !rows_next(rows, &found, err))
        return false;
    if (found)
        *id = arena_text(arena, rows_text(rows, 0));
    return true;
}

bool execution_counted(struct tx *tx, const struct execution_count *what, int64_t *executions,
                       int64_t *replicas, struct error **err)
{
    bool found = false;
    AUTO(rows)
    struct rows *rows = tx_query(tx, &execution_count_sql,
                                 VALUES(V_INT(what->since), V_TEXT(what->action), V_TEXT(what->namespace),
                                        V_TEXT(what->kind), V_TEXT(what->name), V_TEXT(what->except_id)),
                                 err);
    if (!rows || !rows_next(rows, &found, err))
        return false;
    *executions = found ? rows_int(rows, 0) : 0;
    *replicas = found ? rows_int(rows, 1) : 0;
    return true;
}

bool cooldown_get(struct tx *tx, const char *subject, int64_t *until, struct error **err)
{
    bool found = false;
    *until = 0;
    return tx_query_int(tx, &cooldown_get_sql, VALUES(V_TEXT(subject), V_INT(clock_utc_ms())), until, &found,
                        err);
}

bool cooldown_set(struct tx *tx, const char *subject, int64_t until, const char *execution_id,
                  const char *reason, struct error **err)
{
    return tx_exec(
        tx, &cooldown_set_sql,
        VALUES(V_TEXT(subject), V_INT(until), V_INT(clock_utc_ms()), V_TEXT(execution_id), V_TEXT(reason)),
        err);
}

bool verdict_insert(struct tx *tx, const struct verdict_row *row, struct error **err)
{
    char id[ULID_LEN + 1];
    ulid_new(id);
    return tx_exec(tx, &verdict_insert_sql,
                   VALUES(V_TEXT(id), V_TEXT(row->decision_id), V_TEXT(row->execution_id),
                          V_TEXT(row->incident_id), V_INT(clock_utc_ms()), V_TEXT(row->verdict),
                          V_TEXT(row->rule), V_TEXT(row->reason), V_TEXT(row->policy_sha256), V_NULL),
                   err);
}
