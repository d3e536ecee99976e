#!/usr/bin/env python3
"""Kill matrix: each action is killed with SIGKILL after each of its API calls, and between each commit and the call it announces.
After a restart and recovery there is one record and every effect exactly once, counted in the API server's audit log.

    kill.py PROGRAM HAND [--whole] [--seed N] [--cells N] [--only ACTION] [--out FILE]

Of the whole matrix a sample is drawn by a seed that is printed; --whole takes every cell."""

import collections
import json
import sys

import runner
from ground import FINAL, Broken, shape

# Between a commit and the call that it announces, and before the end is recorded. "call:N" is after the Nth API call.
POINTS = ["committed", "before_write", "before_exec", "before_finish"]


class Baseline:
    """What the action does where nobody disturbs it."""

    def __init__(self, lane, case):
        name = lane.fresh_name()
        target = case.prepare(lane, name)
        lane.forget_effects()
        lane.hand("run", "d-" + name, case.action, case.parameters, *target)
        rows = lane.rows("d-" + name)
        if len(rows) != 1 or rows[0]["state"] != "completed":
            raise Broken("%s does not work undisturbed: %s" % (case.label, [(r["state"], r["error"]) for r in rows]))
        self.effects = shape(lane.effects(), name)
        self.calls = json.loads(rows[0]["details"])["calls"]
        self.points = ["call:%d" % n for n in range(1, self.calls + 1)] + points_of(self.effects)
        if case.clean:
            case.clean(lane, name)


def points_of(effects):
    execs = sum(effect.startswith("exec ") for effect in effects)
    writes = len(effects) - execs
    return (["committed", "before_finish"] + ["before_write:%d" % n for n in range(1, writes + 1)] +
            ["before_exec:%d" % n for n in range(1, execs + 1)])


def judge(case, baseline, rows, effects, killed):
    """None, or what is wrong."""
    if len(rows) != 1:
        return "%d records" % len(rows)
    state, why = rows[0]["state"], rows[0]["error"] or ""
    if state not in FINAL:
        return "it is still %s: %s" % (state, why)
    if case.kind == "exec" and state == "unknown" and killed:    # at most once, and said so
        extra = collections.Counter(effects) - collections.Counter(baseline.effects)
        return "an exec ran twice: %s" % dict(extra) if extra else None
    if state != "completed":
        return "it ended %s: %s" % (state, why)
    if effects != baseline.effects:
        missing = collections.Counter(baseline.effects) - collections.Counter(effects)
        extra = collections.Counter(effects) - collections.Counter(baseline.effects)
        return "missing %s, too many %s" % (dict(missing), dict(extra))
    return None


def run_cell(lane, case, baseline, point):
    """The state it ended in, or "not reached"; and what is wrong."""
    name = lane.fresh_name()
    key = "d-" + name
    target = case.prepare(lane, name)
    lane.forget_effects()
    killed = lane.hand("run", key, case.action, case.parameters, *target, point=point, may_die=True) is None
    if killed:
        lane.bring_leases_to_their_end()
        lane.hand("run", key, case.action, case.parameters, *target)    # the processor asks again with the same decision
    rows = lane.tend_until_final(key)
    wrong = judge(case, baseline, rows, shape(lane.effects(), name), killed)
    if case.clean:
        case.clean(lane, name)
    return rows[0]["state"] if killed and rows else "not reached", wrong


class Kill(runner.Matrix):
    def cells(self, pool):
        chosen = self.sample(self.cases, self.opts.cells)
        baselines = list(pool.map(lambda c: self.on_a_lane(c, lambda lane: Baseline(lane, c)), chosen))
        return self.sample([(c, p, b) for c, b in zip(chosen, baselines) for p in b.points], 2 * self.opts.cells)

    def cell(self, lane, case, point, baseline):
        return run_cell(lane, case, baseline, point)

    @staticmethod
    def table(results):
        by = {}
        for label, _, state, wrong in results:
            row = by.setdefault(label, collections.Counter())
            row["points"] += state != "not reached"
            row["wrong" if wrong else state] += 1
        lines = ["| action | killed at | once, completed | at most once, unknown | wrong |", "|---|---|---|---|---|"]
        lines += ["| `%s` | %d points | %d | %d | %d |" % (label, row["points"], row["completed"], row["unknown"], row["wrong"])
                  for label, row in sorted(by.items())]
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(Kill(runner.options(__doc__, cells=20)).main())
