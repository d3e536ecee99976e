/* Taking the steps. Each write is tried with dryRun=All first, then sent for real; what the server answers is compared
 * with what was wanted. Where an answer does not come, or says that somebody else was faster, the object is read again:
 * it shows whether our write happened, whether it can still be made, or whether somebody else has changed what we meant
 * to change. */
#include "executor/executor_internal.h"

enum look { LOOK_DONE, LOOK_AS_BEFORE, LOOK_CHANGED };

struct k8s_ref step_ref(const struct step *step)
{
    return (struct k8s_ref){ step->resource, step->namespace, step->name, step->subresource };
}

static struct k8s_ref object_ref(const struct step *step)
{
    return (struct k8s_ref){ step->resource, step->namespace, step->name, NULL };
}

static bool is_ours(struct run *run, yyjson_val *object)
{
    return strcmp(k8s_annotation(object, EXECUTOR_ANNOTATION), run->row.id) == 0;
}

static bool fields_as_before(const struct step *step, yyjson_val *object, struct arena *arena)
{
    for (size_t i = 0; i < step->fields_len; i++)
        if (!json_equal(json_at(object, step->fields[i].path),
                        yyjson_doc_get_root(json_read(arena, step->fields[i].before))))
            return false;
    return true;
}

static enum look look_at_patched(struct run *run, struct step *step, const struct k8s_object *object)
{
    if (step->uid && step->uid[0] && strcmp(object->uid, step->uid) != 0)
        return LOOK_CHANGED;
    /* Without a field it is known by its annotation alone: a Secret, whose values we never compare. */
    if (step_fields_hold(run, step, object->root) || (!step->fields_len && is_ours(run, object->root)))
        return LOOK_DONE;
    step->resource_version = arena_strdup(run->arena, object->resource_version);
    return fields_as_before(step, object->root, run->arena) || run->forced ? LOOK_AS_BEFORE : LOOK_CHANGED;
}

static void keep_after(struct run *run, struct step *step, yyjson_val *object)
{
    for (size_t i = 0; i < step->fields_len; i++)
        step->fields[i].after = json_text(run->arena, json_at(object, step->fields[i].path));
}

/* What has become of it. */
static bool look(struct run *run, struct step *step, enum look *found, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_ref ref = object_ref(step);
    AUTO(k8s_object) struct k8s_object *object = k8s_get(run->k8s, &ref, NULL, &why);
    bool gone = !object && error_code(why) == ERROR_NOT_FOUND;
    if (!object && !gone) {
        error_move(err, &why);
        return false;
    }
    if (step->verb == STEP_CREATE) {
        *found = gone ? LOOK_AS_BEFORE : is_ours(run, object->root) ? LOOK_DONE : LOOK_CHANGED;
        if (object)
            step->uid = arena_strdup(run->arena, object->uid);
    } else if (step->verb == STEP_DELETE || step->verb == STEP_EVICT) {
        bool leaves = object && k8s_text_at(object->root, "/metadata/deletionTimestamp")[0];
        *found =
            gone || leaves || (step->uid && strcmp(object->uid, step->uid) != 0) ? LOOK_DONE : LOOK_AS_BEFORE;
    } else if (gone) {
        *found = LOOK_CHANGED;
    } else {
        *found = look_at_patched(run, step, object);
        if (*found == LOOK_DONE)
            keep_after(run, step, object->root);
    }
    return true;
}

/* The body as it is sent: with the lock, and with our annotation. */
static const char *body_of(struct run *run, const struct step *step)
{
    const char *body = step->body;
    if (step->verb == STEP_PATCH && step->resource_version && step->resource_version[0])
        body = json_with(run->arena, body, "/metadata/resourceVersion",
                         json_quote(run->arena, step->resource_version));
    const char *path = "/metadata/annotations/prometheus-alerts-slm.io~1execution-id";
    if (step->annotate == ANNOTATE_OURS)
        body = json_with(run->arena, body, path, json_quote(run->arena, run->row.id));
    else if (step->annotate == ANNOTATE_RESTORE)
        body = json_with(run->arena, body, path,
                         step->annotation && step->annotation[0] ? json_quote(run->arena, step->annotation)
                                                                 : "null");
    return body;
}

static void note_warnings(struct run *run, struct step *step, const struct k8s_answer *answer)
{
    for (unsigned i = 0; i < answer->warnings_len; i++)
        step->note = step->note ? run_printf(run, "%s; %s", step->note, answer->warnings[i])
                                : arena_strdup(run->arena, answer->warnings[i]);
}

/* A Job whose pods Pod Security would refuse is taken with a warning only, and then never runs. */
static bool is_hopeless(const struct step *step, const struct k8s_answer *answer)
{
    for (unsigned i = 0; i < answer->warnings_len; i++)
        if (step->resource == &k8s_jobs && strstr(answer->warnings[i], "would violate PodSecurity"))
            return true;
    return false;
}

