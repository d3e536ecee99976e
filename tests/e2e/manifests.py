"""The Kubernetes objects that scenes break, each as small as it can be. Simulations are steered by annotations
(tests/cluster/README.md)."""

SIMULATION = "test.prometheus-alerts-slm.io"
OPT_OUT = {"prometheus-alerts-slm.io/opt-out": "true"}


def image(namespace, name, tag):
    return f"registry.example/{namespace}/{name}:{tag}"


def template(namespace, name, annotations, tag):
    container = {"name": name, "image": image(namespace, name, tag),
                 "resources": {"requests": {"memory": "128Mi"}, "limits": {"memory": "256Mi"}}}
    return {"metadata": {"labels": {"app": name}, "annotations": annotations}, "spec": {"containers": [container]}}


def workload(kind, namespace, name, annotations=None, tag="1.4.0", opt_out=False, **spec):
    """A Deployment, StatefulSet or DaemonSet of one container; `annotations` are its pods'."""
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name},
                         "annotations": OPT_OUT if opt_out else {}},
            "spec": {"selector": {"matchLabels": {"app": name}},
                     "template": template(namespace, name, annotations or {}, tag), **spec}}


def claim(namespace, name, storage_class="expandable"):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class,
                     "resources": {"requests": {"storage": "2Gi"}}}}


def autoscaler(namespace, name, opt_out=False):
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": namespace, "annotations": OPT_OUT if opt_out else {}},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                     "minReplicas": 1, "maxReplicas": 3,
                     "metrics": [{"type": "Resource", "resource": {
                         "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]}}


def budget(namespace, name, at_least):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": namespace},
            "spec": {"minAvailable": at_least, "selector": {"matchLabels": {"app": name}}}}


def cronjob(namespace, name):
    """It runs at New Year, so that the only Job of a test is the one that somebody asked for."""
    pod = template(namespace, name, {}, "1.0")
    pod["spec"]["restartPolicy"] = "Never"
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": namespace},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pod}}}}
