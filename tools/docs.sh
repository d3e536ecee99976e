#!/usr/bin/env bash
# docs.sh [check [PROGRAM]]: write the pages that are made from the program's tables, or say which are out of date.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-write} program=${2:-build/prometheus-alerts-slm}
stale=0

page() { # page NAME FILE
    local text
    text=$("$program" docs "$1" && echo .) || exit 1
    if [ "$mode" = check ]; then
        [ "$(cat "$2" 2>/dev/null && echo .)" = "$text" ] || { echo "$2 is out of date: run make docs"; stale=1; }
    else
        printf %s "${text%.}" >"$2"
    fi
}

page configuration docs/configuration.md
page commands docs/commands.md
page metrics docs/metrics.md
page actions docs/actions.md
page sample examples/config.yaml
exit $stale
