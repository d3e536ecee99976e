#!/usr/bin/env python3
"""Fault matrix: each action against each way in which an API server, a proxy or a network fails, by the proxy of tests/k8s in
front of the real API server. What has to come out is the table OUTCOMES.

    fault.py PROGRAM HAND [--whole] [--seed N] [--cells N] [--only ACTION] [--out FILE]

The fault meets the action's first real write, its exec, or the first of its reads that it cannot do without. Where the
outcome cannot be seen, the execution stays open: then the fault ends, and recovery has to finish it."""

import sys

import runner
from ground import FINAL, shape

HANG_S = 4      # longer than the deadline that the client is given

FAULTS = {      # as the proxy takes them; without `times`: always
    "409 once": {"fault": "409", "times": 1},
    "409 always": {"fault": "409"},
    "429 with Retry-After": {"fault": "429", "times": 1},
    "500": {"fault": "500"},
    "503": {"fault": "503"},
    "reset before the write": {"fault": "reset-before", "times": 1},
    "reset after the write": {"fault": "reset-after", "times": 1},
    "timeout": {"fault": "hang-after", "times": 1, "seconds": HANG_S},
    "403": {"fault": "403"},
    "404": {"fault": "404"},
    "410 in a watch": {"fault": "watch-410"},
    "slow answer": {"fault": "slow", "times": 1, "seconds": 1},
    "invalid JSON": {"fault": "invalid-json", "times": 1},
}

# state at the end, state after the fault has ended and recovery has come by, effects: all that an undisturbed run has, none,
# or "or none" where the answer is what was lost and either is the truth.
DONE = ("completed", "completed", "all")
FAILED = ("failed", "failed", "none")
OPEN = ("executing", "completed", "all")
REFUSED = ("unsupported", "unsupported", "none")      # the stand-in's answer is a 200 without the WebSocket
UNKNOWN = ("unknown", "unknown", "all or none")
OUTCOMES = {
    #                          write     evict     exec      note (may fail)                 read
    "409 once":               (DONE,     DONE,     FAILED,   DONE,                           FAILED),
    "409 always":             (FAILED,   FAILED,   FAILED,   ("completed", "completed", "none"), FAILED),
    "429 with Retry-After":   (DONE,     DONE,     DONE,     DONE,                           DONE),
    "500":                    (OPEN,     FAILED,   UNKNOWN,  OPEN,                           FAILED),
    "503":                    (OPEN,     FAILED,   UNKNOWN,  OPEN,                           FAILED),
    "reset before the write": (DONE,     DONE,     UNKNOWN,  DONE,                           DONE),
    "reset after the write":  (DONE,     DONE,     UNKNOWN,  DONE,                           DONE),
    "timeout":                (DONE,     DONE,     UNKNOWN,  DONE,                           FAILED),
    "403":                    (FAILED,   FAILED,   FAILED,   ("completed", "completed", "none"), FAILED),
    "404":                    (FAILED,   FAILED,   FAILED,   ("completed", "completed", "none"), FAILED),
    "410 in a watch":         (DONE,     DONE,     DONE,     DONE,                           DONE),
    "slow answer":            (DONE,     DONE,     DONE,     DONE,                           DONE),
    "invalid JSON":           (DONE,     DONE,     REFUSED,  DONE,                           FAILED),
}
KINDS = ("write", "evict", "exec", "note", "read")
WATCHES_MAX = 40        # requests of a cell whose watches all end with 410: it may poll, but not hammer

# A drain that cannot evict has cordoned its node before, which its undo takes back.
CORDONED = ("failed", "failed", ["patch nodes NAME"])
EXCEPTIONS = {("drain_node", fault): CORDONED for fault in ("409 always", "500", "503", "403", "404")}


def rule(case, fault):
    """Which request the fault meets."""
    broken = dict(FAULTS[fault])
    if broken["fault"] == "watch-410":
        return broken
    if case.kind == "exec":
        return dict(broken, path="/exec$")
    if case.kind == "read":
        return dict(broken, method="GET", path="/events$")
    if case.kind == "evict":
        return dict(broken, method="POST", path="/eviction$", dry_run=False)
    return dict(broken, path="^(?!.*selfsubject).*$", method=case.method, dry_run=False)


