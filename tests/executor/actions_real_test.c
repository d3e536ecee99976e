/* Every action against a real API server, with no right but those that it declares: the dry run changes nothing, the real
 * run has the effect that the cluster then shows, the same request once more is the same execution, and undo puts back
 * what the catalogue calls reversible. What cannot be done ends as refused or unsupported, with its reason. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/executor/ground.h"

struct action_case {
    enum action action;
    const char *kind, *namespace,
        *name; /* a name that begins with $ is a shell expression; NULL: no target */
    const char *parameters;
    const char *prepare;        /* kubectl, before anything */
    enum execution_state ends;  /* PENDING: completed */
    bool late;                  /* only the real run finds it out */
    const char *reason;         /* in the error */
    const char *look;           /* kubectl: what the action is about; NAME is the target's */
    const char *before, *after; /* what it shows then; after NULL: something else than before */
    bool looks;                 /* changes nothing: what it found has `found` */
    const char *found;          /* in the record */
    const char *execs;          /* what the stand-in of the kubelet was told to run holds this */
};

#define POD(labels, namespace)                                                                               \
    "$(k get pod -n " namespace " -l " labels " -o jsonpath={.items[0].metadata.name})"
#define NO_VALUE ""

static const struct action_case cases[] = {
    { ACTION_SCALE_DEPLOYMENT, "Deployment", "shop", "web", "{\"replicas\":5}",
      .look = "k get deploy -n shop web -o jsonpath={.spec.replicas}", .before = "3", .after = "5" },
    { ACTION_SCALE_DEPLOYMENT, "DeploymentConfig", "legacy", "ledger", "{\"replicas\":3}",
      .look = "k get deploymentconfigs -n legacy ledger -o jsonpath={.spec.replicas}", .before = "2",
      .after = "3" },
    { ACTION_SCALE_DEPLOYMENT, "Deployment", "shop", "cart", "{\"replicas\":4}", .ends = EXECUTION_REFUSED,
      .reason = "update_hpa" },
    { ACTION_SCALE_DEPLOYMENT, "Deployment", "shop", "catalog", "{\"replicas\":4}", .ends = EXECUTION_REFUSED,
      .reason = "where it is declared" },
    { ACTION_SCALE_DEPLOYMENT, "Deployment", "shop", "no-such", "{\"replicas\":4}", .ends = EXECUTION_REFUSED,
      .reason = "not found" },
    { ACTION_RESTART_POD, "Pod", "shop", POD("app=api", "shop"), "{}",
      .look = "k get pod -n shop NAME --ignore-not-found -o jsonpath={.metadata.name}", .after = NO_VALUE },
    { ACTION_RESTART_POD, "Pod", "shop", POD("app=checkout", "shop"), "{}", .ends = EXECUTION_FAILED,
      .late = true, .reason = "disruption budget" },
    { ACTION_RESTART_POD, "Pod", "exec", "crasher", "{}", .ends = EXECUTION_REFUSED,
      .reason = "no controller" },
    { ACTION_INCREASE_RESOURCES, "Deployment", "shop", "api", "{\"memory_limit\":\"512Mi\"}",
      .look =
          "k get deploy -n shop api -o jsonpath={.spec.template.spec.containers[0].resources.limits.memory}",
      .before = "256Mi", .after = "512Mi" },
    /* A pod is named, and what it is made from is changed; but one that nobody made. */
    { ACTION_INCREASE_RESOURCES, "Pod", "shop", "db-0", "{\"memory_limit\":\"600Mi\"}",
      .look = "k get sts -n shop db -o jsonpath={.spec.template.spec.containers[0].resources.limits.memory}",
      .before = "512Mi", .after = "600Mi", .found = "StatefulSet shop/db by owner" },
    { ACTION_INCREASE_RESOURCES, "Pod", "shop", POD("app=api", "shop"), "{\"memory_limit\":\"300Mi\"}",
      .look =
          "k get deploy -n shop api -o jsonpath={.spec.template.spec.containers[0].resources.limits.memory}",
      .before = "256Mi", .after = "300Mi", .found = "Deployment shop/api by owner" },
    { ACTION_INCREASE_RESOURCES, "Pod", "exec", "alone", "{\"memory_limit\":\"256Mi\"}",
      .look = "k get pod -n exec alone -o jsonpath={.spec.containers[0].resources.limits.memory}",
      .before = "128Mi", .after = "256Mi", .found = "Pod exec/alone by named" },
    { ACTION_INCREASE_RESOURCES, "Pod", "exec", "operated", "{\"memory_limit\":\"256Mi\"}",
      .ends = EXECUTION_REFUSED, .reason = "change PodSet orders" },
    { ACTION_INCREASE_RESOURCES, "Deployment", "shop", "api", "{\"memory_limit\":\"64Mi\"}",
      .ends = EXECUTION_REFUSED, .reason = "only raises" },
    { ACTION_NOTIFY_ONLY, "Deployment", "shop", "web", "{\"message\":\"look at web\"}",
      .look = "k get events -n shop --field-selector reason=NotifyOnly -o jsonpath={.items[*].message}",
      .before = NO_VALUE, .after = "look at web" },
    { ACTION_ROLLBACK_DEPLOYMENT, "Deployment", "shop", "payments", "{}",
      .prepare = "k set image -n shop deploy/payments payments=registry.example/shop/payments:2.3 && "
                 "k rollout status -n shop deploy/payments",
      .look = "k get deploy -n shop payments -o jsonpath={.spec.template.spec.containers[0].image}",
      .before = "registry.example/shop/payments:2.3", .after = "registry.example/shop/payments:2.2" },
    { ACTION_ROLLBACK_DEPLOYMENT, "Deployment", "shop", "stock", "{}", .ends = EXECUTION_REFUSED,
      .reason = "no ReplicaSet of an older revision" },
    { ACTION_EXPAND_PVC, "PersistentVolumeClaim", "shop", "uploads", "{\"new_size\":\"2Gi\"}",
      .look = "k get pvc -n shop uploads -o jsonpath={.status.capacity.storage}", .before = "1Gi",
      .after = "2Gi" },
    { ACTION_EXPAND_PVC, "PersistentVolumeClaim", "shop", "archive", "{\"new_size\":\"2Gi\"}",
      .ends = EXECUTION_REFUSED, .reason = "does not allow expansion" },
    { ACTION_EXPAND_PVC, "PersistentVolumeClaim", "shop", "stubborn", "{\"new_size\":\"2Gi\"}",
      .ends = EXECUTION_FAILED, .late = true, .reason = "cannot be resized" },
    { ACTION_QUARANTINE_POD, "Pod", "shop", "db-0", "{}",
      .look = "k get pod -n shop db-0 -o jsonpath='{.metadata.labels}' | grep -c quarantine; "
              "k get networkpolicy -n shop -o name | grep -c quarantine; true",
      .before = "0\n0", .after = "1\n1" },
    { ACTION_QUARANTINE_POD, "Pod", "shop", POD("app=search", "shop"), "{}",
      .look = "k get networkpolicy -n shop -o name | grep -c quarantine; true", .before = "0", .after = "1" },
    { ACTION_COLLECT_DIAGNOSTICS, "Deployment", "shop", "web", "{}", .looks = true,
      .found = "first line of a simulated log" },
    { ACTION_COLLECT_DIAGNOSTICS, "Node", NULL, "node-1", "{}", .looks = true, .found = "KubeletReady" },
    { ACTION_CLEANUP_STORAGE, "PersistentVolumeClaim", "exec", "logs", "{\"path\":\"/var/log\"}",
      .execs = "find /var/log -xdev -type f -mmin +10080 -print -delete" },
    { ACTION_CLEANUP_STORAGE, "PersistentVolumeClaim", "exec", "full", "{\"path\":\"/var/cache/app\"}",
      .look =
          "k get jobs -n exec -o jsonpath='{.items[*].status.succeeded} "
          "{.items[*].spec.template.spec.containers[0].image} {.items[*].spec.template.spec.securityContext.runAsUser}'",
      .before = "  ", .after = "1 registry.example/tools:1.0 1000" },
    { ACTION_CLEANUP_STORAGE, "PersistentVolumeClaim", "exec", "logs", "{\"path\":\"/etc\"}",
      .ends = EXECUTION_REFUSED, .reason = "actions.cleanup_paths" },
    { ACTION_CLEANUP_STORAGE, "PersistentVolumeClaim", "shop", "stubborn", "{\"path\":\"/var/log\"}",
      .ends = EXECUTION_REFUSED, .reason = "no pod mounts claim" },
    { ACTION_BACKUP_DATA, "PersistentVolumeClaim", "shop", "uploads", "{}",
      .look = "k get volumesnapshots -n shop -o jsonpath={.items[*].status.readyToUse}", .before = NO_VALUE,
      .after = "true" },
    { ACTION_BACKUP_DATA, "Cluster", "databases", "orders", "{\"backup_name\":\"before-repair\"}",
      .look = "k get backups.postgresql.cnpg.io -n databases -o jsonpath={.items[*].status.phase}",
      .before = NO_VALUE, .after = "completed" },
    { ACTION_BACKUP_DATA, "Namespace", NULL, "shop", "{\"backup_name\":\"by-hand\"}",
      .look = "k get backups.velero.io -n velero by-hand --ignore-not-found -o jsonpath={.status.phase}",
      .before = NO_VALUE, .after = "Completed" },
    { ACTION_BACKUP_DATA, "CronJob", "shop", "report", "{}",
      .look = "k get jobs -n shop -o jsonpath={.items[*].status.succeeded}", .before = NO_VALUE,
      .after = "1" },
    { ACTION_COMPACT_STORAGE, "StatefulSet", "exec", "pg", "{}", .execs = "vacuumdb --analyze --all" },
    { ACTION_COMPACT_STORAGE, "StatefulSet", "exec", "heap", "{}", .ends = EXECUTION_UNSUPPORTED,
      .reason = "no database that we know" },
    { ACTION_CORDON_NODE, "Node", NULL, "node-3", "{}",
      .look = "k get node node-3 -o jsonpath={.spec.unschedulable}", .before = NO_VALUE, .after = "true" },
    { ACTION_UPDATE_HPA, "HorizontalPodAutoscaler", "shop", "cart", "{\"max_replicas\":8}",
      .look = "k get hpa -n shop cart -o jsonpath={.spec.maxReplicas}", .before = "5", .after = "8" },
    { ACTION_UPDATE_HPA, "Deployment", "shop", "worker", "{\"max_replicas\":12}",
      .look = "k get scaledobjects -n shop worker -o jsonpath={.spec.maxReplicaCount}", .before = "10",
      .after = "12" },
    { ACTION_UPDATE_HPA, "Deployment", "shop", "web", "{\"max_replicas\":12}", .ends = EXECUTION_REFUSED,
      .reason = "no autoscaler" },
    { ACTION_RESTART_DAEMONSET, "DaemonSet", "monitoring", "agent", "{}",
      .look = "k get ds -n monitoring agent -o jsonpath={.spec.template.metadata.annotations}",
      .before = NO_VALUE },
    { ACTION_RESTART_DAEMONSET, "DaemonSet", "exec", "by-hand", "{}",
      .look = "k get pod -n exec -l app=by-hand -o name" },
    { ACTION_ROTATE_SECRETS, "Certificate", "shop", "web", "{}",
      .look = "k get certificates -n shop web -o jsonpath={.status.revision}", .before = "1", .after = "2" },
    { ACTION_ROTATE_SECRETS, "ExternalSecret", "shop", "partner", "{}",
      .look = "k get secret -n shop partner-token -o jsonpath={.data} | sha256sum" },
    { ACTION_ROTATE_SECRETS, "Secret", "shop", "signing", "{}",
      .look = "k get secret -n shop signing -o jsonpath={.data.key} | sha256sum" },
    { ACTION_ROTATE_SECRETS, "Secret", "shop", "web-credentials", "{}", .ends = EXECUTION_REFUSED,
      .reason = "rotate-keys" },
    { ACTION_AUDIT_LOGS, "Namespace", NULL, "shop", "{}", .looks = true, .found = "clusterrolebindings" },
    { ACTION_UPDATE_NETWORK_POLICY, "NetworkPolicy", "shop", "web",
      "{\"action_type\":\"allow_egress\",\"port\":443}",
      .look = "k get networkpolicy -n shop web -o jsonpath={.spec.egress[*].ports[*].port}",
      .before = "5432 53", .after = "5432 53 443" },
    { ACTION_UPDATE_NETWORK_POLICY, "Deployment", "shop", "api", "{\"action_type\":\"deny_egress\"}",
      .look = "k get networkpolicy -n shop -o name | grep -c deny-egress; true", .before = "0",
      .after = "1" },
    { ACTION_UPDATE_NETWORK_POLICY, "Deployment", "shop", "api",
      "{\"action_type\":\"allow_ingress\",\"port\":8080}",
      .look = "k get networkpolicy -n shop -o name | grep -c allow-ingress; true", .before = "0",
      .after = "1" },
    { ACTION_UPDATE_NETWORK_POLICY, "Deployment", "shop", "api",
      "{\"action_type\":\"allow_egress\",\"port\":443}", .ends = EXECUTION_REFUSED,
      .reason = "no policy restricts egress" },
    { ACTION_UPDATE_NETWORK_POLICY, "NetworkPolicy", "shop", "web", "{\"action_type\":\"allow_egress\"}",
      .ends = EXECUTION_REFUSED, .reason = "would let everything through" },
    { ACTION_RESTART_NETWORK, "Node", NULL, "node-1", "{\"component\":\"kube-proxy\"}",
      .look =
          "k get pod -n kube-system -l k8s-app=kube-proxy --field-selector spec.nodeName=node-1 -o name" },
    { ACTION_RESTART_NETWORK, NULL, NULL, NULL, "{\"component\":\"dns\"}",
      .look = "k get deploy -n kube-system coredns -o jsonpath={.spec.template.metadata.annotations}",
      .before = NO_VALUE },
    { ACTION_RESTART_NETWORK, NULL, NULL, NULL, "{\"component\":\"cni\"}", .ends = EXECUTION_UNSUPPORTED,
      .reason = "no cni workload" },
    { ACTION_RESET_SERVICE_MESH, "Namespace", NULL, "shop", "{\"mesh_type\":\"istio\"}",
      .look = "k get deploy -n istio-system istiod -o jsonpath={.spec.template.metadata.annotations}",
      .before = NO_VALUE },
    { ACTION_RESET_SERVICE_MESH, "Namespace", NULL, "shop", "{\"mesh_type\":\"linkerd\"}",
      .ends = EXECUTION_UNSUPPORTED, .reason = "no linkerd in this cluster" },
    { ACTION_FAILOVER_DATABASE, "Cluster", "databases", "orders", "{}",
      .look = "k get clusters.postgresql.cnpg.io -n databases orders -o jsonpath={.status.currentPrimary}",
      .before = "orders-1", .after = "orders-2" },
    { ACTION_FAILOVER_DATABASE, "StatefulSet", "exec", "sentinel", "{}",
      .execs = "redis-cli -p 26379 SENTINEL FAILOVER mymaster" },
    { ACTION_FAILOVER_DATABASE, "StatefulSet", "shop", "db", "{}", .ends = EXECUTION_UNSUPPORTED,
      .reason = "no database operator" },
    { ACTION_FAILOVER_DATABASE, "StatefulSet", "exec", "patroni", "{}",
      .prepare = "k label -n exec pod/patroni-0 role=master && k label -n exec pod/patroni-1 role=replica",
      .execs = "patronictl switchover --leader patroni-0 --candidate patroni-1 --force" },
    { ACTION_REPAIR_DATABASE, "StatefulSet", "exec", "pg", "{}",
      .execs = "pg_amcheck --all --install-missing" },
    { ACTION_REPAIR_DATABASE, "Pod", "shop", "db-1", "{\"repair_type\":\"rebuild_replica\"}",
      .look = "k get pvc -n shop data-db-1 -o jsonpath={.metadata.uid}" },
    { ACTION_SCALE_STATEFULSET, "StatefulSet", "shop", "db", "{\"replicas\":3}",
      .look = "k get sts -n shop db -o jsonpath={.spec.replicas}", .before = "2", .after = "3" },
    { ACTION_ENABLE_DEBUG_MODE, "Deployment", "shop", "web", "{}",
      .look = "k get deploy -n shop web -o jsonpath='{.spec.template.spec.containers[0].env[0].value}'",
      .before = "info", .after = "debug" },
    { ACTION_ENABLE_DEBUG_MODE, "Deployment", "shop", "search", "{}", .ends = EXECUTION_UNSUPPORTED,
      .reason = "no LOG_LEVEL" },
    { ACTION_CREATE_HEAP_DUMP, "Pod", "exec", "heap-0", "{\"container\":\"java\"}",
      .execs = "jcmd 1 GC.heap_dump /tmp/" },
    { ACTION_CREATE_HEAP_DUMP, "Pod", "exec", "heap-0", "{\"container\":\"node\"}",
      .ends = EXECUTION_UNSUPPORTED, .late = true, .reason = "kill is not in container node" },
    { ACTION_CREATE_HEAP_DUMP, "Pod", "exec", "heap-0", "{\"container\":\"other\"}",
      .ends = EXECUTION_UNSUPPORTED, .reason = "runtime" },
    { ACTION_CREATE_HEAP_DUMP, "Pod", "exec", "heap-0", "{\"container\":\"other\",\"runtime\":\"python\"}",
      .ends = EXECUTION_UNSUPPORTED, .late = true, .reason = "py-spy is not in container other" },
    { ACTION_OPTIMIZE_RESOURCES, "Deployment", "shop", "search", "{}",
      .look =
          "k get deploy -n shop search -o jsonpath={.spec.template.spec.containers[0].resources.requests.memory}",
      .before = "512Mi", .after = "840Mi" },
    { ACTION_OPTIMIZE_RESOURCES, "Deployment", "shop", "web", "{}", .ends = EXECUTION_REFUSED,
      .reason = "no VerticalPodAutoscaler" },
    { ACTION_MIGRATE_WORKLOAD, "Deployment", "shop", "api", "{\"target_node\":\"node-2\"}",
      .look = "k get deploy -n shop api -o jsonpath={.spec.template.spec.nodeSelector}", .before = NO_VALUE,
      .after = "{\"kubernetes.io/hostname\":\"node-2\"}" },
    { ACTION_MIGRATE_WORKLOAD, "Pod", "shop", POD("app=payments", "shop"), "{}",
      .look = "k get pod -n shop NAME --ignore-not-found -o jsonpath={.metadata.name}; "
              "k get nodes -o jsonpath={.items[*].spec.unschedulable}",
      .after = NO_VALUE },
    { ACTION_DRAIN_NODE, "Node", NULL, "exec-node", "{}", .ends = EXECUTION_REFUSED,
      .reason = "on it has no controller" },
    /* No pod of checkout, whose budget allows nothing; those of api leave one after the other. */
    { ACTION_DRAIN_NODE, "Node", NULL,
      "$(k get pod -n shop -l app=checkout -o jsonpath='{.items[*].spec.nodeName}' | "
      "python3 -c 'import sys; print(min({\"node-1\", \"node-2\", \"node-3\", \"node-4\"} - set(sys.stdin.read().split())))')",
      "{\"timeout\":\"60s\"}", .look = "k get node NAME -o jsonpath={.spec.unschedulable}",
      .before = NO_VALUE, .after = "true" },
    { ACTION_DRAIN_NODE, "Node", NULL,
      "$(k get pod -n shop -l app=checkout -o jsonpath={.items[0].spec.nodeName})", "{\"timeout\":\"10s\"}",
      .ends = EXECUTION_FAILED, .late = true, .reason = "disruption budget" },
};

