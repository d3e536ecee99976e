#!/usr/bin/env bash
# bench-engine: the engine beside llama.cpp on the same files, in turn, in one run. Options: tests/bench/engine.py --help,
# through BENCH_ENGINE ("--models 135m-q4_1 --pairs 9").
cd "$(dirname "$0")/../.." && exec python3 tests/bench/engine.py ${BENCH_ENGINE:-}
