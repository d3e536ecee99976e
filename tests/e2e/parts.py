"""The real parts of the demo and of the end-to-end test, on free ports of loopback and in one folder: a Kubernetes control
plane, kube-state-metrics, container-metrics, Prometheus, Alertmanager, and our server. All of them end with this process."""

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
CLUSTER = str(TREE / "tests/cluster/cluster.sh")
ACCOUNT = "prometheus-alerts-slm"
PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """A step that did not happen."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(end, what, look, pause=0.1):
    """The first true answer of look(), which is asked at least once; `end` is a time of time.monotonic()."""
    began = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Missing(f"not within {time.monotonic() - began:.0f} s: {what}")
        time.sleep(pause)


def wait_for(seconds, what, look):
    return wait_until(time.monotonic() + seconds, what, look)


class Glance:
    """What look() answered, at most `age` seconds ago: many threads that follow many things ask once."""

    def __init__(self, look, age):
        self.look, self.age, self.lock = look, age, threading.Lock()
        self.seen, self.at = None, -age

    def get(self):
        with self.lock:
            if time.monotonic() - self.at >= self.age:
                self.seen = self.look()
                self.at = time.monotonic()
            return self.seen


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def answers(url):
    try:
        get(url)
        return True
    except OSError:
        return False


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Parts:
    def __init__(self, program, folder):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.cluster = self.folder / "cluster"
        self.env = dict(os.environ, CLUSTER_OWNER=str(os.getpid()), CLUSTER_DIR=str(self.cluster))
        self.processes = {}
        self.config = str(self.folder / "config.yaml")
        self.incidents = Glance(lambda: self.api("incidents?limit=200")["incidents"], 0.2)
        self.alerts = Glance(self.ask_alerts, 0.2)

    # --- processes

    def run(self, *command, text=None):
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=self.env)
        if done.returncode != 0:
            raise Missing(f"{' '.join(command[:6])}: exit status {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def start(self, name, url, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                       env=self.env, preexec_fn=end_with_parent)
        self.processes[name] = process

        def up():
            if process.poll() is not None:
                raise Missing(f"{name} ended: {self.end_of_log(name)}")
            return answers(url)
        wait_for(60, f"{name} at {url}", up)

    def end_of_log(self, name, lines=5):
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = {}
        subprocess.run([CLUSTER, "down", str(self.cluster)], env=self.env, capture_output=True)

    # --- the cluster

    def start_cluster(self):
        self.run(CLUSTER, "up", str(self.cluster))
        for line in (self.cluster / "env").read_text().splitlines():
            for word in line.removeprefix("export ").split():
                name, value = word.split("=", 1)
                self.env[name] = value
        self.kubectl("apply", "-f", str(HERE / "objects.yaml"))
        self.state_metrics, self.container_metrics = self.run(CLUSTER, "metrics").split()

    def prepare(self, scenes):
        """The objects of these scenes, until all of them are well."""
        for scene in scenes:
            for words in scene.prepare:
                self.kubectl(*words)
        self.apply([item for scene in scenes for item in scene.objects])
        wait_for(60, "all workloads and claims to be well", self.all_well)

    def apply(self, objects):
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def all_well(self):
        def well(item):
            spec, status = item["spec"], item.get("status", {})
            if item["kind"] == "PersistentVolumeClaim":
                return status.get("phase") == "Bound"
            if item["kind"] == "DaemonSet":
                return status.get("desiredNumberScheduled", 0) > 0 and status["desiredNumberScheduled"] == status.get("numberReady")
            return status.get("readyReplicas") == spec["replicas"]
        return all(well(item) for item in self.object("deployments,statefulsets,daemonsets,persistentvolumeclaims", "-A")["items"])

    def kubectl(self, *words, text=None):
        return self.run(self.env["CLUSTER_BIN"] + "/kubectl", f"--cache-dir={self.folder}/cache", *words, text=text)

    def object(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def writes(self):
        """What our account's requests changed, counted by the API server."""
        return self.run(CLUSTER, "writes", f"system:serviceaccount:default:{ACCOUNT}").splitlines()

    def account(self):
        """A kubeconfig of a ServiceAccount that has just the rights which `actions rbac` writes."""
        self.kubectl("create", "serviceaccount", ACCOUNT)
        self.kubectl("apply", "-f", "-", text=self.run(self.program, "actions", "rbac"))
        token = self.kubectl("create", "token", ACCOUNT).strip()
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "demo",
                  "clusters": [{"name": "demo", "cluster": {"server": self.env["CLUSTER_API"],
                                                            "certificate-authority": f"{self.cluster}/pki/ca.crt"}}],
                  "users": [{"name": ACCOUNT, "user": {"token": token}}],
                  "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": ACCOUNT}}]}
        path = self.folder / "kubeconfig"
        path.touch(0o600)
        path.write_text(json.dumps(config))
        return path

    # --- Prometheus, Alertmanager, our server

    def start_monitoring(self):
        self.port, self.prometheus, self.alertmanager = free_port(), free_port(), free_port()
        targets = [{"job_name": name, "honor_labels": True, "static_configs": [{"targets": [url.split("/")[2]]}]}
                   for name, url in (("kube-state-metrics", self.state_metrics), ("kubelet", self.container_metrics))]
        (self.folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(HERE / "rules.yml")], "scrape_configs": targets,
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self.alertmanager}"]}]}]}}))
        ours = (TREE / "examples/alertmanager.yml").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        ours = ours.replace("group_wait: 10s", "group_wait: 1s").replace("group_interval: 1m", "group_interval: 1s")
        (self.folder / "alertmanager.yml").write_text(ours)
        self.start("alertmanager", f"http://127.0.0.1:{self.alertmanager}/-/ready", "prometheus-alertmanager",
                   f"--config.file={self.folder}/alertmanager.yml", f"--storage.path={self.folder}/alertmanager",
                   f"--web.listen-address=127.0.0.1:{self.alertmanager}", "--cluster.listen-address=")
        self.start("prometheus", f"http://127.0.0.1:{self.prometheus}/-/ready", "prometheus",
                   f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/prometheus",
                   f"--web.listen-address=127.0.0.1:{self.prometheus}", "--rules.alert.resend-delay=1s")

    def start_server(self):
        values = {"server": {name: self.port for name in ("webhook_port", "metrics_port", "health_port")},
                  "store": {"url": f"sqlite:{self.folder}/store.db"},
                  "kubernetes": {"kubeconfig": str(self.account())},
                  "filters": [{"name": "workloads", "conditions": {"namespace": [
                      "shop", "ledger", "billing", "legal", "monitoring", "kube-system"]}},
                      {"name": "nodes", "conditions": {"node": ["*"]}}],
                  "actions": {"dry_run": "off", "timeout": "15s"}, "policy": {"file": str(HERE / "policy.yaml")},
                  "intake": {"reopen_grace": "1s"},
                  "prometheus": {"url": f"http://127.0.0.1:{self.prometheus}"},
                  "alertmanager": {"url": f"http://127.0.0.1:{self.alertmanager}"},
                  "effectiveness": {"assess_after": "12s", "stable_for": "3s", "retry": "5s"}}
        pathlib.Path(self.config).write_text(json.dumps(values, indent=1))
        self.run(self.program, "policy", "test", str(HERE / "policy.yaml"))
        self.start("server", f"http://127.0.0.1:{self.port}/ready", self.program, "serve", "--config", self.config)

    def ours(self, *words):
        return self.run(self.program, *words, "--config", self.config)

    def api(self, path):
        return json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/{path}"))

    def incident_of(self, namespace, name):
        """The newest incident of this object with what became of it, or None."""
        for incident in self.incidents.get():
            if incident["name"] == name and (incident.get("namespace") or "") == namespace:
                return incident
        return None

    def ask_alerts(self):
        return json.loads(get(f"http://127.0.0.1:{self.prometheus}/api/v1/alerts"))["data"]["alerts"]

    def firing(self, **labels):
        """The alert with these labels that fires in Prometheus."""
        for alert in self.alerts.get():
            if alert["state"] == "firing" and all(alert["labels"].get(k) == v for k, v in labels.items()):
                return alert
        return None
