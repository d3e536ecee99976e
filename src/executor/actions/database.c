/* Databases: promotion by their operator, repair, compaction. Commands are fixed templates without a shell. */
#include "executor/executor_internal.h"

struct step *plan_exec(struct run *run, yyjson_val *pod, const char *container, const char *what,
                       const char *const *command)
{
    struct step *step = step_add(run, STEP_EXEC, &k8s_pods, pod,
                                 run_printf(run, "%s in pod %s", what, k8s_text_at(pod, "/metadata/name")));
    yyjson_val *first = yyjson_arr_get_first(k8s_at(pod, "/spec/containers"));
    const char *preferred = k8s_annotation(pod, "kubectl.kubernetes.io/default-container");
    step->command = command;
    step->container = arena_strdup(run->arena, container && container[0] ? container
                                               : preferred[0]            ? preferred
                                                                         : k8s_text_at(first, "/name"));
    step->wait_ms = run->config->actions.timeout_ms;
    return step;
}

static const char *const *words(struct run *run, const char *const *list)
{
    size_t count = 0;
    while (list[count])
        count++;
    const char **copy = ARENA_ARRAY(run->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_strdup(run->arena, list[i]);
    return copy;
}
#define WORDS(run, ...) words(run, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- failover_database */

/* The healthy instance that is not the primary, or the one that was asked for if it is one of those. */
static const char *choose_instance(struct run *run, yyjson_val *cluster, const char *primary)
{
    const char *wanted = run_text(run, "replica_name"), *chosen = NULL;
    yyjson_val *item, *fenced = k8s_at(cluster, "/metadata/annotations/cnpg.io~1fencedInstances");
    yyjson_arr_iter items = yyjson_arr_iter_with(k8s_at(cluster, "/status/instancesStatus/healthy"));
    while ((item = yyjson_arr_iter_next(&items))) {
        const char *name = yyjson_get_str(item);
        bool is_fenced = yyjson_is_str(fenced) &&
                         (strstr(yyjson_get_str(fenced), name) || strstr(yyjson_get_str(fenced), "*"));
        if (strcmp(name, primary) && !is_fenced && (!wanted[0] || !strcmp(name, wanted)) && !chosen)
            chosen = name;
    }
    return chosen;
}

static void add_switchover(struct run *run, const struct k8s_resource *resource, yyjson_val *cluster,
                           const char *target)
{
    char now[CLOCK_TEXT_MAX];
    const char *wanted = json_quote(run->arena, target),
               *primary = k8s_text_at(cluster, "/status/currentPrimary");
    clock_format(run->row.created_at / 1000 * 1000, now);
    struct step *step = step_add(run, STEP_PATCH, resource, cluster,
                                 run_printf(run, "promote %s in the place of %s", target, primary));
    step->subresource = "status";
    step_field(run, step, cluster, "/status/targetPrimary", wanted);
    step_body_of_fields(run, step);
    step_undo_by_fields(run, step);
    const char *phase = "\"Switchover in progress\"",
               *reason = json_quote(
                   run->arena, run_printf(run, "Switching over to %s (execution %s)", target, run->row.id));
    struct step *const both[] = { step, step->undo };
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        both[i]->body = json_with(run->arena, both[i]->body, "/status/targetPrimaryTimestamp",
                                  json_quote(run->arena, now));
        both[i]->body = json_with(run->arena, both[i]->body, "/status/phase", phase);
        both[i]->body =
            json_with(run->arena, both[i]->body, "/status/phaseReason",
                      i ? json_quote(run->arena, run_printf(run, "Switching back to %s", primary)) : reason);
    }
    struct step *done =
        step_add(run, STEP_WAIT, resource, cluster, run_printf(run, "wait until %s is the primary", target));
    step_field(run, done, cluster, "/status/currentPrimary", wanted);
    done->wait = WAIT_VALUE;
}

