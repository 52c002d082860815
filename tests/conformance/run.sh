#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [folder|embedded|by-subvolume|ext4|xfs] [flags of the test binary, for example -test.run=Usage]
# run.sh --build
#
# This project's conformance suite against a cowsnapd whose root lies on btrfs (folder), or on ext4, so
# that it makes its own pool (embedded, the default); by-subvolume is embedded with mount_type = "btrfs";
# ext4 and xfs are the backend dm-thin with an embedded pool of volumes with that file system.
# --build only makes the test binary, for a guest of tests/vm.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

mode=embedded
case ${1:-} in
folder | embedded | by-subvolume | ext4 | xfs | --build) mode=$1 && shift ;;
esac
rig_need_root
rig_need go mkfs.btrfs losetup
cowsnapd_need
case $mode in
ext4 | xfs) rig_need_device_mapper ;;
esac
rig_begin conformance
backend=btrfs aside=''

binary=$(rig_go_suite conformance "$RIG_TESTS"/conformance/*_test.go)
[ "$mode" != --build ] || exit 0

# Shared layers are off by default; the suite looks at them too.
printf '[snapshots]\nshare_layers = true\n' >"$RIG_DIR/config.toml"
case $mode in
folder) rig_loop_mount btrfs "$RIG_DIR/t" 8G ;;
embedded | by-subvolume) rig_loop_mount ext4 "$RIG_DIR/t" 16G ;;
ext4 | xfs)
    backend=dm-thin aside=TestNestedSubvolumesDoNotStopARemoval
    printf '[pool]\nsize = "4GiB"\n[dm_thin]\nfile_system = "%s"\n' "$mode" >>"$RIG_DIR/config.toml"
    rig_undo_later rig_end_devices "$RIG_DIR/t/root"
    ;;
esac
[ "$mode" != by-subvolume ] || printf '[pool]\nmount_type = "btrfs"\n' >>"$RIG_DIR/config.toml"
mkdir -p "$RIG_DIR/t/root" "$RIG_DIR/t/tmp"
# shellcheck disable=SC2016
printf '#!/bin/sh\nexec "%s" --config "%s" --root "$1" --address "$1/s.sock" --content-root "$1/content" %s\n' \
    "$COWSNAPD" "$RIG_DIR/config.toml" "--backend $backend ${COWSNAPD_FLAGS:-}" >"$RIG_DIR/serve"
chmod +x "$RIG_DIR/serve"

status=0
CONFORMANCE_SERVE=$RIG_DIR/serve CONFORMANCE_ROOT=$RIG_DIR/t/root CONFORMANCE_BACKEND=$backend \
    TMPDIR=$RIG_DIR/t/tmp "$binary" -test.v -test.timeout 15m "$@" >"$RIG_DIR/conformance.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

rig_go_verdict "conformance ($mode)" "$RIG_DIR/conformance.log" top "$status" "$aside"
