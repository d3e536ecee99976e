#!/usr/bin/env bash
# intake.sh: how fast alerts become durable, beside a real Alertmanager's own POST /api/v2/alerts, which does not make
# them durable, in the same run, by turns. RUNS and SECONDS_EACH say how often and how long.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/intake/bench.py build/prometheus-alerts-slm build/tests/intake/load build/tests/intake/claim \
    "${RUNS:-9}" "${SECONDS_EACH:-5}"
