/* `executions …`: runs of actions, by hand and from alerts, in the same way and with the same record. */
#include "cli/cli_internal.h"

#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "executor/executor.h"
#include "k8s/k8s.h"

struct hands { /* what a command needs to act */
    struct store *store;
    struct k8s *k8s;
    struct executor *executor;
};

static void hands_cleanup(struct hands *hands)
{
    executor_close(hands->executor);
    k8s_close(hands->k8s);
    store_close(hands->store);
}

/* A command may be the first one on this machine: then it makes the store, as a server would. */
static struct store *open_or_make_store(struct cli *cli, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    struct store *store = cli_open_store(cli, &why);
    if (store || error_code(why) != ERROR_NOT_FOUND || !cli_config(cli, NULL)) {
        error_move(err, &why);
        return store;
    }
    const struct config *config = cli_config(cli, err);
    struct store_options options = { .url = config->store.url, .is_server = true };
    struct store *made = store_open(&options, err);
    if (!made)
        return NULL;
    store_close(made);
    return cli_open_store(cli, err);
}

/* Without a cluster there can still be a plan, unless somebody has said which cluster, or asked for more than a plan. */
static bool open_cluster(struct cli *cli, const struct config *config, struct hands *hands,
                         struct error **why, struct error **err)
{
    const char *mode = cli_flag(cli, "dry-run", "");
    hands->k8s = cluster_open(config, why);
    bool only_plan = !mode[0] || strcmp(mode, "plan") == 0;
    bool said = config->kubernetes.kubeconfig[0] || config->kubernetes.context[0];
    if (hands->k8s || (only_plan && !said && error_code(*why) == ERROR_NOT_FOUND))
        return true;
    error_move(err, why);
    return false;
}

static bool open_hands(struct cli *cli, struct hands *hands, bool cluster, struct error **err)
{
    AUTO(error) struct error *why = NULL;
    const struct config *config = cli_config(cli, err);
    log_configure(LOG_WARN, LOG_FORMAT_AUTO); /* what is done is shown as the command's answer */
    if (!config || !(hands->store = open_or_make_store(cli, err)) ||
        (cluster && !open_cluster(cli, config, hands, &why, err)))
        return false;
    struct executor_options options = { .store = hands->store,
                                        .fixed = config,
                                        .k8s = hands->k8s,
                                        .no_cluster = why ? error_message(why) : NULL };
    hands->executor = executor_open(&options, err);
    return hands->executor != NULL;
}

static const char *who(struct cli *cli)
{
    const struct passwd *user = getpwuid(getuid());
    const char *name = user ? user->pw_name : getenv("USER");
    return cli_flag(cli, "by", name ? name : "command line");
}

/* ---- what a person sees */

static void add_safe(struct strbuf *out, const char *text)
{
    cli_print_safe(out, str_of(text ? text : ""));
}

static void add_fields(struct strbuf *out, yyjson_val *step)
{
    yyjson_val *field;
    yyjson_arr_iter fields = yyjson_arr_iter_with(yyjson_obj_get(step, "fields"));
    while ((field = yyjson_arr_iter_next(&fields))) {
        char *before = yyjson_val_write(yyjson_obj_get(field, "before"), 0, NULL);
        char *want = yyjson_val_write(yyjson_obj_get(field, "want"), 0, NULL);
        strbuf_add_text(out, "            ");
        add_safe(out, yyjson_get_str(yyjson_obj_get(field, "path")));
        strbuf_add_text(out, ": ");
        cli_print_safe(out, str_slice(str_of(before ? before : "null"), 0, 200));
        strbuf_add_text(out, " → ");
        cli_print_safe(out, str_slice(str_of(want), 0, 200));
        strbuf_add_char(out, '\n');
        free(before);
        free(want);
    }
}

