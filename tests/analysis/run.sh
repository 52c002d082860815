#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/analysis/run.sh [cppcheck] [gcc] [clang-tidy]
#
# Looks for defects in the product's C without running it: by cppcheck and gcc's analyzer, or by what is
# named; clang-tidy (.clang-tidy) by name alone. What they say beyond this is a failure:
#   - leaks of memory, of both: cppcheck does not know the cleanup attribute, by which scoped_free and its
#     like free; gcc's analyzer (12) loses what a structure owns across a call. That nothing leaks is shown by
#     LeakSanitizer in all unit tests (`test.sh sanitizers`).
#   - gcc's analyzer runs on code that is not optimised: on other code it takes an initialisation that was
#     optimised away for one that is missing.
# Single places are excused where they stand, each with its reason.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

tools=("$@")
[ $# -gt 0 ] || tools=(cppcheck gcc)
for tool in "${tools[@]}" jq; do
    command -v "$tool" >/dev/null || { echo "SKIPPED: the analysis needs $tool"; exit 77; }
done

build=$PWD/build/debug out=$PWD/build/analysis jobs=$(nproc)
mkdir -p "$out"
if ! { cmake --preset debug && cmake --build --preset debug --target cowsnap-proto; } >"$out/build.log" 2>&1; then
    tail -n 30 "$out/build.log"
    exit 1
fi
jq '[.[] | select(.file | test("/(plugin|backends)/.*\\.c$"))]' "$build/compile_commands.json" >"$out/compile_commands.json"
files=$(jq length "$out/compile_commands.json")
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

by_clang_tidy() {
    jq -r '.[].file' "$out/compile_commands.json" | xargs -P "$jobs" -n 8 clang-tidy --quiet -p "$out" 2>/dev/null |
        grep -v -e '^$' -e ' warnings generated'
    return 0
}

failed=0
for tool in "${tools[@]}"; do
    started=$SECONDS
    "by_${tool//-/_}" >"$out/$tool.log" 2>&1 || true
    found=$(grep -cE '(warning|error|performance|portability): ' "$out/$tool.log")
    echo "$tool: $found finds in $files files, $((SECONDS - started)) s"
    if [ -s "$out/$tool.log" ]; then
        failed=$((failed + 1))
        head -n 200 "$out/$tool.log"
    fi
done
echo "summary: $files files looked at by ${tools[*]}, $failed of them found something"
echo "count: $((${#tools[@]} - failed)) $failed 0"
[ "$failed" = 0 ]
