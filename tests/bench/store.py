#!/usr/bin/env python3
"""store.py sqlite|postgres: what the store costs: a claim with 10^3, 10^5 and 10^6 rows in the inbox, and alerts a second from
claim to record, with several replicas on PostgreSQL. On PostgreSQL it is run by tests/store/postgres.sh, which names the server."""
import json
import os
import subprocess
import sys
import tempfile

import harness

ROWS = (1000, 100000, 1000000)
FLAT, SCALES = 1.5, 3.2
WAIT_MS = 100


def claims(run, kind):
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("STORE_TEST_URL") or "sqlite:%s/store.db" % folder
        done = subprocess.run([harness.build_file("tests/intake/claim"), url, *map(str, ROWS)], stdout=subprocess.PIPE, text=True, check=True)
    took = {int(rows): us for rows, us in json.loads(done.stdout).items()}
    for rows in ROWS:
        run.figure("%s: claim with %d rows" % (kind, rows), "µs", took[rows])
    worst = max(took.values()) / took[ROWS[0]]
    run.figure("%s: slowest claim to that with 1000" % kind, "×", worst, "<= %g" % FLAT, worst <= FLAT)


def rate(replicas, wait_ms, alerts):
    done = subprocess.run([harness.build_file("tests/bench/replicas_tool"), str(replicas), str(wait_ms), str(alerts)],
                          stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def rates(run, kind, counts, rounds=3):
    for wait_ms, alerts in ((0, 4000), (WAIT_MS, 8000)):
        measured = {n: [rate(n, wait_ms, alerts) for _ in range(rounds)] for n in counts}
        what = "a wait of %d ms" % wait_ms if wait_ms else "provider none"
        for n in counts:
            run.figure("%s: %d × 64 workers, %s" % (kind, n, what), "alerts/s", measured[n])
        if not wait_ms:
            run.figure("%s: the store's cost" % kind, "µs/alert", [1e6 / one for one in measured[1]])
        elif len(counts) > 1:
            ratio = harness.median(measured[counts[-1]]) / harness.median(measured[1])
            run.figure("%s: %d replicas to one, %s" % (kind, counts[-1], what), "×", ratio, ">= %g" % SCALES, ratio >= SCALES)


def main():
    kind = sys.argv[1]
    run = harness.Run("store-" + kind)
    rates(run, kind, (1, 2, 4) if kind == "postgres" else (1,))
    claims(run, kind)
    return run.finish()


if __name__ == "__main__":
    sys.exit(main())