static char *name_of(const struct action_case *c)
{
    if (!c->name || c->name[0] != '$')
        return c->name ? xstrdup(c->name) : NULL;
    return kubectl("echo \"%s\"", c->name);
}

static char *look(const struct action_case *c, const char *name)
{
    AUTO(strbuf) struct strbuf command = { 0 };
    const char *at = c->look ? strstr(c->look, "NAME") : NULL;
    if (!c->look)
        return xstrdup("");
    strbuf_add(&command, (struct str){ c->look, at ? (size_t)(at - c->look) : strlen(c->look) });
    strbuf_addf(&command, "%s%s", at ? name : "", at ? at + 4 : "");
    return kubectl("%s", command.ptr);
}

static char *version_of(const struct action_case *c, const char *name)
{
    if (!name)
        return xstrdup("");
    const char *kind = !strcmp(c->kind, "Cluster") ? "clusters.postgresql.cnpg.io" : c->kind;
    return kubectl("k get %s%s%s %s --ignore-not-found -o jsonpath={.metadata.resourceVersion}", kind,
                   c->namespace ? " -n " : "", c->namespace ? c->namespace : "", name);
}

/* Until nobody writes to the target any more: what was done before has settled. Its resourceVersion. */
static char *settled(const struct action_case *c, const char *name)
{
    char *last = version_of(c, name);
    for (int i = 0; i < 60; i++) {
        clock_sleep_ms(200);
        char *now = version_of(c, name);
        bool same = !strcmp(now, last);
        free(last);
        last = now;
        if (same)
            break;
    }
    return last;
}

