#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET…]: run every fuzz target (or those named) for so long each, from the corpus that is kept in
# tests/ROOM/corpus/FILE/. New inputs stay under build/fuzz/corpus. A finding is written to build/fuzz/findings, and this
# fails. The last line counts targets.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
shift || true
build=build/fuzz
command -v clang-19 >/dev/null || { echo "fuzz: clang-19 is missing: run make deps" >&2; exit 1; }

configure() {
    [ -e "$build/build.ninja" ] && return
    CC="$(command -v ccache || true) clang-19" meson setup "$build" -Dfuzz=true -Dwerror=false --buildtype=debugoptimized -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link >"$build.log" 2>&1 || { tail "$build.log"; exit 1; }
}

run_target() { # run_target tests/ROOM/FILE_fuzz.c
    local room file name
    room=$(basename "$(dirname "$1")") file=$(basename "$1" _fuzz.c)
    name=${room}_${file}_fuzz
    mkdir -p "$build/corpus/$name" "$build/findings" "tests/$room/corpus/$file"
    LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0" \
        "$build/tests/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$name-" "$build/corpus/$name" "tests/$room/corpus/$file" >"$build/$name.log" 2>&1
}

mkdir -p build
configure
ninja -C "$build" fuzz-targets >"$build.log" 2>&1 || { tail -n 30 "$build.log"; exit 1; }
passed=0 failed=0
for source in tests/*/*_fuzz.c; do
    name=$(basename "$(dirname "$source")")_$(basename "$source" .c)
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    if run_target "$source"; then
        passed=$((passed + 1))
        echo "$name: no finding, $(awk '/number_of_executed_units/ { print $2 }' "$build/$name.log") runs in $seconds s"
    else
        failed=$((failed + 1))
        echo "$name: FAILED, see $build/$name.log and $build/findings"
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" = 0 ]
