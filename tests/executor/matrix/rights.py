#!/usr/bin/env python3
"""The converse of the least rights: taking any rule of an action's role away breaks the action. That its role is enough is
proved by actions_real_test.c; as no action has a rule but those that name it, taking one away breaks nothing else.

    rights.py PROGRAM HAND [--whole] [--seed N] [--cells N] [--only ACTION] [--out FILE]

A rule is tested by the cases that make use of it, which the audit log tells. One that no case of the matrix uses is listed as
not driven: it belongs to another kind of target, or to a branch that actions_real_test.c takes."""

import collections
import re
import sys

import runner
from ground import Broken, until

ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/"


def rules_of(yaml):
    """(group, resource, verb) of what `actions rbac` prints."""
    found = re.findall(r'apiGroups: \["([^"]*)"\]\n  resources: \["([^"]*)"\]\n  verbs: \[([^\]]*)\]', yaml)
    return [(group, resource, verbs.split(", ")) for group, resource, verbs in found]


def as_rules(rules):
    return [{"apiGroups": [group], "resources": [resource], "verbs": verbs} for group, resource, verbs in rules]


class Rights(runner.Matrix):
    def start(self):
        """Each lane's user has, from now on, the role that the cell gives him and no other."""
        for lane in self.lanes:
            lane.api.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/%s-prometheus-alerts-slm-actions" % lane.user)
            lane.api.post(ROLE.rstrip("/"), {"metadata": {"name": lane.user}, "rules": []})
            lane.bind(lane.user)

    def grant(self, lane, rules):
        """And the API server's authorizer has seen it: a rule that means nothing else tells the version."""
        lane.turn = getattr(lane, "turn", 0) + 1
        mark = "turn-%d" % lane.turn
        lane.api.call("PUT", ROLE + lane.user, {"metadata": {"name": lane.user}, "rules": as_rules(rules) + [
            {"apiGroups": ["test.prometheus-alerts-slm.io"], "resources": [mark], "verbs": ["get"]}]})
        review = {"spec": {"user": lane.user, "resourceAttributes": {"group": "test.prometheus-alerts-slm.io", "resource": mark, "verb": "get"}}}
        until(10, "the role is in force", lambda: lane.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])

    def run_with(self, lane, case, rules):
        name = lane.fresh_name()
        target = case.prepare(lane, name)
        self.grant(lane, rules)
        lane.forget_effects()
        lane.hand("run", "d-" + name, case.action, case.parameters, *target)
        row = lane.rows("d-" + name)[0]
        used = set()
        for event in lane.requests():
            ref = event["objectRef"]
            if "resource" in ref:
                used.add((ref.get("apiGroup", ""), ref["resource"] + ("/" + ref["subresource"] if ref.get("subresource") else "")))
        if case.clean:
            case.clean(lane, name)
        record = " ".join(str(row[column]) for column in ("error", "operations", "details"))
        return row["state"], record if row["state"] == "completed" else row["error"], used

    def learn(self, case):
        rules = rules_of(self.ground.rbac(case.action))

        def work(lane):
            state, why, used = self.run_with(lane, case, rules)
            if state != "completed":
                raise Broken("%s with its own role: %s %s" % (case.label, state, why))
            return rules, used
        return self.on_a_lane(case, work)

    def cells(self, pool):
        self.start()
        learned = list(pool.map(self.learn, self.cases))
        driven, cells, every = set(), [], set()
        for case, (rules, used) in zip(self.cases, learned):
            for rule in rules:
                every.add((case.action, rule[:2]))
                if rule[:2] in used and (case.action, rule[:2]) not in driven:
                    driven.add((case.action, rule[:2]))
                    cells.append((case, "%s%s%s" % (rule[1], "." if rule[0] else "", rule[0]), rules))
        self.idle = sorted(every - driven)
        return self.sample(cells, self.opts.cells)

    def cell(self, lane, case, taken, rules):
        left = [rule for rule in rules if "%s%s%s" % (rule[1], "." if rule[0] else "", rule[0]) != taken]
        state, why, _ = self.run_with(lane, case, left)
        if state == "completed" and (case.action, taken) not in TOLERATED:
            return state, "it works without %s" % taken
        if taken.split(".")[0].split("/")[0] not in why or "cannot" not in why:
            return state, "its reason does not say what right is missing: %s" % why
        return state, None

    def table(self, results):
        count = collections.Counter(label for label, *_ in results)
        lines = ["| action | rules whose absence breaks it |", "|---|---|"]
        lines += ["| `%s` | %d |" % pair for pair in sorted(count.items())]
        idle = ["%s: %s.%s" % (action, resource, group) for action, (group, resource) in self.idle]
        return "\n".join(lines) + "\n\nnot driven by these cases (%d): %s\n" % (len(idle), "; ".join(idle))


# Rules that an action can do without, and says so in its record.
TOLERATED = {("notify_only", "events"), ("collect_diagnostics", "pods"), ("collect_diagnostics", "replicasets.apps")}

if __name__ == "__main__":
    sys.exit(Rights(runner.options(__doc__, cells=60)).main())
