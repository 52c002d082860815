#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh
#
# A cowsnapd that may use neither openat2 nor io_uring, as under an old kernel (ENOSYS) or in a sandbox
# (EPERM): names of a layer are then resolved one component after the other, and files written by plain
# calls. Bad input must be refused as ever, and layers must become what they become elsewhere.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

rig_need_root
cowsnapd_need
rig_begin seccomp
forbid=$RIG_BUILD/tests/tools/forbid
[ -x "$forbid" ] || rig_fail "$forbid is not built"
passed=0 failed=0 skipped=0 escaped=0

# What is forbidden does fail, or the rest would show nothing.
for error in ENOSYS EPERM; do
    found=$("$forbid" "$error" openat2 io_uring_setup -- "$RIG_PYTHON" -I -c '
import ctypes, errno
call = ctypes.CDLL(None, use_errno=True).syscall
for number in 437, 425:  # openat2, io_uring_setup
    print(call(number, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()], end=" ")')
    [ "$found" = "-1 $error -1 $error " ] || rig_fail "with $error the calls answer: $found"
    passed=$((passed + 1))
done

# Whoever asks for io_uring is told that it cannot be had; whoever does not is served.
for error in ENOSYS EPERM; do
    status=0
    said=$(timeout 20 "$forbid" "$error" openat2 io_uring_setup -- "$COWSNAPD" --io-engine io_uring \
        --root "$RIG_DIR/uring" --address "$RIG_DIR/u.sock" 2>&1) || status=$?
    [ "$status" = 1 ] && grep -q 'io_uring' <<<"$said" ||
        rig_fail "with $error and --io-engine io_uring it ends in $status and says: $said"
    passed=$((passed + 1))
done

for error in ENOSYS EPERM; do
    printf '#!/bin/sh\nexec "%s" %s openat2 io_uring_setup -- "%s" "$@"\n' "$forbid" "$error" "$COWSNAPD" \
        >"$RIG_DIR/cowsnapd-$error"
    chmod +x "$RIG_DIR/cowsnapd-$error"
    for suite in "refused" "conformance embedded -test.run=TestLayerGoes|TestSharedLayer|TestUsage|TestDevice"; do
        # shellcheck disable=SC2086 # words
        set -- $suite
        name=$1
        shift
        COWSNAPD=$RIG_DIR/cowsnapd-$error "$RIG_TESTS/$name/run.sh" "$@" >"$RIG_DIR/$error-$name.log" 2>&1 || {
            tail -n 80 "$RIG_DIR/$error-$name.log" >&2
            rig_fail "$name fails with $error"
        }
        read -r good bad skips < <(sed -n 's/^count: //p' "$RIG_DIR/$error-$name.log" | tail -n 1) ||
            rig_fail "$name with $error does not say how many checks it made"
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
        [ "$name" = refused ] || continue
        got_out=$(sed -nE 's/^summary: .* ([0-9]+) escaped;.*/\1/p' "$RIG_DIR/$error-$name.log")
        escaped=$((escaped + ${got_out:?the summary of refused with $error does not say how many layers escaped}))
    done
done

echo "summary: without openat2 and io_uring: $passed passed, $failed failed, $skipped skipped; $escaped escaped"
echo "count: $passed $failed $skipped"
[ "$failed" = 0 ] && [ "$escaped" = 0 ]
