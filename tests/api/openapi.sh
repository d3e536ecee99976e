#!/usr/bin/env bash
# openapi.sh PROGRAM PAYLOADS DOCUMENT: start a server, give it the real payloads, and hold the document against it.
set -euo pipefail
program=$1 payloads=$2 document=$3
here=$(dirname "$0")
folder=$(mktemp -d /tmp/openapi-test-XXXXXX)
. "$here/../intake/lib.sh"
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
port=$(free_port)
start_server
for payload in "$payloads"/*.json; do
    curl -sf -H 'Content-Type: application/json' --data-binary "@$payload" "http://127.0.0.1:$port/alerts" >/dev/null
done
wait_for 10 inbox_is_empty
# A story with every part in it, of a shape that the later rooms write.
stop_server
incident=$(sqlite3 "$folder/store.db" "SELECT id FROM incidents LIMIT 1")
sqlite3 "$folder/store.db" "
    INSERT INTO decisions (id, incident_id, created_at, provider, model, action, parameters, confidence, reasoning)
        VALUES ('01m7yxayre278jy3d0kywfkab7', '$incident', 1795000000000, 'embedded', 'm', 'restart_pod', '{}', 0.9, 'because');
    INSERT INTO verdicts (id, incident_id, decision_id, created_at, verdict, reason)
        VALUES ('01m7yxayre278jy3d0kywfkab8', '$incident', '01m7yxayre278jy3d0kywfkab7', 1795000000001, 'allow', 'low risk');
    INSERT INTO executions (id, incident_id, state, action, parameters, cluster, namespace, kind, name, dry_run,
            idempotency_key, requested_by, created_at, updated_at)
        VALUES ('01m7yxayre278jy3d0kywfkab9', '$incident', 'completed', 'restart_pod', '{}', '', 'shop', 'Pod', 'checkout-0',
            'server', 'k', 'pipeline', 1795000000002, 1795000000003);
    INSERT INTO assessments (id, execution_id, state, due_at, score, confidence)
        VALUES ('01m7yxayre278jy3d0kywfkaba', '01m7yxayre278jy3d0kywfkab9', 'done', 1795000000004, 0.8, 0.7);"
start_server
/usr/bin/python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' <"$document" >"$folder/openapi.json"
python3 "$here/openapi.py" "$folder/openapi.json" "http://127.0.0.1:$port"