class Baseline:
    """What the action does where nobody disturbs it, through the same proxy."""

    def __init__(self, lane, case):
        name, key = lane.fresh_name(), "d-" + lane.user + case.label
        lane.fault()
        target = case.prepare(lane, name)
        lane.forget_effects()
        lane.hand("run", key, case.action, case.parameters, *target, kubeconfig=lane.faulty)
        self.state = lane.rows(key)[0]["state"]
        self.effects = shape(lane.effects(), name)
        if case.kind in ("write", "note") and not getattr(case, "method", None):
            verbs = {"patch": "PATCH", "create": "POST", "delete": "DELETE"}
            case.method = verbs[lane.first_write().split()[0]]
        if case.clean:
            case.clean(lane, name)


def judge(expected, state, rows, effects, baseline):
    at_once, at_last, wanted = expected
    if len(rows) != 1:
        return "%d records" % len(rows)
    why = rows[0]["error"] or ""
    if state != at_once:
        return "it was %s, not %s: %s" % (state, at_once, why)
    if rows[0]["state"] != at_last:
        return "in the end it is %s, not %s: %s" % (rows[0]["state"], at_last, why)
    if at_last != "completed" and not why:
        return "it gives no reason"
    allowed = {"all": (baseline,), "none": ([],), "all or none": (baseline, [])}.get(wanted if isinstance(wanted, str) else "", (wanted,))
    if wanted == "all or none" and baseline[:1] == effects:      # of two commands, the first
        return None
    if effects not in allowed:
        return "its effects are %s, not %s" % (effects, " or ".join(map(str, allowed)))
    return None


class Fault(runner.Matrix):
    proxies = True

    def cells(self, pool):
        every = self.sample([(c, f) for c in self.cases for f in FAULTS], self.opts.cells)
        cases = list({c.label: c for c, _ in every}.values())
        found = pool.map(lambda c: self.on_a_lane(c, lambda lane: Baseline(lane, c)), cases)
        self.baselines = dict(zip([c.label for c in cases], found))
        for label, baseline in self.baselines.items():
            if baseline.state != "completed":
                print("WRONG %s undisturbed: %s" % (label, baseline.state), flush=True)
        return every

    def cell(self, lane, case, fault):
        baseline = self.baselines[case.label]
        name = lane.fresh_name()
        key = "d-" + name
        target = case.prepare(lane, name)
        lane.forget_effects()
        lane.fault(rule(case, fault))
        lane.hand("run", key, case.action, case.parameters, *target, kubeconfig=lane.faulty)
        state = lane.rows(key)[0]["state"]
        met = lane.fault()[0]["done"]
        if state not in FINAL:
            lane.tend_until_final(key)
        expected = EXCEPTIONS.get((case.label, fault)) or OUTCOMES[fault][KINDS.index(case.kind)]
        rows = lane.rows(key)
        wrong = judge(expected, state, rows, shape(lane.effects(), name), baseline.effects)
        if not met and fault != "410 in a watch":
            wrong = "the fault met nothing"
        if fault == "410 in a watch" and met > WATCHES_MAX:
            wrong = "%d requests while watches ended with 410" % met
        if case.clean:
            case.clean(lane, name)
        return " → ".join(dict.fromkeys((state, rows[0]["state"]))), wrong

    @staticmethod
    def table(results):
        by, faults = {}, [f for f in FAULTS if any(r[1] == f for r in results)]
        for label, fault, out, wrong in results:
            by.setdefault(label, {})[fault] = "**wrong**" if wrong else out
        lines = ["| action | " + " | ".join(faults) + " |", "|---" * (len(faults) + 1) + "|"]
        lines += ["| `%s` | %s |" % (label, " | ".join(row.get(f, "") for f in faults)) for label, row in sorted(by.items())]
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(Fault(runner.options(__doc__, cells=80)).main())
