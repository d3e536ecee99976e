#!/usr/bin/env bash
# test.sh: every suite that CI runs, each with its time; the last line is "N passed, N failed". Fuzzers, sanitizers and the
# hours-long tests are `make fuzz`, `make sanitize` and `make soak`.
# A failure names the test and the file that holds its log.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0 began=$SECONDS

# What failed is run once more, alone: a test that passes then is counted as passed, and named, for it leans on time.
again() { # again <suite>; changes ok and bad
    local name
    while read -r name; do
        meson test -C build --no-rebuild --logbase again "$name" >/dev/null 2>&1 || continue
        ok=$((ok + 1)) bad=$((bad - 1))
        echo "suite $1: $name failed, and passed when run again alone"
    done < <(grep -E '"result": "(FAIL|TIMEOUT|ERROR)"' "build/meson-logs/$1.json" |
        sed -E 's/.*"name": "[^"]* \/ ([^"]*)".*/\1/')
}

run_suite() { # run_suite <suite> <budget in seconds>
    local t0=$SECONDS ok bad
    local log=build/meson-logs/$1.txt
    meson test -C build --no-rebuild --suite "$1" --logbase "$1" --print-errorlogs | grep -vE '^(Summary|Full log|$)' || true
    ok=$(grep -cE '"result": "(OK|EXPECTEDFAIL|SKIP)"' "build/meson-logs/$1.json" || true)
    bad=$(grep -cE '"result": "(FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS|INTERRUPT)"' "build/meson-logs/$1.json" || true)
    [ "$bad" = 0 ] || again "$1"
    passed=$((passed + ok)) failed=$((failed + bad))
    echo "suite $1: $ok passed, $bad failed, $((SECONDS - t0)) s of $2 s"
    [ "$bad" = 0 ] || echo "suite $1: the logs of its failed tests are in $log"
}

mkdir -p build/meson-logs
run_suite check 300
run_suite real 1200
echo "all suites: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
