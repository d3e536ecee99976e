/* What of an object matters to somebody who has to decide: its phase, why it is not well, how many are ready. Shared by
 * the watch cache and k8s_describe(). */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

static void from_statuses(yyjson_val *statuses, struct summary *summary)
{
    size_t i, count;
    yyjson_val *status;
    yyjson_arr_foreach(statuses, i, count, status)
    {
        const char *waiting = k8s_text_at(status, "/state/waiting/reason");
        const char *ended = k8s_text_at(status, "/lastState/terminated/reason");
        int64_t at = k8s_time_at(status, "/lastState/terminated/finishedAt");
        summary->restarts += (int)k8s_int_at(status, "/restartCount", 0);
        summary->ready += k8s_bool_at(status, "/ready");
        if (*waiting && strcmp(waiting, "ContainerCreating") && strcmp(waiting, "PodInitializing"))
            summary->reason = waiting;
        else if (!*summary->reason && *k8s_text_at(status, "/state/terminated/reason"))
            summary->reason = k8s_text_at(status, "/state/terminated/reason");
        if (*ended && at >= summary->ended_at) {
            summary->ended_at = at;
            summary->ended = ended;
            summary->ended_code = (int)k8s_int_at(status, "/lastState/terminated/exitCode", 0);
        }
    }
}

static void of_pod(yyjson_val *pod, struct summary *s)
{
    const char *unscheduled = "", *status = k8s_condition(pod, "PodScheduled", &unscheduled, NULL);
    s->phase = k8s_text_at(pod, "/status/phase");
    s->replicas = (int)yyjson_arr_size(k8s_at(pod, "/spec/containers"));
    from_statuses(k8s_at(pod, "/status/initContainerStatuses"), s);
    s->ready = 0; /* init containers do not count */
    from_statuses(k8s_at(pod, "/status/containerStatuses"), s);
    s->is_ready = !strcmp(k8s_condition(pod, "Ready", NULL, NULL), "True");
    if (*k8s_text_at(pod, "/status/reason"))
        s->reason = k8s_text_at(pod, "/status/reason");
    else if (!strcmp(status, "False") && !*s->reason)
        s->reason = unscheduled;
    else if (!*s->reason && !s->is_ready)
        s->reason = s->ended;
}

static void of_node(yyjson_val *node, struct summary *s)
{
    static const char *const pressures[] = { "MemoryPressure", "DiskPressure", "PIDPressure",
                                             "NetworkUnavailable" };
    s->is_ready = !strcmp(k8s_condition(node, "Ready", &s->reason, NULL), "True");
    s->phase = s->is_ready ? "Ready" : "NotReady";
    s->is_unschedulable = k8s_bool_at(node, "/spec/unschedulable");
    if (s->is_ready)
        s->reason = "";
    for (size_t i = 0; i < ARRAY_LEN(pressures); i++)
        if (!strcmp(k8s_condition(node, pressures[i], NULL, NULL), "True"))
            s->reason = pressures[i];
}

static void of_workload(yyjson_val *object, struct summary *s)
{
    bool daemon = k8s_at(object, "/status/desiredNumberScheduled") != NULL;
    s->replicas =
        (int)k8s_int_at(object, daemon ? "/status/desiredNumberScheduled" : "/spec/replicas", daemon ? 0 : 1);
    s->ready = (int)k8s_int_at(object, daemon ? "/status/numberReady" : "/status/readyReplicas", 0);
    s->updated =
        (int)k8s_int_at(object, daemon ? "/status/updatedNumberScheduled" : "/status/updatedReplicas", 0);
    s->available =
        (int)k8s_int_at(object, daemon ? "/status/numberAvailable" : "/status/availableReplicas", 0);
    s->is_ready = s->ready >= s->replicas;
    if (!strcmp(k8s_condition(object, "Progressing", &s->reason, NULL), "True"))
        s->reason = "";
    if (!strcmp(k8s_condition(object, "ReplicaFailure", NULL, NULL), "True"))
        k8s_condition(object, "ReplicaFailure", &s->reason, NULL);
}

static void of_job(yyjson_val *job, struct summary *s)
{
    bool complete = !strcmp(k8s_condition(job, "Complete", NULL, NULL), "True");
    bool failed = !strcmp(k8s_condition(job, "Failed", complete ? NULL : &s->reason, NULL), "True");
    s->phase = complete                            ? "Complete"
               : failed                            ? "Failed"
               : k8s_bool_at(job, "/spec/suspend") ? "Suspended"
                                                   : "Running";
    s->replicas = (int)k8s_int_at(job, "/spec/completions", 1);
    s->ready = (int)k8s_int_at(job, "/status/succeeded", 0);
    s->is_ready = complete;
}

static void of_scaler(yyjson_val *hpa, struct summary *s)
{
    s->replicas = (int)k8s_int_at(hpa, "/status/desiredReplicas", 0);
    s->ready = (int)k8s_int_at(hpa, "/status/currentReplicas", 0);
    s->is_ready = strcmp(k8s_condition(hpa, "AbleToScale", NULL, NULL), "False") != 0;
    if (!strcmp(k8s_condition(hpa, "ScalingLimited", NULL, NULL), "True"))
        k8s_condition(hpa, "ScalingLimited", &s->reason, NULL);
}

static void of_claim(yyjson_val *claim, struct summary *s)
{
    s->phase = k8s_text_at(claim, "/status/phase");
    s->is_ready = !strcmp(s->phase, "Bound");
}

static const struct {
    const char *kind;
    void (*summarise)(yyjson_val *object, struct summary *summary);
} kinds[] = {
    { "Pod", of_pod },
    { "Node", of_node },
    { "Deployment", of_workload },
    { "ReplicaSet", of_workload },
    { "StatefulSet", of_workload },
    { "DaemonSet", of_workload },
    { "ReplicationController", of_workload },
    { "DeploymentConfig", of_workload },
    { "Job", of_job },
    { "HorizontalPodAutoscaler", of_scaler },
    { "PersistentVolumeClaim", of_claim },
    { "PersistentVolume", of_claim },
    { "Namespace", of_claim },
};

struct summary summarise(const char *kind, yyjson_val *object)
{
    struct summary summary = { .phase = "", .reason = "", .ended = "" };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            kinds[i].summarise(object, &summary);
    return summary;
}
