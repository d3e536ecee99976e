#!/usr/bin/env bash
# postgres.sh PROGRAM...: run each test program on a PostgreSQL of its own: a new cluster in a temporary folder, as an
# ordinary user, reached by a socket there. STORE_TEST_URL names it. POSTGRES_OPTIONS are more options of the server's.
set -euo pipefail
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo "postgres.sh: PostgreSQL's server is not installed" >&2; exit 77; }
folder=$(mktemp -d /tmp/postgres-test-XXXXXX)
as_user() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
[ "$(id -u)" != 0 ] || chown postgres "$folder"
stop() {
    as_user "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
here=$PWD; cd "$folder"
as_user "$bin/initdb" -D "$folder/data" -U alerts -A trust -E UTF8 --locale=C.UTF-8 -N >"$folder/initdb.log" 2>&1 ||
    { cat "$folder/initdb.log"; exit 1; }
as_user "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w \
    -o "-k $folder -c listen_addresses= -c fsync=off ${POSTGRES_OPTIONS:-}" start >/dev/null || { cat "$folder/log"; exit 1; }
export STORE_TEST_URL="postgresql://alerts@/postgres?host=$folder"
cd "$here"
status=0
for program in "$@"; do
    "$program" || status=1
done
[ "$status" = 0 ] || tail -n 40 "$folder/log"
exit "$status"
