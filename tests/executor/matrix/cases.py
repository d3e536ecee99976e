"""A case for every action, and some more: how to make a target of its own, and what to ask for. Targets are made anew for each
cell and are as small as the action allows, so that a cell takes about a second."""

import time

from ground import until

APPS, CORE = "/apis/apps/v1/namespaces/%s/", "/api/v1/namespaces/%s/"


class Case:
    """make(lane, name) makes the target and gives (kind, namespace, name); clean(lane, name) takes away what would be in the
    way of other cells."""

    def __init__(self, action, make, parameters="{}", kind="write", clean=None, label=None, alone=False):
        self.action, self.make, self.parameters, self.kind = action, make, parameters, kind
        self.clean, self.label, self.alone = clean, label or action, alone

    def prepare(self, lane, name):
        target = self.make(lane, name)
        return target if isinstance(target, tuple) else ()


def containers(**more):
    return [dict({"name": "main", "image": "registry.example/app:1"}, **more)]


def template(name, spec):
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def workload(lane, plural, name, replicas=0, spec=None, **more):
    body = {"metadata": {"name": name, "labels": {"app": name}},
            "spec": dict({"selector": {"matchLabels": {"app": name}}, "template": template(name, spec or {"containers": containers()})}, **more)}
    if plural != "daemonsets":
        body["spec"]["replicas"] = replicas
    if plural == "statefulsets":
        body["spec"]["serviceName"] = name
    lane.api.post(APPS % lane.namespace + plural, body)
    return settled(lane, APPS % lane.namespace + plural + "/" + name)


def settled(lane, path):
    """Its controller has seen it and has nothing left to do."""
    def look():
        found = lane.api.get(path)
        status = found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return None
        wanted = found["spec"].get("replicas", status.get("desiredNumberScheduled", 0))
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        return found if ready == wanted and (wanted == 0 or "replicas" not in found["spec"] or status.get("replicas") == wanted) else None
    return until(30, path + " is rolled out", look)


def deployment(spec=None, replicas=0):
    def make(lane, name):
        workload(lane, "deployments", name, replicas, spec)
        return "Deployment", lane.namespace, name
    return make


def stateful(lane, name):
    workload(lane, "statefulsets", name)
    return "StatefulSet", lane.namespace, name


def daemonset(lane, name):
    workload(lane, "daemonsets", name, spec={"nodeSelector": {"no": "such"}, "containers": containers()})
    return "DaemonSet", lane.namespace, name


def pods_of(lane, name, namespace=None):
    return lane.api.get(CORE % (namespace or lane.namespace) + "pods?labelSelector=app=" + name)["items"]


def running(lane, name, count=1):
    return until(30, "%d pods of %s run" % (count, name),
                 lambda: [p for p in pods_of(lane, name) if p.get("status", {}).get("phase") == "Running"][count - 1:count] and pods_of(lane, name))


def replica_pod(lane, name):
    workload(lane, "replicasets", name, 1)
    return "Pod", lane.namespace, running(lane, name)[0]["metadata"]["name"]


def bare_pod(lane, name, image="registry.example/app:1", spec=None):
    lane.api.post(CORE % lane.namespace + "pods", {"metadata": {"name": name, "labels": {"app": name}},
                                                   "spec": dict({"containers": containers(image=image)}, **(spec or {}))})
    until(30, "pod %s is ready" % name, lambda: any(c["type"] == "Ready" and c["status"] == "True" for p in pods_of(lane, name)
                                                      for c in p.get("status", {}).get("conditions", [])))
    return "Pod", lane.namespace, name


ON_EXEC_NODE = {"nodeSelector": {"exec": "canned"}, "tolerations": [{"key": "exec", "operator": "Exists"}]}


def exec_pod(image):
    return lambda lane, name: bare_pod(lane, name, image, ON_EXEC_NODE)


def drop_pods(lane, name):
    for pod in pods_of(lane, name):
        lane.api.delete(CORE % lane.namespace + "pods/" + pod["metadata"]["name"])


def drop_replicas(lane, name):
    lane.api.delete(APPS % lane.namespace + "replicasets/" + name)
    drop_pods(lane, name)


