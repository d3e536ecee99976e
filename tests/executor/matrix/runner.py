"""Cells of a matrix, side by side on the lanes; options, seed and report are the same for all matrices."""

import argparse
import concurrent.futures
import json
import random
import time

from cases import CASES
from ground import Broken, Ground


def options(doc, cells, lanes=3):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("program")
    parser.add_argument("hand")
    parser.add_argument("--whole", action="store_true", help="every cell, instead of a sample")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the sample; it is printed")
    parser.add_argument("--cells", type=int, default=cells, help="size of the sample")
    parser.add_argument("--lanes", type=int, default=lanes)
    parser.add_argument("--only", help="one action")
    parser.add_argument("--out", help="write the results here, as JSON")
    return parser.parse_args()


class Matrix:
    """A subclass has cells(pool), which makes all of them as (case, ...), and cell(lane, case, ...), which gives what came
    out and what is wrong with it, or None."""

    proxies = False

    def __init__(self, opts):
        self.opts, self.results, self.began = opts, [], time.monotonic()
        print("seed %d%s" % (opts.seed, ", whole" if opts.whole else ""), flush=True)
        self.cases = [c for c in CASES if not opts.only or opts.only in (c.action, c.label)]

    def sample(self, things, count):
        if self.opts.whole or self.opts.only:
            return things
        return random.Random(self.opts.seed).sample(things, min(len(things), count))

    def on_a_lane(self, case, work):
        lane = self.lanes.pop()
        try:
            if not case.alone:
                return work(lane)
            with self.ground.one_mesh:
                return work(lane)
        finally:
            self.lanes.append(lane)

    def run_cell(self, cell):
        case, *where = cell
        try:
            out, wrong = self.on_a_lane(case, lambda lane: self.cell(lane, case, *where))
        except Broken as broken:
            out, wrong = "-", "not tested: %s" % broken
        self.results.append((case.label, *[w for w in where if isinstance(w, str)], out, wrong))
        if wrong:
            print("WRONG %s, %s: %s" % (case.label, ", ".join(w for w in where if isinstance(w, str)), wrong), flush=True)

    def main(self):
        self.ground = Ground(self.opts.program, self.opts.hand, self.opts.lanes, self.proxies)
        self.lanes = list(self.ground.lanes)
        try:
            with concurrent.futures.ThreadPoolExecutor(len(self.lanes)) as pool:
                list(pool.map(self.run_cell, self.cells(pool)))
        finally:
            self.ground.stop()
        self.results.sort()
        wrong = sum(r[-1] is not None for r in self.results)
        print(self.table(self.results))
        print("%d cells in %.0f s, %d wrong" % (len(self.results), time.monotonic() - self.began, wrong))
        if self.opts.out:
            with open(self.opts.out, "w", encoding="utf-8") as out:
                json.dump(self.results, out, indent=0)
        return 1 if wrong or not self.results else 0
