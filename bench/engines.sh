#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# engines.sh [--rounds N] [--scale PART] [--writers "1 2 3"] [btrfs|ext4]…: the tree of many small files of the
# image "dev" (make_dev_image.py), unpacked by each I/O engine with each number of writers, in turn, each time
# into a file system that is new, in memory, so that no disk is measured. Prints medians: the processor seconds
# of the process, its kernel threads included (the file system's own background work is not), and the time
# until all is synced.
set -euo pipefail
# shellcheck source=../tests/lib/rig.sh
. "$(dirname "$0")/../tests/lib/rig.sh"

rounds=5 scale=0.2 writers='1 2 3' systems=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=${2:?--rounds needs a number} && shift ;;
    --scale) scale=${2:?--scale needs a part} && shift ;;
    --writers) writers=${2:?--writers needs numbers} && shift ;;
    btrfs | ext4) systems+=("$1") ;;
    *) rig_fail "unknown argument '$1'; see the head of $0" ;;
    esac
    shift
done
[ ${#systems[@]} -gt 0 ] || systems=(btrfs ext4)
rig_need_root
rig_need mkfs.btrfs mkfs.ext4 losetup
rig_begin engines
apply=$(rig_tool layer_apply)

layers=$RIG_BUILD/images/dev-$scale
if [ ! -e "$layers/3" ]; then
    rig_say "making the layers of scale $scale in $layers"
    mkdir -p "$RIG_BUILD/images"
    "$RIG_PYTHON" "$(dirname "$0")/make_dev_image.py" "$RIG_DIR/dev.oci.tar" --scale "$scale" --layers "$layers.part" >&2
    rm "$RIG_DIR/dev.oci.tar"
    mv "$layers.part" "$layers"
fi
mkdir "$RIG_DIR/memory"
mount -t tmpfs -o size=8g rig "$RIG_DIR/memory"

# once SYSTEM ENGINE WRITERS: one line of "processor-seconds seconds".
once() {
    local point=$RIG_DIR/memory/target options=()
    # As the daemon makes its own pool.
    [ "$1" != btrfs ] || options=(-K -n 4096 -m single -d single --csum xxhash)
    rig_loop_mount "$1" "$point" 6G "${options[@]}"
    mkdir "$point/tree"
    cat "$layers/3" >/dev/null
    local TIMEFORMAT='%U %S %R'
    { time "$apply" --engine "$2" --writers "$3" --sync "$layers/3" "$point/tree" >/dev/null; } 2>&1 |
        awk '{ printf "%.2f %.2f\n", $1 + $2, $3 }'
    umount "$point"
    rm "$point.img"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

for ((round = 1; round <= rounds; round++)); do
    read -r load _ </proc/loadavg
    [ "${load%.*}" -lt 2 ] || rig_say "round $round: others keep this machine busy (load $load); read the processor seconds"
    for system in "${systems[@]}"; do
        for count in $writers; do
            for engine in plain io_uring; do
                once "$system" "$engine" "$count" >>"$RIG_DIR/$system-$engine-$count"
            done
        done
    done
done
printf '%-8s %-10s %8s %12s %10s\n' system engine writers processor-s elapsed-s
for system in "${systems[@]}"; do
    for engine in plain io_uring; do
        for count in $writers; do
            file=$RIG_DIR/$system-$engine-$count
            printf '%-8s %-10s %8s %12.2f %10.2f\n' "$system" "$engine" "$count" \
                "$(cut -d ' ' -f 1 "$file" | median)" "$(cut -d ' ' -f 2 "$file" | median)"
        done
    done
done
