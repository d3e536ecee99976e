#!/usr/bin/env bash
# head.sh: make what the program carries for its decisions (models/decisions/) from the repository's own scenarios.
# The same input gives the same files.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/training
mkdir -p "$out"
python3 models/training/render.py --out "$out"
scenarios=()
for file in "$out"/*.jsonl; do
    scenarios+=(--scenarios "$file")
done
build/prometheus-alerts-slm model train-head --provider none --out models/decisions \
    --report tests/scenarios/dev.jsonl "${scenarios[@]}"
