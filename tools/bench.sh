#!/usr/bin/env bash
# bench.sh [NAME…]: run benchmarks, all without a name, and rewrite docs/performance.md from what build/bench/ holds.
# A benchmark is tests/bench/NAME.sh or the program build/tests/bench/bench_NAME; it prints a table and writes
# build/bench/NAME.json: {"name","date","commit","machine":{"cpu","cores","memory_gib","isa"},
# "figures":[{"name","value","unit","goal","peer","ratio","met"}]}.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/bench
status=0

names() {
    local file
    for file in tests/bench/*.sh; do
        [ -e "$file" ] && [[ $(basename "$file") != peer-* ]] && basename "$file" .sh
    done
    for file in build/tests/bench/bench_*; do
        [ -x "$file" ] && [ -f "$file" ] && basename "$file" | sed 's/^bench_//'
    done
}

[ $# -gt 0 ] || mapfile -t all < <(names | sort -u)
for name in "${@:-${all[@]-}}"; do
    [ -n "$name" ] || continue
    echo "== $name"
    if [ -x "tests/bench/$name.sh" ]; then
        "tests/bench/$name.sh" || status=1
    elif [ -x "build/tests/bench/bench_$name" ]; then
        "build/tests/bench/bench_$name" build/bench || status=1
    else
        echo "bench: there is no benchmark $name; there are: $(names | sort -u | tr '\n' ' ')" >&2
        status=2
    fi
done
[ $# -gt 0 ] || python3 tools/performance.py build/bench docs/performance.md || status=1
exit $status