static void add_steps(struct strbuf *out, const char *json)
{
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *step;
    yyjson_arr_iter steps = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    while ((step = yyjson_arr_iter_next(&steps))) {
        const char *note = yyjson_get_str(yyjson_obj_get(step, "note"));
        strbuf_addf(out, "  %-8s  ", yyjson_get_str(yyjson_obj_get(step, "state")));
        add_safe(out, yyjson_get_str(yyjson_obj_get(step, "what")));
        strbuf_add_char(out, '\n');
        add_fields(out, step);
        if (note && note[0]) {
            strbuf_add_text(out, "            ");
            add_safe(out, note);
            strbuf_add_char(out, '\n');
        }
    }
    yyjson_doc_free(doc);
}

static void add_details(struct strbuf *out, const char *json)
{
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc), *verdict = yyjson_obj_get(root, "verdict"), *item;
    yyjson_arr_iter path = yyjson_arr_iter_with(yyjson_obj_get(root, "path"));
    for (bool first = true; (item = yyjson_arr_iter_next(&path)); first = false) {
        strbuf_add_text(out, first ? "  target    " : " ▸ ");
        add_safe(out, yyjson_get_str(item));
    }
    if (yyjson_arr_size(yyjson_obj_get(root, "path")))
        strbuf_add_char(out, '\n');
    if (verdict) {
        strbuf_addf(out, "  verdict   %s by ", yyjson_get_str(yyjson_obj_get(verdict, "verdict")));
        add_safe(out, yyjson_get_str(yyjson_obj_get(verdict, "rule")));
        strbuf_add_text(out, ": ");
        add_safe(out, yyjson_get_str(yyjson_obj_get(verdict, "reason")));
        strbuf_add_char(out, '\n');
    }
    const char *message = yyjson_get_str(yyjson_obj_get(root, "message"));
    if (message) {
        strbuf_add_text(out, "  ");
        add_safe(out, message);
        strbuf_add_char(out, '\n');
    }
    yyjson_doc_free(doc);
}

static void add_execution(struct strbuf *out, const struct execution *e)
{
    bool waits = e->state == EXECUTION_PENDING;
    strbuf_addf(out, "execution %s  %s%s%s%s\n", e->id, execution_state_names[e->state],
                strcmp(e->dry_run, "off") ? " (dry run: " : "", strcmp(e->dry_run, "off") ? e->dry_run : "",
                strcmp(e->dry_run, "off") ? ")" : "");
    strbuf_addf(out, "  %s%s  ", e->undo_of ? "undo of " : "", e->undo_of ? e->undo_of : e->action);
    add_safe(out, e->kind);
    strbuf_addf(out, " %s%s%s  ", e->namespace, e->namespace[0] ? "/" : "", e->name);
    add_safe(out, e->parameters);
    strbuf_add_char(out, '\n');
    add_details(out, e->details);
    add_steps(out, e->operations);
    if (e->error) {
        strbuf_add_text(out, "  ");
        add_safe(out, e->error);
        strbuf_add_char(out, '\n');
    }
    if (waits)
        strbuf_addf(out, "  waits for approval: %s executions approve %s\n", CLI_PROGRAM, e->id);
}

static int show_execution(struct cli *cli, const struct execution *execution, bool by_state)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    AUTO(error) struct error *err = NULL;
    if (cli_has(cli, "output") && cli_output(cli) >= CLI_JSON) {
        execution_write(&out, execution);
        if (!cli_show_object(cli, strbuf_str(&out), &err))
            return cli_fail(&err);
    } else {
        add_execution(&out, execution);
        cli_print(strbuf_str(&out));
    }
    bool good = execution->state == EXECUTION_COMPLETED || execution->state == EXECUTION_PENDING ||
                execution->state == EXECUTION_APPROVED;
    return good || !by_state ? CLI_OK : CLI_FAILURE;
}

/* ---- run */

