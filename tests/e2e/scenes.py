"""What is broken, by whom, and what in the cluster shows that it was mended. A scene with `held_back` is another one's twin:
the same trouble, where nothing may be changed."""

import dataclasses
import json

from manifests import SIMULATION, autoscaler, budget, claim, cronjob, image, workload

RESTARTED = "kubectl.kubernetes.io/restartedAt"


@dataclasses.dataclass
class Scene:
    title: str
    alert: dict  # labels of the alert that fires
    namespace: str
    name: str  # of the incident's object
    trouble: object  # parts → breaks it
    broken: str  # what that means, said on the screen
    simulated: str
    actions: set  # what may be decided
    seen: object  # parts → the field that the action changes
    field: str
    write: str  # the one line of the audit log that the action is, as a pattern
    objects: list = dataclasses.field(default_factory=list)
    prepare: list = dataclasses.field(default_factory=list)  # kubectl words, each before anything is broken
    repair: list = dataclasses.field(default_factory=list)  # kubectl words: what only a technician can do
    again: bool = False  # the same trouble comes back at once, within the cooldown
    held_back: str = ""  # a key of HELD_BACK: why nothing may be changed


@dataclasses.dataclass
class HeldBack:
    """Why nothing is changed, and how that is seen."""
    by: str
    says: str = ""  # in the execution's error
    states: tuple = ("refused",)
    not_offered: bool = False  # policy leaves notify_only, and somebody is told
    not_worked_on: bool = False
    denied: bool = False  # by the person who is asked


HELD_BACK = {
    "policy": HeldBack("the ledger is changed by people", not_offered=True),
    "freeze": HeldBack("billing is frozen while the quarter is closed", not_offered=True),
    "filter": HeldBack("no filter accepts the sandbox", not_worked_on=True),
    "opt-out": HeldBack("an annotation opts out", says="opt-out"),
    "protected": HeldBack("the namespace is protected", says="is protected"),
    "budget": HeldBack("a disruption budget allows no eviction", says="disruption budget", states=("failed",)),
    "autoscaler": HeldBack("an autoscaler owns the replicas", says="HorizontalPodAutoscaler"),
    "storage class": HeldBack("volumes of its class cannot grow", says="does not allow expansion"),
    "first release": HeldBack("there is no release to go back to", says="no ReplicaSet of an older revision"),
    "person": HeldBack("somebody on call says no", says="not now", denied=True),
}


# --- looking

def at(kind, namespace, name, *path):
    """parts → one field of an object."""
    def look(parts):
        value = parts.object(*(["-n", namespace] if namespace else []), kind, name)
        for step in path:
            value = value.get(step) if isinstance(value, dict) else value[step]
            if value is None:
                return None
        return value
    return look


def names(kind, namespace, *words):
    """parts → the names of those objects that are not on their way out."""
    return lambda parts: sorted(item["metadata"]["name"] for item in parts.object("-n", namespace, kind, *words)["items"]
                                if "deletionTimestamp" not in item["metadata"])


