#!/usr/bin/env bash
# store.sh: what the store costs, on SQLite and on a PostgreSQL of its own that syncs its log; then the history context.
set -uo pipefail
cd "$(dirname "$0")/../.."
status=0
tests/bench/store.py sqlite || status=1
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    one=$(mktemp)
    printf '#!/bin/sh\nexec "%s/tests/bench/store.py" postgres\n' "$PWD" >"$one"
    chmod +x "$one"
    POSTGRES_OPTIONS="-c fsync=on" tests/store/postgres.sh "$one" || status=1
    rm -f "$one"
fi
tests/bench/history.sh || status=1
exit $status