/* "replicas=5": parameters; "deploy/web": the target. */
static bool read_words(struct cli *cli, struct arena *arena, yyjson_mut_doc *doc, yyjson_mut_val *parameters,
                       struct execution_request *request, struct error **err)
{
    for (size_t i = 1; i < cli_args(cli); i++) {
        struct str rest = str_of(cli_arg(cli, i)), first;
        size_t at;
        if (str_find(rest, STR("="), &at)) {
            str_split(&rest, '=', &first);
            yyjson_mut_obj_put(parameters, yyjson_mut_strncpy(doc, first.ptr, first.len),
                               yyjson_mut_strncpy(doc, rest.ptr ? rest.ptr : "", rest.len));
        } else if (!request->name && str_find(rest, STR("/"), &at)) {
            str_split(&rest, '/', &first);
            request->kind = arena_text(arena, first);
            request->name = arena_text(arena, rest);
        } else {
            return error_set(err, ERROR_INVALID,
                             "\"%.100s\" is neither KIND/NAME nor a parameter like replicas=5",
                             cli_arg(cli, i));
        }
    }
    return true;
}

static bool read_request(struct cli *cli, struct arena *arena, struct execution_request *request,
                         struct error **err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *parameters = yyjson_mut_obj(doc);
    const char *mode = cli_flag(cli, "dry-run", NULL);
    *request = (struct execution_request){ .namespace = cli_flag(cli, "namespace", NULL),
                                           .requested_by = who(cli),
                                           .confidence = 1,
                                           .key = cli_flag(cli, "key", NULL) };
    bool ok = action_parse(str_of(cli_arg(cli, 0)), &request->action) ||
              error_set(err, ERROR_INVALID, "there is no action \"%.64s\": see `%s actions list`",
                        cli_arg(cli, 0), CLI_PROGRAM);
    ok = ok && read_words(cli, arena, doc, parameters, request, err);
    char *text = yyjson_mut_val_write(parameters, 0, NULL);
    request->parameters = arena_strdup(arena, text);
    free(text);
    yyjson_mut_doc_free(doc);
    if (mode)
        executor_mode_parse(str_of(mode[0] ? mode : "server"), &request->mode);
    return ok;
}

static int run(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(hands) struct hands hands = { 0 };
    struct execution_request request;
    struct execution execution;
    bool again = false;
    if (!read_request(cli, arena, &request, &err) || !open_hands(cli, &hands, true, &err) ||
        !executor_execute(hands.executor, arena, &request, &execution, &again, &err))
        return cli_fail(&err);
    if (again && !cli_has(cli, "output"))
        printf("already done: this key was used by\n");
    return show_execution(cli, &execution, true);
}

/* ---- list, show */

static const struct cli_column columns[] = {
    { "ID", "id" },
    { "STATE", "state" },
    { "ACTION", "action" },
    { "NAMESPACE", "resource.namespace" },
    { "KIND", "resource.kind" },
    { "NAME", "resource.name" },
    { "DRY-RUN", "dry_run" },
    { "BY", "requested_by" },
    { "CREATED_AT", "created_at" },
    { "ERROR", "error", true },
    { "INCIDENT", "incident_id", true },
    { 0 },
};

static int list(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(strbuf) struct strbuf out = { 0 };
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    struct execution_query query = { .state = cli_flag(cli, "state", NULL),
                                     .action = cli_flag(cli, "action", NULL),
                                     .incident_id = cli_flag(cli, "incident", NULL),
                                     .namespace = cli_flag(cli, "namespace", NULL),
                                     .before_id = cli_flag(cli, "cursor", NULL) };
    struct executions found;
    if (!store || !cli_flag_int(cli, "limit", 50, 0, 100000, &query.limit, &err))
        return cli_fail(&err);
    int64_t limit = query.limit;
    query.limit = limit ? limit + 1 : 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, &err);
    if (!tx || !execution_list(tx, arena, &query, &found, &err))
        return cli_fail(&err);
    bool more = limit && found.count > (size_t)limit;
    size_t count = more ? (size_t)limit : found.count;
    strbuf_add_text(&out, "{\"executions\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_add_text(&out, i ? "," : "");
        execution_write(&out, &found.items[i]);
    }
    strbuf_add_text(&out, "],\"next_cursor\":");
    strbuf_addf(&out, more ? "\"%s\"}" : "null}", more ? found.items[count - 1].id : "");
    return cli_show_list(cli, strbuf_str(&out), "executions", columns, &err) ? CLI_OK : cli_fail(&err);
}

