#!/usr/bin/env bash
# lint.sh: layout (clang-format), static analysis (clang-tidy), floors (tools/floors.py).
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
mapfile -t sources < <(git ls-files '*.c' '*.h')
clang-format-19 --dry-run --Werror "${sources[@]}" || status=1
python3 tools/floors.py || status=1
clang-tidy-19 --quiet -p build $(git ls-files 'src/*.c') || status=1
exit $status
