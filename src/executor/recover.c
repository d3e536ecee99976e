/* What nobody holds: executions that were cut off, those that a person has approved, approvals that ran out, and those
 * whose time to be undone has come. Any process does this; a lease lets only one at a time. */
#include "executor/executor_internal.h"

#include <stdlib.h>

/* Taken over in the middle: ask the cluster what has happened, then go on from there. */
static bool go_on(struct run *run, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    run->recovered = true;
    run->undetermined = false;
    run->wrote = true;
    if (!run->k8s && run->mode == CONFIG_DRY_RUN_OFF)
        return error_set(err, ERROR_UNAVAILABLE, "execution %s cannot be recovered without a cluster",
                         run->row.id);
    bool ok = steps_read(run, run->row.operations, &why) &&
              (run->mode != CONFIG_DRY_RUN_OFF || operations[run->action].done_already(run, &why));
    if (!ok && error_code(why) != ERROR_CORRUPT)
        run->undetermined = true;
    ok = ok && operations[run->action].apply(run, &why);
    log_info("execution recovered", KV("execution", run->row.id), KV_BOOL("finished", ok));
    return run_finish(run, ok, why, err);
}

/* A person has approved it: planned and judged anew, for the cluster is another by now. */
static bool begin_approved(struct run *run, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_READ, err);
    struct approval approval;
    bool found;
    if (!tx || !approval_get(tx, run->arena, run->row.id, &approval, &found, err))
        return false;
    tx_abort(STEAL(tx));
    run->approved = found && strcmp(approval.state, "approved") == 0;
    if (run->approved)
        return run_to_end(run, err);
    AUTO(error) struct error *why = NULL;
    error_set(&why, ERROR_CANCELLED, "the process that planned it ended before it began");
    return run_finish(run, false, why, err);
}

static bool mode_of_row(const struct execution *row, enum config_dry_run *mode)
{
    enum executor_mode parsed;
    if (!executor_mode_parse(str_of(row->dry_run), &parsed))
        return false;
    *mode = (enum config_dry_run)(parsed - EXECUTOR_PLAN);
    return true;
}

bool run_recover(struct executor *executor, struct arena *arena, const char *id, struct error **err)
{
    struct execution row;
    bool taken;
    enum action action;
    enum config_dry_run mode;
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_WRITE, err);
    if (!tx || !execution_take(tx, arena, id, executor->identity, EXECUTOR_LEASE_MS, &row, &taken, err))
        return false;
    if (!taken)
        return true; /* somebody else was faster */
    if (!tx_commit(STEAL(tx), err))
        return false;
    if (!action_parse(str_of(row.action), &action) || !mode_of_row(&row, &mode))
        return error_set(err, ERROR_CORRUPT, "execution %s: its action is %s", id, row.action);
    AUTO(run) struct run *run = run_new(executor, arena, action, mode);
    run->row = row;
    run->stored = true;
    log_set_trace(row.trace_id ? row.trace_id : "");
    bool ok = run_read_row(run, err) &&
              (row.state == EXECUTION_EXECUTING ? go_on(run, err) : begin_approved(run, err));
    log_set_trace("");
    return ok;
}

static bool expire_approvals(struct executor *executor, struct arena *arena, struct error **err)
{
    struct id_list ids;
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    if (!tx || !approval_expired(tx, arena, &ids, err))
        return false;
    tx_abort(STEAL(tx));
    for (size_t i = 0; i < ids.count; i++) {
        struct execution row;
        struct approval approval;
        bool found, decided;
        tx = tx_begin(executor->store, TX_WRITE, err);
        if (!tx || !execution_get(tx, arena, ids.items[i], &row, err) ||
            !approval_get(tx, arena, row.id, &approval, &found, err) ||
            !approval_decide(tx, approval.id, "expired", "", "nobody decided in time", &decided, err))
            return false;
        row.error = "nobody approved it in time";
        if (decided && row.state == EXECUTION_PENDING &&
            !execution_enter(tx, &row, EXECUTION_CANCELLED, 0, err))
            return false;
        if (!tx_commit(STEAL(tx), err))
            return false;
        log_info("approval expired", KV("execution", row.id));
    }
    return true;
}

static bool postpone(struct executor *executor, const char *id, struct error **err)
{
    enum { LATER_MS = 10 * 1000 };
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_WRITE, err);
    return tx && execution_set_undo_at(tx, id, clock_utc_ms() + LATER_MS, err) && tx_commit(STEAL(tx), err);
}

/* Undone once: a second round finds the same undo. One that could not begin, for its resource is busy or the cluster does not
 * answer, has left no trace and is tried again. */
