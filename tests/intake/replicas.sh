#!/usr/bin/env bash
# replicas.sh PROGRAM LOAD KILLS: three of us on one PostgreSQL. Two are sent the same alerts, as by two members of an
# Alertmanager cluster, the third others; replicas are killed and stopped at random, and the database is restarted twice.
# In the end every alert that one of them answered with 200 is in the store, and exactly once.
set -euo pipefail
program=$1 load=$2 kills=$3
here=$(dirname "$0")
folder=$(mktemp -d /tmp/replicas-test-XXXXXX)
. "$here/lib.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
as_user() { if [ "$(id -u)" = 0 ]; then (cd /tmp && runuser -u postgres -- "$@"); else "$@"; fi; }
[ "$(id -u)" != 0 ] || chown postgres "$folder"
servers=(0 0 0) ports=($(free_port) $(free_port) $(free_port))
end() {
    kill -CONT "${servers[@]}" 2>/dev/null || true
    kill -9 "${servers[@]}" 2>/dev/null || true
    as_user "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    [ -n "${KEEP:-}" ] || rm -rf "$folder"
}
trap end EXIT
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed, $kills kills"

as_user "$bin/initdb" -D "$folder/data" -U alerts -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null 2>&1
start_database() { as_user "$bin/pg_ctl" -D "$folder/data" -l "$folder/postgres.log" -w -o "-k $folder -c listen_addresses=" start >/dev/null; }
start_database
store_url="postgresql://alerts@/postgres?host=$folder"
sql() { as_user "$bin/psql" -qAt "$store_url" -c "$1"; }
start_replica() {
    port=${ports[$1]}
    start_server --set intake.lease=2s
    servers[$1]=$server
}
for n in 0 1 2; do start_replica $n; done

touch "$folder/accepted"{0,1,2}
send() { # send REPLICA SEED: for a while, whatever happens to it
    "$load" "${ports[$1]}" /alerts 1 2 10 --log "$folder/accepted$1" --seed "$2" >>"$folder/load.log" 2>&1 || true
}
for ((i = 0; i < kills; i++)); do
    send 0 "$i" & senders=($!)
    send 1 "$i" & senders+=($!)
    send 2 "$((i + 1000))" & senders+=($!)
    sleep "0.$(printf '%02d' $((RANDOM % 90)))"
    victim=$((RANDOM % 3))
    if ((RANDOM % 3)); then
        kill -9 "${servers[$victim]}"
        wait "${servers[$victim]}" 2>/dev/null || true
        start_replica $victim
    else
        kill -STOP "${servers[$victim]}"
        sleep 2.5                          # its leases are over when it goes on
        kill -CONT "${servers[$victim]}"
    fi
    wait "${senders[@]}"
    if ((i == kills / 3 || i == kills * 2 / 3)); then
        as_user "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null
        curl -s -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d '{"version":"4","alerts":[{}]}' \
            "http://127.0.0.1:${ports[0]}/alerts" | grep -q 503 || fail "no 503 while the database is away"
        start_database
        for n in 0 1 2; do wait_for 20 curl -sf "http://127.0.0.1:${ports[$n]}/ready"; done
    fi
done

empty() { [ "$(sql 'SELECT count(*) FROM inbox')" = 0 ]; }
wait_for 240 empty || fail "$(sql 'SELECT count(*) FROM inbox') payloads are not worked in"
sql "SELECT labels::json->>'n' FROM alerts" | sort >"$folder/stored"
sort "$folder"/accepted? | uniq >"$folder/accepted"
lost=$(comm -23 "$folder/accepted" <(uniq "$folder/stored") | wc -l)
twice=$(uniq -d "$folder/stored" | wc -l)
echo "$(wc -l <"$folder/accepted") alerts were answered with 200, $(wc -l <"$folder/stored") are stored; $lost lost, $twice twice"
[ -s "$folder/accepted" ] || fail "nothing was accepted"
[ "$lost" = 0 ] && [ "$twice" = 0 ] || fail "alerts were lost or are there twice"
open=$(sql "SELECT count(*) FROM (SELECT target_key FROM incidents WHERE status = 'open' GROUP BY target_key HAVING count(*) > 1) t")
wrong=$(sql "SELECT count(*) FROM incidents i WHERE firing <> (SELECT count(*) FROM alerts a WHERE a.incident_id = i.id AND a.status = 'firing')")
[ "$open" = 0 ] || fail "$open targets have two open incidents"
[ "$wrong" = 0 ] || fail "$wrong incidents count their alerts wrongly"
