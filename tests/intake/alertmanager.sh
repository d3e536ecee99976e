#!/usr/bin/env bash
# alertmanager.sh PROGRAM EXAMPLES: two real Alertmanagers in a cluster send to us, configured by examples/alertmanager.yml
# with other ports and shorter waits.
set -euo pipefail
program=$1 examples=$2
here=$(dirname "$0")
folder=$(mktemp -d /tmp/alertmanager-test-XXXXXX)
. "$here/lib.sh"
pids=()
trap 'kill -9 "${pids[@]}" $server 2>/dev/null || true; [ -n "${KEEP:-}" ] || rm -rf "$folder"' EXIT
port=$(free_port) am=($(free_port) $(free_port)) cluster=($(free_port) $(free_port))

began=$(date -u +%Y-%m-%dT%H:%M:%SZ)

configure() { # configure MAX_ALERTS
    sed -e "s/127.0.0.1:8080/127.0.0.1:$port/" -e 's/group_wait: 10s/group_wait: 1s/' -e 's/group_interval: 1m/group_interval: 1s/' \
        -e "s/max_alerts: 0/max_alerts: $1/" "$examples/alertmanager.yml" >"$folder/alertmanager.yml"
}
start_alertmanager() { # start_alertmanager N
    local peer=$((1 - $1))
    prometheus-alertmanager --config.file="$folder/alertmanager.yml" --storage.path="$folder/am$1" \
        --web.listen-address="127.0.0.1:${am[$1]}" --cluster.listen-address="127.0.0.1:${cluster[$1]}" \
        --cluster.peer="127.0.0.1:${cluster[$peer]}" --cluster.settle-timeout=1s --cluster.peer-timeout=2s \
        --cluster.gossip-interval=50ms >>"$folder/am$1.log" 2>&1 &
    pids[$1]=$!
    wait_for 20 curl -sf "http://127.0.0.1:${am[$1]}/-/ready"
}
tell() { # tell N SECONDS_TO_END LABEL=VALUE...
    local url=http://127.0.0.1:${am[$1]} end; shift
    end=$(date -u -d "$1 seconds" +%Y-%m-%dT%H:%M:%SZ); shift
    amtool --alertmanager.url="$url" alert add "$@" --start="$began" --end="$end" --annotation=summary="from amtool"
}
alerts() { get "/api/v1/alerts?limit=1000&$1" | jq ".alerts | length"; }
is() { [ "$(alerts "$1")" = "$2" ]; }

configure 0
start_server --set "alertmanager.url=http://127.0.0.1:${am[0]}"
start_alertmanager 0
start_alertmanager 1

echo "both members of the cluster are told: one alert, one incident"
tell 0 600 alertname=Disk namespace=shop deployment=checkout severity=critical
tell 1 600 alertname=Disk namespace=shop deployment=checkout severity=critical
wait_for 20 is "status=firing&name=Disk" 1
sleep 3
is "name=Disk" 1 || fail "the alert is there $(alerts name=Disk) times"
[ "$(get '/api/v1/incidents?name=checkout' | jq '.incidents | length')" = 1 ] || fail "not one incident"
curl -s "http://127.0.0.1:${am[0]}/api/v2/alerts" | jq -r '.[].fingerprint' >"$folder/theirs"
get "/api/v1/alerts?name=Disk" | jq -r '.alerts[].fingerprint' | diff - "$folder/theirs" || fail "another fingerprint"

echo "resolved at the source: resolved here"
tell 0 -1 alertname=Disk namespace=shop deployment=checkout severity=critical
tell 1 -1 alertname=Disk namespace=shop deployment=checkout severity=critical
wait_for 30 is "status=resolved&name=Disk" 1
incident_is() { [ "$(get '/api/v1/incidents?name=checkout' | jq -r '.incidents[].status')" = "$1" ]; }
wait_for 10 incident_is resolved

echo "nobody there when Alertmanager sends: it comes again, and nothing is lost"
stop_server
tell 0 600 alertname=Late namespace=shop pod=web-0
sleep 2
start_server --set "alertmanager.url=http://127.0.0.1:${am[0]}"
wait_for 40 is "status=firing&name=Late" 1

echo "a member is restarted, the configuration reloaded: still one"
kill "${pids[1]}"; wait "${pids[1]}" 2>/dev/null || true
configure 2
start_alertmanager 1
kill -HUP "${pids[0]}"
tell 1 600 alertname=Late namespace=shop pod=web-0
sleep 4
is "name=Late" 1 || fail "the alert is there $(alerts name=Late) times"

echo "max_alerts cuts a group of seven at two: the rest is asked for"
for n in 1 2 3 4 5 6 7; do tell 0 600 alertname=Many namespace=shop deployment="d$n"; done
wait_for 40 is "status=firing&name=Many" 7
get /metrics | grep -q '^truncated_fetches_total{result="success"} [1-9]' || fail "no fetch was counted"

echo "promtool finds nothing to say about our metrics"
get /metrics | promtool check metrics >"$folder/promtool" 2>&1 || { cat "$folder/promtool"; fail "promtool check metrics"; }
[ ! -s "$folder/promtool" ] || { cat "$folder/promtool"; fail "promtool is not silent"; }
stop_server
grep -c '"level":"error"' "$folder/server.log" >/dev/null && { grep '"level":"error"' "$folder/server.log" | head -3; fail "errors in the log"; }
echo "passed"
