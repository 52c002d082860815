#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--kills COUNT [--step NAME] | --cuts COUNT] [--seed NUMBER]
#
# Ends a cowsnapd on an embedded btrfs pool while up to 16 clients call it, and holds the one that is
# started after it to what was answered. --kills (200, when nothing is asked for) does it by SIGKILL, at each
# step (plugin/base/step.h) and at random moments, or with --step at that one alone; --cuts by a loss of power.
# A failure is looked into with the seed that is printed, and the daemon's log.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

build=$RIG_SOURCE/build/steps
COWSNAPD=$build/plugin/daemon/cowsnapd
[ $# -gt 0 ] || set -- --kills 200
[[ " $* " == *" --kills "* || " $* " == *" --cuts "* ]] || set -- --kills 200 "$@"
rig_need_root
rig_need mkfs.btrfs mkfs.ext4 losetup
cowsnapd_need
[ -x "$build/tests/crash/crash" ] || rig_fail "$build/tests/crash/crash is not built; cmake --build --preset steps makes it"

# A cut needs no real disk below, which would only make the calls before it fewer.
shm=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [[ " $* " == *" --cuts "* ]] && [ "${shm:-0}" -gt 4000000 ]; then
    export TMPDIR=${TMPDIR:-/dev/shm}
fi
rig_begin crash

status=0
"$build/tests/crash/crash" "$@" "$COWSNAPD" "$RIG_DIR" >"$RIG_DIR/crash.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

if [ "$status" = 0 ]; then
    grep '^seed .*calls' "$RIG_DIR/crash.log"
else
    tail -n 60 "$RIG_DIR/crash.log"
    tail -n 20 "$RIG_DIR/root.log" 2>/dev/null || true
fi
last=$(grep -E '^(kills|power-cuts): ' "$RIG_DIR/crash.log" || echo 'crash: it did not come to its end')
echo "summary: ${last#*: }"
echo "$last"
[ "$status" = 0 ]
