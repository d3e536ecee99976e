#!/usr/bin/env python3
"""Kill matrix: each action is killed with SIGKILL after each of its API calls, and between each commit and the call it announces.
After a restart and recovery there is one record and every effect exactly once, counted in the API server's audit log.

    kill.py PROGRAM HAND [--whole] [--seed N] [--cells N] [--only ACTION] [--out FILE]

Of the whole matrix a sample is drawn by a seed that is printed; --whole takes every cell, and --out writes the table of what
came out."""

import argparse
import collections
import concurrent.futures
import json
import random
import sys
import time

from cases import CASES
from ground import FINAL, Broken, Ground, shape

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
    return killed, rows[0]["state"] if rows else "-", wrong


def guarded(ground, lane, case, work):
    if not case.alone:
        return work()
    with ground.one_mesh:
        return work()


class Matrix:
    def __init__(self, options, ground):
        self.options, self.ground = options, ground
        self.lanes = list(ground.lanes)
        self.results = []

    def on_a_lane(self, work):
        lane = self.lanes.pop()
        try:
            return work(lane)
        finally:
            self.lanes.append(lane)

    def baseline(self, case):
        return self.on_a_lane(lambda lane: guarded(self.ground, lane, case, lambda: Baseline(lane, case)))

    def cell(self, case, baseline, point):
        def work(lane):
            try:
                return guarded(self.ground, lane, case, lambda: run_cell(lane, case, baseline, point))
            except Broken as broken:
                return False, "-", "not tested: %s" % broken
        killed, state, wrong = self.on_a_lane(work)
        self.results.append((case.label, point, killed, state, wrong))
        if wrong:
            print("WRONG %s, killed at %s: %s" % (case.label, point, wrong), flush=True)

    def run(self):
        cases = [c for c in CASES if not self.options.only or self.options.only in (c.action, c.label)]
        with concurrent.futures.ThreadPoolExecutor(len(self.lanes)) as pool:
            if not self.options.whole:
                chosen = random.Random(self.options.seed).sample(cases, min(len(cases), self.options.cells))
            else:
                chosen = cases
            baselines = dict(zip([c.label for c in chosen], pool.map(self.baseline, chosen)))
            cells = [(c, baselines[c.label], p) for c in chosen for p in baselines[c.label].points]
            if not self.options.whole:
                cells = random.Random(self.options.seed).sample(cells, min(len(cells), 2 * self.options.cells))
            list(pool.map(lambda cell: self.cell(*cell), cells))


def table(results):
    by = collections.OrderedDict()
    for label, _, killed, state, wrong in results:
        row = by.setdefault(label, collections.Counter())
        row["points"] += killed
        row["passed" if not killed else "wrong" if wrong else state] += 1
    lines = ["| action | killed at | once, completed | at most once, unknown | wrong |", "|---|---|---|---|---|"]
    for label in sorted(by):
        row = by[label]
        lines.append("| `%s` | %d points | %d | %d | %d |" % (label, row["points"], row["completed"], row["unknown"], row["wrong"]))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("hand")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--lanes", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--out")
    options = parser.parse_args()
    print("seed %d%s" % (options.seed, ", whole" if options.whole else ""), flush=True)
    began = time.monotonic()
    ground = Ground(options.program, options.hand, options.lanes, proxies=False)
    try:
        matrix = Matrix(options, ground)
        matrix.run()
    finally:
        ground.stop()
    wrong = [r for r in matrix.results if r[4]]
    killed = sum(r[2] for r in matrix.results)
    print(table(matrix.results))
    print("%d cells in %.0f s, killed in %d, wrong in %d" % (len(matrix.results), time.monotonic() - began, killed, len(wrong)))
    if options.out:
        with open(options.out, "w", encoding="utf-8") as out:
            json.dump([list(r) for r in sorted(matrix.results, key=lambda r: r[:2])], out, indent=0)
    return 1 if wrong or not killed else 0


if __name__ == "__main__":
    sys.exit(main())
