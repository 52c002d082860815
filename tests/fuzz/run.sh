#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/fuzz/run.sh [--afl] [SECONDS] [NAME…]
#
# Builds the fuzz targets (preset "fuzz", clang) and runs each of them, or fuzz_NAME alone, for SECONDS (30) on its
# corpus, as many at a time as there are processors. The corpus is kept in build/fuzz/corpus/NAME and grows from run
# to run; its seeds are made anew by tests/corpus. What a target finds stays in build/fuzz/findings, named in the
# output: make a unit test of it. --afl has AFL++ do it instead of libFuzzer (preset "afl", 5 s), with a corpus of its
# own beside the same seeds.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

engine=libfuzzer preset=fuzz seconds=30
if [ "${1:-}" = --afl ]; then
    engine=afl preset=afl seconds=5
    shift
fi
seconds=${1:-$seconds}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$seconds' is no number of seconds" >&2; exit 2; }
for program in clang setpriv; do
    command -v "$program" >/dev/null || { echo "SKIPPED: the fuzz targets need $program"; exit 77; }
done
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
verdicts=$PWD/build/$preset/verdicts # a file for each target that held: how many inputs it tried
rm -rf "$verdicts"
mkdir -p "$findings" "$verdicts"

# The engine ends with the shell that waits for it, however that ends: a long run leaves nothing behind.
bound() { setpriv --pdeathsig TERM -- "$@"; }

# by_libfuzzer NAME LOG: the findings are kept by it; *runs* and *said* are set. AddressSanitizer holds back up to
# 256 MiB of freed memory, which a million small inputs use up, and what lies between: too near the limit.
by_libfuzzer() {
    ASAN_OPTIONS=quarantine_size_mb=64${ASAN_OPTIONS:+:$ASAN_OPTIONS} bound "build/fuzz/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="$findings/$1-" "$corpora/$1" >"$2" 2>&1 || return
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$2")
    said=$(sed -n 's/^Done \(.*\)$/\1/p' "$2")
    [ -n "$said" ]
}

# by_afl NAME LOG: the same; the first crash or hang is copied to the findings. The sanitizers abort, which
# AFL++ sees by itself whatever the machine does with crashes (core_pattern).
by_afl() {
    local out=build/afl/out/$1 found
    rm -rf "$out"
    mkdir -p build/afl/out
    AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
        ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0 UBSAN_OPTIONS=abort_on_error=1:symbolize=0 \
        bound afl-fuzz -i "$corpora/$1" -o "$out" -V "$seconds" -t 10000 -m none -g 1 -G 65536 -- \
        "build/afl/tests/fuzz/fuzz_$1" >"$2" 2>&1 || return
    runs=$(sed -n 's/^execs_done *: *//p' "$out/default/fuzzer_stats")
    said="$runs runs, $(sed -n 's/^bitmap_cvg *: *//p' "$out/default/fuzzer_stats") of the map"
    for found in "$out"/default/{crashes,hangs}/id:*; do
        [ -e "$found" ] || continue
        cp "$found" "$findings/$1-${found##*/}"
        echo "found: $findings/$1-${found##*/}" >>"$2"
        return 1
    done
}

# run NAME: one target, for SECONDS. What it says is printed at once, since others run beside it.
run() {
    local name=$1 log=$findings/$1.log runs='' said=''
    mkdir -p "$corpora/$name"
    if "by_$engine" "$name" "$log" && [[ $runs =~ ^[0-9]+$ ]]; then
        echo "$runs" >"$verdicts/$name"
        printf 'ok      %-12s %s\n' "$name" "$said"
        rm -f "$log"
    else
        printf 'FAILED  %s: the input is kept below %s\n%s\n' "$name" "$findings" "$(tail -n 40 "$log")"
    fi
}

. tests/fuzz/seeds.sh
make_seeds || { echo "fuzz: no seeds could be made"; exit 1; }
trap 'kill $(jobs -rp) 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
for name in "${names[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
    run "$name" &
done
wait
passed=0 runs=0
for name in "${names[@]}"; do
    [ -e "$verdicts/$name" ] || continue
    passed=$((passed + 1)) runs=$((runs + $(<"$verdicts/$name")))
done
failed=$((${#names[@]} - passed))
echo "summary: ${#names[@]} targets by $engine, $seconds s each, $runs inputs tried, $failed findings"
echo "count: $passed $failed 0"
[ "$failed" = 0 ]