def two_revisions(lane, name):
    workload(lane, "deployments", name)
    path = APPS % lane.namespace + "deployments/" + name
    until(30, "a first revision", lambda: lane.api.get(path)["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision") == "1")
    lane.api.patch(path, {"spec": {"template": {"metadata": {"annotations": {"second": "revision"}}}}})
    until(30, "a second revision", lambda: lane.api.get(path)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2")
    settled(lane, path)
    return "Deployment", lane.namespace, name


def claim(lane, name):
    lane.api.post(CORE % lane.namespace + "persistentvolumeclaims",
                  {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "expandable",
                                                        "resources": {"requests": {"storage": "1Gi"}}}})
    path = CORE % lane.namespace + "persistentvolumeclaims/" + name
    until(30, "claim %s is bound" % name, lambda: lane.api.get(path)["status"].get("phase") == "Bound")
    return "PersistentVolumeClaim", lane.namespace, name


def node(lane, name):
    lane.api.post("/api/v1/nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "own": name}},
                                    "spec": {"taints": [{"key": "own", "value": name, "effect": "NoSchedule"}]},
                                    "status": {"capacity": {"cpu": "8", "memory": "8Gi", "pods": "30"},
                                               "allocatable": {"cpu": "8", "memory": "8Gi", "pods": "30"}}})
    until(30, "node %s is ready" % name, lambda: any(c["type"] == "Ready" and c["status"] == "True"
                                                       for c in lane.api.get("/api/v1/nodes/" + name)["status"].get("conditions", [])))
    return "Node", "", name


def drop_node(lane, name):
    drop_replicas(lane, name)
    lane.api.delete("/api/v1/nodes/" + name)


def full_node(lane, name):
    node(lane, name)
    workload(lane, "replicasets", name, 2, {"nodeSelector": {"own": name}, "containers": containers(),
                                            "tolerations": [{"key": "own", "operator": "Exists"}]})
    running(lane, name, 2)
    return "Node", "", name


def proxied_node(lane, name):
    node(lane, name)
    path = CORE % "kube-system" + "pods?labelSelector=k8s-app=kube-proxy&fieldSelector=spec.nodeName=" + name
    until(30, "kube-proxy runs on " + name,
          lambda: [p for p in lane.api.get(path)["items"] if p.get("status", {}).get("phase") == "Running"])
    settled(lane, APPS % "kube-system" + "daemonsets/kube-proxy")
    return "Node", "", name


def autoscaler(lane, name):
    lane.api.post("/apis/autoscaling/v2/namespaces/%s/horizontalpodautoscalers" % lane.namespace,
                  {"metadata": {"name": name}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                                                        "minReplicas": 1, "maxReplicas": 5}})
    return "HorizontalPodAutoscaler", lane.namespace, name


def secret(lane, name):
    lane.api.post(CORE % lane.namespace + "secrets",
                  {"metadata": {"name": name, "annotations": {"prometheus-alerts-slm.io/rotate-keys": "key"}}, "stringData": {"key": "not-a-secret"}})
    workload(lane, "deployments", name, spec={"containers": containers(envFrom=[{"secretRef": {"name": name}}])})
    return "Secret", lane.namespace, name


def network_policy(lane, name):
    lane.api.post("/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies" % lane.namespace,
                  {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Egress"],
                                                        "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}})
    return "NetworkPolicy", lane.namespace, name


def meshed(lane, name):
    istiod = settled(lane, APPS % "istio-system" + "deployments/istiod")
    restarted = istiod["spec"]["template"]["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt", "")
    until(3, "another second: restarts are dated by it", lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > restarted)
    workload(lane, "deployments", name, spec={"containers": containers() + [{"name": "istio-proxy", "image": "registry.example/istio:1"}]})
    return "Namespace", "", lane.namespace


def drop_deployment(lane, name):
    lane.api.delete(APPS % lane.namespace + "deployments/" + name)


def database(lane, name):
    path = "/apis/postgresql.cnpg.io/v1/namespaces/%s/clusters" % lane.namespace
    lane.api.post(path, {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": name},
                         "spec": {"instances": 2, "storage": {"size": "1Gi"}}})
    lane.api.patch(path + "/" + name + "/status",
                   {"status": {"currentPrimary": name + "-1", "targetPrimary": name + "-1", "phase": "Cluster in healthy state",
                               "instancesStatus": {"healthy": [name + "-1", name + "-2"]}}})
    return "Cluster", lane.namespace, name


def member(lane, name):
    workload(lane, "statefulsets", name, 1, {"containers": containers(volumeMounts=[{"name": "data", "mountPath": "/data"}])},
             volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "expandable",
                                                                            "resources": {"requests": {"storage": "1Gi"}}}}])
    running(lane, name)
    return "Pod", lane.namespace, name + "-0"


