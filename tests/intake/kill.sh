#!/usr/bin/env bash
# kill.sh PROGRAM LOAD KILLS: the server is killed with SIGKILL at random moments under load, again and again, over one
# store. In the end every alert whose request was answered with 200 must be in the store, and exactly once.
set -euo pipefail
program=$1 load=$2 kills=$3
here=$(dirname "$0")
folder=$(mktemp -d /tmp/kill-test-XXXXXX)
server=
. "$here/lib.sh"
trap 'kill -9 $server 2>/dev/null || true; [ -n "${KEEP:-}" ] || rm -rf "$folder"' EXIT
port=$(free_port)
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed, $kills kills"

touch "$folder/accepted"
for ((i = 0; i < kills; i++)); do
    start_server
    "$load" "$port" /alerts 5 16 $((i % 3 ? 1 : 20)) --log "$folder/accepted" --seed "$i" >>"$folder/load.log" &
    sender=$!
    sleep "0.$(printf '%02d' $((RANDOM % 25)))"
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    wait "$sender"
done

start_server
wait_for 240 inbox_is_empty
stop_server
sqlite3 "$folder/store.db" "SELECT json_extract(labels, '\$.n') FROM alerts" | sort >"$folder/stored"
sort "$folder/accepted" >"$folder/accepted.sorted"
# A line may be cut where the sender itself was cut off; it never is here, for the sender ends by itself.
lost=$(comm -23 <(uniq "$folder/accepted.sorted") <(uniq "$folder/stored") | wc -l)
twice=$(uniq -d "$folder/stored" | wc -l)
accepted=$(wc -l <"$folder/accepted")
echo "$accepted alerts were answered with 200, $(wc -l <"$folder/stored") are stored; $lost lost, $twice twice"
[ "$accepted" -gt 0 ] || fail "nothing was accepted"
[ "$lost" = 0 ] && [ "$twice" = 0 ] || fail "alerts were lost or are there twice"
