# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# The dm-thin backend beside containerd's built-in devmapper and overlayfs snapshotters: where this machine's
# kernel has device-mapper right here, else in a virtual machine, where all three are slower alike.

thin_run() {
    local archive times=$rounds
    archive=$(tests/images/make_image.sh base)
    calls_program >/dev/null
    [ "$times" -le 3 ] || times=3 # the built-in one takes its time
    progress "dm-thin: starting"
    tests/vm/run --device-mapper --memory 6G --timeout 3000 -- bench/thin_guest.sh "$archive" "$times" >"$RIG_DIR/thin.log" ||
        { tail -n 20 "$RIG_DIR/thin.log" >&2; complain "the measurement of dm-thin ended early"; }
    sed -n 's/^note: //p' "$RIG_DIR/thin.log" >>"$measurements"
}
