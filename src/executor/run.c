/* One execution from request to end. */
#include "executor/executor_internal.h"

#include <math.h>

#include "metrics/metrics.h"

enum { DETAILS_LABELS_MAX = 16 * 1024 };

/* ---- a run */

static void after_call(const struct k8s_call *call, void *context)
{
    struct run *run = context;
    run->calls++;
    run->writes += call->is_write && !call->is_dry_run;
    metric_inc(METRIC_K8S_API_CALLS, call->verb);
    fault_point("call");
}

struct run *run_new(struct executor *executor, struct arena *arena, enum action action,
                    enum config_dry_run mode)
{
    struct run *run = ARENA_NEW(arena, struct run);
    run->executor = executor;
    run->arena = arena;
    run->action = action;
    run->config = executor_hold_config(executor);
    run->policy = executor_hold_policy(executor);
    run->mode = executor->k8s ? mode : CONFIG_DRY_RUN_PLAN;
    run->row.details = "{}";
    run->renewed_mono_ms = clock_mono_ms();
    if (executor->k8s)
        run->k8s = k8s_session(
            executor->k8s,
            &(struct k8s_session_options){ .writes = run->mode == CONFIG_DRY_RUN_OFF      ? K8S_WRITES_REAL
                                                     : run->mode == CONFIG_DRY_RUN_SERVER ? K8S_WRITES_DRY_RUN
                                                                                          : K8S_WRITES_NONE,
                                           .observer = { .after = after_call, .context = run } });
    return run;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    k8s_target_free(&run->target);
    k8s_close(run->k8s);
    executor_release_policy(run->executor, run->policy);
    executor_release_config(run->executor, run->config);
}

static void write_details(struct run *run)
{
    struct execution *row = &run->row;
    row->details = json_with(run->arena, row->details, "/calls", run_printf(run, "%u", run->calls));
    row->details = json_with(run->arena, row->details, "/writes", run_printf(run, "%u", run->writes));
    if (run->undo_after_ms)
        row->details = json_with(run->arena, row->details, "/undo_after_ms",
                                 run_printf(run, "%lld", (long long)run->undo_after_ms));
    if (run->message)
        row->details = json_with(run->arena, row->details, "/message", json_quote(run->arena, run->message));
    if (run->findings)
        row->details = json_with(run->arena, row->details, "/findings", run->findings);
}

static void write_row(struct run *run)
{
    AUTO(strbuf) struct strbuf steps = { 0 };
    write_details(run);
    steps_write(&steps, run->steps, run->steps_len);
    run->row.operations = arena_text(run->arena, strbuf_str(&steps));
    run->row.affected = run->affected;
    run->row.state_before = steps_values(run, false);
    if (run->row.state == EXECUTION_EXECUTING)
        run->row.state_after = steps_values(run, true);
    if (operations[run->action].invert && !run->row.undo_of)
        operations[run->action].invert(run, NULL);
}

/* ---- the row and its verdict */

static bool put_row(struct run *run, struct tx *tx, struct error **err)
{
    bool inserted;
    if (run->row.undo_of && !run_may_undo(run, tx, err))
        return false;
    if (!execution_insert(tx, &run->row, run->executor->identity, EXECUTOR_LEASE_MS, &inserted, err))
        return false;
    return inserted ||
           error_set(err, ERROR_EXISTS, "the execution %s is under way already", run->row.idempotency_key);
}

static bool put_verdict(struct run *run, struct tx *tx, struct error **err)
{
    struct verdict_row row = { run->row.decision_id,      run->row.id,
                               run->row.incident_id,      verdict_names[run->verdict.verdict],
                               run->verdict.rule,         run->verdict.reason,
                               policy_sha256(run->policy) };
    return verdict_insert(tx, &row, err);
}

/* A transaction that says something of the row. Planning only looks, so the row comes into being together with what came of
 * it: the verdict, or why there is none. Who reads it as `pending` reads of an execution that waits for a person. */
static struct tx *begin_write(struct run *run, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_WRITE, err);
    if (!tx || (!run->stored && !put_row(run, tx, err)) || (run->judged && !put_verdict(run, tx, err)))
        return NULL;
    return STEAL(tx);
}

