#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/fuzz/coverage.sh [SECONDS]
#
# How much of the parsers is reached: builds the fuzz targets and the parsers' unit tests with clang's
# coverage (preset "fuzz-coverage"), runs the tests, and each target for SECONDS (5) on its corpus
# (that of run.sh, with its seeds), and prints the lines of each parser that were run. Fails where all of them together,
# or any file, stay below 90 %.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-5} least=90
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "coverage: '$seconds' is no number of seconds" >&2; exit 2; }
for program in clang llvm-profdata llvm-cov jq; do
    command -v "$program" >/dev/null || { echo "SKIPPED: the coverage of the parsers needs $program"; exit 77; }
done

# What reads bytes of strangers, of the operator, or of the disk.
parsers=(
    plugin/layer/{inflate,inflate_gzip,inflate_input,inflate_plain,inflate_zstd,path,pax,sparse}.c
    plugin/layer/{tar_entry,tar_header,tar_input,tar_number,tar_reader,whiteout}.c
    plugin/snapshot/{filter,filter_scanner,labels}.c plugin/store/record.c
    plugin/base/size.c plugin/config/{config,settings}.c plugin/config/toml_reader.cc
    plugin/rpc/{message,wire}.c backends/dm-thin/{label,line,metadata,superblock}.c
)
tests=(
    test_inflate test_inflate_gzip test_inflate_zstd test_path test_pax test_sparse test_tar_entry test_tar_header
    test_tar_input test_tar_number test_tar_reader test_whiteout test_filter test_labels test_record
    test_config test_settings test_size test_message test_wire test_label test_line test_metadata
    test_stream test_rpc_stream test_rpc_snapshots test_diff_service
)

build=$PWD/build/fuzz-coverage corpora=$PWD/build/fuzz/corpus
# shellcheck source=seeds.sh
. tests/fuzz/seeds.sh
make_seeds || { echo "coverage: no seeds could be made"; exit 1; }
cmake --preset fuzz-coverage >/dev/null
cmake --build --preset fuzz-coverage --target fuzzers "${tests[@]}" >"$build/build.log" 2>&1 || { tail -n 30 "$build/build.log"; exit 1; }
rm -rf "$build/profiles"
mkdir -p "$build/profiles"
programs=()

# profiled NAME PROGRAM ARGUMENT…: runs it; what it prints is kept beside its profile.
profiled() {
    local name=$1
    shift
    programs+=(-object "$1")
    LLVM_PROFILE_FILE="$build/profiles/$name.profraw" "$@" >"$build/profiles/$name.log" 2>&1
}

for name in "${tests[@]}"; do
    program=$(find "$build/tests/unit" -name "$name" -type f)
    status=0
    profiled "$name" "$program" || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || { tail -n 20 "$build/profiles/$name.log"; echo "$name failed"; exit 1; }
done
for program in "$build"/tests/fuzz/fuzz_*; do
    if [ ! -x "$program" ] || [ ! -f "$program" ]; then continue; fi
    name=${program##*/fuzz_}
    corpus=$build/corpus/$name
    mkdir -p "$corpus" "$corpora/$name"
    profiled "fuzz_$name" "$program" -max_total_time="$seconds" -timeout=20 -max_len=65536 -artifact_prefix="$build/" \
        "$corpus" "$corpora/$name" || { tail -n 20 "$build/profiles/fuzz_$name.log"; exit 1; }
done

llvm-profdata merge -sparse "$build"/profiles/*.profraw -o "$build/parsers.profdata"
# Names are whole, or as seen from the build's folder, as the compiler was told them.
llvm-cov export -summary-only -instr-profile="$build/parsers.profdata" "${programs[@]:1}" 2>"$build/cov.log" |
    jq '[.data[0].files[] | {name: (.filename | ltrimstr($tree) | sub("^.*/\\.\\./"; "")), covered: .summary.lines.covered, count: .summary.lines.count}
        | select(.name as $name | $ARGS.positional | index($name)) | .percent = 100 * .covered / .count] | sort_by(.name)' \
        --arg tree "$PWD/" --args "${parsers[@]}" >"$build/parsers.json" || { cat "$build/cov.log"; exit 1; }
jq -r '.[] | [.name, .covered, .count, .percent] | @tsv' "$build/parsers.json" |
    while IFS=$'\t' read -r file covered count percent; do
        printf '%-40s %4d of %4d lines  %5.1f %%\n' "$file" "$covered" "$count" "$percent"
    done
read -r files covered count percent short < <(jq -r --argjson least "$least" '[length, (map(.covered) | add), (map(.count) | add),
    ((map(.covered) | add) * 1000 / (map(.count) | add) | floor / 10), ([.[] | select(.percent < $least).name] | join(","))] | @tsv' \
    "$build/parsers.json")
echo "summary: $covered of $count lines of $files parsers run, $percent % ($least % of each are wanted)"
[ -z "$short" ] || { echo "too little is run of $short"; exit 1; }
[ "$files" = "${#parsers[@]}" ] || { echo "of ${#parsers[@]} parsers only $files are known to llvm-cov"; exit 1; }
