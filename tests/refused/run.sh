#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [flags of the test binary, for example -test.run=Keys]
#
# Bad input over the socket of a cowsnapd with a pool of its own: every refused thing gets the right status
# and a message that names it, and leaves no trace.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

rig_need_root
rig_need go mkfs.btrfs losetup btrfs zstd
cowsnapd_need
rig_begin refused
# What talks to the server is the conformance suite's.
suite=$(rig_go_suite refused "$RIG_TESTS"/conformance/{server,blobs}_test.go "$RIG_TESTS"/refused/*_test.go)

rig_loop_mount ext4 "$RIG_DIR/t" 16G
mkdir -p "$RIG_DIR/t/root" "$RIG_DIR/t/tmp"
"$RIG_PYTHON" "$RIG_TESTS/corpus/odd_layers.py" "$RIG_DIR/t/corpus" >/dev/null
# Clones that lie ready would look like traces.
# A server whose root has a configuration of its own takes that (limits_test.go).
printf '[apply]\nverify_blobs = true\n[snapshots]\nstock = 0\n' >"$RIG_DIR/config.toml"
# shellcheck disable=SC2016
printf '#!/bin/sh\nconfig=%s\n[ ! -e "$1/config.toml" ] || config=$1/config.toml\nexec "%s" --config "$config" --root "$1" --address "$1/s.sock" --content-root "$1/content" %s\n' \
    "$RIG_DIR/config.toml" "$COWSNAPD" "${COWSNAPD_FLAGS:-}" >"$RIG_DIR/serve"
chmod +x "$RIG_DIR/serve"

status=0
CONFORMANCE_SERVE=$RIG_DIR/serve CONFORMANCE_ROOT=$RIG_DIR/t/root REFUSED_CORPUS=$RIG_DIR/t/corpus REFUSED_TOOL=$COWSNAP \
    TMPDIR=$RIG_DIR/t/tmp "$suite" -test.v -test.timeout 10m "$@" >"$RIG_DIR/refused.log" 2>&1 &
pid=$!
rig_undo_later rig_stop "$pid" 10
wait "$pid" || status=$?

layers='(RefusedLayers|NothingIsWrittenOutside|Bombs|HugeSparseFiles|NamesThroughManyFolders|SetLimits|Memory)'
placed=$(grep -cE "^ +--- PASS: Test$layers/" "$RIG_DIR/refused.log" || true)
escaped=$(grep -cE '^ +--- FAIL: TestNothingIsWrittenOutside/' "$RIG_DIR/refused.log" || true)
rig_go_verdict "hostile layers: $placed refused or placed as expected, $escaped escaped; all bad input" \
    "$RIG_DIR/refused.log" all "$status"