static bool end_write(struct run *run, struct tx *tx, struct error **err)
{
    if (!tx_commit(tx, err))
        return false;
    run->stored = true;
    run->judged = false;
    return true;
}

bool run_save(struct run *run, struct error **err)
{
    write_row(run);
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_WRITE, err);
    if (!tx || !execution_save(tx, &run->row, EXECUTOR_LEASE_MS, err) || !tx_commit(STEAL(tx), err))
        return false;
    run->renewed_mono_ms = clock_mono_ms();
    return true;
}

static void count_end(const struct run *run, enum execution_state state)
{
    const char *action = run->row.action;
    if (state == EXECUTION_COMPLETED)
        metric_inc(METRIC_ACTIONS_EXECUTED, action);
    else
        metric_inc(METRIC_ACTION_ERRORS, action, execution_state_names[state]);
    metric_observe(METRIC_ACTION_DURATION, run->row.duration_ms / 1000, action);
    if (run->writes)
        metric_inc(METRIC_K8S_ACTIONS, action, execution_state_names[state]);
}

/* One way into every state. */
static bool enter(struct run *run, enum execution_state next, struct error **err)
{
    write_row(run);
    if (next == EXECUTION_COMPLETED && run->mode == CONFIG_DRY_RUN_OFF && run->undo_after_ms)
        run->row.undo_at = clock_utc_ms() + run->undo_after_ms;
    AUTO(tx) struct tx *tx = begin_write(run, err);
    if (!tx || !execution_enter(tx, &run->row, next, EXECUTOR_LEASE_MS, err))
        return false;
    if (run->row.undo_of && next == EXECUTION_COMPLETED && run->mode == CONFIG_DRY_RUN_OFF &&
        !execution_set_undone(tx, run->row.undo_of, run->row.id, err))
        return false;
    if (!end_write(run, STEAL(tx), err))
        return false;
    if (execution_state_is_final(next))
        count_end(run, next);
    log_info("execution", KV("execution", run->row.id), KV("state", execution_state_names[next]),
             KV("action", run->row.action), KV("namespace", run->row.namespace), KV("kind", run->row.kind),
             KV("name", run->row.name), KV("dry_run", run->row.dry_run), KV("error", run->row.error));
    return true;
}

bool run_goes_on(struct run *run, struct error **err)
{
    struct policy_stop stop;
    if (executor_is_stopping(run->executor)) { /* the row stays as it is, for whoever comes next */
        run->undetermined = true;
        return error_set(err, ERROR_CANCELLED, "this process ends; another one goes on");
    }
    if (run->until_mono_ms && clock_mono_ms() > run->until_mono_ms)
        return error_set(err, ERROR_TIMEOUT, "the execution's time is over");
    bool late = clock_mono_ms() - run->renewed_mono_ms > EXECUTOR_LEASE_MS / 6;
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, late ? TX_WRITE : TX_READ, err);
    if (!tx || !policy_stop_state(tx, run->arena, run->config->actions.stop_file, &stop, err))
        return false;
    if (stop.stopped && run->mode == CONFIG_DRY_RUN_OFF && policy_action_writes(run->action))
        return error_set(err, ERROR_CANCELLED, "executions are stopped by %s: %s", stop.by, stop.why);
    if (!late)
        return true;
    if (!execution_renew(tx, &run->row, EXECUTOR_LEASE_MS, err) || !tx_commit(STEAL(tx), err))
        return false;
    run->renewed_mono_ms = clock_mono_ms();
    return true;
}

/* ---- judging */

static void ask_policy(struct run *run)
{
    struct policy_question question = { .action = run->action,
                                        .cluster = run->row.cluster,
                                        .namespace = run->row.namespace,
                                        .kind = run->row.kind,
                                        .name = run->row.name,
                                        .severity = run->row.severity,
                                        .labels = &run->labels,
                                        .confidence = run->row.confidence,
                                        .at = clock_utc_ms() };
    policy_judge(run->policy, run->arena, &question, &run->verdict);
}

static void keep_verdict(struct run *run)
{
    struct execution *e = &run->row;
    const struct policy_verdict *v = &run->verdict;
    const char *verdict = verdict_names[v->verdict];
    e->details = json_with(run->arena, e->details, "/verdict/verdict", json_quote(run->arena, verdict));
    e->details = json_with(run->arena, e->details, "/verdict/rule", json_quote(run->arena, v->rule));
    e->details = json_with(run->arena, e->details, "/verdict/reason", json_quote(run->arena, v->reason));
    run->judged = true;
}

