#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The real image unpacked by containerd through cowsnap and by its built-in btrfs snapshotter, on one
# btrfs, in turn; the ratio of the medians must be at least 3. And an idle daemon must be small and still.
# (Speed in depth is the benchmark's; this keeps the promise from being broken unseen.)
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

rounds=${SPEED_ROUNDS:-3}
wanted=${SPEED_RATIO:-3}
rig_need_root
rig_need mkfs.btrfs losetup
cowsnapd_need
rig_begin speed
bin=$(containerd_peer 1.7)
archive=$("$RIG_TESTS/images/make_image.sh" real)

# One btrfs for both: containerd's btrfs snapshotter in one folder of it, cowsnap's pool in another.
rig_loop_mount btrfs "$RIG_DIR/pool" 30G
mkdir -p "$RIG_DIR/pool/builtin" "$RIG_DIR/pool/cowsnap" "$RIG_DIR/c/root/io.containerd.snapshotter.v1.btrfs"
mount --bind "$RIG_DIR/pool/builtin" "$RIG_DIR/c/root/io.containerd.snapshotter.v1.btrfs"

cowsnapd_start "$RIG_DIR/pool/cowsnap" --content-root "$RIG_DIR/c/root/io.containerd.content.v1.content"
containerd_start "$RIG_DIR/c" "$bin" cowsnap cowsnap-diff no-gc
ctr images import --no-unpack "$archive" >/dev/null
digest=$(ctr images ls | awk 'NR == 2 { print $3 }')

forget() {
    ctr_forget "$1" 60
    ctr_collect
    cowsnapd_settle 120
    btrfs subvolume sync "$RIG_DIR/pool" >/dev/null
    sync -f "$RIG_DIR/pool"
}

measure() {
    local snapshotter=$1 start
    start=$(rig_now)
    ctr snapshots --snapshotter "$snapshotter" unpack --snapshotter "$snapshotter" "$digest" >/dev/null
    echo $(($(rig_now) - start))
    forget "$snapshotter" >&2
}

median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }

for ((round = 0; round < rounds; round++)); do
    measure btrfs >>"$RIG_DIR/btrfs.ms"
    measure cowsnap >>"$RIG_DIR/cowsnap.ms"
done
builtin=$(median <"$RIG_DIR/btrfs.ms")
ours=$(median <"$RIG_DIR/cowsnap.ms")
ratio=$(awk "BEGIN { printf \"%.2f\", $builtin / $ours }")
echo "built-in btrfs: $(tr '\n' ' ' <"$RIG_DIR/btrfs.ms")ms; cowsnap: $(tr '\n' ' ' <"$RIG_DIR/cowsnap.ms")ms"

# At rest: resident memory of a fresh daemon, and processor time over a while.
containerd_end
cowsnapd_stop
cowsnapd_again
# worked: processor time of the daemon so far, in us, by the clock that the kernel keeps for each process
# (clock_getcpuclockid(3)), with threads that have ended. The ticks of /proc/PID/stat are sampled: a thread that a tick's
# own timer woke for 20 us is charged all of its 10 ms.
worked() {
    "$RIG_PYTHON" -I -c 'import sys, time; print(time.clock_gettime_ns((~int(sys.argv[1]) << 3) | 2) // 1000)' "$COWSNAPD_PID"
}
started() { # its start is over once three seconds pass with less than a thousandth of a processor:
    local before # the keeper begins two seconds after the last commit
    before=$(worked)
    sleep 3
    [ $(($(worked) - before)) -lt 3000 ]
}
rig_until 30 started || rig_fail "the daemon does not come to rest after its start"
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$COWSNAPD_PID/status")
before=$(worked)
sleep 10 # the measurement itself: processor time of an idle daemon over ten seconds
used=$(($(worked) - before))
echo "idle: $((resident / 1024)) MiB resident, $used us of processor time in 10 s"
echo "summary: unpack $ratio times as fast as built-in btrfs ($builtin ms, $ours ms); idle $((resident / 1024)) MiB, $used us in 10 s"

awk "BEGIN { exit !($ratio >= $wanted) }" || rig_fail "the ratio $ratio is below $wanted"
[ "$resident" -lt 40960 ] || rig_fail "an idle daemon takes $resident KiB"
[ "$used" -lt 10000 ] || rig_fail "an idle daemon used $used us of processor time in 10 s"
