/* RBAC and the manual, from the table of operations. */
#include "executor/executor_internal.h"

#include <stdlib.h>

enum { RULES_MAX = 400 };

struct rule_row { /* one group and resource, with the verbs that any of the actions needs */
    struct str group, resource;
    unsigned verbs;
    uint32_t actions;
};
struct rule_rows {
    struct rule_row items[RULES_MAX];
    size_t count;
};

static const char *const verbs[] = { "get",   "list",   "watch",  "create",
                                     "patch", "update", "delete", "deletecollection" };

static unsigned verbs_of(const char *text)
{
    unsigned bits = 0;
    struct str rest = str_of(text), part;
    while (str_split(&rest, ',', &part))
        for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
            bits |= str_eq(part, str_of(verbs[i])) ? BIT(i) : 0;
    return bits;
}

static void add_rule(struct rule_rows *rows, struct str group, struct str resource, unsigned bits,
                     enum action action)
{
    size_t i = 0;
    while (i < rows->count &&
           !(str_eq(rows->items[i].group, group) && str_eq(rows->items[i].resource, resource)))
        i++;
    if (i == RULES_MAX)
        return;
    rows->count = MAX(rows->count, i + 1);
    rows->items[i].group = group;
    rows->items[i].resource = resource;
    rows->items[i].verbs |= bits;
    rows->items[i].actions |= BIT(action);
}

static void collect(uint32_t set, struct rule_rows *rows)
{
    for (int action = 0; action < ACTION_COUNT; action++)
        for (const struct right *right = operations[action].rights; set & BIT(action) && right->resource;
             right++) {
            struct str rest = str_of(right->resource), resource;
            while (str_split(&rest, ',', &resource))
                add_rule(rows, str_of(right->group), resource, verbs_of(right->verbs), (enum action)action);
        }
}

static bool is_cluster_scoped(const struct rule_row *row)
{
    static const char *const names[] = { "nodes", "namespaces", "storageclasses", "persistentvolumes",
                                         "clusterrolebindings" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(row->resource, str_of(names[i])))
            return true;
    return false;
}

static void write_rule(struct strbuf *out, const struct rule_row *row)
{
    strbuf_addf(out, "- apiGroups: [\"" STR_FMT "\"]\n  resources: [\"" STR_FMT "\"]\n  verbs: [",
                STR_ARG(row->group), STR_ARG(row->resource));
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (row->verbs & BIT(i)) {
            strbuf_addf(out, "%s%s", first ? "" : ", ", verbs[i]);
            first = false;
        }
    strbuf_add_text(out, "] #");
    for (int action = 0; action < ACTION_COUNT; action++)
        if (row->actions & BIT(action))
            strbuf_addf(out, " %s", action_name((enum action)action));
    strbuf_add_char(out, '\n');
}

static void write_role(struct strbuf *out, const struct rbac_options *options, const struct rule_rows *rows,
                       const char *kind, const char *namespace, int scope)
{
    const char *name = "prometheus-alerts-slm-actions";
    AUTO(strbuf) struct strbuf place = { 0 };
    if (namespace)
        strbuf_addf(&place, ", namespace: %s", namespace);
    strbuf_addf(out, "apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: %s%s}\nrules:\n",
                kind, name, place.ptr ? place.ptr : "");
    for (size_t i = 0; i < rows->count; i++)
        if (scope < 0 || scope == is_cluster_scoped(&rows->items[i]))
            write_rule(out, &rows->items[i]);
    strbuf_addf(out,
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\nmetadata: {name: %s%s}\n"
                "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\n"
                "subjects:\n- {kind: ServiceAccount, name: %s, namespace: %s}\n",
                kind, name, place.ptr ? place.ptr : "", kind, name, options->service_account,
                options->namespace);
}

void executor_write_rbac(const struct rbac_options *options, struct strbuf *out)
{
    struct rule_rows *rows = xcalloc(1, sizeof *rows);
    collect(options->actions, rows);
    if (!options->namespaces || !options->namespaces[0]) {
        write_role(out, options, rows, "ClusterRole", NULL, -1);
    } else {
        write_role(out, options, rows, "ClusterRole", NULL, true);
        for (const char *const *namespace = options->namespaces; *namespace; namespace ++) {
            strbuf_add_text(out, "---\n");
            write_role(out, options, rows, "Role", *namespace, false);
        }
    }
    free(rows);
}

