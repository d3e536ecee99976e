/* The kinds we know by name, and how objects are named: paths, references, name checks. */
#include "k8s/k8s.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "k8s/k8s_internal.h"

#define RESOURCE(variable, group_, version_, plural_, kind_, namespaced_)                                    \
    const struct k8s_resource variable = { group_, version_, plural_, kind_, namespaced_ };
#define RESOURCES(X)                                                                                         \
    X(k8s_pods, "", "v1", "pods", "Pod", true)                                                               \
    X(k8s_services, "", "v1", "services", "Service", true)                                                   \
    X(k8s_nodes, "", "v1", "nodes", "Node", false)                                                           \
    X(k8s_namespaces, "", "v1", "namespaces", "Namespace", false)                                            \
    X(k8s_configmaps, "", "v1", "configmaps", "ConfigMap", true)                                             \
    X(k8s_secrets, "", "v1", "secrets", "Secret", true)                                                      \
    X(k8s_events, "", "v1", "events", "Event", true)                                                         \
    X(k8s_pvcs, "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true)                           \
    X(k8s_pvs, "", "v1", "persistentvolumes", "PersistentVolume", false)                                     \
    X(k8s_replication_controllers, "", "v1", "replicationcontrollers", "ReplicationController", true)        \
    X(k8s_resource_quotas, "", "v1", "resourcequotas", "ResourceQuota", true)                                \
    X(k8s_limit_ranges, "", "v1", "limitranges", "LimitRange", true)                                         \
    X(k8s_service_accounts, "", "v1", "serviceaccounts", "ServiceAccount", true)                             \
    X(k8s_deployments, "apps", "v1", "deployments", "Deployment", true)                                      \
    X(k8s_replicasets, "apps", "v1", "replicasets", "ReplicaSet", true)                                      \
    X(k8s_statefulsets, "apps", "v1", "statefulsets", "StatefulSet", true)                                   \
    X(k8s_daemonsets, "apps", "v1", "daemonsets", "DaemonSet", true)                                         \
    X(k8s_controller_revisions, "apps", "v1", "controllerrevisions", "ControllerRevision", true)             \
    X(k8s_jobs, "batch", "v1", "jobs", "Job", true)                                                          \
    X(k8s_cronjobs, "batch", "v1", "cronjobs", "CronJob", true)                                              \
    X(k8s_hpas, "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true)            \
    X(k8s_pdbs, "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true)                         \
    X(k8s_endpoint_slices, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true)                \
    X(k8s_leases, "coordination.k8s.io", "v1", "leases", "Lease", true)                                      \
    X(k8s_network_policies, "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true)             \
    X(k8s_storage_classes, "storage.k8s.io", "v1", "storageclasses", "StorageClass", false)                  \
    X(k8s_crds, "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",       \
      false)                                                                                                 \
    X(k8s_cluster_roles, "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false)            \
    X(k8s_roles, "rbac.authorization.k8s.io", "v1", "roles", "Role", true)                                   \
    X(k8s_cluster_role_bindings, "rbac.authorization.k8s.io", "v1", "clusterrolebindings",                   \
      "ClusterRoleBinding", false)                                                                           \
    X(k8s_role_bindings, "rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true)             \
    X(k8s_volume_snapshots, "snapshot.storage.k8s.io", "v1", "volumesnapshots", "VolumeSnapshot", true)      \
    X(k8s_cnpg_clusters, "postgresql.cnpg.io", "v1", "clusters", "Cluster", true)                            \
    X(k8s_cnpg_backups, "postgresql.cnpg.io", "v1", "backups", "Backup", true)                               \
    X(k8s_velero_backups, "velero.io", "v1", "backups", "Backup", true)                                      \
    X(k8s_certificates, "cert-manager.io", "v1", "certificates", "Certificate", true)                        \
    X(k8s_external_secrets, "external-secrets.io", "v1", "externalsecrets", "ExternalSecret", true)          \
    X(k8s_vpas, "autoscaling.k8s.io", "v1", "verticalpodautoscalers", "VerticalPodAutoscaler", true)         \
    X(k8s_scaled_objects, "keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", true)                      \
    X(k8s_argo_applications, "argoproj.io", "v1alpha1", "applications", "Application", true)                 \
    X(k8s_deployment_configs, "apps.openshift.io", "v1", "deploymentconfigs", "DeploymentConfig", true)      \
    X(k8s_routes, "route.openshift.io", "v1", "routes", "Route", true)

RESOURCES(RESOURCE)

#define ADDRESS(variable, ...) &variable,
static const struct k8s_resource *const known[] = { RESOURCES(ADDRESS) };

const struct k8s_resource *k8s_resource_of_kind(const char *kind)
{
    for (size_t i = 0; kind && i < ARRAY_LEN(known); i++)
        if (!strcasecmp(known[i]->kind, kind))
            return known[i];
    return NULL;
}