static bool undo_expired(struct executor *executor, struct arena *arena, struct error **err)
{
    struct id_list ids;
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    if (!tx || !execution_expired(tx, arena, &ids, err))
        return false;
    tx_abort(STEAL(tx));
    for (size_t i = 0; i < ids.count; i++) {
        struct execution undone;
        AUTO(error) struct error *why = NULL;
        struct execution_undo undo = { .id = ids.items[i],
                                       .requested_by = "expiry",
                                       .reason = "its time is over",
                                       .mode = EXECUTOR_REAL,
                                       .key = arena_printf(arena, "expiry:%s", ids.items[i]) };
        if (executor_undo(executor, arena, &undo, &undone, &why) || error_code(why) == ERROR_CONFLICT)
            continue;
        log_warn("expired execution cannot be undone now", KV("execution", ids.items[i]),
                 KV("error", error_message(why)));
        if (!postpone(executor, ids.items[i], err))
            return false;
    }
    return true;
}

/* ---- rounds */

struct errand {
    struct executor *executor;
    char id[ULID_LEN + 1];
};

static void recover_one(struct executor *executor, const char *id)
{
    AUTO(error) struct error *why = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    if (!run_recover(executor, arena, id, &why))
        log_warn("execution cannot be taken up", KV("execution", id), KV("error", error_message(why)));
}

static void end_errand(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    executor->workers--;
    pthread_cond_broadcast(&executor->wake);
    pthread_mutex_unlock(&executor->lock);
}

static void *run_errand(void *context)
{
    struct errand *errand = context;
    recover_one(errand->executor, errand->id);
    end_errand(errand->executor);
    free(errand);
    return NULL;
}

static bool begin_errand(struct executor *executor, const char *id)
{
    pthread_t thread;
    pthread_mutex_lock(&executor->lock);
    bool room = !executor->stopping && executor->workers < EXECUTOR_WORKERS_MAX;
    executor->workers += room;
    pthread_mutex_unlock(&executor->lock);
    if (!room)
        return false;
    struct errand *errand = xcalloc(1, sizeof *errand);
    errand->executor = executor;
    snprintf(errand->id, sizeof errand->id, "%s", id);
    if (pthread_create(&thread, NULL, run_errand, errand) == 0) {
        pthread_detach(thread);
        return true;
    }
    free(errand);
    end_errand(executor);
    return false;
}

bool tend_round(struct executor *executor, bool alone, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    struct id_list ids;
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    if (!tx || !execution_abandoned(tx, arena, &ids, err))
        return false;
    tx_abort(STEAL(tx));
    for (size_t i = 0; i < ids.count; i++) {
        if (alone)
            recover_one(executor, ids.items[i]);
        else if (!begin_errand(executor, ids.items[i]))
            break; /* the next round finds it */
    }
    return expire_approvals(executor, arena, err) && undo_expired(executor, arena, err);
}

bool executor_tend(struct executor *executor, struct error **err)
{
    return tend_round(executor, true, err);
}

/* ---- approvals */

static bool second_word(const struct approval *approval, const char *state, struct error **err)
{
    if (strcmp(approval->state, state) == 0)
        return true; /* said before: nothing changes */
    return error_set(err, ERROR_CONFLICT, "execution %s was %s%s%s already", approval->execution_id,
                     approval->state, approval->decided_by && approval->decided_by[0] ? " by " : "",
                     approval->decided_by ? approval->decided_by : "");
}

bool executor_approve(struct executor *executor, struct arena *arena, const char *id, bool approve,
                      const char *by, const char *why, struct approval *approval, struct error **err)
{
    const char *state = approve ? "approved" : "denied";
    struct execution row;
    bool found, decided;
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_WRITE, err);
    if (!tx || !execution_get(tx, arena, id, &row, err) ||
        !approval_get(tx, arena, id, approval, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_CONFLICT, "execution %s is %s and waits for nobody's approval", id,
                         execution_state_names[row.state]);
    if (strcmp(approval->state, "pending") != 0)
        return second_word(approval, state, err);
    if (approval->expires_at && approval->expires_at < clock_utc_ms())
        return error_set(err, ERROR_CONFLICT, "the approval of execution %s has expired", id);
    if (!approval_decide(tx, approval->id, state, by, why, &decided, err))
        return false;
    row.details = json_with(arena, row.details, "/approval/state", json_quote(arena, state));
    row.details = json_with(arena, row.details, "/approval/by", json_quote(arena, by));
    row.details = json_with(arena, row.details, "/approval/reason", json_quote(arena, why ? why : ""));
    row.error =
        approve ? NULL
                : arena_printf(arena, "denied by %s: %.500s", by, why && why[0] ? why : "no reason given");
    if (!execution_enter(tx, &row, approve ? EXECUTION_APPROVED : EXECUTION_REFUSED, 0, err) ||
        !approval_get(tx, arena, id, approval, &found, err) || !tx_commit(STEAL(tx), err))
        return false;
    log_info("approval", KV("execution", id), KV("state", state), KV("by", by), KV("reason", why));
    pthread_mutex_lock(&executor->lock);
    pthread_cond_broadcast(&executor->wake);
    pthread_mutex_unlock(&executor->lock);
    return true;
}
