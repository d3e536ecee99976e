# What the scripts here share: free ports, a server of ours, waiting. Sourced; `program` and `folder` are set by then.

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_for() { # wait_for SECONDS COMMAND...: until it succeeds
    local until=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { echo "not within time: $*" >&2; return 1; }
        sleep 0.02
    done
}

start_server() { # start_server [--set …]: webhook, metrics and health on $port; its process is $server
    "$program" serve --set "store.url=${store_url:-sqlite:$folder/store.db}" --set "server.webhook_port=$port" \
        --set "server.metrics_port=$port" --set "server.health_port=$port" --set slm.provider=none "$@" \
        >>"$folder/server.log" 2>&1 &
    server=$!
    wait_for 20 curl -sf "http://127.0.0.1:$port/ready"
}

stop_server() { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; }

get() { curl -sf "http://127.0.0.1:$port$1"; }
inbox_is_empty() { [ "$(get /status | jq .counts.inbox_waiting)" = 0 ]; }
fail() { echo "FAILED: $*" >&2; exit 1; }
