/* Undo: the inverses of what was done, as an execution of its own, if things still are as we left them. */
#include "executor/executor_internal.h"

#include <math.h>

static bool check_can_undo(const struct execution *row, struct error **err)
{
    if (row->undone_by)
        return error_set(err, ERROR_CONFLICT, "execution %s was undone by %s already", row->id,
                         row->undone_by);
    if (strcmp(row->dry_run, "off") != 0)
        return error_set(err, ERROR_CONFLICT, "execution %s was a dry run (%s): there is nothing to undo",
                         row->id, row->dry_run);
    if (row->undo_of)
        return error_set(err, ERROR_CONFLICT, "execution %s is an undo itself: run the action again instead",
                         row->id);
    if (row->state != EXECUTION_COMPLETED && row->state != EXECUTION_FAILED &&
        row->state != EXECUTION_UNKNOWN)
        return error_set(err, ERROR_CONFLICT, "execution %s is %s: there is nothing to undo", row->id,
                         execution_state_names[row->state]);
    if (!row->inverse)
        return error_set(err, ERROR_CONFLICT, "execution %s of %s cannot be undone: %s", row->id, row->action,
                         "it changed nothing, or has no inverse");
    return true;
}

/* How it was left, and how it is: "spec.replicas is 7, and was left at 5". */
static bool check_drift(struct run *run, struct step *step, yyjson_val *object, struct error **err)
{
    for (size_t i = 0; i < step->fields_len; i++) {
        struct step_field *field = &step->fields[i];
        const char *now = json_text(run->arena, json_at(object, field->path));
        bool same = json_text_equal(run->arena, now, field->before);
        if (!same && !run->forced)
            return run_refuse(
                run, err, "%s %s/%s was changed since: %s is %.200s, and was left at %.200s (use --force)",
                step->resource->kind, step->namespace, step->name, field->path, now, field->before);
        field->before = now;
    }
    return true;
}

static bool plan_step(struct run *run, struct step *step, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_object *object = run_get(run, step->resource, step->namespace, step->name, &why);
    bool gone = !object && error_code(why) == ERROR_NOT_FOUND;
    bool other = object && step->uid && step->uid[0] && strcmp(object->uid, step->uid) != 0;
    step->state = STEP_PLANNED;
    if (!object && !gone) {
        error_move(err, &why);
        return false;
    }
    if (step->verb == STEP_DELETE) {
        if (gone || other)
            step->state = STEP_ALREADY;
        return true;
    }
    if (gone || other)
        return run_refuse(run, err, "%s %s/%s is not there any more", step->resource->kind, step->namespace,
                          step->name);
    step->resource_version = object->resource_version;
    step_look(run, step, object->root);
    return step->state == STEP_ALREADY || check_drift(run, step, object->root, err);
}

bool run_plan_undo(struct run *run, struct error **err)
{
    if (!steps_read(run, run->row.operations, err))
        return false;
    for (size_t i = 0; i < run->steps_len; i++) {
        if (run->steps[i]->verb == STEP_WAIT)
            continue;
        if (!plan_step(run, run->steps[i], err))
            return error_wrap(err, "undo of %s", run->row.undo_of);
    }
    return true;
}

static void fill_row(struct run *run, const struct execution *original, const struct execution_undo *undo)
{
    static const char *const names[] = { "plan", "server", "off" };
    struct execution *row = &run->row;
    *row = (struct execution){ .action = original->action,
                               .parameters = original->parameters,
                               .cluster = original->cluster,
                               .namespace = original->namespace,
                               .kind = original->kind,
                               .name = original->name,
                               .uid = original->uid,
                               .incident_id = original->incident_id,
                               .alert_id = original->alert_id,
                               .alert_name = original->alert_name,
                               .trace_id = original->trace_id,
                               .severity = original->severity,
                               .confidence = NAN,
                               .undo_of = original->id,
                               .operations = original->inverse,
                               .requested_by = undo->requested_by,
                               .dry_run = names[run->mode] };
    ulid_new(row->id);
    row->created_at = clock_utc_ms();
    row->idempotency_key = undo->key ? undo->key : run_printf(run, "execution:%s", row->id);
    row->details = undo->force ? "{\"forced\":true}" : "{}";
    row->details = json_with(run->arena, row->details, "/reason",
                             json_quote(run->arena, undo->reason ? undo->reason : ""));
    run->forced = undo->force;
}

/* Two at once: one works on the resource, the other finds it busy, or everything as it should be. */
bool run_may_undo(struct run *run, struct tx *tx, struct error **err)
{
    struct execution original;
    return execution_get(tx, run->arena, run->row.undo_of, &original, err) && check_can_undo(&original, err);
}

static bool run_undo(struct run *run, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    if (run_to_end(run, &why))
        return true;
    if (error_code(why) == ERROR_EXISTS)
        return error_set(err, ERROR_CONFLICT, "execution %s is being undone already", run->row.undo_of);
    error_move(err, &why);
    return false;
}

static enum config_dry_run mode_of(const struct execution_undo *undo)
{
    return undo->mode == EXECUTOR_PLAN ? CONFIG_DRY_RUN_PLAN
           : undo->mode == EXECUTOR_SERVER
               ? CONFIG_DRY_RUN_SERVER
               : CONFIG_DRY_RUN_OFF; /* what was done for real is undone for real */
}

bool executor_undo(struct executor *executor, struct arena *arena, const struct execution_undo *undo,
                   struct execution *execution, struct error **err)
{
    enum action action;
    bool made = false;
    struct execution *original = ARENA_NEW(arena, struct execution);
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    if (!tx || (undo->key && !execution_by_key(tx, arena, undo->key, execution, &made, err)))
        return false;
    if (made)
        return true;
    if (!execution_get(tx, arena, undo->id, original, err) || !check_can_undo(original, err))
        return false;
    tx_abort(STEAL(tx));
    if (!executor->k8s)
        return error_set(err, ERROR_UNAVAILABLE, "there is no cluster to undo it in: %s",
                         executor->no_cluster);
    if (!action_parse(str_of(original->action), &action))
        return error_set(err, ERROR_CORRUPT, "execution %s: there is no action %s", undo->id,
                         original->action);
    AUTO(run) struct run *run = run_new(executor, arena, action, mode_of(undo));
    fill_row(run, original, undo);
    if (!run_undo(run, err))
        return false;
    tx = tx_begin(executor->store, TX_READ, err);
    return tx && execution_get(tx, arena, run->row.id, execution, err);
}
