"""What all benchmarks share: medians with their intervals, pairs in turn, the table, the JSON file.

    run = harness.Run("engine")
    ours, peer = harness.pairs(9, measure_us, measure_them)
    run.compare("decode 64 tokens", "tokens/s", ours, peer, ratio_goal=2)
    run.figure("start to first token", "s", values, goal="<= 0.15", met=median <= 0.15)
    sys.exit(run.finish())
"""
import datetime
import json
import math
import os
import random
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RATIO_SLACK = 0.95                        # a ratio goal of 1 is met from here


def median(values):
    return statistics.median(values)


def interval(values, draws=2000):
    """95 % of the medians of samples drawn from these values with replacement (the bootstrap, Efron 1979)."""
    if len(values) < 2:
        return (values[0], values[0])
    rng = random.Random(1)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(draws))
    return (medians[int(draws * 0.025)], medians[int(draws * 0.975)])


def pairs(count, first, second):
    """Measure both in turn, and who begins in turn too: what slows the machine down meets both."""
    a, b = [], []
    for i in range(count):
        if i % 2 == 0:
            a.append(first())
            b.append(second())
        else:
            b.append(second())
            a.append(first())
    return a, b


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("model name", "CPU part")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return os.uname().machine


def machine(isa=""):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30
    return {"cpu": cpu_name(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1), "isa": isa}


def commit():
    done = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def build_file(*path):
    return os.path.join(os.environ.get("BUILD", os.path.join(TOP, "build")), *path)


def show(value):
    return "" if value is None else "%.0f" % value if abs(value) >= 1000 else "%.4g" % value


class Run:
    def __init__(self, name, isa=""):
        self.name, self.isa, self.figures = name, isa, []

    def figure(self, name, unit, values, goal=None, met=None, peer=None, ratio=None):
        """`values`: one, or a list of which the median counts. `met` None: nothing was promised."""
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        low, high = interval(values)
        figure = {"name": name, "value": round(median(values), 4), "unit": unit, "goal": goal,
                  "peer": None if peer is None else round(peer, 4), "ratio": None if ratio is None else round(ratio, 4),
                  "met": met, "interval": [round(low, 4), round(high, 4)], "runs": len(values)}
        self.figures.append(figure)
        print("%-46s %10s %-9s [%s .. %s]%s%s%s" % (
            name, show(figure["value"]), unit, show(low), show(high), "  peer %s" % show(peer) if peer is not None else "",
            "  ratio %.2f" % ratio if ratio is not None else "",
            "" if met is None else "  goal %s: %s" % (goal, "met" if met else "MISSED")), flush=True)
        return figure

    def compare(self, name, unit, ours, peer, ratio_goal=None, goal=None, also=True, less_is_better=False):
        """Ours beside a peer's, pair by pair. `also`: another condition that `goal` names, already decided."""
        ratios = [b / a if less_is_better else a / b for a, b in zip(ours, peer) if a > 0 and b > 0]
        ratio = median(ratios) if ratios else math.nan
        met = None
        if ratio_goal is not None:
            met = bool(also) and ratio >= (RATIO_SLACK if ratio_goal == 1 else ratio_goal)
            goal = (goal + ", " if goal else "") + "ratio >= %g" % ratio_goal
        return self.figure(name, unit, ours, goal, met, median(peer), ratio)

    def finish(self):
        """Write build/bench/NAME.json. A goal that is missed is said, and is no failure of the run."""
        folder = build_file("bench")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, self.name + ".json")
        report = {"name": self.name, "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                  "commit": commit(), "machine": machine(self.isa), "figures": self.figures}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        promised = [figure for figure in self.figures if figure["met"] is not None]
        print("%s: %d of %d goals met; written to %s" % (self.name, sum(f["met"] for f in promised), len(promised), path))
        return 0


if __name__ == "__main__":
    sys.exit("a module for the benchmarks beside it")
