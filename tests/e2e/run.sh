#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh 1.6|1.7|2 [dm-thin]: the whole way with a containerd of that line and real runc: an image is unpacked through
# cowsnapd, a container runs, is written to and committed, another runs on the commit, all is removed, and
# nothing is left. Which service unpacks:
#
#   1.6   snapshots alone; containerd's own differ writes into them
#   1.7   the diff service
#   2     the transfer service, then the diff service (--local)
#
# On an embedded btrfs pool, or on thin volumes: those need a kernel with device-mapper (tests/vm).
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=common.sh
. "$RIG_TESTS/e2e/common.sh"

line=${1:-}
case $line in
1.6 | 1.7 | 2) ;;
*) rig_fail "name a line of containerd: 1.6, 1.7 or 2" ;;
esac
case ${2:-btrfs} in
btrfs | dm-thin) ;;
*) rig_fail "there is no backend '$2'" ;;
esac
minimal=$("$RIG_TESTS/images/make_image.sh" minimal gzip,zstd,none)
real=$("$RIG_TESTS/images/make_image.sh" real)
e2e_start "e2e-$line" "$line" "${2:-btrfs}"
started=$(rig_now)
rounds=0

look_at_minimal() {
    e2e_text "$1/srv/data/second" "a file of the second layer"
    e2e_text "$1/srv/data/third" "a file of the third layer"
    [ "$1/srv/data/second" -ef "$1/srv/data/second-link" ] || rig_fail "a hard link of the image is none"
    [ ! -e "$1/srv/data/deleted" ] || rig_fail "a file that the third layer deletes is there"
}

look_at_real() {
    e2e_text "$1/etc/cowsnap-image" "made from Debian packages"
    [ "$(find "$1/usr" -type f | wc -l)" -gt 5000 ] || rig_fail "the real image has lost files"
}

# round IMAGE APPLIED: from a container to nothing. APPLIED layers of the image were cowsnapd's work.
round() {
    local image=cowsnap.test/$1:latest applied=$2 root
    e2e_lose "${!1}"
    [ "$1" = real ] || e2e_spoil /srv/data/third "$applied"
    e2e_run first "$image"
    root=/proc/$(e2e_pid first)/root
    "look_at_$1" "$root"

    e2e_exec first sh -c 'echo "written in the container" >/srv/new; rm -r /etc/passwd'
    [ "$(e2e_exec first cat /srv/new)" = "written in the container" ] || rig_fail "the container does not read what it wrote"
    ! e2e_exec first cat /etc/passwd >/dev/null 2>&1 || rig_fail "the container still has the file it removed"
    ctr run --rm --snapshotter cowsnap "$image" second sh -c '[ ! -e /srv/new ] && cat /etc/passwd' >/dev/null ||
        rig_fail "a second container sees what the first wrote"

    # The first one's snapshot, committed; a view of it, and a container on a child of it.
    e2e_end_task first
    e2e_snapshots commit kept first
    e2e_snapshots view look kept >/dev/null
    e2e_mount look "$RIG_DIR/look"
    e2e_text "$RIG_DIR/look/srv/new" "written in the container"
    [ -s "$RIG_DIR/look/counter" ] || rig_fail "the commit has not what the container wrote"
    [ ! -e "$RIG_DIR/look/etc/passwd" ] || rig_fail "the commit has what the container removed"
    ! touch "$RIG_DIR/look/srv/other" 2>"$RIG_DIR/said" || rig_fail "a view can be written"
    grep -q 'Read-only' "$RIG_DIR/said" || rig_fail "a write into a view says: $(cat "$RIG_DIR/said")"

    e2e_snapshots prepare third kept >/dev/null
    e2e_mount third "$RIG_DIR/third"
    [ "$(ctr run --rm --rootfs "$RIG_DIR/third" third /bin/sh -c 'echo more >>/srv/new; /bin/cat /srv/new')" = \
        "written in the container"$'\n'"more" ] || rig_fail "a container on the commit's child reads something else"
    e2e_text "$RIG_DIR/look/srv/new" "written in the container"

    # What is used cannot be removed; what is not, can.
    ! e2e_snapshots rm kept >/dev/null 2>"$RIG_DIR/said" || rig_fail "a snapshot with children can be removed"
    umount "$RIG_DIR/third" "$RIG_DIR/look"
    ctr containers rm first
    e2e_snapshots rm third
    e2e_snapshots rm look
    e2e_snapshots rm kept
    e2e_forget "$image"
    rounds=$((rounds + 1))
}

case $line in
1.6)
    e2e_import "$minimal" 0
    round minimal 0
    ;;
1.7)
    e2e_import "$minimal" 3
    round minimal 3
    e2e_import "$real" 4
    round real 4
    ;;
2)
    e2e_import "$minimal" 3
    round minimal 3
    e2e_import "$minimal" 3 --local
    round minimal 3
    e2e_import "$real" 4
    round real 4
    ;;
esac
version=$CONTAINERD_VERSION
e2e_done
echo "summary: containerd $version, $E2E_BACKEND: $rounds rounds from import to an empty pool, $((($(rig_now) - started) / 1000)) s"
