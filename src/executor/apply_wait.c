/* Waiting for what a write has set in motion, in slices, so that the lease stays ours and a stop is heard. And evictions,
 * which disruption budgets answer with "later". */
#include "executor/executor_internal.h"

enum { SLICE_MS = 5 * 1000 };

static enum k8s_wait has_phase(yyjson_val *object, struct error **err)
{
    const char *phase = k8s_text_at(object, "/status/phase");
    if (!strcasecmp(phase, "completed"))
        return K8S_WAIT_DONE;
    if (strcasecmp(phase, "failed") && strcasecmp(phase, "PartiallyFailed") &&
        strcasecmp(phase, "FailedValidation"))
        return K8S_WAIT_MORE;
    const char *why = k8s_text_at(object, "/status/error");
    error_set(err, ERROR_INTERNAL, "it ended as %s%s%.300s", phase, why[0] ? ": " : "", why);
    return K8S_WAIT_FAILED;
}

static enum k8s_wait is_snapshot_ready(yyjson_val *object, struct error **err)
{
    const char *why = k8s_text_at(object, "/status/error/message");
    if (why[0]) {
        error_set(err, ERROR_INTERNAL, "the snapshot failed: %.300s", why);
        return K8S_WAIT_FAILED;
    }
    return k8s_bool_at(object, "/status/readyToUse") ? K8S_WAIT_DONE : K8S_WAIT_MORE;
}

static enum k8s_wait has_capacity(yyjson_val *object, struct error **err)
{
    int64_t capacity = 0, wanted = 0;
    const char *resize = k8s_text_at(object, "/status/allocatedResourceStatuses/storage"), *message = "";
    k8s_quantity_at(object, "/status/capacity/storage", &capacity);
    k8s_quantity_at(object, "/spec/resources/requests/storage", &wanted);
    if (capacity >= wanted)
        return K8S_WAIT_DONE;
    bool failed = strstr(resize, "Infeasible") ||
                  !strcmp(k8s_condition(object, "ControllerResizeError", NULL, &message), "True") ||
                  !strcmp(k8s_condition(object, "NodeResizeError", NULL, &message), "True");
    if (failed) {
        error_set(err, ERROR_INTERNAL, "the volume cannot be resized: %s %.300s", resize, message);
        return K8S_WAIT_FAILED;
    }
    /* The node makes the file system larger when a pod mounts it anew: nothing more will happen by itself. */
    return !strcmp(k8s_condition(object, "FileSystemResizePending", NULL, NULL), "True") ? K8S_WAIT_DONE
                                                                                         : K8S_WAIT_MORE;
}

struct waiting {
    struct run *run;
    struct step *step;
    enum step_wait wait;
};

static enum k8s_wait judge(yyjson_val *object, void *context, struct error **err)
{
    const struct waiting *w = context;
    bool other = object && w->step->uid && strcmp(k8s_text_at(object, "/metadata/uid"), w->step->uid) != 0;
    if (w->wait == WAIT_GONE)
        return !object || other ? K8S_WAIT_DONE : K8S_WAIT_MORE;
    if (w->wait == WAIT_NEW_UID)
        return other ? K8S_WAIT_DONE : K8S_WAIT_MORE;
    if (!object && w->wait == WAIT_CHANGED)
        return K8S_WAIT_MORE; /* a Secret that its operator has yet to make */
    if (!object) {
        error_set(err, ERROR_NOT_FOUND, "it is gone");
        return K8S_WAIT_FAILED;
    }
    switch (w->wait) {
    case WAIT_ROLLED_OUT:
        return k8s_wait_rolled_out(object, NULL, err);
    case WAIT_JOB:
        return k8s_wait_job(object, NULL, err);
    case WAIT_READY:
        return is_snapshot_ready(object, err);
    case WAIT_PHASE:
        return has_phase(object, err);
    case WAIT_CAPACITY:
        return has_capacity(object, err);
    case WAIT_CHANGED:
        return strcmp(k8s_text_at(object, "/metadata/resourceVersion"), w->step->resource_version)
                   ? K8S_WAIT_DONE
                   : K8S_WAIT_MORE;
    default:
        return step_fields_hold(w->run, w->step, object) ? K8S_WAIT_DONE : K8S_WAIT_MORE;
    }
}