static struct execution execute(struct arena *arena, const struct action_case *c, const char *name,
                                enum executor_mode mode, const char *key, bool *again)
{
    struct error *err = NULL;
    struct execution row = { 0 };
    struct execution_request request = { .action = c->action,
                                         .parameters = c->parameters,
                                         .kind = c->kind,
                                         .namespace = c->namespace,
                                         .name = name,
                                         .confidence = 1,
                                         .requested_by = "test",
                                         .mode = mode,
                                         .key = key };
    assert_ok(executor_execute(ground_executor(), arena, &request, &row, again, &err), err);
    return row;
}

static unsigned failures;
__attribute__((format(printf, 4, 5))) static bool expect(bool holds, const struct action_case *c,
                                                         const char *when, const char *format, ...)
{
    va_list args;
    if (holds)
        return true;
    failures++;
    va_start(args, format);
    AUTO(text) char *what = NULL;
    assert_true(vasprintf(&what, format, args) > 0);
    va_end(args);
    print_error("%s %s/%s %s: %s: %s\n", action_name(c->action), c->kind ? c->kind : "-",
                c->name ? c->name : "-", c->parameters, when, what);
    return false;
}

static enum execution_state expected_end(const struct action_case *c, bool dry)
{
    return c->ends == EXECUTION_PENDING || (dry && c->late) ? EXECUTION_COMPLETED : c->ends;
}

