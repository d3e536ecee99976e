#!/usr/bin/env bash
# replicas.sh PROGRAM LOAD KILLS ALERTS: three of us on one PostgreSQL. Two are sent the same alerts, as by two members of
# an Alertmanager cluster, the third others, until so many have been accepted; meanwhile replicas are killed and stopped at
# random, and the database is restarted twice. In the end every alert that one of them answered with 200 is in the store
# once; each has a target of its own, so it is decided once, and its decision is executed once (planned: there is no cluster).
set -euo pipefail
program=$1 load=$2 kills=$3 alerts=$4
here=$(dirname "$0")
folder=$(mktemp -d /tmp/replicas-test-XXXXXX)
. "$here/lib.sh"
unset KUBECONFIG
export HOME=$folder
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
echo "seed $seed, $kills kills, $alerts alerts"

as_user "$bin/initdb" -D "$folder/data" -U alerts -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null 2>&1
start_database() { as_user "$bin/pg_ctl" -D "$folder/data" -l "$folder/postgres.log" -w -o "-k $folder -c listen_addresses=" start >/dev/null; }
start_database
store_url="postgresql://alerts@/postgres?host=$folder"
sql() { as_user "$bin/psql" -qAt "$store_url" -c "$1"; }
cat >"$folder/policy.yaml" <<'END'
version: 1
rules: [{ name: all, when: { action: '*' }, then: allow }]
limits: []
END
start_replica() { # the model is missing: decisions come from the prior, in a moment
    port=${ports[$1]}
    start_server --set intake.lease=2s --set slm.provider=embedded --set slm.model=/nowhere.gguf \
        --set policy.file="$folder/policy.yaml" --set actions.dry_run=plan --set kubernetes.context= \
        --set effectiveness.enabled=false
    servers[$1]=$server
}
for n in 0 1 2; do start_replica $n; done

touch "$folder/accepted"{0,1,2}
round=0
per_round=$((alerts / kills / 2 + 1))
send() { # send REPLICA SEED: a part of the alerts, whatever happens to it
    "$load" "${ports[$1]}" /alerts 3 2 10 --own --count "$per_round" --log "$folder/accepted$1" --seed "$2" \
        >>"$folder/load.log" 2>&1 || true
}
accepted() { sort -u "$folder"/accepted? | wc -l; }
restart_database() {
    as_user "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null
    curl -s -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/json' -d '{"version":"4","alerts":[{}]}' \
        "http://127.0.0.1:${ports[0]}/alerts" | grep -q 503 || fail "no 503 while the database is away"
    start_database
    for n in 0 1 2; do wait_for 20 curl -sf "http://127.0.0.1:${ports[$n]}/ready"; done
    restarts=$((restarts + 1))
}
restarts=0
while ((round < kills || $(accepted) < alerts)); do
    send 0 "$((round + 1))" & senders=($!)
    send 1 "$((round + 1))" & senders+=($!)
    send 2 "$((round + 1001))" & senders+=($!)
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
    if ((round == kills / 3 || round == kills * 2 / 3)); then restart_database; fi
    round=$((round + 1))
    ((round < kills * 5)) || fail "only $(accepted) alerts were accepted in $round rounds"
done
((restarts == 2)) || fail "the database was restarted $restarts times"

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

# Decided once, executed once.
idle() { [ "$(sql "SELECT count(*) FROM jobs WHERE kind = 'incident'")" = 0 ]; }
wait_for 240 idle || fail "$(sql "SELECT count(*) FROM jobs WHERE kind = 'incident'") incidents are not worked on"
is_none() { # is_none WHAT SQL: the query counts what must not be
    local count; count=$(sql "$2")
    [ "$count" = 0 ] || fail "$count $1"
}
is_none "incidents were not decided" "SELECT count(*) FROM incidents i WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.incident_id = i.id)"
is_none "incidents were decided more than once" "SELECT count(*) FROM (SELECT incident_id FROM decisions GROUP BY 1 HAVING count(*) > 1) t"
is_none "decisions were not executed" "SELECT count(*) FROM decisions d WHERE NOT EXISTS (SELECT 1 FROM executions e WHERE e.decision_id = d.id)"
is_none "incidents were executed more than once" "SELECT count(*) FROM (SELECT incident_id FROM executions GROUP BY 1 HAVING count(*) > 1) t"
# Those that a dead replica had begun are ended by another once their leases are over.
running="SELECT count(*) FROM executions WHERE state IN ('approved', 'executing')"
ended() { [ "$(sql "$running")" = 0 ]; }
wait_for 240 ended || fail "$(sql "$running") executions did not end"
is_none "alerts have no incident" "SELECT count(*) FROM alerts WHERE incident_id IS NULL"
echo "$(sql 'SELECT count(*) FROM incidents') incidents, $(sql 'SELECT count(*) FROM decisions') decisions, $(sql "SELECT string_agg(n || ' ' || state, ', ') FROM (SELECT state, count(*) AS n FROM executions GROUP BY state) t"); taken up by another: $(grep -c 'goes on with the decision' "$folder/server.log" || true)"