static bool check_answer(struct run *run, struct step *step, const struct k8s_object *object, bool dry,
                         const struct k8s_answer *answer, struct error **err)
{
    if (dry && is_hopeless(step, answer))
        return error_set(err, ERROR_DENIED, "%s", answer->warnings[0]);
    if (step->fields_len && !step_fields_hold(run, step, object->root)) {
        for (size_t i = 0; i < step->fields_len; i++) {
            const struct step_field *field = &step->fields[i];
            const char *now = json_text(run->arena, json_at(object->root, field->path));
            if (!json_text_equal(run->arena, now, field->want))
                return error_set(err, ERROR_INTERNAL,
                                 "the server took the change of %s and made %.200s of it, not %.200s",
                                 field->path, now, field->want);
        }
    }
    keep_after(run, step, object->root);
    if (!dry && step->verb == STEP_CREATE)
        step->uid = arena_strdup(run->arena, object->uid);
    return true;
}

static bool send_object(struct run *run, struct step *step, bool dry, struct k8s_answer *answer,
                        struct error **err)
{
    struct k8s_ref ref = step_ref(step);
    struct k8s_write write = { .dry_run = dry, .answer = answer };
    struct str body = str_of(body_of(run, step));
    AUTO(k8s_object)
    struct k8s_object *object = step->verb == STEP_CREATE
                                    ? k8s_create(run->k8s, &ref, body, &write, err)
                                    : k8s_patch(run->k8s, &ref, step->patch, body, &write, err);
    if (!object)
        return false;
    if (dry)
        note_warnings(run, step, answer);
    return check_answer(run, step, object, dry, answer, err);
}

static bool send(struct run *run, struct step *step, bool dry, struct k8s_answer *answer, struct error **err)
{
    *answer = (struct k8s_answer){ 0 };
    if (step->verb != STEP_DELETE)
        return send_object(run, step, dry, answer, err);
    struct k8s_ref ref = step_ref(step);
    struct k8s_delete options = {
        .uid = step->uid, .dry_run = dry, .answer = answer, .grace_s = step->grace_s
    };
    AUTO(error) struct error *why = NULL;
    if (k8s_delete(run->k8s, &ref, &options, &why) || error_code(why) == ERROR_NOT_FOUND)
        return true;
    error_move(err, &why);
    return false;
}

/* May the same write be made again, once we have looked? */
static bool is_transient(const struct k8s_answer *answer)
{
    return answer->reason == K8S_NO_ANSWER || answer->reason == K8S_INTERNAL ||
           answer->reason == K8S_UNAVAILABLE || answer->reason == K8S_TIMEOUT ||
           answer->reason == K8S_BAD_ANSWER;
}

struct attempts {
    unsigned conflicts, repeats;
    bool tried, sent, look;
};

/* False: give up, with *err as it is. */
static bool try_again(struct run *run, const struct step *step, const struct k8s_answer *answer,
                      struct attempts *attempts, struct error **err)
{
    attempts->look = true;
    if (answer->reason == K8S_CONFLICT || answer->reason == K8S_ALREADY_EXISTS) {
        if (++attempts->conflicts > EXECUTOR_CONFLICTS_MAX)
            return error_wrap(err, "%d times somebody else was faster", EXECUTOR_CONFLICTS_MAX);
        /* Mostly a controller that writes its status in the middle of a rollout: it is soon done. */
        clock_sleep_ms((200 << attempts->conflicts) + (int64_t)(rand_unit() * 100));
    } else if (is_transient(answer)) {
        if (++attempts->repeats > EXECUTOR_REPEATS_MAX)
            return false;
        clock_sleep_ms(answer->retry_after_ms ? MIN(answer->retry_after_ms, INT64_C(30000))
                                              : 200 << attempts->repeats);
    } else {
        return false;
    }
    log_info("a write is looked at again", KV("execution", run->row.id), KV("name", step->name),
             KV("reason", k8s_reason_names[answer->reason]));
    error_clear(err);
    return true;
}

static bool look_again(struct run *run, struct step *step, struct attempts *attempts, bool *done,
                       struct error **err)
{
    enum look found;
    *done = false;
    attempts->look = false;
    if (!look(run, step, &found, err)) {
        run->undetermined = attempts->sent || run->recovered;
        return error_wrap(err, "whether it happened cannot be seen");
    }
    if (found == LOOK_DONE) {
        step->state = attempts->sent || run->recovered ? STEP_DONE : STEP_ALREADY;
        *done = true;
        return true;
    }
    if (found == LOOK_CHANGED)
        return run_refuse(run, err, "%s %s/%s was changed by somebody else in the meantime",
                          step->resource->kind, step->namespace, step->name);
    return run_judge_again(run, err);
}

