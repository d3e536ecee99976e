/* What an alert is about: which label names a Kubernetes object, and whose pod a pod is. */
#include "alert/alert.h"

/* In order: the label that says most comes first. `job` and `instance` are names of Prometheus' own scrape, and
 * `service` often is, so the first two are not here and the last one comes late. */
static const struct {
    struct str label;
    const char *kind;
} target_labels[] = {
    { { "persistentvolumeclaim", 21 }, "PersistentVolumeClaim" },
    { { "pvc", 3 }, "PersistentVolumeClaim" },
    { { "horizontalpodautoscaler", 23 }, "HorizontalPodAutoscaler" },
    { { "hpa", 3 }, "HorizontalPodAutoscaler" },
    { { "deployment", 10 }, "Deployment" },
    { { "statefulset", 11 }, "StatefulSet" },
    { { "daemonset", 9 }, "DaemonSet" },
    { { "cronjob", 7 }, "CronJob" },
    { { "job_name", 8 }, "Job" },
    { { "replicaset", 10 }, "ReplicaSet" },
    { { "pod", 3 }, "Pod" },
    { { "pod_name", 8 }, "Pod" },
    { { "secret", 6 }, "Secret" },
    { { "ingress", 7 }, "Ingress" },
    { { "node", 4 }, "Node" },
    { { "node_name", 9 }, "Node" },
    { { "app", 3 }, "Deployment" },
    { { "service", 7 }, "Service" },
};

/* kubernetes-mixin names a workload by two labels. */
static const struct {
    struct str type;
    const char *kind;
} workload_types[] = {
    { { "deployment", 10 }, "Deployment" }, { { "statefulset", 11 }, "StatefulSet" },
    { { "daemonset", 9 }, "DaemonSet" },    { { "job", 3 }, "Job" },
    { { "cronjob", 7 }, "CronJob" },
};

static bool workload_of(const struct label_list *labels, struct alert_target *target)
{
    struct str type = label_get(labels, STR("workload_type")), name = label_get(labels, STR("workload"));
    if (str_is_empty(type) || str_is_empty(name))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(workload_types); i++) {
        if (!str_eq_nocase(type, workload_types[i].type))
            continue;
        target->kind = str_of(workload_types[i].kind);
        target->name = name;
        return true;
    }
    return false;
}

struct alert_target alert_target_of(const struct label_list *labels)
{
    struct alert_target target = { .cluster = label_get(labels, STR("cluster")),
                                   .namespace = label_get(labels, STR("namespace")) };
    if (str_is_empty(target.namespace))
        target.namespace = label_get(labels, STR("exported_namespace"));
    for (size_t i = 0; i < ARRAY_LEN(target_labels); i++) {
        struct str name = label_get(labels, target_labels[i].label);
        bool is_pod = str_eq(target_labels[i].label, STR("pod"));
        if (is_pod && workload_of(labels, &target))
            return target;
        if (str_is_empty(name))
            continue;
        target.kind = str_of(target_labels[i].kind);
        target.name = name;
        if (str_eq(target.kind, STR("Node")))
            target.namespace = (struct str){ 0 };
        return target;
    }
    if (!str_is_empty(target.namespace)) {
        target.kind = STR("Namespace");
        target.name = target.namespace;
    }
    return target;
}

size_t alert_targets_of(const struct label_list *labels, struct alert_target *targets, size_t max)
{
    struct alert_target first = alert_target_of(labels);
    size_t count = 0;
    if (first.kind.len && count < max)
        targets[count++] = first;
    for (size_t i = 0; i < ARRAY_LEN(target_labels) && count < max; i++) {
        struct alert_target target = first;
        target.kind = str_of(target_labels[i].kind);
        target.name = label_get(labels, target_labels[i].label);
        if (str_eq(target.kind, STR("Node")))
            target.namespace = (struct str){ 0 };
        else
            target.namespace = label_get(labels, STR("namespace"));
        bool known = !target.name.len;
        for (size_t k = 0; k < count; k++)
            known = known || (str_eq(targets[k].kind, target.kind) && str_eq(targets[k].name, target.name));
        if (!known)
            targets[count++] = target;
    }
    return count;
}

/* The letters of Kubernetes' generated suffixes: no vowels, no digits that look like one (util/rand). */
static bool is_generated(struct str s, size_t min, size_t max)
{
    if (s.len < min || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!s.ptr[i] || !strchr("bcdfghjklmnpqrstvwxz2456789", s.ptr[i]))
            return false;
    return true;
}

static bool is_ordinal(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0 && s.len <= 5 && (s.len == 1 || s.ptr[0] != '0');
}

/* "a-b-c" gives "a-b" and "c". */
static bool cut_last(struct str name, struct str *front, struct str *last)
{
    for (size_t at = name.len; at-- > 1;) {
        if (name.ptr[at] != '-')
            continue;
        *front = str_slice(name, 0, at);
        *last = str_slice(name, at + 1, name.len);
        return true;
    }
    return false;
}

struct alert_target alert_target_owner(const struct alert_target *target)
{
    struct alert_target owner = *target;
    struct str front, last, base, hash;
    if (!str_eq(target->kind, STR("Pod")) || !cut_last(target->name, &front, &last))
        return owner;
    if (is_ordinal(last)) {
        owner.kind = STR("StatefulSet");
        owner.name = front;
    } else if (is_generated(last, 5, 5) && cut_last(front, &base, &hash) && is_generated(hash, 6, 10)) {
        owner.kind = STR("Deployment");
        owner.name = base;
    } else if (is_generated(last, 5,
                            5)) { /* of a DaemonSet, a Job or a bare ReplicaSet: the name cannot tell */
        owner.kind = STR("DaemonSet");
        owner.name = front;
    }
    return owner;
}

char *alert_target_key(struct arena *arena, const struct alert_target *target)
{
    return arena_printf(arena, STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(target->cluster),
                        STR_ARG(target->namespace), STR_ARG(target->kind), STR_ARG(target->name));
}
