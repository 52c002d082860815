#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tar_reader_vs_go.sh TAR_DUMP [SEED [COUNT]]
#
# Makes COUNT archives that are nearly right and compares what cowsnap's tar reader (TAR_DUMP, the
# program of tests/tools/tar_dump.c) and Go's archive/tar see in each. Where the two differ on
# purpose is written in tests/tools/go/tardump/main.go. Exit status 77: there is no Go.
set -eu

tar_dump=$(realpath "${1:?usage: tar_reader_vs_go.sh TAR_DUMP [SEED [COUNT]]}")
seed=${2:-1}
count=${3:-4000}
tools=$(realpath "$(dirname "$0")/../tools/go")

if ! command -v go >/dev/null; then
    echo "skipped: there is no go toolchain (package golang-go)"
    exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export GO111MODULE=off GOFLAGS= GOCACHE="$work/cache"
for tool in tardump tarmutate; do
    (cd "$tools/$tool" && go build -o "$work/$tool" .)
done

mkdir "$work/archives"
"$work/tarmutate" -seed "$seed" -count "$count" -dir "$work/archives"
# Empty, and cut at each byte: what a stream that breaks off looks like.
: >"$work/archives/empty.tar"
first="$work/archives/000000.tar"
size=$(stat -c %s "$first")
at=0
while [ "$at" -lt "$size" ] && [ "$at" -lt 6000 ]; do
    head -c "$at" "$first" >"$work/archives/cut-$at.tar"
    at=$((at + 37))
done

list() { find "$work/archives" -name '*.tar' -print0 | sort -z; }
list | xargs -0 "$work/tardump" >"$work/go.txt"
for step in 0 1 511 512 1000; do
    list | xargs -0 "$tar_dump" "$step" >"$work/cowsnap.txt"
    if ! diff -u "$work/go.txt" "$work/cowsnap.txt" >"$work/difference"; then
        echo "seed $seed, chunks of $step bytes: the readers differ (- Go, + cowsnap)"
        head -n 60 "$work/difference"
        exit 1
    fi
done
echo "seed $seed: $(grep -c '^#' "$work/go.txt") archives, $(grep -c '^end' "$work/go.txt") read whole," \
    "$(grep -c '^error' "$work/go.txt") refused, $(grep -c ' mode=' "$work/go.txt") entries: no difference"