static bool switch_over_cnpg(struct run *run, struct error **err)
{
    yyjson_val *cluster = run->target.object->root;
    const char *primary = k8s_text_at(cluster, "/status/currentPrimary");
    const char *target = k8s_text_at(cluster, "/status/targetPrimary");
    if (primary[0] && target[0] && strcmp(primary, target) != 0)
        return run_refuse(run, err, "Cluster %s switches over to %s already", run->row.name, target);
    if (primary[0] && !strcmp(run_text(run, "replica_name"), primary)) {
        run->message = run_printf(run, "already done: %s is the primary", primary);
        return true;
    }
    const char *chosen = choose_instance(run, cluster, primary);
    if (!chosen)
        return run_refuse(run, err, "Cluster %s has no healthy instance%s%s beside its primary %s",
                          run->row.name, run_text(run, "replica_name")[0] ? " " : "",
                          run_text(run, "replica_name"), primary);
    run->row.parameters =
        json_with(run->arena, run->row.parameters, "/replica_name", json_quote(run->arena, chosen));
    add_switchover(run, run->target.resource, cluster, chosen);
    run->affected = 1;
    return true;
}

static yyjson_val *pod_with_role(const struct k8s_list *pods, const char *role)
{
    static const char *const labels[] = { "role", "cnpg.io/instanceRole", "spilo-role" };
    for (size_t i = 0; i < pods->count; i++)
        for (size_t l = 0; l < ARRAY_LEN(labels); l++)
            if (strcmp(k8s_label(pods->items[i], labels[l]), role) == 0)
                return pods->items[i];
    return NULL;
}

/* Patroni labels its leader `role: master` or `primary`; its own tool switches over. */
static bool switch_over_patroni(struct run *run, const struct k8s_list *pods, struct error **err)
{
    yyjson_val *leader = pod_with_role(pods, "master");
    leader = leader ? leader : pod_with_role(pods, "primary");
    const char *replica = run_text(run, "replica_name");
    yyjson_val *candidate = pod_with_role(pods, "replica");
    if (!leader || !candidate)
        return run_refuse(run, err, "no labelled leader and replica are among the pods of %s %s",
                          run->row.kind, run->row.name);
    const char *name = k8s_text_at(leader, "/metadata/name");
    replica = replica[0] ? replica : k8s_text_at(candidate, "/metadata/name");
    plan_exec(run, candidate, NULL, run_printf(run, "switch over from %s to %s", name, replica),
              WORDS(run, "patronictl", "switchover", "--leader", name, "--candidate", replica, "--force"));
    run->affected = 1;
    return true;
}

static bool runs_image(yyjson_val *pod, const char *word)
{
    yyjson_val *container;
    yyjson_arr_iter containers = yyjson_arr_iter_with(k8s_at(pod, "/spec/containers"));
    while ((container = yyjson_arr_iter_next(&containers)))
        if (strcasestr(k8s_text_at(container, "/image"), word))
            return true;
    return false;
}

static yyjson_val *pod_running(const struct k8s_list *pods, const char *word)
{
    for (size_t i = 0; i < pods->count; i++)
        if (runs_image(pods->items[i], word) &&
            !strcmp(k8s_text_at(pods->items[i], "/status/phase"), "Running"))
            return pods->items[i];
    return NULL;
}

static bool is_patroni(const struct k8s_list *pods)
{
    for (size_t i = 0; i < pods->count; i++)
        if (k8s_label(pods->items[i], "spilo-role")[0] ||
            strcmp(k8s_label(pods->items[i], "application"), "spilo") == 0 ||
            k8s_annotation(pods->items[i], "status")[0] || runs_image(pods->items[i], "patroni"))
            return true;
    return false;
}

bool plan_failover_database(struct run *run, struct error **err)
{
    struct k8s_list pods;
    if (strcmp(run->row.kind, "Cluster") == 0)
        return switch_over_cnpg(run, err);
    if (!run_pods(run, &pods, err))
        return false;
    if (is_patroni(&pods))
        return switch_over_patroni(run, &pods, err);
    yyjson_val *sentinel = pod_running(&pods, "sentinel");
    if (sentinel) {
        const char *master = k8s_annotation(sentinel, "prometheus-alerts-slm.io/sentinel-master");
        plan_exec(
            run, sentinel, NULL, "promote a replica",
            WORDS(run, "redis-cli", "-p", "26379", "SENTINEL", "FAILOVER", master[0] ? master : "mymaster"));
        run->affected = 1;
        return true;
    }
    return error_set(
        err, ERROR_UNSUPPORTED,
        "%s %s/%s belongs to no database operator that can fail over (CloudNativePG, Patroni, Redis Sentinel)",
        run->row.kind, run->row.namespace, run->row.name);
}

/* ---- repair_database */