static bool check_end(const struct action_case *c, const struct execution *row, bool dry)
{
    enum execution_state wanted = expected_end(c, dry);
    const char *when = dry ? "dry run" : "real run", *why = row->error ? row->error : "";
    return expect(row->state == wanted, c, when, "ended %s: %s", execution_state_names[row->state], why) &&
           expect(wanted == EXECUTION_COMPLETED || strstr(why, c->reason), c, when, "its reason is \"%s\"",
                  why);
}

/* False: somebody has written to the target meanwhile, a controller that was not done yet or the dry run. */
static bool try_once(struct arena *arena, const struct action_case *c, const char *name, bool last)
{
    AUTO(text) char *version = settled(c, name);
    AUTO(text) char *before = look(c, name);
    ground_forget_writes();
    struct execution row = execute(arena, c, name, EXECUTOR_SERVER, NULL, NULL);
    AUTO(text) char *after = version_of(c, name);
    if (strcmp(version, after) && !last)
        return false;
    AUTO(text) char *writes = ground_writes(), *now = look(c, name);
    check_end(c, &row, true);
    expect(!writes[0], c, "dry run", "it wrote: %s", writes);
    expect(!strcmp(version, after), c, "dry run", "resourceVersion %s became %s", version, after);
    expect(!strcmp(before, now), c, "dry run", "\"%s\" became \"%s\"", before, now);
    expect(!c->before || !strcmp(before, c->before), c, "before", "it shows \"%s\"", before);
    return true;
}

