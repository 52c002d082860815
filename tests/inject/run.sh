#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh
#
# Each allocation of our code, and each of its calls on files in an extraction, fails in turn, in the build with
# address and undefined-behaviour sanitizers: no crash, no leak, an error or the whole effect.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

build=$RIG_SOURCE/build/asan-ubsan/tests/inject
rig_need_root
rig_need mkfs.btrfs losetup
# A store's flushes need no real disk, which would only make it slow.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
rig_begin inject

allocations=0 files=0
for turn in service_turns rpc_turns backend_turns 'layer_turns memory' 'layer_turns files'; do
    status=0
    # shellcheck disable=SC2086 # a program and its argument
    TMPDIR=$RIG_DIR "$build/"$turn >"$RIG_DIR/turn.log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        tail -n 60 "$RIG_DIR/turn.log"
        rig_fail "$turn ends with status $status"
    fi
    grep 'failed in turn' "$RIG_DIR/turn.log"
    count=$(sed -n 's/^count: //p' "$RIG_DIR/turn.log")
    if [ "$turn" = 'layer_turns files' ]; then files=$count; else allocations=$((allocations + count)); fi
done
echo "summary: injected faults: $allocations allocations and $files calls on files failed in turn, 0 crashes"
