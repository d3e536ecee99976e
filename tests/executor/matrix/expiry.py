#!/usr/bin/env python3
"""What undoes itself when its time is over: once, also where its workload is busy at first, where the API server does not answer,
and where somebody else has changed it meanwhile.

    expiry.py PROGRAM HAND"""

import sqlite3
import sys
import time

from cases import APPS, VERBOSE, deployment
from ground import Ground


class Expiry:
    def __init__(self, lane):
        self.lane, self.failed = lane, 0

    def expect(self, holds, what):
        print("%s: %s" % ("ok" if holds else "WRONG", what), flush=True)
        self.failed += not holds

    def sql(self, text, *values):
        with sqlite3.connect(self.lane.store, timeout=20) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(text, values)]

    def undos(self, name):
        return self.sql("SELECT * FROM executions WHERE undo_of IN (SELECT id FROM executions WHERE decision_id = ?)", "d-" + name)

    def level(self, name):
        found = self.lane.api.get(APPS % self.lane.namespace + "deployments/" + name)
        return found["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]

    def debug_whose_time_is_over(self):
        name = self.lane.fresh_name()
        target = deployment(VERBOSE)(self.lane, name)
        self.lane.hand("run", "d-" + name, "enable_debug_mode", "{}", *target)
        self.sql("UPDATE executions SET undo_at = 1 WHERE decision_id = ?", "d-" + name)
        return name, target

    def tend(self, rounds=1, **options):
        for _ in range(rounds):
            self.lane.hand("tend", **options)

    def is_over_again(self, name):
        """What ten seconds of waiting would do."""
        self.sql("UPDATE executions SET undo_at = 1 WHERE decision_id = ?", "d-" + name)

    def check_that_it_waits(self, name, why):
        self.expect(not self.undos(name) and self.level(name) == "debug", why + " nothing is done, and no record made")
        at = self.sql("SELECT undo_at FROM executions WHERE decision_id = ?", "d-" + name)[0]["undo_at"]
        self.expect(at > time.time() * 1000, "it is put off by some seconds")

    def check_that_it_is_done(self, name, why):
        states = [undo["state"] for undo in self.undos(name)]
        self.expect(states == ["completed"] and self.level(name) == "info", "%s it is done, once: %s" % (why, states))
        original = self.sql("SELECT state FROM executions WHERE decision_id = ?", "d-" + name)[0]
        self.expect(original["state"] == "rolled-back", "and the execution is rolled back")

    def busy(self):
        name, target = self.debug_whose_time_is_over()
        self.lane.fault({"fault": "hang-before", "seconds": 2, "method": "PATCH", "dry_run": False, "times": 1})
        self.lane.hand("tend-beside", "s-" + name, "scale_deployment", '{"replicas":1}', *target, kubeconfig=self.lane.faulty,
                       deadline_ms=20000)
        self.check_that_it_waits(name, "while its workload is busy")
        self.lane.fault()
        self.is_over_again(name)
        self.tend(3)
        self.check_that_it_is_done(name, "then")

    def unanswered(self):
        name, _ = self.debug_whose_time_is_over()
        self.lane.fault({"fault": "503"})
        self.tend(kubeconfig=self.lane.faulty)
        self.check_that_it_waits(name, "without an answer")
        self.lane.fault()
        self.is_over_again(name)
        self.tend(3)
        self.check_that_it_is_done(name, "with one")

    def changed(self):
        name, _ = self.debug_whose_time_is_over()
        path = APPS % self.lane.namespace + "deployments/" + name
        status, _ = self.lane.api.call("PATCH", path, [{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value",
                                                        "value": "trace"}], "application/json-patch+json")
        self.expect(status == 200, "somebody changes the level")
        self.tend(4)
        undos = self.undos(name)
        self.expect(len(undos) == 1 and undos[0]["state"] == "refused" and "was changed since" in undos[0]["error"],
                    "what somebody changed is left alone, and said once: %s" % [(u["state"], u["error"]) for u in undos])
        self.expect(self.level(name) == "trace", "and is as he left it")

    def killed(self, point):
        name, _ = self.debug_whose_time_is_over()
        self.expect(self.lane.hand("tend", point=point, may_die=True) is None, "the undo is killed at " + point)
        self.lane.bring_leases_to_their_end()
        self.tend()
        self.check_that_it_is_done(name, "after a kill and a restart")


def main():
    ground = Ground(sys.argv[1], sys.argv[2], 1)
    try:
        expiry = Expiry(ground.lanes[0])
        for check in (expiry.busy, expiry.unanswered, expiry.changed):
            check()
        for point in ("call:1", "committed", "before_write", "call:3", "before_finish"):
            expiry.killed(point)
    finally:
        ground.stop()
    return 1 if expiry.failed else 0


if __name__ == "__main__":
    sys.exit(main())
