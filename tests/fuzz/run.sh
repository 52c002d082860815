#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/fuzz/run.sh [SECONDS] [NAME…]
#
# Builds the fuzz targets (preset "fuzz", clang) and runs each of them, or fuzz_NAME alone, for SECONDS
# (5) on its corpus. That is kept in build/fuzz/corpus/NAME and grows from run to run; its seeds are made
# anew by tests/corpus. What a target finds stays in build/fuzz/findings, named in the output: make a
# unit test of it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

seconds=${1:-5}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$seconds' is no number of seconds" >&2; exit 2; }
command -v clang >/dev/null || { echo "SKIPPED: the fuzz targets need clang"; exit 77; }

cmake --preset fuzz && cmake --build --preset fuzz --target fuzzers || exit 1

corpora=$PWD/build/fuzz/corpus findings=$PWD/build/fuzz/findings
mkdir -p "$findings"

# run NAME: one target, for SECONDS.
run() {
    local name=$1 log=$findings/$1.log
    mkdir -p "$corpora/$name"
    if "build/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="$findings/$name-" "$corpora/$name" >"$log" 2>&1; then
        passed=$((passed + 1))
        runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log")))
        printf 'ok      %-12s %s\n' "$name" "$(sed -n 's/^Done \(.*\)$/\1/p' "$log")"
        rm -f "$log"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: the input is kept below %s\n' "$name" "$findings"
        tail -n 40 "$log"
    fi
}

. tests/fuzz/seeds.sh
make_seeds || { echo "fuzz: no seeds could be made"; exit 1; }
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do
        file=${file##*/fuzz_}
        names+=("${file%.c}")
    done
fi
passed=0 failed=0 runs=0
for name in "${names[@]}"; do
    run "$name"
done
echo "summary: ${#names[@]} targets, $seconds s each, $runs inputs tried, $failed findings"
echo "count: $passed $failed 0"
[ "$failed" = 0 ]
