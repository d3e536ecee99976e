/* Names of actions, risks, categories and kinds, and back. */
#include "action/action.h"

#include "base/mem.h"

static const char *const risk_names[RISK_COUNT] = { "low", "medium", "high", "critical" };
static const char *const category_names[CATEGORY_COUNT] = { "core",          "storage",  "lifecycle",
                                                            "security",      "network",  "database",
                                                            "observability", "resources" };

static const struct {
    const char *name;    /* as in a manifest */
    const char *aliases; /* plural and short forms, separated by blanks */
    bool cluster_scoped;
} kinds[KIND_COUNT] = {
    [KIND_NONE] = { "", "" },
    [KIND_POD] = { "Pod", "pods po" },
    [KIND_DEPLOYMENT] = { "Deployment", "deployments deploy" },
    [KIND_REPLICASET] = { "ReplicaSet", "replicasets rs" },
    [KIND_STATEFULSET] = { "StatefulSet", "statefulsets sts" },
    [KIND_DAEMONSET] = { "DaemonSet", "daemonsets ds" },
    [KIND_JOB] = { "Job", "jobs" },
    [KIND_CRONJOB] = { "CronJob", "cronjobs cj" },
    [KIND_NODE] = { "Node", "nodes no", true },
    [KIND_PVC] = { "PersistentVolumeClaim", "persistentvolumeclaims pvc" },
    [KIND_HPA] = { "HorizontalPodAutoscaler", "horizontalpodautoscalers hpa" },
    [KIND_SERVICE] = { "Service", "services svc" },
    [KIND_SECRET] = { "Secret", "secrets" },
    [KIND_CONFIGMAP] = { "ConfigMap", "configmaps cm" },
    [KIND_NETWORK_POLICY] = { "NetworkPolicy", "networkpolicies netpol" },
    [KIND_NAMESPACE] = { "Namespace", "namespaces ns", true },
    [KIND_DEPLOYMENT_CONFIG] = { "DeploymentConfig", "deploymentconfigs dc" },
    [KIND_DATABASE_CLUSTER] = { "Cluster", "clusters cnpg" },
    [KIND_CERTIFICATE] = { "Certificate", "certificates cert" },
    [KIND_EXTERNAL_SECRET] = { "ExternalSecret", "externalsecrets es" },
};

bool action_parse(struct str name, enum action *action)
{
    for (int i = 0; i < ACTION_COUNT; i++)
        if (str_eq(name, str_of(actions[i].name))) {
            *action = (enum action)i;
            return true;
        }
    return false;
}

bool action_fits_kind(enum action action, enum kind kind)
{
    return actions[action].kinds & BIT(kind);
}

const char *risk_name(enum risk risk)
{
    return risk_names[risk];
}

bool risk_parse(struct str name, enum risk *risk)
{
    for (int i = 0; i < RISK_COUNT; i++)
        if (str_eq(name, str_of(risk_names[i]))) {
            *risk = (enum risk)i;
            return true;
        }
    return false;
}

const char *category_name(enum category category)
{
    return category_names[category];
}

const char *kind_name(enum kind kind)
{
    return kinds[kind].name;
}

static bool is_alias(struct str name, const char *aliases)
{
    struct str rest = str_of(aliases), alias;
    while (str_split(&rest, ' ', &alias))
        if (alias.len && str_eq_nocase(name, alias))
            return true;
    return false;
}

bool kind_parse(struct str name, enum kind *kind)
{
    for (int i = 1; i < KIND_COUNT; i++)
        if (str_eq_nocase(name, str_of(kinds[i].name)) || is_alias(name, kinds[i].aliases)) {
            *kind = (enum kind)i;
            return true;
        }
    return false;
}

bool kind_is_namespaced(enum kind kind)
{
    return kind != KIND_NONE && !kinds[kind].cluster_scoped;
}

const struct action_parameter *action_parameter_find(enum action action, struct str name)
{
    const struct action_parameter *parameter = actions[action].parameters;
    for (int i = 0; i < ACTION_PARAMETERS_MAX && parameter[i].name; i++)
        if (str_eq(name, str_of(parameter[i].name)))
            return &parameter[i];
    return NULL;
}
