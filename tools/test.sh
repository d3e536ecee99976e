#!/usr/bin/env bash
# test.sh: every suite that CI runs, each with its time; the last line is "N passed, N failed".
# A failure names the test and the file that holds its log.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0 began=$SECONDS

run_suite() { # run_suite <suite> <budget in seconds>
    local t0=$SECONDS ok bad
    local log=build/meson-logs/$1.txt
    meson test -C build --no-rebuild --suite "$1" --logbase "$1" --print-errorlogs | grep -vE '^(Summary|Full log|$)' || true
    ok=$(grep -cE '"result": "(OK|EXPECTEDFAIL|SKIP)"' "build/meson-logs/$1.json" || true)
    bad=$(grep -cE '"result": "(FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS|INTERRUPT)"' "build/meson-logs/$1.json" || true)
    passed=$((passed + ok)) failed=$((failed + bad))
    echo "suite $1: $ok passed, $bad failed, $((SECONDS - t0)) s of $2 s"
    [ "$bad" = 0 ] || echo "suite $1: the logs of its failed tests are in $log"
}

# A tool that ends with "…: N passed, N failed", or whose exit status is one test's.
run_tool() { # run_tool <name> <budget in seconds> <command…>
    local t0=$SECONDS name=$1 budget=$2 log=build/meson-logs/$1.txt status=0 ok bad count
    shift 2
    "$@" >"$log" 2>&1 || status=$?
    count=$(tail -n 1 "$log" | grep -oE '[0-9]+ passed, [0-9]+ failed' || true)
    ok=${count%% *} bad=${count##*, } bad=${bad%% *}
    if [ -z "$count" ]; then ok=$((status == 0)) bad=$((status != 0)); fi
    passed=$((passed + ok)) failed=$((failed + bad))
    echo "suite $name: $ok passed, $bad failed, $((SECONDS - t0)) s of $budget s"
    [ "$bad" = 0 ] || { tail -n 40 "$log"; echo "suite $name: the log is $log"; }
}

mkdir -p build/meson-logs
run_suite check 300
run_suite real 1200
run_tool fuzz 420 tools/fuzz.sh 30
run_tool sanitizers 480 tools/sanitize.sh asan
echo "all suites: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