static void try_it(struct arena *arena, const struct action_case *c, const char *name)
{
    if (!try_once(arena, c, name, false)) {
        clock_sleep_ms(2000);
        try_once(arena, c, name, true);
    }
}

static void undo_it(struct arena *arena, const struct action_case *c, const char *name, const char *id,
                    const char *before)
{
    struct error *err = NULL;
    struct execution undone = { 0 }, original = { 0 };
    struct execution_undo undo = { .id = id, .requested_by = "test", .mode = EXECUTOR_REAL };
    bool ok = executor_undo(ground_executor(), arena, &undo, &undone, &err);
    bool evicts = c->action == ACTION_MIGRATE_WORKLOAD && !strcmp(c->kind, "Pod"); /* pods do not move back */
    if (!actions[c->action].reversible || evicts || c->looks || c->execs) {
        expect(!ok && error_code(err) == ERROR_CONFLICT, c, "undo", "it was not refused: %s",
               error_message(err));
        error_clear(&err);
        return;
    }
    if (!expect(ok, c, "undo", "%s", error_message(err)))
        return error_clear(&err);
    expect(undone.state == EXECUTION_COMPLETED, c, "undo", "ended %s: %s",
           execution_state_names[undone.state], undone.error ? undone.error : "");
    if (c->action == ACTION_FAILOVER_DATABASE)
        free(settled(c, name)); /* its operator switches back in its own time */
    AUTO(text) char *now = look(c, name);
    expect(!strcmp(now, before), c, "undo", "\"%s\" is not \"%s\" again", now, before);
    assert_ok(executor_get(ground_executor(), arena, id, &original, &err), err);
    expect(original.state == EXECUTION_ROLLED_BACK, c, "undo", "it is %s",
           execution_state_names[original.state]);
}

