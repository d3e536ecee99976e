/* The 27 rows. Texts speak of situations, never of particular alerts: they are part of the prompt. */
#include "action/action.h"

#include "base/mem.h"

#define GI (INT64_C(1) << 30) * 1000
#define MI (INT64_C(1) << 20) * 1000
#define MINUTE INT64_C(60000)

#define WORKLOADS                                                                                            \
    (BIT(KIND_DEPLOYMENT) | BIT(KIND_STATEFULSET) | BIT(KIND_DAEMONSET) | BIT(KIND_DEPLOYMENT_CONFIG))
#define ANY_KIND ((1u << KIND_COUNT) - 1)

static const char *const log_levels[] = { "debug", "trace", "info", NULL };
static const char *const audit_scopes[] = { "security", "rbac", "events", "all", NULL };
static const char *const directions[] = { "allow_egress", "allow_ingress", "deny_egress", "deny_ingress",
                                          NULL };
static const char *const network_components[] = { "cni", "kube-proxy", "dns", NULL };
static const char *const meshes[] = { "istio", "ztunnel", "linkerd", NULL };
static const char *const backup_methods[] = { "auto", "snapshot", "cnpg", "velero", "cronjob", NULL };
static const char *const engines[] = { "auto",          "etcd",       "postgresql", "mongodb",
                                       "elasticsearch", "prometheus", NULL };
static const char *const repairs[] = { "consistency_check", "reindex", "rebuild_replica", NULL };
static const char *const runtimes[] = { "auto", "jvm", "node", "dotnet", "python", "go", NULL };
static const char *const cleanups[] = { "finished_pods", "files", NULL };