bool run_judge_again(struct run *run, struct error **err)
{
    ask_policy(run);
    if (run->verdict.verdict == VERDICT_DENY && !run->row.undo_of)
        return run_refuse(run, err, "policy denies it now, by %s: %s", run->verdict.rule,
                          run->verdict.reason);
    return true;
}

/* ---- ends */

static enum execution_state state_of_failure(const struct run *run, const struct error *why)
{
    if (run->unknown)
        return EXECUTION_UNKNOWN;
    if (error_code(why) == ERROR_CANCELLED)
        return EXECUTION_CANCELLED;
    if (error_code(why) == ERROR_UNSUPPORTED && !run->wrote)
        return EXECUTION_UNSUPPORTED;
    return run->refused && !run->wrote ? EXECUTION_REFUSED : EXECUTION_FAILED;
}

static const char *error_text(struct run *run, enum execution_state state, const struct error *why)
{
    const char *message = error_message(why);
    bool prefix = state == EXECUTION_UNSUPPORTED && strncmp(message, "unsupported", 11) != 0;
    return run_printf(run, "%s%.4000s", prefix ? "unsupported: " : "", message);
}

/* A write that may have happened, and nobody to ask: the row stays `executing`, free for whoever comes next. */
static bool leave_open(struct run *run, const struct error *why, struct error **err)
{
    enum { GIVE_UP_MS = 60 * 60 * 1000 };
    run->row.error = run_printf(run, "%.4000s", error_message(why));
    if (clock_utc_ms() - run->row.started_at > GIVE_UP_MS)
        return enter(run, EXECUTION_UNKNOWN, err);
    write_row(run);
    log_warn("execution waits for the cluster", KV("execution", run->row.id), KV("error", run->row.error));
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_WRITE, err);
    return tx && execution_save(tx, &run->row, 0, err) && tx_commit(STEAL(tx), err);
}

bool run_finish(struct run *run, bool ok, struct error *why, struct error **err)
{
    fault_point("before_finish");
    if (ok) {
        run->row.error = NULL;
        return enter(run, EXECUTION_COMPLETED, err);
    }
    if (run->undetermined && !run->unknown && run->mode == CONFIG_DRY_RUN_OFF)
        return leave_open(run, why, err);
    enum execution_state state = state_of_failure(run, why);
    run->row.error = error_text(run, state, why);
    return enter(run, state, err);
}

/* ---- the way through */

static bool check(struct run *run, struct error **err)
{
    return !operations[run->action].check || operations[run->action].check(run, err);
}

static bool plan(struct run *run, struct error **err)
{
    if (run->row.undo_of)
        return run_plan_undo(run, err);
    return check(run, err) && run_find_target(run, err) && run_check_safety(run, err) &&
           operations[run->action].plan(run, err);
}

/* Without a cluster nothing can be looked at: the plan is what was asked for. */
static bool plan_blindly(struct run *run, struct error **err)
{
    if (!executor_is_enabled(run->config, run->action))
        return run_refuse(run, err, "%s is not among actions.enabled", run->row.action);
    if (!check(run, err))
        return false;
    struct alert_target target = alert_target_of(&run->labels);
    if (!run->named && target.kind.len) {
        run->row.kind = arena_text(run->arena, target.kind);
        run->row.namespace = arena_text(run->arena, target.namespace);
        run->row.name = arena_text(run->arena, target.name);
    }
    run->message = run_printf(run, "planned without a cluster (%s): the target was not looked at",
                              run->executor->no_cluster);
    return true;
}

static struct policy_limits limits_of(const struct run *run)
{
    return (struct policy_limits){ run->config->actions.cooldown_period_ms,
                                   run->config->actions.max_concurrent, run->config->actions.stop_file };
}