def drop_member(lane, name):
    lane.api.delete(APPS % lane.namespace + "statefulsets/" + name)
    drop_pods(lane, name)


def recommended(lane, name):
    workload(lane, "deployments", name, spec={"containers": containers(resources={"requests": {"memory": "64Mi"}})})
    path = "/apis/autoscaling.k8s.io/v1/namespaces/%s/verticalpodautoscalers" % lane.namespace
    lane.api.post(path, {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "metadata": {"name": name},
                         "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "updatePolicy": {"updateMode": "Off"}}})
    lane.api.patch(path + "/" + name + "/status", {"status": {"recommendation": {"containerRecommendations": [
        {"containerName": "main", "target": {"memory": "100Mi", "cpu": "100m"}, "lowerBound": {"memory": "50Mi", "cpu": "50m"},
         "upperBound": {"memory": "200Mi", "cpu": "200m"}}]}}})
    return "Deployment", lane.namespace, name


def finished(lane, name):
    bare_pod_spec = {"restartPolicy": "Never", "containers": containers()}
    lane.api.post(CORE % lane.namespace + "pods", {"metadata": {"name": name, "labels": {"app": name}}, "spec": bare_pod_spec})
    until(30, "pod %s runs" % name, lambda: running(lane, name))
    lane.api.patch(CORE % lane.namespace + "pods/" + name + "/status", {"status": {"phase": "Failed"}})
    return "Namespace", "", lane.namespace


LIMITED = {"containers": containers(resources={"limits": {"memory": "64Mi"}})}
VERBOSE = {"containers": containers(env=[{"name": "LOG_LEVEL", "value": "info"}])}

CASES = [
    Case("scale_deployment", deployment(), '{"replicas":1}', clean=drop_deployment),
    Case("restart_pod", replica_pod, kind="evict", clean=drop_replicas),
    Case("increase_resources", deployment(LIMITED), '{"memory_limit":"128Mi"}'),
    Case("notify_only", deployment(), '{"message":"look"}', kind="note"),
    Case("rollback_deployment", two_revisions),
    Case("expand_pvc", claim, '{"new_size":"2Gi"}'),
    Case("drain_node", full_node, '{"timeout":"12s"}', kind="evict", clean=drop_node),
    Case("quarantine_pod", bare_pod, clean=drop_pods),
    Case("collect_diagnostics", deployment(), kind="read"),
    Case("cleanup_storage", exec_pod("registry.example/app:1"), '{"path":"/var/log"}', kind="exec", clean=drop_pods),
    Case("backup_data", claim),
    Case("compact_storage", exec_pod("registry.example/postgres:17"), kind="exec", clean=drop_pods),
    Case("cordon_node", node, clean=drop_node),
    Case("update_hpa", autoscaler, '{"max_replicas":8}'),
    Case("restart_daemonset", daemonset),
    Case("rotate_secrets", secret),
    Case("audit_logs", lambda lane, name: ("Namespace", "", lane.namespace), '{"scope":"all"}', kind="read"),
    Case("update_network_policy", network_policy, '{"action_type":"allow_egress","port":443}'),
    Case("restart_network", proxied_node, '{"component":"kube-proxy"}', clean=drop_node),
    Case("reset_service_mesh", meshed, '{"mesh_type":"istio"}', clean=drop_deployment, alone=True),
    Case("failover_database", database),
    Case("repair_database", member, '{"repair_type":"rebuild_replica"}', clean=drop_member),
    Case("scale_statefulset", stateful, '{"replicas":1}', clean=drop_member),
    Case("enable_debug_mode", deployment(VERBOSE)),
    Case("create_heap_dump", exec_pod("registry.example/openjdk:21"), kind="exec", clean=drop_pods),
    Case("optimize_resources", recommended),
    Case("migrate_workload", deployment(), '{"target_node":"node-2"}'),
    Case("repair_database", exec_pod("registry.example/postgres:17"), kind="exec", clean=drop_pods, label="repair_database by exec"),
    Case("update_network_policy", deployment(), '{"action_type":"deny_egress"}', label="update_network_policy anew"),
]
