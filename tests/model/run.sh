#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--histories N] [--faults N] [--seed NUMBER]
#
# Histories of colliding calls on the rules of snapshots, held to a model; with --faults while calls of the
# backend fail in turn. A violation is looked into with the seed that is printed, as far as threads meet again.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

[ $# -gt 0 ] || set -- --histories 3000 --faults 900
model=$RIG_BUILD/tests/model/model
[ -x "$model" ] || rig_fail "$model is not built"
# The store's flushes need no real disk, which would only make the histories fewer.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
rig_begin model

status=0
TMPDIR=$RIG_DIR "$model" "$@" >"$RIG_DIR/model.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

head -n 1 "$RIG_DIR/model.log"
[ "$status" = 0 ] || sed -n 2,120p "$RIG_DIR/model.log"
lines=$(grep -E '^(model histories|injected faults): ' "$RIG_DIR/model.log" | paste -sd ';' | sed 's/;/; /') || true
echo "summary: ${lines:-it did not come to its end}"
[ "$status" = 0 ]