static int show(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    AUTO(tx) struct tx *tx = store ? tx_begin(store, TX_READ, &err) : NULL;
    struct execution execution;
    if (!tx || !execution_get(tx, arena, cli_arg(cli, 0), &execution, &err))
        return cli_fail(&err);
    return show_execution(cli, &execution, false);
}

/* ---- approve, deny */

static bool read_state(struct hands *hands, struct arena *arena, const char *id, struct execution *execution,
                       struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(hands->store, TX_READ, err);
    return tx && execution_get(tx, arena, id, execution, err);
}

/* A server takes it up within a second or two; where none runs, this command does it itself. */
static bool wait_or_do(struct cli *cli, struct hands *hands, struct arena *arena, struct execution *execution,
                       struct error **err)
{
    enum { WAIT_MS = 3000, LOOK_MS = 250, LIMIT_MS = 15 * 60 * 1000 };
    int64_t began = clock_mono_ms();
    bool tended = false;
    (void)cli;
    for (;;) {
        if (!read_state(hands, arena, execution->id, execution, err))
            return false;
        int64_t waited = clock_mono_ms() - began;
        if (execution_state_is_final(execution->state) || waited > LIMIT_MS)
            return true;
        if (!tended && waited > WAIT_MS && execution->state == EXECUTION_APPROVED) {
            tended = true;
            if (!executor_tend(hands->executor, err))
                return false;
        }
        clock_sleep_ms(LOOK_MS);
    }
}

static int decide(struct cli *cli, bool approve)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(hands) struct hands hands = { 0 };
    struct approval approval;
    struct execution execution = { 0 };
    if (!open_hands(cli, &hands, approve && !cli_has(cli, "no-wait"), &err) ||
        !executor_approve(hands.executor, arena, cli_arg(cli, 0), approve, who(cli),
                          cli_flag(cli, "reason", ""), &approval, &err))
        return cli_fail(&err);
    snprintf(execution.id, sizeof execution.id, "%s", cli_arg(cli, 0));
    if (!(approve && !cli_has(cli, "no-wait") ? wait_or_do(cli, &hands, arena, &execution, &err)
                                              : read_state(&hands, arena, execution.id, &execution, &err)))
        return cli_fail(&err);
    return show_execution(cli, &execution, approve);
}

static int approve(struct cli *cli)
{
    return decide(cli, true);
}

static int deny(struct cli *cli)
{
    return decide(cli, false);
}

/* ---- undo */

static bool undo_in(struct cli *cli, struct hands *hands, struct arena *arena, enum executor_mode mode,
                    struct execution *execution, struct error **err)
{
    struct execution_undo undo = { cli_arg(cli, 0), who(cli), cli_flag(cli, "reason", ""), mode,
                                   cli_has(cli, "force") };
    return executor_undo(hands->executor, arena, &undo, execution, err);
}

static int undo(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(hands) struct hands hands = { 0 };
    struct execution execution;
    const char *mode = cli_flag(cli, "dry-run", NULL);
    enum executor_mode parsed = EXECUTOR_REAL;
    if (mode)
        executor_mode_parse(str_of(mode[0] ? mode : "server"), &parsed);
    if (!open_hands(cli, &hands, true, &err))
        return cli_fail(&err);
    if (parsed == EXECUTOR_REAL) { /* what would change is shown first, on standard error */
        if (!undo_in(cli, &hands, arena, EXECUTOR_PLAN, &execution, &err))
            return cli_fail(&err);
        AUTO(strbuf) struct strbuf out = { 0 };
        add_steps(&out, execution.operations);
        fputs(out.ptr ? out.ptr : "", stderr);
        if (execution.state != EXECUTION_COMPLETED)
            return show_execution(cli, &execution, true);
    }
    if (!undo_in(cli, &hands, arena, parsed, &execution, &err))
        return cli_fail(&err);
    return show_execution(cli, &execution, true);
}