uint32_t executor_actions_needing(const char *group, const char *resource, const char *verb)
{
    struct rule_rows *rows = xcalloc(1, sizeof *rows);
    uint32_t set = 0;
    for (int action = 0; action < ACTION_COUNT; action++) {
        rows->count = 0;
        memset(rows->items, 0, sizeof rows->items);
        collect(BIT(action), rows);
        for (size_t i = 0; i < rows->count; i++)
            if (str_eq(rows->items[i].group, str_of(group)) &&
                str_eq(rows->items[i].resource, str_of(resource)) && rows->items[i].verbs & verbs_of(verb))
                set |= BIT(action);
    }
    free(rows);
    return set;
}

/* ---- the manual */

static void add(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, str_of(text ? text : ""));
}

void executor_write_action(enum action action, struct strbuf *out)
{
    const struct action_info *info = &actions[action];
    const struct operation *operation = &operations[action];
    strbuf_addf(out, "{\"name\":\"%s\",\"category\":\"%s\",\"risk\":\"%s\",\"reversible\":%s", info->name,
                category_name(info->category), risk_name(info->risk), info->reversible ? "true" : "false");
    add(out, "does", info->does);
    add(out, "when", info->when);
    add(out, "not_when", info->not_when);
    strbuf_add_text(out, ",\"kinds\":[");
    bool first = true;
    for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++)
        if (info->kinds & BIT(kind)) {
            strbuf_addf(out, "%s\"%s\"", first ? "" : ",", kind_name((enum kind)kind));
            first = false;
        }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    char *schema = yyjson_mut_val_write(action_schema(action, NULL, doc), YYJSON_WRITE_NOFLAG, NULL);
    strbuf_addf(out, "],\"parameters\":%s,\"rights\":[", schema);
    free(schema);
    yyjson_mut_doc_free(doc);
    for (const struct right *right = operation->rights; right->resource; right++)
        strbuf_addf(out, "%s{\"group\":\"%s\",\"resources\":\"%s\",\"verbs\":\"%s\",\"optional\":%s}",
                    right == operation->rights ? "" : ",", right->group, right->resource, right->verbs,
                    right->optional ? "true" : "false");
    strbuf_add_char(out, ']');
    add(out, "proof", operation->proof);
    add(out, "undo", operation->undo);
    strbuf_add_char(out, '}');
}

static void write_calls(struct strbuf *out, const struct operation *operation)
{
    bool first = true;
    for (const struct right *right = operation->rights; right->resource; right++) {
        if (!(verbs_of(right->verbs) & ~7u)) /* what only looks is in `actions show` */
            continue;
        strbuf_addf(out, "%s`%s%s%s` %s", first ? "" : "; ", right->resource, right->group[0] ? "." : "",
                    right->group, right->verbs);
        first = false;
    }
    strbuf_add_text(out, first ? "reads alone" : "");
}

/* What tests/executor proves it on: the rights say which parts of a cluster it touches. */
static const char *tested_on(const struct operation *operation)
{
    bool execs = false, operators = false;
    for (const struct right *right = operation->rights; right->resource; right++) {
        execs = execs || strstr(right->resource, "pods/exec");
        operators = operators || (right->optional && verbs_of(right->verbs) & ~7u);
    }
    return execs && operators ? "API server; canned commands and operators"
           : execs            ? "API server; canned commands"
           : operators        ? "API server; simulated operators"
                              : "API server";
}

void executor_write_manual(struct strbuf *out)
{
    strbuf_add_text(
        out,
        "# Actions\n\nMade from the table of operations by `prometheus-alerts-slm docs actions`; do not edit. `actions show NAME` "
        "has the parameters and every right.\n\n"
        "Every write is first sent with `dryRun=All`, is conditional on the object as it was read, and carries the execution's id. "
        "Exec has no dry run and no guard: it is done at most once, and cut in the middle ends as `unknown`. What cannot be "
        "done ends as `refused` or `unsupported`, with the reason.\n\n"
        "`tests/executor/actions_real_test.c` does each of them against a real API server, with no right but those that `actions "
        "rbac` prints for it alone: the dry run changes nothing, the real run has the effect that is shown, the same "
        "request once more does nothing, undo restores. Its table of cases says which branches of an action it drives. "
        "Nodes, volumes and operators are simulated there; *canned commands* means that a stand-in with the kubelet's own "
        "protocols and exit codes ran a program that only writes down how it was called: no real database was compacted, "
        "no real heap dumped.\n\n"
        "| action | risk | calls that write | proof of the effect | undo | tested on |\n|---|---|---|---|---|---|\n");
    for (int action = 0; action < ACTION_COUNT; action++) {
        strbuf_addf(out, "| `%s` | %s | ", action_name((enum action)action), risk_name(actions[action].risk));
        write_calls(out, &operations[action]);
        strbuf_addf(out, " | %s | %s | %s |\n", operations[action].proof, operations[action].undo,
                    tested_on(&operations[action]));
    }
}