enum engine {
    ENGINE_NONE,
    ENGINE_ETCD,
    ENGINE_POSTGRESQL,
    ENGINE_MYSQL,
    ENGINE_MONGODB,
    ENGINE_ELASTICSEARCH,
    ENGINE_PROMETHEUS
};
static const struct {
    const char *word, *name;
    enum engine engine;
} engines[] = {
    { "etcd", "etcd", ENGINE_ETCD },
    { "postgres", "postgresql", ENGINE_POSTGRESQL },
    { "spilo", "postgresql", ENGINE_POSTGRESQL },
    { "mysql", "mysql", ENGINE_MYSQL },
    { "mariadb", "mysql", ENGINE_MYSQL },
    { "mongo", "mongodb", ENGINE_MONGODB },
    { "elasticsearch", "elasticsearch", ENGINE_ELASTICSEARCH },
    { "opensearch", "elasticsearch", ENGINE_ELASTICSEARCH },
    { "prometheus", "prometheus", ENGINE_PROMETHEUS },
};

static enum engine engine_of(struct run *run, yyjson_val *pod)
{
    const char *said = run_text(run, "engine");
    for (size_t i = 0; i < ARRAY_LEN(engines); i++)
        if (said[0] && strcmp(said, "auto") ? !strcmp(said, engines[i].name)
                                            : runs_image(pod, engines[i].word))
            return engines[i].engine;
    return ENGINE_NONE;
}

static bool database_pods(struct run *run, struct k8s_list *pods, struct error **err)
{
    if (strcmp(run->row.kind, "Cluster") != 0)
        return run_pods(run, pods, err);
    return run_list(run, &k8s_pods, run->row.namespace, run_printf(run, "cnpg.io/cluster=%s", run->row.name),
                    NULL, pods, err);
}

static bool check_engine(struct run *run, const struct k8s_list *pods, enum engine *engine,
                         struct error **err)
{
    if (!pods->count)
        return run_refuse(run, err, "%s %s has no pods", run->row.kind, run->row.name);
    *engine = engine_of(run, pods->items[0]);
    return *engine != ENGINE_NONE || error_set(err, ERROR_UNSUPPORTED, "pod %s runs no database that we know",
                                               k8s_text_at(pods->items[0], "/metadata/name"));
}

static const char *claim_of(yyjson_val *pod)
{
    yyjson_val *volume;
    yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(pod, "/spec/volumes"));
    while ((volume = yyjson_arr_iter_next(&volumes)))
        if (k8s_text_at(volume, "/persistentVolumeClaim/claimName")[0])
            return k8s_text_at(volume, "/persistentVolumeClaim/claimName");
    return "";
}

static bool is_ready(yyjson_val *pod)
{
    return strcmp(k8s_condition(pod, "Ready", NULL, NULL), "True") == 0;
}

/* The one member that is ill, all others being well; its data is taken from them again. */
static bool rebuild_replica(struct run *run, const struct k8s_list *pods, struct error **err)
{
    yyjson_val *ill = strcmp(run->row.kind, "Pod") == 0 ? run->target.object->root : NULL;
    size_t well = 0;
    for (size_t i = 0; i < pods->count; i++) {
        well += is_ready(pods->items[i]);
        if (!is_ready(pods->items[i]) && ill && ill != pods->items[i])
            return run_refuse(run, err, "several members are not ready: which one is to be rebuilt?");
        ill = is_ready(pods->items[i]) ? ill : pods->items[i];
    }
    if (!ill)
        return run_refuse(run, err, "every member is ready: name the pod that is to be rebuilt");
    const char *role = k8s_label(ill, "cnpg.io/instanceRole")[0] ? k8s_label(ill, "cnpg.io/instanceRole")
                                                                 : k8s_label(ill, "role");
    if (!strcmp(role, "primary") || !strcmp(role, "master"))
        return run_refuse(run, err, "pod %s is the primary: fail over first",
                          k8s_text_at(ill, "/metadata/name"));
    if (strcmp(run->row.kind, "Pod") && well == 0)
        return run_refuse(run, err, "no healthy member is left to take the data from");
    const char *claim_name = claim_of(ill);
    struct k8s_object *claim =
        claim_name[0] ? run_get(run, &k8s_pvcs, run->row.namespace, claim_name, err) : NULL;
    if (!claim)
        return claim_name[0] ? false
                             : run_refuse(run, err, "pod %s has no claim to rebuild",
                                          k8s_text_at(ill, "/metadata/name"));
    AUTO(error) struct error *why = NULL;
    struct step *snapshot = plan_snapshot(run, run->row.namespace, claim_name, &why);
    if (!snapshot && error_code(why) != ERROR_UNSUPPORTED) {
        error_move(err, &why);
        return false;
    }
    step_add(run, STEP_DELETE, &k8s_pvcs, claim->root, run_printf(run, "delete claim %s", claim_name));
    struct step *pod = step_add(run, STEP_DELETE, &k8s_pods, ill,
                                run_printf(run, "delete pod %s", k8s_text_at(ill, "/metadata/name")));
    pod->wait = WAIT_GONE;
    struct step *anew = step_add(run, STEP_WAIT, &k8s_pvcs, claim->root,
                                 run_printf(run, "wait until claim %s is there anew", claim_name));
    anew->wait = WAIT_NEW_UID;
    run->affected = 1;
    return true;
}

