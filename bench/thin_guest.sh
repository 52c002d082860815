#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# thin_guest.sh ARCHIVE ROUNDS: measures cowsnap's dm-thin backend beside containerd's built-in devmapper and
# overlayfs snapshotters, on a kernel with device-mapper: bench/run calls it in a virtual machine. Each
# measurement is a line "note: {json}".
#
# All three stand on one ext4: the databases, overlayfs's layers, and the two sparse files of each thin pool.
set -euo pipefail
# shellcheck source=../tests/lib/rig.sh
. "$(dirname "$0")/../tests/lib/rig.sh"

archive=$1 rounds=$2
calls=$RIG_BUILD/bench-calls/calls
rig_need_root
rig_need_device_mapper
rig_begin thin

note() { printf 'note: {"part": "thin", %s\n' "${1#\{}"; }

# The pool of the built-in snapshotter, made as its documentation says: by hand.
builtin_pool() {
    local data meta name
    name=$(basename "$RIG_DIR")-builtin
    truncate -s 20G "$disk/data"
    truncate -s 256M "$disk/meta"
    data=$(losetup --find --show --direct-io=on "$disk/data")
    meta=$(losetup --find --show --direct-io=on "$disk/meta")
    dmsetup create "$name" --noudevsync --table \
        "0 $((20 << 21)) thin-pool $meta $data 128 32768 1 skip_block_zeroing"
    rig_undo_later builtin_end "$name" "$data" "$meta"
    pool=$name
}

builtin_end() {
    local device
    for device in $(dmsetup ls | awk -v pool="$1-" 'index($1, pool) == 1 { print $1 }'); do
        dmsetup remove --noudevsync "$device"
    done
    dmsetup remove --noudevsync "$1"
    losetup -d "$2" "$3"
}

# What was answered and put off is done before another is measured.
settle() {
    ctr_collect
    cowsnapd_settle 300
    sync
}

# cycles SNAPSHOTTER CLIENTS COUNT
cycles() {
    local line
    settle
    line=$(TMPDIR=$RIG_DIR "$calls" -address "$CONTAINERD_SOCKET" -snapshotter "$1" -files 500 -clients "$2" -cycles "$3")
    note "\"target\": \"containerd\", ${line#\{}"
}

# The built-in one does not do a cycle a second.
cycles_count() { if [ "$1" = devmapper ]; then echo $((3 * $2)); else echo $((40 * ($2 > 1 ? 2 : 1))); fi; }

# unpack SNAPSHOTTER: the first time, and durable at its end, as cowsnap is when it answers.
unpack() {
    local start took digest
    digest=$(ctr images ls | awk 'NR == 2 { print $3 }')
    sync
    start=$(rig_now)
    ctr snapshots --snapshotter "$1" unpack --snapshotter "$1" "$digest" >/dev/null
    took=$(($(rig_now) - start))
    start=$(rig_now)
    sync
    note "\"mode\": \"unpack\", \"snapshotter\": \"$1\", \"ms\": $took, \"sync_ms\": $(($(rig_now) - start))}"
    ctr_forget "$1" 300
    settle
}

disk=$RIG_DIR/disk
rig_loop_mount ext4 "$disk" 60G
builtin_pool
mkdir -p "$disk/cowsnap"
cowsnapd_start "$disk/cowsnap" --backend dm-thin --content-root "$disk/containerd/root/io.containerd.content.v1.content"
rig_undo_later rig_end_devices "$disk/cowsnap"
modes=(cowsnap no-gc "devmapper=$pool")
containerd_start "$disk/containerd" "$(containerd_peer 1.7)" "${modes[@]}"
ctr images import --no-unpack "$archive" >/dev/null
snapshotters=(overlayfs devmapper cowsnap)
for ((round = 1; round <= rounds; round++)); do
    for snapshotter in "${snapshotters[@]}"; do
        rig_say "dm-thin, round $round of $rounds: $snapshotter unpacks"
        # Ours, being asked first, would unpack for the others too.
        if [ "$snapshotter" = cowsnap ]; then containerd_reconfigure "${modes[@]}" cowsnap-diff; fi
        unpack "$snapshotter"
    done
    containerd_reconfigure "${modes[@]}"
done
for ((round = 1; round <= rounds; round++)); do
    for clients in 1 8; do
        for snapshotter in "${snapshotters[@]}"; do
            rig_say "dm-thin, round $round of $rounds: $snapshotter, $clients clients"
            cycles "$snapshotter" "$clients" "$(cycles_count "$snapshotter" "$clients")"
        done
    done
done
containerd_end
cowsnapd_stop
