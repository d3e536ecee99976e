#!/usr/bin/env bash
# run.sh: `make run`. Fetches the model if it is not there, starts the server in dry run, and says what to do next.
# MODEL=FILE takes a local model file in place of the network. More arguments go to `serve`.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
program=$top/build/prometheus-alerts-slm

setting() { "$program" config get "$1" "${arguments[@]}"; }

fetch_model() {
    [ "$(setting slm.provider)" = embedded ] || return 0
    local name
    name=$(setting slm.model)
    case $name in */*) return 0 ;; esac # a path: the user's own file
    "$top/tools/fetch-model" "$name" --dir "$(setting slm.model_dir)" ${MODEL:+--from "$MODEL"}
}

# Written once the server accepts alerts, so that it stands below its first log lines.
say_what_next() {
    local base="http://127.0.0.1:$(setting server.webhook_port)" path i
    path=$(setting webhook.path)
    for ((i = 0; i < 300; i++)); do
        "$program" health --ready "${arguments[@]}" >/dev/null 2>&1 && break
        sleep 0.1
        kill -0 "$server" 2>/dev/null || return 0
    done
    cat <<END

prometheus-alerts-slm accepts alerts at $base$path (dry run: $(setting actions.dry_run)). Ctrl-C stops it.

Send it a sample alert:

  curl -H 'Content-Type: application/json' --data @$top/examples/alert.json $base$path

See what became of it:

  $program incidents list

Point your Alertmanager at it (all of it in examples/alertmanager.yml):

  route: { receiver: prometheus-alerts-slm }
  receivers:
    - name: prometheus-alerts-slm
      webhook_configs: [ { url: '$base$path', send_resolved: true } ]

END
}

arguments=("$@")
fetch_model
"$program" serve "${arguments[@]}" &
server=$!
trap 'kill "$server" 2>/dev/null || true' TERM
trap : INT # Ctrl-C reaches the server by itself; we wait for its end
say_what_next
status=0
while kill -0 "$server" 2>/dev/null; do
    wait "$server" && status=0 || status=$?
done
exit "$status"