static const char *const waited_for[WAIT_COUNT] = {
    "",      "gone",     "there anew", "rolled out", "complete",
    "ready", "complete", "resized",    "as wanted",  "renewed",
};

bool apply_wait(struct run *run, struct step *step, enum step_wait wait, struct error **err)
{
    struct waiting waiting = { run, step, wait };
    struct k8s_ref ref = { step->resource, step->namespace, step->name, NULL };
    int64_t wait_ms = step->wait_ms ? step->wait_ms : run->config->actions.timeout_ms;
    int64_t until = clock_mono_ms() + wait_ms;
    for (;;) {
        AUTO(error) struct error *why = NULL;
        int64_t left = until - clock_mono_ms();
        if (left <= 0) {
            char text[DURATION_TEXT_MAX];
            return error_set(err, ERROR_TIMEOUT, "%s %s/%s is not %s after %s", step->resource->kind,
                             step->namespace, step->name, waited_for[wait], duration_format(wait_ms, text));
        }
        if (!run_goes_on(run, err))
            return false;
        if (k8s_wait(run->k8s, &ref, MIN(left, (int64_t)SLICE_MS), judge, &waiting, NULL, &why))
            return true;
        if (error_code(why) != ERROR_TIMEOUT &&
            !(error_is_retryable(why) && error_code(why) != ERROR_CONFLICT)) {
            error_move(err, &why);
            return false;
        }
        if (error_code(why) != ERROR_TIMEOUT)
            clock_sleep_ms(MIN(left, (int64_t)EXECUTOR_POLL_MS));
    }
}

/* ---- evictions */

/* Said to be gone. Is it? A 409 may have another reason than a successor under that name. */
static bool is_gone(struct run *run, const struct step *step, bool *gone, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct k8s_ref ref = { &k8s_pods, step->namespace, step->name, NULL };
    struct k8s_read read = { .metadata_only = true };
    AUTO(k8s_object) struct k8s_object *pod = k8s_get(run->k8s, &ref, &read, &why);
    *gone = pod ? strcmp(pod->uid, step->uid) != 0 : error_code(why) == ERROR_NOT_FOUND;
    if (pod || *gone)
        return true;
    error_move(err, &why);
    return false;
}

static void note_blocked(struct run *run, struct step *step, const struct k8s_answer *answer)
{
    bool budget = strstr(answer->message, "disruption budget") != NULL;
    step->note = run_printf(run, "%s: %.300s",
                            budget ? "a disruption budget does not allow it now" : "the server says later",
                            answer->message);
}

static bool evict(struct run *run, struct step *step, int64_t *retry_ms, struct error **err)
{
    struct k8s_ref ref = step_ref(step);
    struct k8s_answer answer = { 0 };
    enum k8s_eviction outcome;
    struct k8s_delete options = { .grace_s = step->grace_s, .answer = &answer };
    bool gone;
    *retry_ms = 0;
    fault_point("before_write");
    if (!k8s_evict(run->k8s, &ref, step->uid, &options, &outcome, err)) {
        step->in_doubt = step->in_doubt || answer.outcome_unknown;
        return false;
    }
    if (outcome == K8S_EVICT_BLOCKED) {
        note_blocked(run, step, &answer);
        *retry_ms = answer.retry_after_ms ? answer.retry_after_ms : EXECUTOR_EVICT_RETRY_MS;
        return true;
    }
    if (outcome == K8S_EVICT_GONE) {
        if (!is_gone(run, step, &gone, err))
            return false;
        if (!gone) {
            step->note = run_printf(run, "it is there, and its eviction was answered with %u %s: %.300s",
                                    answer.status, answer.server_reason, answer.message);
            *retry_ms = EXECUTOR_POLL_MS;
            return true;
        }
    }
    bool ours = outcome == K8S_EVICTED || step->in_doubt || run->recovered;
    step->note = NULL;
    step->state = run->mode != CONFIG_DRY_RUN_OFF ? STEP_TRIED : ours ? STEP_DONE : STEP_ALREADY;
    run->wrote = run->wrote || step->state == STEP_DONE;
    return true;
}

