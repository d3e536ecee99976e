/* Commands in containers. Nothing guards an exec: it is committed before it is sent, sent once, and what was cut in the
 * middle ends as unknown. */
#include "executor/executor_internal.h"

/* There is no shell between us and the program: these are the container runtime's, not the program's. */
static bool is_missing_code(int exit_code)
{
    return exit_code == 126 || exit_code == 127;
}

static bool is_missing_message(const char *message)
{
    return strstr(message, "executable file not found") || strstr(message, "no such file or directory");
}

static const char *excerpt(struct run *run, const struct strbuf *output)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    redact(&out, str_slice(strbuf_str(output), 0, EXECUTOR_OUTPUT_MAX));
    return arena_text(run->arena, str_trim(strbuf_str(&out)));
}

/* Nothing ran, so nothing that was not changed before has been changed now. */
static bool fail_missing(struct run *run, const struct step *step, bool wrote, struct error **err)
{
    run->wrote = wrote;
    return error_set(err, ERROR_UNSUPPORTED, "%s is not in container %s of pod %s/%s", step->command[0],
                     step->container, step->namespace, step->name);
}

static bool judge_exit(struct run *run, struct step *step, const struct k8s_exec_result *result, bool wrote,
                       struct error **err)
{
    const char *errors = excerpt(run, &result->err);
    step->note = excerpt(run, &result->out);
    if (result->exit_code == 0)
        return true;
    if (is_missing_code(result->exit_code))
        return fail_missing(run, step, wrote, err);
    return error_set(err, ERROR_INTERNAL, "%s in pod %s/%s ended with exit code %d: %.500s", step->command[0],
                     step->namespace, step->name, result->exit_code, errors[0] ? errors : step->note);
}

/* Again only after a 429, which says that nothing was begun. */
static bool send_exec(struct run *run, const struct k8s_ref *pod, const struct k8s_exec *options,
                      struct k8s_exec_result *result, struct error **err)
{
    for (unsigned repeats = 0;; repeats++) {
        if (k8s_exec(run->k8s, pod, options, result, err))
            return true;
        if (result->started || options->answer->reason != K8S_TOO_MANY_REQUESTS ||
            repeats == EXECUTOR_REPEATS_MAX || !run_goes_on(run, NULL))
            return false;
        error_clear(err);
        k8s_exec_result_free(result);
        clock_sleep_ms(options->answer->retry_after_ms ? MIN(options->answer->retry_after_ms, INT64_C(30000))
                                                       : EXECUTOR_POLL_MS);
    }
}

bool apply_exec(struct run *run, struct step *step, struct error **err)
{
    if (run->mode != CONFIG_DRY_RUN_OFF) {
        step->state = STEP_SKIPPED;
        step->note = "an exec cannot be tried";
        return true;
    }
    if (step->state == STEP_SENT) {
        run->unknown = true;
        return error_set(err, ERROR_INTERNAL,
                         "%s in pod %s/%s was begun by a process that ended: whether it ran is not known",
                         step->command[0], step->namespace, step->name);
    }
    step->state = STEP_SENT;
    if (!run_goes_on(run, err) || !run_save(run, err))
        return false;
    fault_point("before_exec");
    bool wrote = run->wrote;
    run->wrote = true;
    struct k8s_ref pod = step_ref(step);
    AUTO(k8s_exec_result) struct k8s_exec_result result = { 0 };
    AUTO(error) struct error *why = NULL;
    struct k8s_answer answer = { 0 };
    struct k8s_exec options = { .container = step->container,
                                .answer = &answer,
                                .command = step->command,
                                .max_output = EXECUTOR_OUTPUT_MAX,
                                .deadline_ms = step->wait_ms ? step->wait_ms : 60 * 1000 };
    if (send_exec(run, &pod, &options, &result, &why)) {
        step->state = STEP_DONE;
        return judge_exit(run, step, &result, wrote, err);
    }
    if (!result.started && is_missing_message(error_message(why)))
        return fail_missing(run, step, wrote, err);
    run->unknown = result.started || answer.outcome_unknown;
    run->wrote = wrote || run->unknown;
    error_move(err, &why);
    return false;
}
