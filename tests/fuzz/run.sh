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

# seed NAME [PREFIX]: standard input becomes a seed of NAME, behind the bytes PREFIX.
seed() {
    local folder=$corpora/$1 file
    mkdir -p "$folder"
    file=$(mktemp "$folder/.seed.XXXXXX")
    { printf '%b' "${2:-}" && cat; } >"$file"
    mv "$file" "$folder/$(sha1sum "$file" | cut -d' ' -f1)"
}

# The first byte of some inputs tells their target how to go about it; see there.
make_seeds() {
    local layers=build/fuzz/layers file text
    python3 tests/corpus/odd_layers.py "$layers" || return
    for file in "$layers"/layers/* "$layers"/refused/*; do
        if [ "$(stat -c %s "$file")" -gt 65536 ]; then continue; fi
        case $file in
        *.tar)
            seed tar_reader '\x7f' <"$file"
            seed inflate '\x00' <"$file"
            ;;
        *.gz | *.zst) seed inflate '\x00' <"$file" ;;
        esac
    done
    seed config <docs/deploy/config.toml
    for text in '30 mtime=1350244992.023960108\n11 path=a\n21 SCHILY.xattr.a=b\n' \
        '22 GNU.sparse.map=0,1\n25 GNU.sparse.name=a/b\n'; do
        printf '%b' "$text" | seed pax
    done
    printf '0,1,10,5,20,0' | seed sparse '\x00\x143;'
    printf '2\n0\n1\n10\n5\n' | seed sparse '\x02\x14'
    for text in 'kind==active' 'name~=/^a.*$/,labels."a.b"!=x' 'parent=="",labels.a\nname' \
        'labels."containerd.io/snapshot.ref"=="sha256:\\x61\\u00e9"' 'name~=|a\|b|'; do
        printf '%b' "$text" | seed filter
    done
    printf 'a\n1\nb\n2\na\n3\nlabels.a\nlabels' | seed labels '\x46'
    for text in 'usr/lib/../x' '/../..//./a' './usr/./bin/'; do
        printf '%s' "$text" | seed path
    done
    printf '\n\001x\022\003key\032\006parent"\006\n\001k\022\001v' | seed requests
    printf '\n\003key\020\007\030\001' | seed record
}

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
