"""What the matrices stand on: a real control plane, and lanes that work on it side by side. A lane has a user, a namespace, a
store and a fault proxy of its own, so that the audit log tells whose effect a write is."""

import collections
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent.parent
CLUSTER = str(TESTS / "cluster/cluster.sh")
FINAL = ("completed", "failed", "refused", "unsupported", "unknown", "cancelled", "rolled-back")
WRITES = ("create", "update", "patch", "delete", "deletecollection")
POLICY = "version: 1\nrules: [{ name: test, when: { action: '*' }, then: allow }]\nlimits: []\n"


class Broken(Exception):
    """The ground does not hold: no verdict on what is tested."""


def until(seconds, what, look, every=0.02):
    """The first true answer of look()."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Broken("not within %s s: %s" % (seconds, what))
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Api:
    """The API server as admin, over one kept connection a thread."""

    def __init__(self, folder):
        self.url = re.search(r"CLUSTER_API=https://(\S+)", (folder / "env").read_text())[1]
        self.context = ssl.create_default_context(cafile=folder / "pki/ca.crt")
        self.context.load_cert_chain(folder / "pki/admin.crt", folder / "pki/admin.key")
        self.local = threading.local()

    def call(self, method, path, body=None, kind="application/json"):
        for attempt in range(2):
            connection = getattr(self.local, "connection", None)
            if not connection:
                connection = self.local.connection = http.client.HTTPSConnection(self.url, context=self.context, timeout=60)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
                answer = connection.getresponse()
                data = answer.read()
                return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode()
            except (ConnectionError, http.client.HTTPException):
                self.local.connection = None
                if attempt:
                    raise

    def get(self, path):
        status, found = self.call("GET", path)
        return found if status == 200 else None

    def post(self, path, body):
        status, made = self.call("POST", path, body)
        if status not in (200, 201):
            raise Broken("POST %s: %s %s" % (path, status, made))
        return made

    def patch(self, path, body):
        status, made = self.call("PATCH", path, body, "application/merge-patch+json")
        if status != 200:
            raise Broken("PATCH %s: %s %s" % (path, status, made))
        return made

    def delete(self, path):
        return self.call("DELETE", path + ("&" if "?" in path else "?") + "propagationPolicy=Background&gracePeriodSeconds=0")


class Ground:
    def __init__(self, program, hand, lanes, proxies=True):
        self.program, self.hand = program, hand
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="matrix-"))
        self.cluster = self.folder / "cluster"
        self.env = dict(os.environ, CLUSTER_OWNER=str(os.getpid()), CLUSTER_DIR=str(self.cluster), CLUSTER_NODES="8")
        self.one_mesh = threading.Lock()            # istiod and the node share that is cordoned are everybody's
        self.children = []
        self.shell(CLUSTER, "up", str(self.cluster))
        self.shell(CLUSTER, "objects", str(self.cluster))
        self.api = Api(self.cluster)
        self.audit = self.cluster / "audit.log"
        self.start_kubelet()
        self.role(self.rbac())
        self.lanes = [Lane(self, i, proxies) for i in range(lanes)]

    def shell(self, *command, text=None):
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=self.env)
        if done.returncode != 0:
            raise Broken("%s: %s%s" % (" ".join(command[:6]), done.stdout, done.stderr))
        return done.stdout

    def kubectl(self, *words, text=None):
        return self.shell(CLUSTER, "kubectl", *words, text=text)

    def rbac(self, *actions):
        words = ["--enabled=" + ",".join(actions)] if actions else []
        return self.shell(self.program, "actions", "rbac", *words)

    def role(self, yaml):
        self.kubectl("apply", "-f", "-", text=yaml)

    def start_kubelet(self):
        """A node whose exec is answered by the stand-in; every program writes down in which pod it was called, and how."""
        self.calls = self.folder / "calls"
        self.calls.touch()
        programs = self.folder / "programs"
        programs.mkdir()
        for name in ("jcmd", "vacuumdb", "pg_amcheck", "find", "redis-cli"):
            path = programs / name
            path.write_text('#!/bin/sh\necho "$POD %s $*" >>%s\necho canned\n' % (name, self.calls))
            path.chmod(0o755)
        port = free_port()
        env = dict(line.split("=", 1) for word in (self.cluster / "env").read_text().split("\n")
                   for line in word.removeprefix("export ").split() if "=" in line)
        self.spawn(env["CLUSTER_BIN"] + "/kubelet-exec", str(port), str(self.cluster / "pki/kubelet.crt"),
                   str(self.cluster / "pki/kubelet.key"), str(programs))
        self.kubectl("apply", "-f", "-", text=json.dumps({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "exec-node", "labels": {"exec": "canned", "kubernetes.io/hostname": "exec-node"},
                         "annotations": {"test.prometheus-alerts-slm.io/kubelet-port": str(port)}},
            "spec": {"taints": [{"key": "exec", "value": "canned", "effect": "NoSchedule"}]},
            "status": {"capacity": {"cpu": "64", "memory": "64Gi", "pods": "300"},
                       "allocatable": {"cpu": "64", "memory": "64Gi", "pods": "300"}}}))
        self.kubectl("wait", "--for=condition=Ready", "node/exec-node", "--timeout=30s")

    def spawn(self, *command):
        with open(self.folder / "children.log", "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def stop(self):
        for child in self.children:
            child.stdin.close()
            child.kill()
            child.wait()
        subprocess.run([CLUSTER, "down", str(self.cluster)], env=self.env, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Lane:
    def __init__(self, ground, number, proxies):
        self.ground, self.api, self.number = ground, ground.api, number
        self.user = self.namespace = "lane%d" % number
        self.folder = ground.folder / self.user
        self.folder.mkdir()
        (self.folder / "policy.yaml").write_text(POLICY)
        self.store = self.folder / "store.db"
        self.direct = ground.shell(CLUSTER, "user", self.user, str(ground.cluster)).strip()
        self.bind("prometheus-alerts-slm-actions")
        self.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.kubeconfig = self.direct
        self.serial = 0
        self.seen_audit = self.seen_calls = 0
        if proxies:
            self.start_proxy()
        until(20, "the default ServiceAccount",
              lambda: self.api.get("/api/v1/namespaces/%s/serviceaccounts/default" % self.namespace))

    def bind(self, role):
        self.api.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                      {"metadata": {"name": self.user + "-" + role},
                       "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                       "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user}]})

    def start_proxy(self):
        self.faulty = str(self.folder / "faulty.kubeconfig")
        self.ground.spawn("python3", str(TESTS / "k8s/fault_proxy.py"), "--upstream", self.direct, "--kubeconfig", self.faulty)
        until(20, "the fault proxy", lambda: os.path.exists(self.faulty) and os.path.getsize(self.faulty))
        self.proxy = re.search(r'server: "([^"]+)"', pathlib.Path(self.faulty).read_text())[1]

    def fault(self, *rules):
        """Replace what the proxy breaks; the rules before, with how often each was met."""
        with urllib.request.urlopen(self.proxy + "/__fault", timeout=10) as answer:
            before = json.loads(answer.read())
        urllib.request.urlopen(self.proxy + "/__fault", data=json.dumps(rules).encode(), timeout=10).close()
        return before

    # --- executions

    def fresh_name(self):
        self.serial += 1
        return "t%d-%d" % (self.number, self.serial)

    def hand(self, *words, kubeconfig=None, deadline_ms=3000, point=None, may_die=False):
        """What the store has afterwards, or None where the process was killed at its point."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        if point:
            env["FAULT_POINT"] = point
        done = subprocess.run([self.ground.hand, str(self.folder), kubeconfig or self.direct, str(deadline_ms), *words],
                              capture_output=True, text=True, env=env, timeout=180)
        if done.returncode == -9 and may_die:
            return None
        if done.returncode != 0:
            raise Broken("hand %s: exit status %d: %s" % (" ".join(words[:3]), done.returncode, done.stderr[-2000:]))
        return json.loads(done.stdout)["executions"]

    def rows(self, key):
        with sqlite3.connect(self.store, timeout=20) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM executions WHERE decision_id = ?", (key,))]

    def bring_leases_to_their_end(self):
        """What 90 s of waiting would do."""
        with sqlite3.connect(self.store, timeout=20) as db:
            db.execute("UPDATE executions SET lease_until = 0 WHERE state NOT IN (%s)" % ",".join("?" * len(FINAL)), FINAL)

    def tend_until_final(self, key, rounds=6):
        for _ in range(rounds):
            rows = self.rows(key)
            if rows and all(row["state"] in FINAL for row in rows):
                break
            self.bring_leases_to_their_end()
            self.hand("tend")
        return self.rows(key)

    # --- effects

    def forget_effects(self):
        self.seen_audit = self.ground.audit.stat().st_size
        self.seen_calls = self.ground.calls.stat().st_size

    def requests(self):
        """What this lane's user has asked since forget_effects(), as the audit log has it."""
        mark = ('"username":"%s"' % self.user).encode()
        with open(self.ground.audit, "rb") as log:
            log.seek(self.seen_audit)
            return [json.loads(line) for line in log if mark in line]

    def first_write(self):
        for effect in self.effects():
            if not effect.startswith("exec "):
                return effect
        raise Broken("it wrote nothing")

    def effects(self):
        """Every write of it that took effect, and every command that ran: a counter."""
        found = collections.Counter()
        evicted = set()
        for event in self.requests():
            ref, asked = event["objectRef"], event.get("requestObject") or {}
            dry = "dryRun=" in event["requestURI"] or asked.get("dryRun") or (asked.get("deleteOptions") or {}).get("dryRun")
            if event["verb"] not in WRITES or dry or event["responseStatus"].get("code", 500) >= 300:
                continue
            if ref["resource"].startswith("selfsubject") or ref.get("subresource") == "exec":
                continue
            name = ref.get("name") or ((event.get("responseObject") or {}).get("metadata") or {}).get("name") or "?"
            what = "%s %s%s %s" % (event["verb"], ref["resource"], "/" + ref["subresource"] if ref.get("subresource") else "", name)
            if ref.get("subresource") == "eviction":    # of a pod that is leaving already: nothing is done once more
                if name in evicted:
                    continue
                evicted.add(name)
            found[what] += 1
        with open(self.ground.calls) as calls:
            calls.seek(self.seen_calls)
            for line in calls:
                pod = line.split()[0]
                if pod.startswith(self.namespace + "/"):
                    found["exec " + " ".join(line.split())] += 1
        return found


def shape(effects, name):
    """Effects without what differs from one run to the next: names of targets, ids, random ends of pods' names."""
    out = []
    for effect, count in effects.items():
        text = re.sub(r"\blane\d+\b", "LANE", effect.replace(name, "NAME"))
        text = re.sub(r"\b[0-7][0-9a-hjkmnp-tv-z]{25}\b", "ID", text)
        text = re.sub(r"(pods\S* )(?:\S*-)?[a-z0-9]{5}$", r"\1POD", text)
        out += [text] * count
    return sorted(out)
