#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--backend NAME] [--kills COUNT [--step NAME]] [--cuts COUNT [--reorder] [--root-on TYPE]] [--seed NUMBER]
#
# Ends a cowsnapd on an embedded pool (of btrfs, or of the backend NAME) while up to 16 clients call it, and
# holds the one that is started after it to what was answered. --kills (200, when nothing is asked for) does it
# by SIGKILL, at each step (plugin/base/step.h) and at random moments, with --step at that one alone, or at
# those whose names begin so; --cuts by a loss of power, with --reorder of a disk that loses and reorders what it
# was not told to flush, with --root-on btrfs of one with that on it instead of ext4. A failure is looked into with
# the seed that is printed, and the daemon's log. On an emulated machine RIG_SLOW says how many times as long things
# take.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

build=$RIG_SOURCE/build/steps
COWSNAPD=$build/plugin/daemon/cowsnapd
common=(--slow "${RIG_SLOW:-1}") backend=btrfs kills='' cuts='' step=() disk=() reorder=''
while [ $# -gt 0 ]; do
    case $1 in
    --reorder) reorder=yes && disk+=("$1") && shift && continue ;;
    --backend | --kills | --step | --cuts | --root-on | --seed) [ $# -gt 1 ] || rig_fail "$1 needs a value" ;;
    *) rig_fail "there is no option '$1'" ;;
    esac
    case $1 in
    --backend) backend=$2 ;;
    --kills) kills=$2 ;;
    --step) step=("$1" "$2") ;;
    --cuts) cuts=$2 ;;
    --root-on) disk+=("$1" "$2") ;;
    --seed) common+=("$1" "$2") ;;
    esac
    shift 2
done
[ -n "$kills$cuts" ] || kills=200
rig_need_root
rig_need mkfs.ext4 losetup
if [ "$backend" = btrfs ] || { [ -n "$cuts" ] && [ -z "$reorder" ]; }; then
    rig_need mkfs.btrfs
fi
[ "$backend" != dm-thin ] || rig_need_device_mapper
[ -z "$reorder" ] || rig_need_log_writes
cowsnapd_need
[ -x "$build/tests/crash/crash" ] || rig_fail "$build/tests/crash/crash is not built; cmake --build --preset steps makes it"

# A cut needs no real disk below, which would only make the calls before it fewer.
shm=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [ -n "$cuts" ] && [ "${shm:-0}" -gt 4000000 ]; then
    export TMPDIR=${TMPDIR:-/dev/shm}
fi
rig_begin crash

# crash_run NAME FLAGS…: the program once, in a folder of its own.
crash_run() {
    local name=$1 folder=$RIG_DIR/$1 status=0 pid last
    shift
    mkdir "$folder"
    "$build/tests/crash/crash" --backend "$backend" "${common[@]}" "$@" "$COWSNAPD" "$folder" >"$RIG_DIR/$name.log" 2>&1 &
    pid=$!
    rig_undo_later rig_stop "$pid" 10
    wait "$pid" || status=$?
    if [ "$status" = 0 ]; then
        grep '^seed .*calls' "$RIG_DIR/$name.log"
    else
        tail -n 60 "$RIG_DIR/$name.log"
        tail -n 20 "$folder/root.log" 2>/dev/null || true
    fi
    last=$(grep -E '^(kills|power-cuts): ' "$RIG_DIR/$name.log" || echo "$name: it did not come to its end")
    echo "$last"
    summary+=${summary:+; }${last#*: }
    return "$status"
}

summary='' failed=0
if [ -n "$kills" ]; then
    crash_run kills --kills "$kills" "${step[@]}" || failed=1
fi
if [ -n "$cuts" ]; then
    crash_run cuts --cuts "$cuts" "${disk[@]}" || failed=1
fi
echo "summary: $summary"
[ "$failed" = 0 ]
