#!/usr/bin/env bash
# example.sh PROGRAM: examples/complete.c writes what the 135M model writes, and says what is wrong where it cannot.
# Exit 77 (skipped) without the model.
set -euo pipefail
program=$1
model=$("$(dirname "$0")/../../tools/fetch-model" --path smollm2-135m)
[ -e "$model" ] || { echo "example.sh: $model is not there (make model): skipped"; exit 77; }

expect() { # expect <exit status> <text that the output has> <arguments…>
    local status=0 wanted=$1 text=$2 output
    shift 2
    output=$("$program" "$@" 2>&1) || status=$?
    [ "$status" = "$wanted" ] && [[ $output == *"$text"* ]] && return
    echo "complete $*: exit $status where $wanted was expected with \"$text\"; it said: $output"
    exit 1
}

# Greedy, and the engine has the same bits on every machine: the text is exact.
expect 0 $' Paris.\n\nThe United States has a population of approximately 321 million people.' "$model" "The capital of France is"
expect 1 "has no tokens" "$model" ""
expect 1 "/nowhere.gguf" /nowhere.gguf "Hello"
expect 2 "usage: complete MODEL PROMPT" "$model"
