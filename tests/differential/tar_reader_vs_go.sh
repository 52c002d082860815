#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tar_reader_vs_go.sh TAR_DUMP [SEED [COUNT]]
#
# Makes COUNT archives that are nearly right and compares what cowsnap's tar reader (TAR_DUMP, the
# program of tests/tools/tar_dump.c) and Go's archive/tar see in each; and some that GNU tar made, in
# all its formats. Where the two differ on
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

# A tree with what tar formats differ in: names that are too long, holes, few and many, a hard link.
tree="$work/tree"
mkdir -p "$tree/$(printf '%0120d' 1)/$(printf '%0120d' 2)"
cp "$0" "$tree/file"
ln "$tree/file" "$tree/hard"
ln -s "$(printf '%0150d' 3)" "$tree/symlink"
mkfifo "$tree/fifo"
touch -d @-5.25 "$tree/$(printf '%0120d' 1)/$(printf '%0120d' 2)/old"
truncate -s 700000 "$tree/hole"
for at in 10 20 40 41 60 80 100 120 140 160 170; do
    printf 'data at %s' "$at" | dd of="$tree/hole" bs=4096 seek="$at" conv=notrunc status=none
done
for format in v7 ustar gnu oldgnu pax; do
    # The first two leave out what they have no room for.
    tar --format="$format" -C "$work" -cf "$work/archives/$format.tar" tree 2>/dev/null || true
done
for format in gnu oldgnu; do
    tar --format="$format" -C "$work" -cSf "$work/archives/$format-sparse.tar" tree
done
for version in 0.0 0.1 1.0; do
    tar --format=pax --sparse-version="$version" -C "$work" -cSf "$work/archives/pax-$version.tar" tree
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
