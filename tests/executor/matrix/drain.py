#!/usr/bin/env python3
"""Draining a node: disruption budgets that block and that free later, pods that nobody would start again, mirrors, pods of a
DaemonSet, and 300 pods at once.

    drain.py PROGRAM HAND"""

import concurrent.futures
import json
import sys
import time

from cases import APPS, CORE, containers, node, pods_of, workload
from ground import Ground, until


class Drain:
    def __init__(self, lane):
        self.lane, self.failed = lane, 0

    def expect(self, holds, what):
        print("%s: %s" % ("ok" if holds else "WRONG", what), flush=True)
        self.failed += not holds

    def node_with(self, count, capacity=None):
        name = self.lane.fresh_name()
        node(self.lane, name)
        if capacity:
            size = {"cpu": "64", "memory": "64Gi", "pods": str(capacity)}
            self.lane.api.patch("/api/v1/nodes/%s/status" % name, {"status": {"capacity": size, "allocatable": size}})
        if count:
            workload(self.lane, "replicasets", name, count, self.here(name))
        return name

    def here(self, name):
        return {"nodeSelector": {"own": name}, "containers": containers(), "tolerations": [{"key": "own", "operator": "Exists"}]}

    def pod(self, name, called, **metadata):
        self.lane.api.post(CORE % self.lane.namespace + "pods",
                           {"metadata": dict({"name": called, "labels": {"app": called}}, **metadata),
                            "spec": dict(self.here(name), nodeName=name)})
        until(30, called + " runs", lambda: pods_of(self.lane, called)[0].get("status", {}).get("phase") == "Running")

    def budget(self, name, least):
        path = "/apis/policy/v1/namespaces/%s/poddisruptionbudgets" % self.lane.namespace
        self.lane.api.post(path, {"metadata": {"name": name},
                                  "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": name}}}})
        until(20, "the budget is known", lambda: self.lane.api.get(path + "/" + name)["status"].get("observedGeneration"))
        return path + "/" + name

    def drain(self, name, timeout="20s"):
        self.lane.forget_effects()
        self.lane.hand("run", "d-" + name, "drain_node", json.dumps({"timeout": timeout}), "Node", "", name)
        row = self.lane.rows("d-" + name)[0]
        return row["state"], row["error"] or "", self.lane.effects()

    def cordoned(self, name):
        return bool(self.lane.api.get("/api/v1/nodes/" + name)["spec"].get("unschedulable"))

    def on_it(self, name):
        return [p for p in self.lane.api.get("/api/v1/pods?fieldSelector=spec.nodeName=" + name)["items"]
                if p["metadata"].get("labels", {}).get("app", "").startswith("t")]

    def blocked(self):
        name = self.node_with(2)
        self.budget(name, 2)
        state, why, effects = self.drain(name, "10s")
        self.expect(state == "failed" and "2 of 2 pods" in why and "disruption budget" in why, "a budget that blocks: %s" % why)
        self.expect(list(effects) == ["patch nodes " + name] and len(self.on_it(name)) == 2, "no pod was evicted")

    def freed(self):
        name = self.node_with(2)
        path = self.budget(name, 2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            drained = pool.submit(self.drain, name, "30s")
            until(10, "it is cordoned", lambda: self.cordoned(name))
            time.sleep(1)
            self.expect(len(self.on_it(name)) == 2, "a budget that blocks at first")
            self.lane.api.patch(path, {"spec": {"minAvailable": 0}})
            state, why, effects = drained.result()
        evicted = sum(count for effect, count in effects.items() if effect.startswith("create pods/eviction"))
        self.expect(state == "completed" and evicted == 2, "and frees later: %s %s" % (state, why))

    def unmanaged(self):
        name = self.node_with(1)
        self.pod(name, name + "-alone")
        state, why, effects = self.drain(name)
        self.expect(state == "refused" and "has no controller" in why, "a pod that nobody would start again: %s" % why)
        self.expect(not effects and not self.cordoned(name), "nothing was done")

    def staying(self):
        name = self.node_with(1)
        self.pod(name, name + "-mirror", annotations={"kubernetes.io/config.mirror": "x"})
        workload(self.lane, "daemonsets", name + "-agent", spec=self.here(name))
        state, why, _ = self.drain(name)
        left = sorted(p["metadata"]["labels"]["app"] for p in self.on_it(name))
        self.expect(state == "completed" and left == [name + "-agent", name + "-mirror"],
                    "a mirror and a DaemonSet's pod stay: %s %s %s" % (state, why, left))

    def many(self, count=300):
        name = self.node_with(count, count + 20)
        until(60, "%d pods run" % count, lambda: sum(p.get("status", {}).get("phase") == "Running" for p in pods_of(self.lane, name)) >= count)
        began = time.monotonic()
        state, why, effects = self.drain(name, "120s")
        seconds = time.monotonic() - began
        evicted = sum(n for effect, n in effects.items() if effect.startswith("create pods/eviction"))
        self.expect(state == "completed" and evicted == count, "%d pods: %s %s, %d evicted in %.1f s" % (count, state, why, evicted, seconds))
        self.lane.api.delete(APPS % self.lane.namespace + "replicasets/" + name)


def main():
    ground = Ground(sys.argv[1], sys.argv[2], 1, proxies=False)
    try:
        drain = Drain(ground.lanes[0])
        for check in (drain.blocked, drain.freed, drain.unmanaged, drain.staying, drain.many):
            check()
    finally:
        ground.stop()
    return 1 if drain.failed else 0


if __name__ == "__main__":
    sys.exit(main())