/* ---- stop, resume */

static int set_switch(struct cli *cli, bool stop)
{
    AUTO(error) struct error *err = NULL;
    AUTO(store) struct store *store = open_or_make_store(cli, &err);
    AUTO(tx) struct tx *tx = store ? tx_begin(store, TX_WRITE, &err) : NULL;
    if (!tx ||
        !(stop ? policy_stop(tx, who(cli), cli_flag(cli, "reason", ""), &err)
               : policy_resume(tx, who(cli), &err)) ||
        !tx_commit(STEAL(tx), &err))
        return cli_fail(&err);
    puts(stop ? "stopped: nothing is executed until `executions resume`" : "resumed");
    return CLI_OK;
}

static int stop(struct cli *cli)
{
    return set_switch(cli, true);
}

static int resume(struct cli *cli)
{
    return set_switch(cli, false);
}

static const char *const modes[] = { "plan", "server", "off", "", NULL };
#define FLAG_DRY_RUN                                                                                                                \
    { "dry-run", 0, "[MODE]",                                                                                                       \
      "plan writes nothing, server tries it with the API server (the default of a bare --dry-run), off acts; else actions.dry_run", \
      modes }
#define FLAG_BY { "by", 0, "NAME", "who asks, for the record; else your login" }
#define FLAG_REASON { "reason", 'r', "TEXT", "why, for the record" }
#define FLAG_OUTPUT CLI_FLAG_OUTPUT

static const struct cli_flag run_flags[] = {
    { "namespace", 'n', "NAME", "namespace of the target" },
    FLAG_DRY_RUN,
    { "key", 0, "TEXT", "the same key is the same execution: run again, it is already done" },
    FLAG_BY,
    FLAG_OUTPUT,
    { 0 },
};
static const struct cli_flag list_flags[] = {
    CLI_FLAG_OUTPUT,
    CLI_FLAG_LIMIT,
    { "state", 0, "STATE", "only those in this state" },
    { "action", 0, "NAME", "only those of this action" },
    { "incident", 0, "ID", "only those of this incident" },
    { "namespace", 'n', "NAME", "only those in this namespace" },
    { "cursor", 0, "ID", "the page after this one: next_cursor of a list" },
    { 0 },
};
static const struct cli_flag decide_flags[] = {
    FLAG_BY,     FLAG_REASON, { "no-wait", 0, NULL, "do not wait for the outcome: a server takes it up" },
    FLAG_OUTPUT, { 0 },
};
static const struct cli_flag undo_flags[] = {
    FLAG_DRY_RUN, { "force", 'f', NULL, "also if somebody has changed it since" },
    FLAG_BY,      FLAG_REASON,
    FLAG_OUTPUT,  { 0 },
};
static const struct cli_flag switch_flags[] = { FLAG_BY, FLAG_REASON, { 0 } };

const struct cli_command cli_executions[] = {
    { "executions run", "ACTION [KIND/NAME] [PARAMETER=VALUE...]",
      "run one action by hand, with all checks and the record", run, 1, 64, .flags = run_flags,
      .details = "executions run scale_deployment -n shop deploy/web replicas=5 --dry-run=server" },
    { "executions list", "", "list executions, newest first", list, .flags = list_flags },
    { "executions show", "ID", "show one execution", show, 1, 1, .flags = cli_output_flags },
    { "executions approve", "ID", "allow an execution that waits for approval", approve, 1, 1,
      .flags = decide_flags,
      .details = "It is judged again against the present state before anything is done." },
    { "executions deny", "ID", "refuse an execution that waits for approval", deny, 1, 1,
      .flags = decide_flags },
    { "executions undo", "ID", "undo an execution; shows first what would change", undo, 1, 1,
      .flags = undo_flags },
    { "executions stop", "", "stop all executions, everywhere", stop, .flags = switch_flags },
    { "executions resume", "", "let executions go on", resume, .flags = switch_flags },
    { 0 },
};