/* Book it and become `executing`, or say why not, in one transaction. */
static bool begin(struct run *run, const char **why, struct error **err)
{
    struct policy_limits limits = limits_of(run);
    bool real = run->mode == CONFIG_DRY_RUN_OFF;
    write_row(run);
    AUTO(tx) struct tx *tx = begin_write(run, err);
    if (!tx || !(real ? policy_reserve : policy_would_reserve)(run->policy, tx, run->arena, &limits,
                                                               &run->row, run->action, why, err))
        return false;
    if (*why)
        return true;
    if ((run->row.state == EXECUTION_PENDING &&
         !execution_enter(tx, &run->row, EXECUTION_APPROVED, EXECUTOR_LEASE_MS, err)) ||
        !execution_enter(tx, &run->row, EXECUTION_EXECUTING, EXECUTOR_LEASE_MS, err))
        return false;
    if (!end_write(run, STEAL(tx), err))
        return false;
    fault_point("committed");
    return true;
}

static bool ask_for_approval(struct run *run, struct error **err)
{
    int64_t expires_at = clock_utc_ms() + run->config->actions.approval_expiry_ms;
    char text[CLOCK_TEXT_MAX];
    run->row.details = json_with(run->arena, run->row.details, "/approval/expires_at",
                                 json_quote(run->arena, clock_format(expires_at, text)));
    write_row(run);
    AUTO(tx) struct tx *tx = begin_write(run, err);
    if (!tx || !approval_request(tx, run->row.id, expires_at, run->verdict.reason, err) ||
        !execution_save(tx, &run->row, 0, err) || !end_write(run, STEAL(tx), err))
        return false;
    log_info("execution waits for approval", KV("execution", run->row.id), KV("action", run->row.action),
             KV("rule", run->verdict.rule));
    return true;
}

static void say_outcome(struct run *run)
{
    size_t changed = 0, already = 0;
    for (size_t i = 0; i < run->steps_len; i++) {
        changed += run->steps[i]->state == STEP_DONE && run->steps[i]->verb != STEP_WAIT;
        already += run->steps[i]->state == STEP_ALREADY;
    }
    if (!run->message && already && !changed && run->mode == CONFIG_DRY_RUN_OFF)
        run->message = "already done: nothing to change";
}

static bool execute(struct run *run, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    bool ok = operations[run->action].apply(run, &why);
    if (ok)
        say_outcome(run);
    return run_finish(run, ok, why, err);
}

static void judge(struct run *run, bool *waits, struct error **why)
{
    *waits = false;
    ask_policy(run);
    keep_verdict(run);
    if (run->verdict.verdict == VERDICT_DENY && !run->row.undo_of)
        run_refuse(run, why, "policy denies it, by %s: %s", run->verdict.rule, run->verdict.reason);
    else if (run->verdict.verdict == VERDICT_REQUIRE_APPROVAL && !run->approved && !run->row.undo_of)
        *waits = run->mode == CONFIG_DRY_RUN_OFF; /* to try it changes nothing, so nobody has to be asked */
}

/* An undo that came by itself, with a key: an expiry's, or one of an action that did not help. Whoever asked for it asks
 * again, so it leaves no row while its resource is busy, a limit is reached or the cluster does not answer. */
static bool is_asked_again(const struct run *run, const struct error *why)
{
    const char *own = "execution:";
    return run->row.undo_of && !run->stored && run->mode == CONFIG_DRY_RUN_OFF &&
           strncmp(run->row.idempotency_key, own, strlen(own)) != 0 &&
           (!why || error_code(why) == ERROR_UNAVAILABLE || error_code(why) == ERROR_TIMEOUT);
}

static bool put_off(const struct run *run, const char *why, struct error **err)
{
    return error_set(err, ERROR_UNAVAILABLE, "the undo of %s has to wait: %s", run->row.undo_of, why);
}

bool run_to_end(struct run *run, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    const char *held_back = NULL;
    bool waits;
    if (!(run->k8s ? plan : plan_blindly)(run, &why))
        return is_asked_again(run, why) ? put_off(run, error_message(why), err)
                                        : run_finish(run, false, why, err);
    judge(run, &waits, &why);
    if (why)
        return run_finish(run, false, why, err);
    if (waits)
        return ask_for_approval(run, err);
    if (!begin(run, &held_back, err))
        return false;
    if (held_back && is_asked_again(run, NULL))
        return put_off(run, held_back, err);
    if (held_back) {
        run_refuse(run, &why, "%s", held_back);
        return run_finish(run, false, why, err);
    }
    return execute(run, err);
}

/* ---- requests */