static void repeat_it(struct arena *arena, const struct action_case *c, const char *name, const char *key,
                      const char *id)
{
    bool again = false;
    ground_forget_writes();
    struct execution row = execute(arena, c, name, EXECUTOR_REAL, key, &again);
    AUTO(text) char *writes = ground_writes(), *execs = ground_execs();
    expect(again && !strcmp(row.id, id), c, "same key", "it is another execution");
    expect(!writes[0] && !execs[0], c, "same key", "it did something: %s%s", writes, execs);
}

static void do_it(struct arena *arena, const struct action_case *c, const char *name, const char *key)
{
    AUTO(text) char *before = look(c, name);
    free(ground_execs());
    struct execution row = execute(arena, c, name, EXECUTOR_REAL, key, NULL);
    bool ended = check_end(c, &row, false);
    AUTO(text) char *writes = ground_writes(), *execs = ground_execs(), *after = look(c, name);
    bool refused = row.state == EXECUTION_REFUSED || row.state == EXECUTION_UNSUPPORTED;
    expect(!(refused || c->looks) || !writes[0], c, "real run", "it wrote: %s", writes);
    if (!ended || refused)
        return repeat_it(arena, c, name, key, row.id);
    if (c->look)
        expect(c->after ? !strcmp(after, c->after) : strcmp(after, before) != 0, c, "real run",
               "it shows \"%s\"", after);
    expect(!c->look || writes[0], c, "real run", "the audit log has no write");
    expect(!c->execs || strstr(execs, c->execs), c, "real run", "executed was \"%s\"", execs);
    expect(!c->found || (row.details && strstr(row.details, c->found)), c, "real run", "\"%s\" was not found",
           c->found);
    repeat_it(arena, c, name, key, row.id);
    if (row.state == EXECUTION_COMPLETED)
        undo_it(arena, c, name, row.id, before);
}