const struct action_info actions[ACTION_COUNT] = {
    [ACTION_SCALE_DEPLOYMENT] = {
        .name = "scale_deployment", .category = CATEGORY_CORE, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_DEPLOYMENT) | BIT(KIND_DEPLOYMENT_CONFIG),
        .does = "changes the number of replicas of a Deployment",
        .when = "load is higher than the replicas can carry: saturation, growing queues, slow answers under traffic",
        .not_when = "a pod dies for its own reasons (memory, crash, bad image), or an autoscaler owns the replicas",
        .parameters = {
            { "replicas", PARAMETER_INTEGER, true, .minimum = 0, .maximum = 1000, .help = "wanted number of replicas" },
        } },
    [ACTION_RESTART_POD] = {
        .name = "restart_pod", .category = CATEGORY_CORE, .risk = RISK_LOW, .kinds = BIT(KIND_POD),
        .does = "evicts one pod so that its controller starts a fresh one",
        .when = "one process hangs, deadlocks, leaks slowly or lost its connections, and a fresh start helps",
        .not_when = "the cause is outside the pod (node, storage, image, configuration), or the pod holds evidence",
        .parameters = {
            { "grace_period", PARAMETER_DURATION, .minimum = 0, .maximum = 10 * MINUTE,
              .help = "time the pod gets to stop; absent: the pod's own" },
        } },
    [ACTION_INCREASE_RESOURCES] = {
        .name = "increase_resources", .category = CATEGORY_CORE, .risk = RISK_LOW, .reversible = true,
        .kinds = BIT(KIND_POD) | WORKLOADS,
        .does = "raises the CPU or memory requests and limits of a workload's containers",
        .when = "containers are killed for memory, or throttled at their CPU limit, and the need is real",
        .not_when = "a leak or a bad release is the cause, or the node itself has nothing left",
        .parameters = {
            { "memory_limit", PARAMETER_BYTES, .minimum = 4 * MI, .maximum = 1024 * GI, .help = "new memory limit" },
            { "memory_request", PARAMETER_BYTES, .minimum = 4 * MI, .maximum = 1024 * GI, .help = "new memory request" },
            { "cpu_limit", PARAMETER_CPU, .minimum = 10, .maximum = 256000, .help = "new CPU limit" },
            { "cpu_request", PARAMETER_CPU, .minimum = 1, .maximum = 256000, .help = "new CPU request" },
            { "container", PARAMETER_NAME, .help = "container to change; absent: the one the alert names, or the only one" },
        } },
    [ACTION_NOTIFY_ONLY] = {
        .name = "notify_only", .category = CATEGORY_CORE, .risk = RISK_LOW, .kinds = ANY_KIND,
        .does = "changes nothing and tells a person",
        .when = "nothing should be done by a machine: informational, planned, always firing, wrong configuration, "
                "hardware or money needed",
        .not_when = "a safe automatic step would help",
        .parameters = {
            { "message", PARAMETER_TEXT, .max_len = 500, .help = "what to say; absent: the decision's summary" },
        } },
    [ACTION_ROLLBACK_DEPLOYMENT] = {
        .name = "rollback_deployment", .category = CATEGORY_CORE, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_DEPLOYMENT) | BIT(KIND_DEPLOYMENT_CONFIG),
        .does = "returns a Deployment to its previous revision",
        .when = "errors, crashes or failed pulls began with a new release or a rollout is stuck",
        .not_when = "nothing was released lately, or the workload is a StatefulSet",
        .parameters = {
            { "revision", PARAMETER_INTEGER, .minimum = 1, .maximum = 1000000,
              .help = "revision to return to; absent: the one before the present" },
        } },
    [ACTION_EXPAND_PVC] = {
        .name = "expand_pvc", .category = CATEGORY_STORAGE, .risk = RISK_MEDIUM, .kinds = BIT(KIND_PVC),
        .does = "makes a persistent volume claim larger",
        .when = "a volume that holds data is full or will be soon",
        .not_when = "what fills it is caches or logs, or the disk is the node's own",
        .parameters = {
            { "new_size", PARAMETER_BYTES, .minimum = 1 * GI, .maximum = 65536 * GI,
              .help = "new size; absent: half as much again as now" },
        } },
    [ACTION_DRAIN_NODE] = {
        .name = "drain_node", .category = CATEGORY_LIFECYCLE, .risk = RISK_HIGH, .reversible = true,
        .kinds = BIT(KIND_NODE),
        .does = "cordons a node and evicts its pods, respecting disruption budgets",
        .when = "the node itself is broken or about to be: not ready, failing disk or memory, kernel faults, "
                "termination announced",
        .not_when = "only one workload on it is ill, or many nodes show the same",
        .parameters = {
            { "timeout", PARAMETER_DURATION, .minimum = MINUTE / 6, .maximum = 120 * MINUTE, .fallback = "10m",
              .help = "how long to wait for the evictions" },
            { "delete_emptydir_data", PARAMETER_CHOICE, .fallback = "false",
              .choices = (const char *const[]){ "false", "true", NULL },
              .help = "evict pods whose emptyDir data is lost with them" },
        } },
    [ACTION_QUARANTINE_POD] = {
        .name = "quarantine_pod", .category = CATEGORY_SECURITY, .risk = RISK_CRITICAL, .reversible = true,
        .kinds = BIT(KIND_POD),
        .does = "cuts a pod off the network and out of its Services, and keeps it for investigation",
        .when = "a pod is compromised: malware, a shell or miner in a container, connections to hostile addresses",
        .not_when = "nothing points at an intruder",
        .parameters = {
            { "expires_after", PARAMETER_DURATION, .minimum = MINUTE, .maximum = 7 * 24 * 60 * MINUTE,
              .help = "undo by itself after this time; absent: never" },
        } },
    [ACTION_COLLECT_DIAGNOSTICS] = {
        .name = "collect_diagnostics", .category = CATEGORY_OBSERVABILITY, .risk = RISK_LOW, .kinds = ANY_KIND,
        .does = "gathers logs, events, state and metrics without changing anything",
        .when = "there is a symptom without a known cause, or the scope is not clear",
        .not_when = "the cause is plain and a safe step against it exists",
        .parameters = {
            { "tail_lines", PARAMETER_INTEGER, .minimum = 1, .maximum = 10000, .fallback = "200",
              .help = "log lines of each container" },
        } },
    [ACTION_CLEANUP_STORAGE] = {
        .name = "cleanup_storage", .category = CATEGORY_STORAGE, .risk = RISK_MEDIUM,
        .kinds = BIT(KIND_POD) | BIT(KIND_PVC) | BIT(KIND_NAMESPACE) | BIT(KIND_NODE) | WORKLOADS,
        .does = "deletes old files of an allowed folder, or finished pods",
        .when = "caches, logs, images, temporary or expired files fill a disk",
        .not_when = "what fills it is data that somebody needs",
        .parameters = {
            { "what", PARAMETER_CHOICE, .fallback = "files", .choices = cleanups, .help = "what to delete" },
            { "path", PARAMETER_PATH, .fallback = "/var/log", .help = "folder to clean, on the allow-list" },
            { "older_than", PARAMETER_DURATION, .minimum = 60 * MINUTE, .maximum = 365 * 24 * 60 * MINUTE,
              .fallback = "7d", .help = "age from which files are deleted" },
        } },
    [ACTION_BACKUP_DATA] = {
        .name = "backup_data", .category = CATEGORY_STORAGE, .risk = RISK_LOW, .reversible = true,
        .kinds = BIT(KIND_PVC) | BIT(KIND_STATEFULSET) | BIT(KIND_DATABASE_CLUSTER) | BIT(KIND_NAMESPACE) |
                 BIT(KIND_POD) | BIT(KIND_CRONJOB) | BIT(KIND_DEPLOYMENT),
        .does = "takes a snapshot or backup now",
        .when = "a backup failed, is missing or too old, or data is in danger of being lost",
        .not_when = "the place that backups go to is what is full or broken",
        .parameters = {
            { "method", PARAMETER_CHOICE, .fallback = "auto", .choices = backup_methods, .help = "how to take it" },
            { "backup_name", PARAMETER_NAME, .help = "name of the backup; absent: derived from the execution" },
        } },
    [ACTION_COMPACT_STORAGE] = {
        .name = "compact_storage", .category = CATEGORY_STORAGE, .risk = RISK_MEDIUM,
        .kinds = BIT(KIND_POD) | BIT(KIND_STATEFULSET) | BIT(KIND_DATABASE_CLUSTER),
        .does = "compacts or defragments a store in place",
        .when = "a store holds much more space than its data: fragmentation, bloat, tombstones, overdue compaction",
        .not_when = "the data itself has grown",
        .parameters = {
            { "engine", PARAMETER_CHOICE, .fallback = "auto", .choices = engines, .help = "kind of store" },
            { "database", PARAMETER_NAME, .help = "database to compact; absent: all" },
        } },
    [ACTION_CORDON_NODE] = {
        .name = "cordon_node", .category = CATEGORY_LIFECYCLE, .risk = RISK_LOW, .reversible = true,
        .kinds = BIT(KIND_NODE),
        .does = "keeps new pods off a node and leaves those on it alone",
        .when = "a node shows first signs of trouble, or must not take more work for now",
        .not_when = "its pods already suffer and must leave",
        .parameters = {
            { "expires_after", PARAMETER_DURATION, .minimum = MINUTE, .maximum = 7 * 24 * 60 * MINUTE,
              .help = "uncordon after this time, once its alert has ended; absent: never" },
        } },
    [ACTION_UPDATE_HPA] = {
        .name = "update_hpa", .category = CATEGORY_CORE, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_HPA) | BIT(KIND_DEPLOYMENT) | BIT(KIND_STATEFULSET),
        .does = "changes the bounds of a horizontal autoscaler",
        .when = "an autoscaler stands at its maximum and load goes on, or its bounds are what holds the workload back",
        .not_when = "no autoscaler is involved",
        .parameters = {
            { "min_replicas", PARAMETER_INTEGER, .minimum = 1, .maximum = 1000, .help = "new minimum" },
            { "max_replicas", PARAMETER_INTEGER, .minimum = 1, .maximum = 1000, .help = "new maximum" },
        } },
    [ACTION_RESTART_DAEMONSET] = {
        .name = "restart_daemonset", .category = CATEGORY_LIFECYCLE, .risk = RISK_MEDIUM,
        .kinds = BIT(KIND_DAEMONSET),
        .does = "restarts the pods of a DaemonSet node by node",
        .when = "an agent that runs on every node hangs, is missing on nodes, or stopped reporting",
        .not_when = "the agents are the cluster's network, or only one node is ill" },
    [ACTION_ROTATE_SECRETS] = {
        .name = "rotate_secrets", .category = CATEGORY_SECURITY, .risk = RISK_CRITICAL,
        .kinds = BIT(KIND_SECRET) | BIT(KIND_CERTIFICATE) | BIT(KIND_EXTERNAL_SECRET),
        .does = "renews a certificate, key or credential and restarts what uses it",
        .when = "a credential leaked, or a certificate expires soon and was not renewed",
        .not_when = "access fails for another reason than the credential",
        .parameters = {
            { "restart_consumers", PARAMETER_CHOICE, .fallback = "true",
              .choices = (const char *const[]){ "true", "false", NULL }, .help = "restart the workloads that use it" },
        } },
    [ACTION_AUDIT_LOGS] = {
        .name = "audit_logs", .category = CATEGORY_SECURITY, .risk = RISK_LOW, .kinds = ANY_KIND,
        .does = "collects who did what: audit records, RBAC, events",
        .when = "suspicious access or a change of rights must be looked into: failed logins, new bindings, "
                "unusual requests",
        .not_when = "a pod is plainly compromised and must be cut off first",
        .parameters = {
            { "scope", PARAMETER_CHOICE, .fallback = "security", .choices = audit_scopes, .help = "what to collect" },
            { "since", PARAMETER_DURATION, .minimum = MINUTE, .maximum = 30 * 24 * 60 * MINUTE, .fallback = "1h",
              .help = "how far back" },
        } },
    [ACTION_UPDATE_NETWORK_POLICY] = {
        .name = "update_network_policy", .category = CATEGORY_NETWORK, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_NETWORK_POLICY) | BIT(KIND_NAMESPACE) | BIT(KIND_POD) | WORKLOADS,
        .does = "adds or changes a network policy's allowances",
        .when = "a policy blocks traffic that is wanted, or lets through what must not pass",
        .not_when = "connections fail for another reason",
        .parameters = {
            { "action_type", PARAMETER_CHOICE, .fallback = "allow_egress", .choices = directions, .help = "what to change" },
            { "port", PARAMETER_INTEGER, .minimum = 1, .maximum = 65535, .help = "port concerned; absent: all" },
            { "peer_namespace", PARAMETER_NAME, .help = "namespace of the other side; absent: all" },
        } },
    [ACTION_RESTART_NETWORK] = {
        .name = "restart_network", .category = CATEGORY_NETWORK, .risk = RISK_HIGH,
        .kinds = BIT(KIND_NODE) | BIT(KIND_DAEMONSET) | BIT(KIND_DEPLOYMENT) | BIT(KIND_POD) | BIT(KIND_NAMESPACE) |
                 BIT(KIND_NONE),
        .does = "restarts the cluster's network agents, proxy or DNS, one node after the other",
        .when = "pod networking or cluster DNS itself is broken: CNI errors, stale routes, lookups that fail everywhere",
        .not_when = "one application cannot reach another and the network is fine",
        .parameters = {
            { "component", PARAMETER_CHOICE, .fallback = "cni", .choices = network_components, .help = "what to restart" },
        } },
    [ACTION_RESET_SERVICE_MESH] = {
        .name = "reset_service_mesh", .category = CATEGORY_NETWORK, .risk = RISK_HIGH,
        .kinds = BIT(KIND_DEPLOYMENT) | BIT(KIND_DAEMONSET) | BIT(KIND_NAMESPACE) | BIT(KIND_POD) | BIT(KIND_SERVICE) |
                 BIT(KIND_NONE),
        .does = "restarts a service mesh's control plane, then its proxies",
        .when = "the mesh is at fault: proxies out of sync, mesh certificates, control plane rejecting configuration",
        .not_when = "the application behind the mesh is what fails",
        .parameters = {
            { "mesh_type", PARAMETER_CHOICE, .fallback = "istio", .choices = meshes, .help = "which mesh" },
        } },
    [ACTION_FAILOVER_DATABASE] = {
        .name = "failover_database", .category = CATEGORY_DATABASE, .risk = RISK_HIGH, .reversible = true,
        .kinds = BIT(KIND_DATABASE_CLUSTER) | BIT(KIND_STATEFULSET) | BIT(KIND_POD),
        .does = "promotes a healthy replica of a database",
        .when = "the primary is dead or cannot write, and a replica is healthy and in step",
        .not_when = "replicas lag or are broken, or the primary still serves",
        .parameters = {
            { "replica_name", PARAMETER_NAME, .help = "replica to promote; absent: the healthiest" },
        } },
    [ACTION_REPAIR_DATABASE] = {
        .name = "repair_database", .category = CATEGORY_DATABASE, .risk = RISK_CRITICAL,
        .kinds = BIT(KIND_DATABASE_CLUSTER) | BIT(KIND_STATEFULSET) | BIT(KIND_POD),
        .does = "checks and repairs a database, or rebuilds a broken replica",
        .when = "data is corrupt or inconsistent, a replica diverged or its replication stopped on an error",
        .not_when = "the database is slow, full or short of connections",
        .parameters = {
            { "repair_type", PARAMETER_CHOICE, .fallback = "consistency_check", .choices = repairs, .help = "how" },
        } },
    [ACTION_SCALE_STATEFULSET] = {
        .name = "scale_statefulset", .category = CATEGORY_CORE, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_STATEFULSET),
        .does = "changes the number of replicas of a StatefulSet",
        .when = "a clustered store or queue needs more members for its load, or lost members that should be there",
        .not_when = "a member is broken rather than missing",
        .parameters = {
            { "replicas", PARAMETER_INTEGER, true, .minimum = 0, .maximum = 1000, .help = "wanted number of replicas" },
        } },
    [ACTION_ENABLE_DEBUG_MODE] = {
        .name = "enable_debug_mode", .category = CATEGORY_OBSERVABILITY, .risk = RISK_LOW, .reversible = true,
        .kinds = BIT(KIND_POD) | WORKLOADS,
        .does = "raises a workload's log level for a limited time",
        .when = "the logs say too little to tell the cause and more detail is what is asked for",
        .not_when = "a restart would lose the state that matters",
        .parameters = {
            { "log_level", PARAMETER_CHOICE, .fallback = "debug", .choices = log_levels, .help = "level to set" },
            { "duration", PARAMETER_DURATION, .minimum = MINUTE, .maximum = 24 * 60 * MINUTE, .fallback = "30m",
              .help = "time after which the old level returns" },
        } },
    [ACTION_CREATE_HEAP_DUMP] = {
        .name = "create_heap_dump", .category = CATEGORY_OBSERVABILITY, .risk = RISK_LOW, .kinds = BIT(KIND_POD),
        .does = "writes a heap dump or heap profile of a running process",
        .when = "memory grows and nobody knows in what: suspected leak, garbage collector under pressure",
        .not_when = "the process was killed already, or the limit is plainly too low",
        .parameters = {
            { "runtime", PARAMETER_CHOICE, .fallback = "auto", .choices = runtimes, .help = "language runtime" },
            { "dump_path", PARAMETER_PATH, .fallback = "/tmp", .help = "folder in the container for the dump" },
            { "container", PARAMETER_NAME, .help = "container to dump; absent: the first" },
        } },
    [ACTION_OPTIMIZE_RESOURCES] = {
        .name = "optimize_resources", .category = CATEGORY_RESOURCES, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_POD) | WORKLOADS | BIT(KIND_NAMESPACE),
        .does = "brings requests and limits to what a workload really uses",
        .when = "requests are far from use: idle or overcommitted capacity, waste, quota nearly used up",
        .not_when = "the workload needs more right now",
        .parameters = {
            { "headroom_percent", PARAMETER_INTEGER, .minimum = 0, .maximum = 200, .fallback = "20",
              .help = "room to leave above the recommendation" },
            { "container", PARAMETER_NAME, .help = "container to change; absent: all" },
        } },
    [ACTION_MIGRATE_WORKLOAD] = {
        .name = "migrate_workload", .category = CATEGORY_RESOURCES, .risk = RISK_MEDIUM, .reversible = true,
        .kinds = BIT(KIND_POD) | BIT(KIND_DEPLOYMENT) | BIT(KIND_STATEFULSET) | BIT(KIND_NODE),
        .does = "moves a workload to other nodes",
        .when = "a workload suffers where it runs: evictions, crowded or unfit node, zone or spread at fault",
        .not_when = "the whole node must be emptied",
        .parameters = {
            { "target_node", PARAMETER_NAME, .help = "node to move to; absent: the scheduler's choice" },
        } },
};
