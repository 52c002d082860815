#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [unit] [tool] [states] [more-states] [many] [suite-ext4] [suite-xfs] [conformance-ext4] [conformance-xfs]
#        [differential]
#
# What there is to test about thin volumes, all of it or the named parts. It needs a kernel with
# device-mapper; tests/vm has one:
#
#   tests/suite/run.sh --build && tests/conformance/run.sh --build && tests/differential/run.sh --build
#   tests/vm/run --device-mapper --memory 7G --timeout 7200 -- tests/dm-thin/run.sh
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

parts=("$@")
[ $# -gt 0 ] ||
    parts=(unit tool states more-states many suite-ext4 conformance-ext4 suite-xfs conformance-xfs differential)
rig_need_root
cowsnapd_need
rig_need_device_mapper

passed=0 failed=0 skipped=0
unit() {
    local name log status
    for name in check event ground grow thin_pool volume; do
        log=$(mktemp)
        status=0
        "$RIG_BUILD/tests/unit/dm-thin/test_$name" >"$log" 2>&1 || status=$?
        if [ "$status" = 0 ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            tail -n 40 "$log" >&2
        fi
        rm -f "$log"
    done
}

# The last line of a suite that counts tells how many.
suite() {
    local out status=0 good=0 bad=0 skips=0
    out=$("$@") || status=$?
    printf '%s\n' "$out"
    read -r good bad skips < <(sed -n 's/^count: //p' <<<"$out" | tail -n 1) || true
    [ "$status" = 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
    passed=$((passed + ${good:-0})) failed=$((failed + ${bad:-0})) skipped=$((skipped + ${skips:-0}))
}

for part in "${parts[@]}"; do
    case $part in
    unit) unit ;;
    tool) suite "$RIG_TESTS/cli/pool.sh" dm-thin ;;
    states) suite "$RIG_TESTS/dm-thin/states.sh" full below held broken-metadata taken-back ;;
    more-states) suite "$RIG_TESTS/dm-thin/states.sh" metadata scarce bad-data broken-data devices given ;;
    many) suite "$RIG_TESTS/dm-thin/many.sh" ;;
    suite-ext4 | suite-xfs) suite "$RIG_TESTS/suite/run.sh" "${part#*-}" -test.timeout 40m ;;
    conformance-ext4 | conformance-xfs) suite "$RIG_TESTS/conformance/run.sh" "${part#*-}" -test.timeout 40m ;;
    differential) suite "$RIG_TESTS/differential/run.sh" thin ;;
    *) rig_fail "there is no part '$part'" ;;
    esac
done
echo "summary: thin volumes: $passed passed, $failed failed, $skipped skipped"
echo "count: $passed $failed $skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