bool executor_is_enabled(const struct config *config, enum action action)
{
    const struct config_texts *enabled = &config->actions.enabled;
    for (size_t i = 0; i < enabled->count; i++)
        if (strcmp(enabled->items[i], action_name(action)) == 0)
            return true;
    return enabled->count == 0;
}

static bool check_parameters(struct run *run, const char *json, struct error **err)
{
    yyjson_mut_doc *doc = json_doc(run->arena);
    yyjson_doc *given = json_read(run->arena, json ? json : "{}");
    if (!given)
        return error_set(err, ERROR_INVALID, "the parameters of %s are no JSON", action_name(run->action));
    yyjson_mut_val *checked = action_parameters_check(run->action, yyjson_doc_get_root(given),
                                                      policy_bounds(run->policy, run->action), doc, err);
    if (!checked)
        return false;
    run->row.parameters = json_mut_text(run->arena, checked);
    run->parameters = yyjson_doc_get_root(json_read(run->arena, run->row.parameters));
    return true;
}

static bool check_names(const struct execution_request *request, struct error **err)
{
    enum kind kind;
    if (request->kind && !kind_parse(str_of(request->kind), &kind))
        return error_set(err, ERROR_INVALID, "there is no kind \"%.64s\" that actions know", request->kind);
    if (request->kind && request->name && !k8s_check_name(request->name, err))
        return false;
    return !request->namespace || !request->namespace[0] || k8s_check_namespace(request->namespace, err);
}

static const char *labels_json(struct run *run, const struct label_list *labels)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    label_list_write(&out, labels);
    return out.len > DETAILS_LABELS_MAX ? "{}" : arena_text(run->arena, strbuf_str(&out));
}

static const char *mode_names[] = {
    [CONFIG_DRY_RUN_PLAN] = "plan", [CONFIG_DRY_RUN_SERVER] = "server", [CONFIG_DRY_RUN_OFF] = "off"
};

static enum config_dry_run mode_of(const struct config *config, enum executor_mode mode)
{
    return mode == EXECUTOR_PLAN     ? CONFIG_DRY_RUN_PLAN
           : mode == EXECUTOR_SERVER ? CONFIG_DRY_RUN_SERVER
           : mode == EXECUTOR_REAL   ? CONFIG_DRY_RUN_OFF
                                     : (enum config_dry_run)config->actions.dry_run;
}

bool executor_mode_parse(struct str name, enum executor_mode *mode)
{
    for (int i = CONFIG_DRY_RUN_PLAN; i <= CONFIG_DRY_RUN_OFF; i++)
        if (str_eq(name, str_of(mode_names[i]))) {
            *mode = (enum executor_mode)(EXECUTOR_PLAN + i);
            return true;
        }
    return false;
}

static void fill_row(struct run *run, const struct execution_request *request)
{
    struct execution *row = &run->row;
    const char *kind_text = request->kind ? request->kind : "";
    enum kind kind;
    ulid_new(row->id);
    row->created_at = clock_utc_ms();
    if (request->kind && kind_parse(str_of(request->kind), &kind))
        kind_text = kind_name(kind);
    run->named = request->kind && request->kind[0] && request->name && request->name[0];
    row->incident_id = request->incident_id;
    row->decision_id = request->decision_id;
    row->alert_id = request->alert_id;
    row->alert_name = request->alert_name;
    row->trace_id = request->trace_id;
    row->action = action_name(run->action);
    row->cluster = request->cluster ? request->cluster : "";
    row->kind = run->named ? kind_text : "";
    row->name = run->named ? request->name : "";
    row->namespace = request->namespace && request->namespace[0] ? request->namespace
                     : run->named && kind_parse(str_of(kind_text), &kind) && kind_is_namespaced(kind)
                         ? run->config->kubernetes.namespace
                         : "";
    row->dry_run = mode_names[run->mode];
    row->requested_by = request->requested_by ? request->requested_by : "";
    row->severity = request->severity;
    row->confidence = request->confidence;
    row->idempotency_key = request->key ? request->key
                           : request->decision_id
                               ? run_printf(run, "decision:%s:%s", request->decision_id, row->dry_run)
                               : run_printf(run, "execution:%s", row->id);
    if (request->labels) {
        run->labels = *request->labels;
        row->details = json_with(run->arena, row->details, "/labels", labels_json(run, request->labels));
    }
    if (request->annotations) {
        run->annotations = *request->annotations;
        row->details =
            json_with(run->arena, row->details, "/annotations", labels_json(run, request->annotations));
    }
    row->details = json_with(run->arena, row->details, "/named", run->named ? "true" : "false");
}