/* Though its answer said something else, or nothing. */
static bool was_evicted(struct run *run, struct step *step)
{
    bool gone = false;
    if (!step->in_doubt)
        return false;
    if (!is_gone(run, step, &gone, NULL))
        run->undetermined = true;
    if (gone)
        step->state = STEP_DONE;
    return gone;
}

/* One round over those that are left. *left: how many; *wait_ms: until the next round is worth it. */
static bool evict_round(struct run *run, size_t from, size_t to, size_t *left, int64_t *wait_ms,
                        struct error **err)
{
    *left = 0;
    *wait_ms = EXECUTOR_EVICT_RETRY_MS;
    for (size_t i = from; i < to; i++) {
        struct step *step = run->steps[i];
        int64_t retry_ms;
        AUTO(error) struct error *why = NULL;
        if (step->state != STEP_PLANNED)
            continue;
        if (!run_goes_on(run, err))
            return false;
        if (!evict(run, step, &retry_ms, &why)) {
            if (!error_is_retryable(why) && !was_evicted(run, step)) {
                step->state = STEP_FAILED;
                step->why_failed = arena_strdup(run->arena, error_message(why));
                error_move(err, &why);
                return error_wrap(err, "%s", step->what);
            }
            step->note = arena_strdup(run->arena, error_message(why));
            retry_ms = EXECUTOR_POLL_MS;
        }
        *left += step->state == STEP_PLANNED;
        if (step->state == STEP_PLANNED && retry_ms)
            *wait_ms = MIN(*wait_ms, retry_ms);
    }
    return true;
}

static bool wait_until_gone(struct run *run, size_t from, size_t to, int64_t until, struct error **err)
{
    for (size_t i = from; i < to; i++) {
        struct step *step = run->steps[i];
        if (step->state != STEP_DONE)
            continue;
        step->wait_ms = MAX(until - clock_mono_ms(), (int64_t)1000);
        if (!apply_wait(run, step, WAIT_GONE, err))
            return error_wrap(err, "evicted, but still there");
    }
    return true;
}

static bool fail_blocked(struct run *run, size_t from, size_t to, struct error **err)
{
    const struct step *first = NULL;
    size_t blocked = 0;
    for (size_t i = from; i < to; i++) {
        struct step *step = run->steps[i];
        if (step->state != STEP_PLANNED || was_evicted(run, step))
            continue;
        first = first ? first : step;
        blocked++;
        if (run->undetermined)
            continue;
        step->state = STEP_FAILED;
        step->why_failed = step->note;
    }
    return !first ||
           error_set(err, ERROR_CONFLICT,
                     "%zu of %zu pods could not be evicted in time, the first is %s/%s: %s", blocked,
                     to - from, first->namespace, first->name, first->note ? first->note : "no answer");
}

bool apply_evictions(struct run *run, size_t *at, struct error **err)
{
    size_t from = *at, to = from, left;
    while (to < run->steps_len && run->steps[to]->verb == STEP_EVICT)
        to++;
    *at = to - 1;
    int64_t limit = run->steps[from]->wait_ms ? run->steps[from]->wait_ms : run->config->actions.timeout_ms;
    int64_t until = clock_mono_ms() + limit, wait_ms;
    for (;;) {
        if (!evict_round(run, from, to, &left, &wait_ms, err))
            return false;
        if (left == 0 || run->mode != CONFIG_DRY_RUN_OFF)
            break;
        if (clock_mono_ms() + wait_ms > until)
            return fail_blocked(run, from, to, err);
        clock_sleep_ms(wait_ms);
    }
    for (size_t i = from; i < to && run->mode != CONFIG_DRY_RUN_OFF; i++)
        if (run->steps[i]->state == STEP_PLANNED)
            run->steps[i]->state = STEP_TRIED;
    return (run->mode != CONFIG_DRY_RUN_OFF || wait_until_gone(run, from, to, until, err)) &&
           run_save(run, err);
}