bool plan_repair_database(struct run *run, struct error **err)
{
    const char *type = run_text(run, "repair_type");
    struct k8s_list pods;
    enum engine engine;
    if (!database_pods(run, &pods, err))
        return false;
    if (strcmp(type, "rebuild_replica") == 0)
        return rebuild_replica(run, &pods, err);
    if (!check_engine(run, &pods, &engine, err))
        return false;
    yyjson_val *pod = pod_with_role(&pods, "primary");
    pod = pod ? pod : pod_with_role(&pods, "master");
    pod = pod ? pod : pods.items[0];
    bool check = strcmp(type, "consistency_check") == 0;
    if (engine == ENGINE_POSTGRESQL)
        plan_exec(run, pod, NULL, check ? "check" : "rebuild indexes",
                  check ? WORDS(run, "pg_amcheck", "--all", "--install-missing")
                        : WORDS(run, "reindexdb", "--all", "--concurrently"));
    else if (engine == ENGINE_MYSQL)
        plan_exec(run, pod, NULL, check ? "check" : "repair",
                  check ? WORDS(run, "mysqlcheck", "--all-databases", "--check")
                        : WORDS(run, "mysqlcheck", "--all-databases", "--auto-repair"));
    else
        return error_set(err, ERROR_UNSUPPORTED, "there is no %s for this kind of database", type);
    run->affected = 1;
    return true;
}

/* ---- compact_storage */

static const char *const *compaction(struct run *run, enum engine engine)
{
    const char *database = run_text(run, "database");
    switch (engine) {
    case ENGINE_ETCD:
        return WORDS(run, "etcdctl", "defrag");
    case ENGINE_POSTGRESQL:
        return database[0] ? WORDS(run, "vacuumdb", "--analyze", "--dbname", database)
                           : WORDS(run, "vacuumdb", "--analyze", "--all");
    case ENGINE_MYSQL:
        return database[0] ? WORDS(run, "mysqlcheck", "--optimize", database)
                           : WORDS(run, "mysqlcheck", "--optimize", "--all-databases");
    case ENGINE_MONGODB:
        return WORDS(run, "mongosh", "--quiet", database[0] ? database : "admin", "--eval",
                     "db.getCollectionNames().forEach(name => db.runCommand({compact: name, force: true}))");
    case ENGINE_ELASTICSEARCH:
        return WORDS(run, "curl", "-sf", "-X", "POST",
                     "http://localhost:9200/_forcemerge?only_expunge_deletes=true");
    default:
        return WORDS(run, "wget", "-q", "-O-",
                     "--post-data=", "http://localhost:9090/api/v1/admin/tsdb/clean_tombstones");
    }
}

/* One member after the other, and only while all of them are well: a compaction stops the one that does it. */
bool plan_compact_storage(struct run *run, struct error **err)
{
    struct k8s_list pods;
    enum engine engine;
    if (!database_pods(run, &pods, err) || !check_engine(run, &pods, &engine, err))
        return false;
    for (size_t i = 0; i < pods.count; i++)
        if (!is_ready(pods.items[i]))
            return run_refuse(run, err,
                              "pod %s is not ready: a store is compacted only while all members are well",
                              k8s_text_at(pods.items[i], "/metadata/name"));
    bool each = engine == ENGINE_ETCD || engine == ENGINE_MONGODB || engine == ENGINE_PROMETHEUS;
    yyjson_val *primary = pod_with_role(&pods, "primary");
    for (size_t i = 0; i < (each ? pods.count : 1); i++)
        plan_exec(run, each || !primary ? pods.items[i] : primary, NULL, "compact", compaction(run, engine));
    run->affected = (int64_t)run->steps_len;
    return true;
}
