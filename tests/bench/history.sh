#!/usr/bin/env bash
# history.sh: how long the history context of a prompt takes with up to 10^6 executions, on SQLite, and on a PostgreSQL
# of its own where one is installed.
set -uo pipefail
cd "$(dirname "$0")/../.."
program=build/tests/history/bench_history
echo "SQLite:"
"$program" build/bench
status=$?
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    echo "PostgreSQL:"
    mkdir -p build/bench/postgres
    (cd build/bench/postgres && ../../../tests/store/postgres.sh "../../../$program") || status=1
fi
exit $status
