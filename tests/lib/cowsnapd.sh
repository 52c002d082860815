# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A private cowsnapd under the scratch folder. Sourced by rig.sh.
#
#   COWSNAPD, COWSNAP   other programs than those of the build tree
#   COWSNAPD_FLAGS      more flags for every start, for example "--log-level debug"

COWSNAPD=${COWSNAPD:-$RIG_BUILD/plugin/daemon/cowsnapd}
COWSNAP=${COWSNAP:-$RIG_BUILD/plugin/cli/cowsnap}
COWSNAPD_PID=
COWSNAPD_SOCKET=
COWSNAPD_ROOT=
COWSNAPD_START=()

cowsnapd_need() {
    [ -x "$COWSNAPD" ] || rig_fail "$COWSNAPD is not built; build it or name another build tree with COWSNAP_BUILD"
}

# cowsnapd_start ROOT FLAGS…: returns when it answers. ROOT is kept between a stop and a start.
cowsnapd_start() {
    cowsnapd_need
    COWSNAPD_ROOT=$1
    shift
    mkdir -p "$COWSNAPD_ROOT"
    COWSNAPD_SOCKET=$RIG_DIR/cowsnap.sock
    # shellcheck disable=SC2206 # flags are words
    COWSNAPD_START=(--root "$COWSNAPD_ROOT" --address "$COWSNAPD_SOCKET" "$@" ${COWSNAPD_FLAGS:-})
    rig_undo_later cowsnapd_stop
    cowsnapd_again
}

# cowsnapd_again: the same command line once more.
cowsnapd_again() {
    "$COWSNAPD" "${COWSNAPD_START[@]}" >>"$RIG_DIR/cowsnapd.log" 2>&1 &
    COWSNAPD_PID=$!
    rig_accepts "$COWSNAPD_SOCKET" "$COWSNAPD_PID" 60 || {
        cowsnapd_log 30
        rig_fail "cowsnapd did not start"
    }
}

cowsnapd_log() { tail -n "${1:-40}" "$RIG_DIR/cowsnapd.log" >&2 || true; }

# cowsnapd_settle SECONDS: until what it answered before is also carried out: volumes of removed snapshots are ended,
# those of committed ones sealed.
cowsnapd_settle() {
    rig_until "$1" cowsnapd_settled ||
        rig_fail "after $1 s cowsnapd still has volumes to end or to seal: $(cowsnapd_status | jq -c '{awaiting_removal, awaiting_seal}')"
}

cowsnapd_status() { "$COWSNAP" --address "$COWSNAPD_SOCKET" status --json; }

cowsnapd_settled() { [ "$(cowsnapd_status | jq '.awaiting_removal + .awaiting_seal')" = 0 ]; }

# cowsnapd_stop: by SIGTERM; fails when it does not leave with status 0.
cowsnapd_stop() {
    [ -n "$COWSNAPD_PID" ] || return 0
    local pid=$COWSNAPD_PID status=0
    COWSNAPD_PID=
    rig_stop "$pid" 30 || status=$?
    if [ "$status" != 0 ]; then
        cowsnapd_log 20
        rig_say "cowsnapd left with status $status after SIGTERM"
        return 1
    fi
}

cowsnapd_kill() {
    local pid=$COWSNAPD_PID
    COWSNAPD_PID=
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
}