static bool is_chosen(const struct action_case *c)
{
    const char *only = getenv("EXECUTOR_TEST_ACTION"); /* one action, for quick work on it */
    return !only || !strcmp(only, action_name(c->action));
}

static void each_action_does_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct action_case *c = &cases[i];
        AUTO(arena) struct arena *arena = arena_new(64 * 1024);
        char key[32];
        if (!is_chosen(c))
            continue;
        int64_t began = clock_mono_ms();
        if (c->prepare)
            free(kubectl("%s", c->prepare));
        ground_allow(c->action);
        AUTO(text) char *name = name_of(c);
        snprintf(key, sizeof key, "case-%zu", i);
        try_it(arena, c, name);
        do_it(arena, c, name, key);
        print_message("%s %s %s: %lld ms\n", action_name(c->action), c->kind ? c->kind : "-",
                      name ? name : "-", (long long)(clock_mono_ms() - began));
    }
    assert_int_equal(failures, 0);
}

static void no_action_is_left_out(void **state)
{
    uint32_t tested = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (cases[i].ends == EXECUTION_PENDING)
            tested |= BIT(cases[i].action);
    assert_int_equal(tested, ACTION_SET_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_action_is_left_out),
        cmocka_unit_test(each_action_does_what_it_says),
    };
    int failed = cmocka_run_group_tests(tests, ground_start, ground_stop);
    cluster_stop();
    return failed;
}