const struct k8s_resource *k8s_resource_of(const char *api_version, const char *kind)
{
    const char *slash = strchr(api_version, '/');
    size_t group_len = slash ? (size_t)(slash - api_version) : 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(known[i]->kind, kind) && strlen(known[i]->group) == group_len &&
            !strncmp(known[i]->group, api_version, group_len))
            return known[i];
    return NULL;
}

const char *k8s_ref_text(const struct k8s_ref *ref, char text[640])
{
    const char *kind = ref->resource ? ref->resource->kind : "object";
    const char *name = ref->name ? ref->name : "*";
    const char *sub = ref->subresource ? ref->subresource : "";
    if (ref->namespace && ref->namespace[0] && (!ref->resource || ref->resource->namespaced))
        snprintf(text, 640, "%s %s/%s%s%s", kind, ref->namespace, name, *sub ? "/" : "", sub);
    else
        snprintf(text, 640, "%s %s%s%s", kind, name, *sub ? "/" : "", sub);
    return text;
}

static bool check_dns(const char *name, size_t max, bool dots, const char *what, struct error **err)
{
    size_t len = name ? strlen(name) : 0;
    if (len == 0)
        return error_set(err, ERROR_INVALID, "the %s is empty", what);
    if (len > max)
        return error_set(err, ERROR_INVALID, "the %s \"%.80s…\" has %zu characters: at most %zu", what, name,
                         len, max);
    for (size_t i = 0; i < len; i++) {
        bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        bool edge = i == 0 || i + 1 == len || (dots && (name[i - 1] == '.' || name[i + 1] == '.'));
        if (!alnum && (edge || (name[i] != '-' && !(dots && name[i] == '.'))))
            return error_set(
                err, ERROR_INVALID,
                "the %s \"%.253s\" is not one that Kubernetes takes: lower-case letters, digits and "
                "'-'%s, a letter or digit at both ends",
                what, name, dots ? " and '.'" : "");
    }
    return true;
}

bool k8s_check_name(const char *name, struct error **err)
{
    return check_dns(name, 253, true, "name", err);
}

bool k8s_check_namespace(const char *name, struct error **err)
{
    return check_dns(name, 63, false, "namespace", err);
}

void strbuf_add_escaped(struct strbuf *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (isalnum(*c) || strchr("-._~", *c))
            strbuf_add_char(out, (char)*c);
        else
            strbuf_addf(out, "%%%02X", *c);
}

/* What may stand between two slashes: RBAC's names hold ':' ("system:node"), so DNS rules are too strict here. */
static bool check_segment(const char *name, const char *what, struct error **err)
{
    if (!*name || strlen(name) > 253 || !strcmp(name, ".") || !strcmp(name, "..") || strpbrk(name, "/%?#\\"))
        return error_set(err, ERROR_INVALID, "\"%.80s\" cannot be a %s", name, what);
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return error_set(err, ERROR_INVALID, "a %s cannot hold the byte 0x%02x", what, *c);
    return true;
}

static bool add_segment(struct strbuf *path, const char *name, const char *what, struct error **err)
{
    if (!check_segment(name, what, err))
        return false;
    strbuf_add_char(path, '/');
    strbuf_add_escaped(path, name);
    return true;
}

static bool add_resource(const struct k8s_ref *ref, struct strbuf *path, struct error **err)
{
    const struct k8s_resource *r = ref->resource;
    if (r->group[0])
        strbuf_addf(path, "/apis/%s/%s", r->group, r->version);
    else
        strbuf_addf(path, "/api/%s", r->version);
    bool namespaced = r->namespaced && ref->namespace && ref->namespace[0];
    if (r->namespaced && !namespaced && ref->name)
        return error_set(err, ERROR_INVALID, "%s %s has no namespace: give one", r->kind, ref->name);
    if (namespaced && !k8s_check_namespace(ref->namespace, err))
        return false;
    if (namespaced)
        strbuf_addf(path, "/namespaces/%s", ref->namespace);
    strbuf_addf(path, "/%s", r->plural);
    return true;
}

bool call_path(const struct call *call, struct strbuf *path, struct error **err)
{
    const struct k8s_ref *ref = &call->ref;
    if (!ref->resource)
        strbuf_add_text(path, call->path);
    else if (!add_resource(ref, path, err) || (ref->name && !add_segment(path, ref->name, "name", err)) ||
             (ref->subresource && !add_segment(path, ref->subresource, "subresource", err)))
        return false;
    if (call->query.len)
        strbuf_addf(path, "%c%s", strchr(path->ptr, '?') ? '&' : '?', call->query.ptr);
    return true;
}

void call_query(struct call *call, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    strbuf_addf(&call->query, "%s%s=", call->query.len ? "&" : "", name);
    strbuf_add_escaped(&call->query, value);
}
