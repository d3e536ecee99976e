#!/usr/bin/env bash
# sanitize.sh [asan|tsan|valgrind…]: the fast tests under ASan and UBSan, under TSan, and under valgrind.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0

run_with() { # run_with NAME MESON_SANITIZE
    local build=build/$1
    [ -e "$build/build.ninja" ] || CC="$(command -v ccache || true) gcc" meson setup "$build" -Dwerror=false --buildtype=debugoptimized -Db_lundef=false "-Db_sanitize=$2" >/dev/null || return 1
    ninja -C "$build" >"$build.log" 2>&1 || { tail -n 30 "$build.log"; return 1; }
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/tests/tsan.supp" \
        meson test -C "$build" --no-rebuild --suite check --timeout-multiplier 5 --print-errorlogs
}

asan() { run_with asan address,undefined; }
tsan() { run_with tsan thread; }
valgrind_() {
    command -v valgrind >/dev/null || { echo "sanitize: valgrind is missing: run make deps" >&2; return 1; }
    ninja -C build >/dev/null && meson test -C build --no-rebuild --suite check --timeout-multiplier 20 --logbase valgrind \
        --wrap 'valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite' --print-errorlogs
}

[ $# -gt 0 ] || set -- asan tsan valgrind
for one in "$@"; do
    echo "== $one"
    case $one in
    asan | tsan) "$one" || status=1 ;;
    valgrind) valgrind_ || status=1 ;;
    *) echo "usage: tools/sanitize.sh [asan|tsan|valgrind…]" >&2; exit 2 ;;
    esac
done
exit $status
