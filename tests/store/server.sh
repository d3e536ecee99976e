#!/usr/bin/env bash
# server.sh VERB FOLDER…: PostgreSQL servers of a test's own, as an ordinary user, reached by a socket in their folder.
#   init FOLDER               a new cluster; WAL (SQL's log) in FOLDER/wal, the rest in FOLDER/data
#   start|promote FOLDER      stop FOLDER MODE (immediate, fast)
#   standby FOLDER PRIMARY    a running copy of the running server of PRIMARY, which follows it
#   freeze|thaw FOLDER        stop all its processes where they are, and let them go on
set -euo pipefail
verb=$1 folder=$2
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || exit 77
as_user() { if [ "$(id -u)" = 0 ]; then (cd /tmp && runuser -u postgres -- "$@"); else "$@"; fi; }
own() { mkdir -p "$folder"; [ "$(id -u)" != 0 ] || chown postgres "$folder"; }
start() {
    as_user "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w \
        -o "-k $folder -c listen_addresses= -c shared_buffers=16MB" start >/dev/null 2>&1
}
processes() { local first; first=$(head -n 1 "$folder/data/postmaster.pid"); echo "$first $(pgrep -P "$first" | tr '\n' ' ')"; }
case $verb in
init) own; as_user "$bin/initdb" -D "$folder/data" -X "$folder/wal" --wal-segsize=1 -U alerts -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null 2>&1 ;;
start) start ;;
stop) as_user "$bin/pg_ctl" -D "$folder/data" -m "$3" -w stop >/dev/null 2>&1 ;;
standby) own; as_user "$bin/pg_basebackup" -h "$3" -U alerts -D "$folder/data" --waldir="$folder/wal" -R -c fast >/dev/null 2>&1; start ;;
promote) as_user "$bin/pg_ctl" -D "$folder/data" -w promote >/dev/null 2>&1 ;;
freeze) kill -STOP $(processes) ;;
thaw) kill -CONT $(processes) ;;
*) echo "server.sh: no such verb: $verb" >&2; exit 2 ;;
esac
