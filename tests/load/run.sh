#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--seconds N] [--snapshots N] [--clients N]
#
# Clients that call everything at once (200, for 30 s, on 1,000 snapshots) on a cowsnapd with a pool of its own:
# no unexpected error, every client gets on, nothing grows, too much at once is answered as such.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

export LOAD_SECONDS=30 LOAD_SNAPSHOTS=1000 LOAD_CLIENTS=200
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) LOAD_SECONDS=$2 && shift 2 ;;
    --snapshots) LOAD_SNAPSHOTS=$2 && shift 2 ;;
    --clients) LOAD_CLIENTS=$2 && shift 2 ;;
    *)
        sed -n '4,7s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
done
rig_need_root
rig_need go mkfs.btrfs losetup
cowsnapd_need
rig_begin load
# What talks to the server is the other suites'.
suite=$(rig_go_suite load "$RIG_TESTS"/conformance/{server,blobs}_test.go "$RIG_TESTS"/refused/traces_test.go "$RIG_TESTS"/load/*_test.go)

rig_loop_mount ext4 "$RIG_DIR/t" 16G
mkdir -p "$RIG_DIR/t/root" "$RIG_DIR/t/tmp"
# shellcheck disable=SC2016
printf '#!/bin/sh\nexec "%s" --root "$1" --address "$1/s.sock" --content-root "$1/content" %s\n' \
    "$COWSNAPD" "${COWSNAPD_FLAGS:-}" >"$RIG_DIR/serve"
chmod +x "$RIG_DIR/serve"

status=0
CONFORMANCE_SERVE=$RIG_DIR/serve CONFORMANCE_ROOT=$RIG_DIR/t/root LOAD_TOOL=$COWSNAP TMPDIR=$RIG_DIR/t/tmp \
    "$suite" -test.v -test.timeout $((LOAD_SECONDS + LOAD_SNAPSHOTS / 5 + 900))s >"$RIG_DIR/load.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

grep -o 'load: .*' "$RIG_DIR/load.log" || true
rig_go_verdict load "$RIG_DIR/load.log" top "$status" >"$RIG_DIR/verdict" || status=1
line=$(grep -o 'load: [0-9]* calls of.*errors' "$RIG_DIR/load.log" || echo 'load: it did not come to its end')
echo "summary: ${line#load: }"
grep '^count:' "$RIG_DIR/verdict"
[ "$status" = 0 ]
