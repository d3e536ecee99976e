/* What each entry of the catalogue does, and which rights that takes. `actions rbac` and docs/actions.md are written from
 * this table, and a test proves against an API server that the rights are enough and that none is too many. */
#include "executor/executor_internal.h"

#define STEPS .apply = steps_apply, .done_already = steps_done
#define UNDO .invert = steps_invert
#define KINDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define RIGHTS(...) ((const struct right[]){ __VA_ARGS__, { 0 } })

/* Of every action that changes something in a namespace: who else is there, and does it want to be left alone? */
#define NAMESPACE { "", "namespaces", "get" }
#define OWNERS                                                                                               \
    { "autoscaling", "horizontalpodautoscalers", "list" }, { "keda.sh", "scaledobjects", "list", true },     \
        { "autoscaling.k8s.io", "verticalpodautoscalers", "list", true }
#define PODS_OF { "", "pods", "get,list" }, { "apps", "replicasets", "get,list" }

const struct operation operations[] = {
    [ACTION_SCALE_DEPLOYMENT] = {
        .targets = KINDS("Deployment", "DeploymentConfig"), .plan = plan_scale, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, PODS_OF, { "apps", "deployments", "get" }, { "apps", "deployments/scale", "patch" },
                         { "apps.openshift.io", "deploymentconfigs", "get", true },
                         { "apps.openshift.io", "deploymentconfigs/scale", "patch", true }),
        .proof = "spec.replicas in the answer of the patch", .undo = "the number of replicas before" },
    [ACTION_RESTART_POD] = {
        .targets = KINDS("Pod"), .plan = plan_restart_pod, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "pods", "get,list,watch" }, { "", "pods/eviction", "create" }),
        .proof = "the pod's uid is gone", .undo = "none: its controller has started another" },
    [ACTION_INCREASE_RESOURCES] = {
        .targets = KINDS("Deployment", "StatefulSet", "DaemonSet", "Pod"), .plan = plan_increase_resources, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, PODS_OF, { "apps", "deployments,statefulsets,daemonsets", "get,patch" },
                         { "", "limitranges,resourcequotas", "list" }, { "", "pods/resize", "patch" }),
        .proof = "the container's resources in the answer of the patch", .undo = "the whole block of resources before" },
    [ACTION_NOTIFY_ONLY] = {
        .targetless = true, .plan = plan_notify, STEPS,
        .rights = RIGHTS({ "", "events", "create,get" }, { "", "pods,nodes,persistentvolumeclaims,services", "get" },
                         { "apps", "deployments,statefulsets,daemonsets,replicasets", "get" }),
        .proof = "an Event about the object, by a name made of the execution's id", .undo = "none: nothing was changed" },
    [ACTION_ROLLBACK_DEPLOYMENT] = {
        .targets = KINDS("Deployment", "DeploymentConfig"), .plan = plan_rollback, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, PODS_OF, { "apps", "deployments", "get,patch" }),
        .proof = "the template in the answer equals that of the older ReplicaSet", .undo = "the template before, whole" },
    [ACTION_EXPAND_PVC] = {
        .targets = KINDS("PersistentVolumeClaim"), .plan = plan_expand_pvc, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "persistentvolumeclaims", "get,list,watch,patch" },
                         { "storage.k8s.io", "storageclasses", "get" }),
        .proof = "status.capacity has reached the new size, or the node waits for a pod to mount it anew",
        .undo = "none: volumes cannot shrink" },
    [ACTION_DRAIN_NODE] = {
        .targets = KINDS("Node"), .plan = plan_drain_node, STEPS, UNDO,
        .rights = RIGHTS({ "", "nodes", "get,list,patch" }, { "", "pods", "get,list,watch" }, { "", "pods/eviction", "create" }),
        .proof = "spec.unschedulable, and every evicted uid is gone", .undo = "uncordon, if we cordoned it; pods do not move back" },
    [ACTION_QUARANTINE_POD] = {
        .targets = KINDS("Pod"), .plan = plan_quarantine_pod, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, { "", "pods", "get,patch" }, { "networking.k8s.io", "networkpolicies", "create,get,delete" }),
        .proof = "the NetworkPolicy is there and the pod's labels are the mark alone", .undo = "the labels before; the policy is deleted" },
    [ACTION_COLLECT_DIAGNOSTICS] = {
        .plan = plan_collect_diagnostics, STEPS,
        .rights = RIGHTS({ "", "pods,services,events,nodes,persistentvolumeclaims,namespaces", "get,list" }, { "", "pods/log", "get" },
                         { "apps", "deployments,replicasets,statefulsets,daemonsets", "get,list" },
                         { "batch", "jobs,cronjobs", "get,list" }, { "autoscaling", "horizontalpodautoscalers", "get,list" },
                         { "storage.k8s.io", "storageclasses", "get" }, { "discovery.k8s.io", "endpointslices", "list" }),
        .proof = "what was found is in the record", .undo = "none: nothing was changed" },
    [ACTION_CLEANUP_STORAGE] = {
        .targets = KINDS("PersistentVolumeClaim", "Pod", "Deployment", "StatefulSet", "DaemonSet", "Namespace", "Node"),
        .plan = plan_cleanup_storage, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "pods", "get,list,delete" }, { "", "persistentvolumeclaims,nodes", "get" },
                         { "", "pods/exec", "get,create" }, { "apps", "deployments,statefulsets,daemonsets", "get" },
                         { "apps", "replicasets", "get,list" }),
        .proof = "the list of files that find deleted, or the uids of the pods", .undo = "none: take a snapshot first" },
    [ACTION_BACKUP_DATA] = {
        .targets = KINDS("PersistentVolumeClaim", "Cluster", "CronJob", "Namespace", "StatefulSet", "Deployment", "Pod"),
        .plan = plan_backup_data, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, PODS_OF, { "", "persistentvolumeclaims", "get" }, { "apps", "deployments,statefulsets", "get" },
                         { "batch", "cronjobs", "get" }, { "batch", "jobs", "create,get,list,watch,delete" },
                         { "snapshot.storage.k8s.io", "volumesnapshots", "create,get,list,watch,delete", true },
                         { "postgresql.cnpg.io", "clusters", "get", true },
                         { "postgresql.cnpg.io", "backups", "create,get,list,watch,delete", true },
                         { "velero.io", "backups", "create,get,list,watch,delete", true }),
        .proof = "readyToUse, phase completed, or the Job's condition", .undo = "the snapshot, backup or Job is deleted" },
    [ACTION_COMPACT_STORAGE] = {
        .targets = KINDS("StatefulSet", "Cluster", "Pod"), .plan = plan_compact_storage, STEPS,
        .rights = RIGHTS(NAMESPACE, PODS_OF, { "", "pods/exec", "get,create" }, { "apps", "statefulsets", "get" },
                         { "postgresql.cnpg.io", "clusters", "get", true }),
        .proof = "the command's exit code; its output is in the record", .undo = "none" },
    [ACTION_CORDON_NODE] = {
        .targets = KINDS("Node"), .plan = plan_cordon_node, STEPS, UNDO,
        .rights = RIGHTS({ "", "nodes", "get,list,patch" }, { "", "pods", "get" }),
        .proof = "spec.unschedulable in the answer", .undo = "uncordon, if we cordoned it" },
    [ACTION_UPDATE_HPA] = {
        .targets = KINDS("HorizontalPodAutoscaler"), .plan = plan_update_hpa, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, { "autoscaling", "horizontalpodautoscalers", "get,patch" },
                         { "apps", "deployments,statefulsets,replicasets", "get" }, { "", "pods", "get" },
                         { "keda.sh", "scaledobjects", "get,patch", true }),
        .proof = "the bounds in the answer", .undo = "the bounds before" },
    [ACTION_RESTART_DAEMONSET] = {
        .targets = KINDS("DaemonSet"), .plan = plan_restart_daemonset, STEPS,
        .rights = RIGHTS(NAMESPACE, OWNERS, { "apps", "daemonsets", "get,list,watch,patch" }, { "", "pods", "get,list,watch,delete" }),
        .proof = "the restart's time in the template", .undo = "none" },
    [ACTION_ROTATE_SECRETS] = {
        .targets = KINDS("Certificate", "ExternalSecret", "Secret"), .plan = plan_rotate_secrets, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "secrets", "get,list,watch,patch" },
                         { "apps", "deployments,statefulsets,daemonsets", "list,patch,get" },
                         { "cert-manager.io", "certificates", "get", true }, { "cert-manager.io", "certificates/status", "patch", true },
                         { "external-secrets.io", "externalsecrets", "get,patch", true }),
        .proof = "the Secret's resourceVersion is another; its consumers' templates have the restart's time",
        .undo = "none: the old value is never kept" },
    [ACTION_AUDIT_LOGS] = {
        .targetless = true, .plan = plan_audit_logs, STEPS,
        .rights = RIGHTS({ "", "events", "list" }, { "rbac.authorization.k8s.io", "roles,rolebindings,clusterrolebindings", "list" },
                         { "", "pods,namespaces,nodes", "get" }, { "apps", "deployments,statefulsets,daemonsets,replicasets", "get" }),
        .proof = "what was found is in the record", .undo = "none: nothing was changed" },
    [ACTION_UPDATE_NETWORK_POLICY] = {
        .targets = KINDS("NetworkPolicy", "Deployment", "StatefulSet", "DaemonSet", "Pod", "Namespace"),
        .plan = plan_update_network_policy, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, { "networking.k8s.io", "networkpolicies", "get,list,create,patch,delete" },
                         { "apps", "deployments,statefulsets,daemonsets,replicasets", "get" }, { "", "pods", "get" }),
        .proof = "the policy in the answer", .undo = "the lists before; a policy that we made is deleted" },
    [ACTION_RESTART_NETWORK] = {
        .targets = KINDS("Node", "Pod", "DaemonSet", "Deployment", "Namespace"), .targetless = true, .plan = plan_restart_network, STEPS,
        .rights = RIGHTS({ "", "namespaces,nodes", "get" }, { "apps", "daemonsets,deployments", "get,list,watch,patch" },
                         { "", "pods", "get,list,watch,delete" }),
        .proof = "the workload has rolled out, or the agent's pod is another", .undo = "none" },
    [ACTION_RESET_SERVICE_MESH] = {
        .targets = KINDS("Namespace", "Deployment", "DaemonSet", "Service", "Pod"), .targetless = true, .plan = plan_reset_service_mesh, STEPS,
        .rights = RIGHTS(NAMESPACE, { "apps", "deployments,daemonsets,statefulsets", "get,list,watch,patch" },
                         { "", "pods", "get,list" }, { "", "services", "get" }),
        .proof = "the control plane has rolled out; the templates of what it serves have the restart's time", .undo = "none" },
    [ACTION_FAILOVER_DATABASE] = {
        .targets = KINDS("Cluster", "StatefulSet", "Pod"), .plan = plan_failover_database, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, PODS_OF, { "", "pods/exec", "get,create" }, { "apps", "statefulsets", "get" },
                         { "postgresql.cnpg.io", "clusters", "get,list,watch", true },
                         { "postgresql.cnpg.io", "clusters/status", "patch", true }),
        .proof = "status.currentPrimary is the replica, or the tool's exit code", .undo = "a switchover back (CloudNativePG)" },
    [ACTION_REPAIR_DATABASE] = {
        .targets = KINDS("Cluster", "StatefulSet", "Pod"), .plan = plan_repair_database, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "pods", "get,list,watch,delete" }, { "", "pods/exec", "get,create" },
                         { "", "persistentvolumeclaims", "get,list,watch,delete" }, { "apps", "statefulsets,replicasets", "get,list" },
                         { "postgresql.cnpg.io", "clusters", "get", true },
                         { "snapshot.storage.k8s.io", "volumesnapshots", "create,get,list,watch,delete", true }),
        .proof = "the tool's exit code, or the claim's new uid", .undo = "none: restore the snapshot that was taken first" },
    [ACTION_SCALE_STATEFULSET] = {
        .targets = KINDS("StatefulSet"), .plan = plan_scale, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, { "", "pods", "get" }, { "apps", "statefulsets", "get" }, { "apps", "statefulsets/scale", "patch" }),
        .proof = "spec.replicas in the answer of the patch", .undo = "the number of replicas before" },
    [ACTION_ENABLE_DEBUG_MODE] = {
        .targets = KINDS("Deployment", "StatefulSet", "DaemonSet"), .plan = plan_enable_debug_mode, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, PODS_OF, { "apps", "deployments,statefulsets,daemonsets", "get,patch" },
                         { "", "configmaps", "get,patch" }),
        .proof = "the variable in the template, or the key in the ConfigMap and the restart's time", .undo = "the level before; by itself after `duration`" },
    [ACTION_CREATE_HEAP_DUMP] = {
        .targets = KINDS("Pod"), .plan = plan_create_heap_dump, STEPS,
        .rights = RIGHTS(NAMESPACE, { "", "pods", "get" }, { "", "pods/exec", "get,create" }),
        .proof = "the command's exit code", .undo = "none: delete the file" },
    [ACTION_OPTIMIZE_RESOURCES] = {
        .targets = KINDS("Deployment", "StatefulSet", "DaemonSet"), .plan = plan_optimize_resources, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, PODS_OF, { "apps", "deployments,statefulsets,daemonsets", "get,patch" },
                         { "", "limitranges,resourcequotas", "list" }, { "autoscaling.k8s.io", "verticalpodautoscalers", "list", true }),
        .proof = "the containers' resources in the answer", .undo = "the whole block of resources before" },
    [ACTION_MIGRATE_WORKLOAD] = {
        .targets = KINDS("Deployment", "StatefulSet", "Pod", "Node"), .plan = plan_migrate_workload, STEPS, UNDO,
        .rights = RIGHTS(NAMESPACE, OWNERS, { "", "pods", "get,list,watch" }, { "", "pods/eviction", "create" }, { "", "nodes", "get,list,patch" },
                         { "apps", "deployments,statefulsets", "get,patch" }, { "apps", "replicasets", "get,list" },
                         { "", "persistentvolumeclaims,persistentvolumes", "get" }),
        .proof = "the nodeSelector in the answer, or every evicted uid is gone", .undo = "the nodeSelector before; evicted pods do not move back" },
};
_Static_assert(sizeof operations / sizeof *operations == ACTION_COUNT, "an operation for every action");