def memory_limit(kind, namespace, name):
    return at(kind, namespace, name, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory")


# --- breaking

def kubectl(*words):
    return lambda parts: parts.kubectl(*words)


def annotate_pods(kind, namespace, name, **annotations):
    values = {f"{SIMULATION}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return kubectl("-n", namespace, "patch", kind, name, "-p",
                   json.dumps({"spec": {"template": {"metadata": {"annotations": values}}}}))


def hang(parts, pod):
    """It runs, and its readiness probe gets no answer any more."""
    ready = next(i for i, condition in enumerate(pod["status"]["conditions"]) if condition["type"] == "Ready")
    parts.kubectl("-n", pod["metadata"]["namespace"], "patch", "pod", pod["metadata"]["name"], "--subresource=status",
                  "--type=json", "-p", json.dumps([
                      {"op": "replace", "path": f"/status/conditions/{ready}/status", "value": "False"},
                      {"op": "replace", "path": "/status/containerStatuses/0/ready", "value": False}]))


def pods_of(parts, namespace, name):
    return parts.object("-n", namespace, "pods", "-l", f"app={name}")["items"]


# --- the symptoms

NO_CONTAINER = "no container runs: the need is an annotation, and a test controller kills what is over its limit"


def out_of_memory(kind, namespace, name, opt_out=False, **more):
    """Of a StatefulSet's pod the alert names the pod alone; the incident is the workload's all the same."""
    pod = kind == "StatefulSet"
    spec = {"podManagementPolicy": "Parallel", "replicas": 1} if pod else {"replicas": 1} if kind == "Deployment" else {}
    labels = {"pod": f"{name}-0"} if pod else {kind.lower(): name}
    return Scene(f"OOM loop: {kind} {namespace}/{name}", {"alertname": "KubeContainerOOMKilled", "namespace": namespace, **labels},
                 namespace, name, annotate_pods(kind, namespace, name, memory_needs="300Mi"),
                 "its container needs 300Mi now, and its limit is 256Mi", NO_CONTAINER, {"increase_resources"},
                 memory_limit(kind, namespace, name), "resources.limits.memory",
                 f"patch {kind.lower()}s {namespace}/{name}",
                 [workload(kind, namespace, name, {f"{SIMULATION}/memory-needs": "100Mi"}, opt_out=opt_out, **spec)], **more)


def near_limit(namespace, name, **more):
    return Scene(f"memory close to its limit: Deployment {namespace}/{name}",
                 {"alertname": "ContainerMemoryNearLimit", "namespace": namespace, "deployment": name}, namespace, name,
                 annotate_pods("Deployment", namespace, name, memory_needs="248Mi"),
                 "its container uses 248Mi of its 256Mi", "no container runs: the need is an annotation", {"increase_resources"},
                 memory_limit("Deployment", namespace, name), "resources.limits.memory", f"patch deployments {namespace}/{name}",
                 [workload("Deployment", namespace, name, replicas=1)], **more)


NO_DISK = "no disk is there: the use is an annotation, and a test controller completes the expansion"


def claim_size(namespace, name):
    return at("pvc", namespace, name, "spec", "resources", "requests", "storage")


def full_volume(namespace, name, **more):
    return Scene(f"filling volume: PersistentVolumeClaim {namespace}/{name}",
                 {"alertname": "KubePersistentVolumeFillingUp", "persistentvolumeclaim": name}, namespace, name,
                 kubectl("-n", namespace, "annotate", "pvc", name, f"{SIMULATION}/volume-used=1950Mi"),
                 "1950Mi of its 2Gi are in use", NO_DISK, {"expand_pvc"}, claim_size(namespace, name),
                 "resources.requests.storage", f"patch persistentvolumeclaims {namespace}/{name}", [claim(namespace, name)], **more)


def soon_full(namespace, name, storage_class="expandable", **more):
    return Scene(f"volume full soon: PersistentVolumeClaim {namespace}/{name}",
                 {"alertname": "KubePersistentVolumeFullSoon", "persistentvolumeclaim": name}, namespace, name,
                 kubectl("-n", namespace, "annotate", "pvc", name, f"{SIMULATION}/volume-used=1600Mi",
                         f"{SIMULATION}/volume-fills-per-second=512Ki"),
                 "it grows by 512Ki a second", NO_DISK, {"expand_pvc"}, claim_size(namespace, name),
                 "resources.requests.storage", f"patch persistentvolumeclaims {namespace}/{name}",
                 [claim(namespace, name, storage_class)], **more)


def release(namespace, name, alertname, word, broken, simulated, more, **spec):
    bad = image(namespace, name, f"1.5.0-{word}")
    return Scene(f"bad release: Deployment {namespace}/{name}",
                 {"alertname": alertname, "namespace": namespace, "deployment": name}, namespace, name,
                 kubectl("-n", namespace, "set", "image", f"deployment/{name}", f"{name}={bad}"), broken, simulated,
                 {"rollback_deployment"}, at("deployment", namespace, name, "spec", "template", "spec", "containers", 0, "image"),
                 "image", f"patch deployments {namespace}/{name}", [workload("Deployment", namespace, name, replicas=2, **spec)],
                 **more)


def bad_release(namespace, name, **more):
    """A release is good only once its pods have been ready for two seconds; after six without progress it is stuck."""
    return release(namespace, name, "KubeDeploymentRolloutStuck", "crash", "release 1.5.0 crashes as soon as it runs",
                   "kwok plays the kubelets: an image named `crash` crashes", more, minReadySeconds=2, progressDeadlineSeconds=6)


def missing_image(namespace, name, **more):
    return release(namespace, name, "KubeDeploymentImagePull", "nopull", "the image of release 1.5.0 is not in the registry",
                   "kwok plays the kubelets: an image named `nopull` cannot be pulled", more)


def never_released(namespace, name, **more):
    """The first release of all: its image was never there."""
    scene = missing_image(namespace, name, **more)
    scene.objects = []
    first = workload("Deployment", namespace, name, tag="1.5.0-nopull", replicas=2)
    scene.trouble = lambda parts: parts.apply([first])
    return scene


def node(name, alertname, state, broken, actions, more):
    return Scene(f"{broken}: {name}", {"alertname": alertname, "node": name}, "", name,
                 kubectl("label", "node", name, f"{SIMULATION}/ready={state}"), broken,
                 "kwok plays the node: a label takes it down, and taking the label off is the technician's repair",
                 actions, lambda parts: "unschedulable" if at("node", "", name, "spec", "unschedulable")(parts) else "schedulable",
                 "spec.unschedulable", f"patch nodes -/{name}",
                 prepare=[["taint", "nodes", name, "dedicated=batch:NoSchedule"]] + more.pop("prepare", []),
                 repair=["label", "node", name, f"{SIMULATION}/ready-"], **more)


def node_down(name, **more):
    return node(name, "KubeNodeNotReady", "false", "its container runtime is down", {"drain_node", "cordon_node"}, more)


def node_lost(name, **more):
    return node(name, "KubeNodeUnreachable", "unknown", "nothing is heard of it", {"drain_node", "cordon_node"}, more)


def autoscaler_at_end(namespace, name, opt_out=False, **more):
    return Scene(f"autoscaler at its maximum: HorizontalPodAutoscaler {namespace}/{name}",
                 {"alertname": "KubeHpaMaxedOut", "namespace": namespace, "horizontalpodautoscaler": name}, namespace, name,
                 kubectl("-n", namespace, "patch", "hpa", name, "-p", '{"spec":{"minReplicas":3}}'),
                 "three replicas are wanted, and three is the most",
                 "there are no CPU metrics: what the load would ask for is the minimum", {"update_hpa"},
                 at("hpa", namespace, name, "spec", "maxReplicas"), "spec.maxReplicas",
                 f"patch horizontalpodautoscalers {namespace}/{name}",
                 [workload("Deployment", namespace, name, replicas=1), autoscaler(namespace, name, opt_out)], **more)


def hung_pod(namespace, name, objects=(), **more):
    def trouble(parts):
        pod = pods_of(parts, namespace, name)[0]
        scene.alert["pod"] = pod["metadata"]["name"]
        hang(parts, pod)
    scene = Scene(f"hung pod: Deployment {namespace}/{name}", {"alertname": "KubePodHung", "namespace": namespace}, namespace,
                  name, trouble, "one of its pods runs and answers nobody", "no container runs: the pod's status says so",
                  {"restart_pod"}, names("pods", namespace, "-l", f"app={name}"), "pods",
                  f"create pods/eviction {namespace}/{name}-.*",
                  [workload("Deployment", namespace, name, replicas=2), *objects], **more)
    return scene


def hung_agents(namespace, name, **more):
    def trouble(parts):
        for pod in pods_of(parts, namespace, name)[:2]:
            hang(parts, pod)
    return Scene(f"hung agents: DaemonSet {namespace}/{name}",
                 {"alertname": "KubeDaemonSetAgentsHang", "namespace": namespace, "daemonset": name}, namespace, name, trouble,
                 "its agents on two nodes run and report nothing", "no container runs: the pods' status says so",
                 {"restart_daemonset"}, at("daemonset", namespace, name, "spec", "template", "metadata", "annotations", RESTARTED),
                 RESTARTED, f"patch daemonsets {namespace}/{name}", [workload("DaemonSet", namespace, name)], **more)


def old_backup(namespace, name, **more):
    return Scene(f"backup too old: CronJob {namespace}/{name}",
                 {"alertname": "KubeBackupTooOld", "namespace": namespace, "cronjob": name}, namespace, name,
                 kubectl("-n", namespace, "patch", "cronjob", name, "--subresource=status", "--type=merge", "-p",
                         '{"status":{"lastSuccessfulTime":"2026-01-01T00:00:00Z"}}'),
                 "it has not succeeded since New Year", "kwok plays the kubelets: its Job completes without a container",
                 {"backup_data"}, names("jobs", namespace), "jobs", f"create jobs {namespace}/.*", [cronjob(namespace, name)], **more)


def overload(namespace, name, objects=(), **more):
    return Scene(f"overload: Deployment {namespace}/{name}",
                 {"alertname": "DeploymentSaturated", "namespace": namespace, "deployment": name}, namespace, name,
                 annotate_pods("Deployment", namespace, name, requests_per_second="190"),
                 "its two pods get 190 requests a second, and each can take 100",
                 "no container runs: the load is an annotation, shared by the pods that are ready", {"scale_deployment"},
                 at("deployment", namespace, name, "spec", "replicas"), "spec.replicas", f"patch deployments/scale {namespace}/{name}",
                 [workload("Deployment", namespace, name, replicas=2), *objects], **more)


# --- what is played: the first four scenes are the demo's; each scene of the test has its twin

DEMO = [out_of_memory("Deployment", "shop", "recommender"), full_volume("shop", "invoices"), bad_release("shop", "storefront", again=True),
        node_down("node-4")]
SCENES = DEMO + [
    out_of_memory("StatefulSet", "shop", "search"),
    out_of_memory("DaemonSet", "monitoring", "scraper"),
    near_limit("shop", "cache"),
    soon_full("shop", "receipts"),
    missing_image("shop", "basket"),
    node_lost("node-5"),
    autoscaler_at_end("shop", "checkout"),
    hung_pod("shop", "mailer"),
    hung_agents("monitoring", "log-agent"),
    old_backup("shop", "nightly-backup"),
    overload("shop", "gateway"),
]
TWINS = [
    out_of_memory("Deployment", "ledger", "journal", held_back="policy"),
    full_volume("billing", "statements", held_back="freeze"),
    bad_release("legal", "contracts", held_back="opt-out"),
    node_down("node-3", held_back="opt-out", prepare=[["annotate", "node", "node-3", "prometheus-alerts-slm.io/opt-out=true"]]),
    out_of_memory("StatefulSet", "shop", "archive", opt_out=True, held_back="opt-out"),
    out_of_memory("DaemonSet", "ledger", "collector", held_back="policy"),
    near_limit("sandbox", "playground", held_back="filter"),
    soon_full("shop", "scans", storage_class="fixed", held_back="storage class"),
    never_released("shop", "newcomer", held_back="first release"),
    node_lost("node-6", held_back="person"),
    autoscaler_at_end("shop", "returns", opt_out=True, held_back="opt-out"),
    hung_pod("shop", "printer", [budget("shop", "printer", 2)], held_back="budget"),
    hung_agents("kube-system", "edge-agent", held_back="protected"),
    old_backup("billing", "monthly-backup", held_back="freeze"),
    overload("shop", "tickets", [autoscaler("shop", "tickets")], held_back="autoscaler"),
]
