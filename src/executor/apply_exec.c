/* Commands in containers. Nothing guards an exec: it is committed before it is sent, sent once, and what was cut in the
 * middle ends as unknown. */
#include "executor/executor_internal.h"

static bool is_missing_tool(const struct k8s_exec_result *result, const char *message)
{
    return (result->ended && (result->exit_code == 126 || result->exit_code == 127)) ||
           strstr(message, "executable file not found") || strstr(message, "no such file or directory");
}

static const char *excerpt(struct run *run, const struct strbuf *output)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    redact(&out, str_slice(strbuf_str(output), 0, EXECUTOR_OUTPUT_MAX));
    return arena_text(run->arena, str_trim(strbuf_str(&out)));
}

static bool judge_exit(struct run *run, struct step *step, const struct k8s_exec_result *result,
                       struct error **err)
{
    const char *errors = excerpt(run, &result->err);
    step->note = excerpt(run, &result->out);
    if (result->exit_code == 0)
        return true;
    if (is_missing_tool(result, errors))
        return error_set(err, ERROR_UNSUPPORTED, "%s is not in container %s of pod %s/%s", step->command[0],
                         step->container, step->namespace, step->name);
    return error_set(err, ERROR_INTERNAL, "%s in pod %s/%s ended with exit code %d: %.500s", step->command[0],
                     step->namespace, step->name, result->exit_code, errors[0] ? errors : step->note);
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
    struct k8s_exec options = { .container = step->container,
                                .command = step->command,
                                .max_output = EXECUTOR_OUTPUT_MAX,
                                .deadline_ms = step->wait_ms ? step->wait_ms : 60 * 1000 };
    if (k8s_exec(run->k8s, &pod, &options, &result, &why)) {
        step->state = STEP_DONE;
        return judge_exit(run, step, &result, err);
    }
    if (is_missing_tool(&result, error_message(why))) {
        run->wrote = wrote; /* nothing ran */
        return error_set(err, ERROR_UNSUPPORTED, "%s is not in container %s of pod %s/%s", step->command[0],
                         step->container, step->namespace, step->name);
    }
    run->unknown = result.started;
    error_move(err, &why);
    return false;
}
