# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for those who source it
#
# Checks of what the tool answers, counted; for the scripts beside this one, after rig_begin.

passed=0 failed=0 skipped=0
out=$RIG_DIR/out err=$RIG_DIR/err status=0

check_failed() {
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1"
    sed 's/^/    out: /' "$out"
    sed 's/^/    err: /' "$err"
}

# check WHAT COMMAND…: one check, named for the log.
check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        check_failed "$what"
    fi
}

# tool ARGUMENTS…: runs it; its output, messages and status are in $out, $err and $status.
tool() {
    status=0
    "$COWSNAP" "$@" >"$out" 2>"$err" </dev/null || status=$?
}
tool_done() { [ "$status" = 0 ] && [ ! -s "$err" ]; }
# tool_refused STATUS SENTENCE: nothing on the standard output, and exactly this sentence.
tool_refused() { [ "$status" = "$1" ] && [ ! -s "$out" ] && [ "$(cat "$err")" = "cowsnap: $2" ]; }
# tool_json FILTER [jq options…]: the output is one JSON value that the filter is true of.
tool_json() { tool_done && jq -e "${@:2}" "$1" "$out" >/dev/null && [ "$(jq -n '[inputs] | length' "$out")" = 1 ]; }
tool_says() { tool_done && grep -qE -- "$1" "$out"; }
# no control character but the newline, as bytes or as UTF-8
tool_is_clean() {
    local found=0
    LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$out" "$err" || found=$?
    [ "$found" = 1 ]
}
is() { [ "$1" = "$2" ]; }

# tool_verdict: the last lines, for test.sh.
tool_verdict() {
    echo "summary: $1: $passed passed, $failed failed, $skipped skipped"
    echo "count: $passed $failed $skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
