#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/analysis/run.sh [cppcheck] [gcc] [clang-tidy]
#
# Looks for defects in the product's C without running it: by cppcheck, gcc's analyzer and clang-tidy (.clang-tidy),
# or by what is named. What they say beyond this is a failure, and so is a tool that cannot do its work:
#   - leaks of memory, of all three: cppcheck and clang's analyzer (14) do not know the cleanup attribute, by which
#     scoped_free and its like free; gcc's analyzer (12) loses what a structure owns across a call. That nothing leaks
#     is shown by LeakSanitizer in all unit tests (`test.sh sanitizers`).
#   - gcc's analyzer runs on code that is not optimised: on other code it takes an initialisation that was
#     optimised away for one that is missing.
# Single places are excused where they stand, each with its reason.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

tools=("$@")
[ $# -gt 0 ] || tools=(cppcheck gcc clang-tidy)
for tool in "${tools[@]}" jq; do
    command -v "$tool" >/dev/null || { echo "SKIPPED: the analysis needs $tool"; exit 77; }
done

build=$PWD/build/debug out=$PWD/build/analysis jobs=$(nproc)
mkdir -p "$out"
if ! { cmake --preset debug && cmake --build --preset debug --target cowsnap-proto; } >"$out/build.log" 2>&1; then
    tail -n 30 "$out/build.log"
    exit 1
fi
# What was generated lies in build, and is nobody's to judge.
jq --arg tree "$PWD" '[.[] | select(.file | ltrimstr($tree) | test("^/(plugin|backends)/.*\\.c$"))]' \
    "$build/compile_commands.json" >"$out/compile_commands.json"
files=$(jq 'unique_by(.file) | length' "$out/compile_commands.json")
[ "$files" -gt 100 ] || { echo "only $files files are to be looked at"; exit 1; }

by_cppcheck() {
    cppcheck -j "$jobs" --project="$out/compile_commands.json" --enable=warning,performance,portability --inline-suppr \
        --suppress=memleak --quiet --template='{file}:{line}: {severity}: {message} [{id}]'
}

# Each file compiled as ever, with -fanalyzer, and the result thrown away.
by_gcc() {
    jq -r '.[] | .command | sub("^\\S*ccache "; "") | sub(" -o \\S+"; " -o /dev/null -O0 -fanalyzer -Wno-analyzer-malloc-leak")' "$out/compile_commands.json" |
        (cd "$build" && tr '\n' '\0' | xargs -0 -P "$jobs" -I {} sh -c '{}')
}

# A process for each file: in the second file of one, clang 14 takes every va_list for one that was not begun. results.h
# is read before each file but where it would rename what it tells of.
by_clang_tidy() {
    local tree status=0
    tree=${PWD//[^[:alnum:]\/_-]/.} # a pattern that fits it
    mkdir -p "$out/clang-tidy"
    jq --arg told "$PWD/tests/analysis/results.h" 'unique_by(.file) | map(if .file | test("/(base/result|layer/io_error)\\.c$")
        then . else .command |= sub(" -c "; " -include \($told) -c ") end)' "$out/compile_commands.json" >"$out/clang-tidy/compile_commands.json"
    jq -r '.[].file' "$out/clang-tidy/compile_commands.json" | tr '\n' '\0' |
        xargs -0 -P "$jobs" -n 1 clang-tidy --quiet -p "$out/clang-tidy" --header-filter="^$tree/(plugin|backends)/" 2>"$out/clang-tidy.err" |
        awk '/^[^ ].*: (warning|error): / {leak = /: Potential (memory leak|leak of memory)/} NF && !leak' || status=$?
    [ "$status" = 0 ] || { echo "clang-tidy could not look at every file:"; grep -v ' generated\.$' "$out/clang-tidy.err" | head -n 20; }
    return "$status"
}

failed=0
for tool in "${tools[@]}"; do
    started=$SECONDS status=0
    "by_${tool//-/_}" >"$out/$tool.log" 2>&1 || status=$?
    found=$(grep -cE '(warning|error|performance|portability): ' "$out/$tool.log")
    echo "$tool: $found finds in $files files, $((SECONDS - started)) s"
    if [ "$status" != 0 ] || [ -s "$out/$tool.log" ]; then
        failed=$((failed + 1))
        head -n 200 "$out/$tool.log"
        [ "$status" = 0 ] || echo "$tool ended with status $status"
    fi
done
echo "summary: $files files looked at by ${tools[*]}, $failed of them failed"
echo "count: $((${#tools[@]} - failed)) $failed 0"
[ "$failed" = 0 ]
