#!/usr/bin/env bash
# bench-decision: from an alert to an action and its parameters, beside llama-server with the same model file. Options:
# tests/bench/decision.py --help, through BENCH_DECISION ("--alerts 5").
cd "$(dirname "$0")/../.." && exec python3 tests/bench/decision.py ${BENCH_DECISION:-}