static bool apply_write(struct run *run, struct step *step, struct error **err)
{
    struct attempts attempts = { .look = run->recovered };
    struct k8s_answer answer;
    for (;;) {
        bool done;
        if (!run_goes_on(run, err) || (attempts.look && !look_again(run, step, &attempts, &done, err)))
            return false;
        if ((attempts.look = false, step->state != STEP_PLANNED))
            return true;
        if (!attempts.tried && !step->secret) {
            if (!send(run, step, true, &answer, err)) {
                if (!try_again(run, step, &answer, &attempts, err))
                    return false;
                continue;
            }
            attempts.tried = true;
        }
        if (run->mode == CONFIG_DRY_RUN_SERVER) {
            step->state = step->secret ? STEP_SKIPPED : STEP_TRIED;
            return true;
        }
        fault_point("before_write");
        attempts.sent = true;
        run->wrote = true;
        if (send(run, step, false, &answer, err)) {
            step->state = STEP_DONE;
            return true;
        }
        if (!try_again(run, step, &answer, &attempts, err)) {
            run->undetermined = is_transient(&answer);
            return false;
        }
    }
}

/* The value is made here, used once, and forgotten: neither the row nor a log ever has it. */
static bool apply_secret(struct run *run, struct step *step, struct error **err)
{
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *data = yyjson_mut_obj_add_obj(doc, root, "stringData");
    struct str keys = str_of(step->container), key; /* names of the keys, separated by commas */
    while (str_split(&keys, ',', &key)) {
        char value[3 * ULID_LEN + 1];
        unsigned char bytes[32];
        rand_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(value + 2 * i, 3, "%02x", bytes[i]);
        yyjson_mut_obj_add(data, yyjson_mut_strncpy(doc, key.ptr, key.len), yyjson_mut_strcpy(doc, value));
    }
    step->body = json_mut_text(run->arena, root);
    bool ok = apply_write(run, step, err);
    memset((void *)(uintptr_t)step->body, 0, strlen(step->body));
    step->body = NULL;
    return ok;
}

static bool apply_one(struct run *run, struct step *step, struct error **err)
{
    switch (step->verb) {
    case STEP_EXEC:
        return apply_exec(run, step, err);
    case STEP_WAIT:
        if (run->mode != CONFIG_DRY_RUN_OFF) {
            step->state = STEP_SKIPPED;
            return true;
        }
        if (!apply_wait(run, step, step->wait, err))
            return false;
        step->state = STEP_DONE;
        return true;
    default:
        if (step->state == STEP_PLANNED && !(step->secret ? apply_secret : apply_write)(run, step, err))
            return false;
        return run->mode != CONFIG_DRY_RUN_OFF || !step->wait || apply_wait(run, step, step->wait, err);
    }
}

static bool is_over(const struct step *step)
{
    return step->state != STEP_PLANNED && step->state != STEP_SENT;
}

/* The write happened and its end was not awaited by the process that is gone. */
static bool wait_after_recovery(struct run *run, struct step *step, struct error **err)
{
    bool waits = run->recovered && run->mode == CONFIG_DRY_RUN_OFF && step->state == STEP_DONE &&
                 step->verb != STEP_WAIT;
    enum step_wait wait = step->verb == STEP_EVICT ? WAIT_GONE : step->wait;
    return !waits || !wait || apply_wait(run, step, wait, err);
}

/* What cannot be seen now stays planned, for whoever goes on. What was written stays done though its end did not come: it
 * can be undone. */
static bool note_failure(struct run *run, struct step *step, struct error **why, struct error **err)
{
    bool open = run->undetermined && !run->unknown;
    step->why_failed = open ? NULL : arena_strdup(run->arena, error_message(*why));
    if (!open && step->state != STEP_DONE)
        step->state = STEP_FAILED;
    if (step->may_fail && !open && !run->unknown)
        return true;
    error_move(err, why);
    return error_wrap(err, "%s", step->what);
}

bool steps_apply(struct run *run, struct error **err)
{
    for (size_t i = 0; i < run->steps_len; i++) {
        struct step *step = run->steps[i];
        AUTO(error) struct error *why = NULL;
        if (run->mode == CONFIG_DRY_RUN_PLAN)
            continue;
        if (is_over(step)) {
            if (!wait_after_recovery(run, step, &why) && !note_failure(run, step, &why, err))
                return false;
            continue;
        }
        if (step->verb == STEP_EVICT) {
            if (!apply_evictions(run, &i, err))
                return false;
            continue;
        }
        if (!apply_one(run, step, &why) && !note_failure(run, step, &why, err))
            return false;
        if (run->mode == CONFIG_DRY_RUN_OFF && i + 1 < run->steps_len && !run_save(run, err))
            return false;
    }
    return true;
}

/* After a crash: what of the plan has happened? Execs cannot be asked about. */
bool steps_done(struct run *run, struct error **err)
{
    for (size_t i = 0; i < run->steps_len; i++) {
        struct step *step = run->steps[i];
        enum look found;
        if (is_over(step) || step->verb == STEP_EXEC || step->verb == STEP_WAIT)
            continue;
        if (!look(run, step, &found, err))
            return false;
        if (found == LOOK_DONE)
            step->state = STEP_DONE;
    }
    return true;
}

bool steps_invert(struct run *run, struct error **err)
{
    (void)err;
    run->row.inverse = steps_inverse(run);
    return true;
}