static bool find_by_key(struct run *run, struct execution *execution, bool *found, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_READ, err);
    return tx && execution_by_key(tx, run->arena, run->row.idempotency_key, execution, found, err);
}

static bool read_back(struct run *run, struct execution *execution, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(run->executor->store, TX_READ, err);
    return tx && execution_get(tx, run->arena, run->row.id, execution, err);
}

bool executor_execute(struct executor *executor, struct arena *arena, const struct execution_request *request,
                      struct execution *execution, bool *again, struct error **err)
{
    const struct config *config = executor_hold_config(executor);
    enum config_dry_run mode = mode_of(config, request->mode);
    executor_release_config(executor, config);
    AUTO(run) struct run *run = run_new(executor, arena, request->action, mode);
    AUTO(error) struct error *why = NULL;
    bool found = false;
    if (!check_names(request, err) || !check_parameters(run, request->parameters, err))
        return false;
    fill_row(run, request);
    if (!find_by_key(run, execution, &found, err))
        return false;
    bool beaten = !found && !run_to_end(run, &why) && error_code(why) == ERROR_EXISTS;
    if (beaten && !find_by_key(run, execution, &found, err))
        return false;
    if (again)
        *again = found;
    if (why && !found) {
        error_move(err, &why);
        return false;
    }
    return found || read_back(run, execution, err);
}

void executor_judge(struct executor *executor, struct arena *arena, const struct policy_question *question,
                    struct policy_verdict *verdict)
{
    const struct policy *policy = executor_hold_policy(executor);
    policy_judge(policy, arena, question, verdict);
    executor_release_policy(executor, policy);
}

/* ---- what is kept */

bool executor_get(struct executor *executor, struct arena *arena, const char *id, struct execution *execution,
                  struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    return tx && execution_get(tx, arena, id, execution, err);
}

bool executor_write_list(struct executor *executor, const struct execution_query *query, struct strbuf *json,
                         struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_READ, err);
    struct execution_query asked = *query;
    struct executions found;
    asked.limit = query->limit ? query->limit + 1 : 0;
    if (!tx || !execution_list(tx, arena, &asked, &found, err))
        return false;
    bool more = query->limit && found.count > (size_t)query->limit;
    size_t count = more ? (size_t)query->limit : found.count;
    strbuf_add_text(json, "{\"executions\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_add_text(json, i ? "," : "");
        execution_write(json, &found.items[i]);
    }
    strbuf_addf(json, "],\"next_cursor\":%s%s%s}", more ? "\"" : "",
                more ? found.items[count - 1].id : "null", more ? "\"" : "");
    return true;
}

bool executor_set_stopped(struct executor *executor, bool stopped, const char *by, const char *why,
                          struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(executor->store, TX_WRITE, err);
    return tx && (stopped ? policy_stop(tx, by, why, err) : policy_resume(tx, by, err)) &&
           tx_commit(STEAL(tx), err);
}

/* ---- a row that another process began */

bool run_read_row(struct run *run, struct error **err)
{
    yyjson_val *details = yyjson_doc_get_root(json_read(run->arena, run->row.details));
    yyjson_val *labels = yyjson_obj_get(details, "labels"),
               *annotations = yyjson_obj_get(details, "annotations");
    run->parameters = yyjson_doc_get_root(json_read(run->arena, run->row.parameters));
    run->named = yyjson_get_bool(yyjson_obj_get(details, "named"));
    run->undo_after_ms = yyjson_get_sint(yyjson_obj_get(details, "undo_after_ms"));
    run->forced = yyjson_get_bool(yyjson_obj_get(details, "forced"));
    run->affected = run->row.affected;
    if (!run->row.details)
        run->row.details = "{}";
    return (!labels ||
            label_list_parse(run->arena, str_of(json_text(run->arena, labels)), &run->labels, err)) &&
           (!annotations ||
            label_list_parse(run->arena, str_of(json_text(run->arena, annotations)), &run->annotations, err));
}
