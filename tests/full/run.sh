#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [flags of the test binary, for example -test.run=PoolOutOfData]
#
# Disks that really become full while clients call: the pool's, of data and of metadata, and that of the store, of
# space and of inodes. Each call is answered or told what is full, what is there is served, Remove gives room back,
# and all is well again without a restart.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

rig_need_root
rig_need go mkfs.btrfs mkfs.ext4 losetup
cowsnapd_need
rig_begin full
# What talks to the server is the conformance suite's.
suite=$(rig_go_suite full "$RIG_TESTS"/conformance/{server,blobs}_test.go "$RIG_TESTS"/full/*_test.go)

# The disks of the stores, and one for all that shall have room. A server's folder holds its configuration, socket and
# log; where its root is, the configuration says.
rig_loop_mount ext4 "$RIG_DIR/t" 4G
rig_loop_mount ext4 "$RIG_DIR/space" 32M
rig_loop_mount ext4 "$RIG_DIR/inodes" 64M -N 160
rig_loop_mount btrfs "$RIG_DIR/shared" 512M
rig_loop_mount btrfs "$RIG_DIR/pools" 2G
mkdir -p "$RIG_DIR/t/tmp" "$RIG_DIR/t/first"
echo "root = '$RIG_DIR/pools/first'" >"$RIG_DIR/t/first/config.toml"
# shellcheck disable=SC2016
printf '#!/bin/sh\nexec "%s" --config "$1/config.toml" --address "$1/s.sock" --content-root "$1/content" %s\n' \
    "$COWSNAPD" "${COWSNAPD_FLAGS:-}" >"$RIG_DIR/serve"
chmod +x "$RIG_DIR/serve"

status=0
CONFORMANCE_SERVE=$RIG_DIR/serve CONFORMANCE_ROOT=$RIG_DIR/t/first FULL_DISKS=$RIG_DIR FULL_TOOL=$COWSNAP \
    TMPDIR=$RIG_DIR/t/tmp "$suite" -test.v -test.timeout 15m "$@" >"$RIG_DIR/full.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

grep -o 'full: .*' "$RIG_DIR/full.log" || true
rig_go_verdict 'full disks' "$RIG_DIR/full.log" top "$status" >"$RIG_DIR/verdict" || status=1
[ "$status" = 0 ] || tail -n 20 "$RIG_DIR"/t/*/server.log >&2
calls=$(sed -n 's/.*full: .* \([0-9]*\) calls, \([0-9]*\) of them refused.*/\1 \2/p' "$RIG_DIR/full.log" |
    awk '{ calls += $1; refused += $2; cases++ } END { printf "%d ways, %d calls, %d refused for room", cases, calls, refused }')
echo "summary: full disks: $calls, $([ "$status" = 0 ] && echo '0 lost' || echo FAILED)"
grep '^count:' "$RIG_DIR/verdict"
[ "$status" = 0 ]
