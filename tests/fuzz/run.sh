#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/fuzz/run.sh [--afl] [SECONDS] [NAME…]
#
# Builds the fuzz targets (preset "fuzz", clang) and runs each of them, or fuzz_NAME alone, for SECONDS
# (5) on its corpus. That is kept in build/fuzz/corpus/NAME and grows from run to run; its seeds are made
# anew by tests/corpus. What a target finds stays in build/fuzz/findings, named in the output: make a
# unit test of it. --afl has AFL++ do it instead of libFuzzer (preset "afl"), with a corpus of its own beside
# the same seeds.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

engine=libfuzzer preset=fuzz
if [ "${1:-}" = --afl ]; then
    engine=afl preset=afl
    shift
fi
seconds=${1:-5}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$seconds' is no number of seconds" >&2; exit 2; }
command -v clang >/dev/null || { echo "SKIPPED: the fuzz targets need clang"; exit 77; }

[ "$engine" != afl ] || command -v afl-clang-fast >/dev/null || { echo "SKIPPED: afl-clang-fast is not installed (Debian: afl++)"; exit 77; }

names=("$@")
if [ ${#names[@]} = 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do
        file=${file##*/fuzz_}
        names+=("${file%.c}")
    done
fi

cmake --preset "$preset" && cmake --build --preset "$preset" --target "${names[@]/#/fuzz_}" || exit 1

corpora=$PWD/build/fuzz/corpus findings=$PWD/build/$preset/findings
mkdir -p "$findings"

# by_libfuzzer NAME LOG: the findings are kept by it; *runs* grows.
by_libfuzzer() {
    "build/fuzz/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="$findings/$1-" "$corpora/$1" >"$2" 2>&1 || return
    runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$2")))
    said=$(sed -n 's/^Done \(.*\)$/\1/p' "$2")
}

# by_afl NAME LOG: the same; the first crash or hang is copied to the findings. The sanitizers abort, which
# AFL++ sees by itself whatever the machine does with crashes (core_pattern).
by_afl() {
    local out=build/afl/out/$1 found
    rm -rf "$out"
    mkdir -p build/afl/out
    AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
        ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0 UBSAN_OPTIONS=abort_on_error=1:symbolize=0 \
        afl-fuzz -i "$corpora/$1" -o "$out" -V "$seconds" -t 10000 -m none -g 1 -G 65536 -- \
        "build/afl/tests/fuzz/fuzz_$1" >"$2" 2>&1 || return
    runs=$((runs + $(sed -n 's/^execs_done *: *//p' "$out/default/fuzzer_stats")))
    said="$(sed -n 's/^execs_done *: *//p' "$out/default/fuzzer_stats") runs, $(sed -n 's/^bitmap_cvg *: *//p' "$out/default/fuzzer_stats") of the map"
    for found in "$out"/default/{crashes,hangs}/id:*; do
        [ -e "$found" ] || continue
        cp "$found" "$findings/$1-${found##*/}"
        echo "found: $findings/$1-${found##*/}" >>"$2"
        return 1
    done
}

# run NAME: one target, for SECONDS.
run() {
    local name=$1 log=$findings/$1.log said=
    mkdir -p "$corpora/$name"
    if "by_$engine" "$name" "$log"; then
        passed=$((passed + 1))
        printf 'ok      %-12s %s\n' "$name" "$said"
        rm -f "$log"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: the input is kept below %s\n' "$name" "$findings"
        tail -n 40 "$log"
    fi
}

. tests/fuzz/seeds.sh
make_seeds || { echo "fuzz: no seeds could be made"; exit 1; }
passed=0 failed=0 runs=0
for name in "${names[@]}"; do
    run "$name"
done
echo "summary: ${#names[@]} targets by $engine, $seconds s each, $runs inputs tried, $failed findings"
echo "count: $passed $failed 0"
[ "$failed" = 0 ]
