# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A private containerd under the scratch folder. Sourced by rig.sh. One runs at a time.
#
# containerd_start DIRECTORY BIN MODE…: DIRECTORY keeps root, state and configuration; BIN is the folder
# that containerd_peer printed; each MODE adds to the configuration:
#   cowsnap           proxy snapshotter "cowsnap" on $COWSNAPD_SOCKET
#   cowsnap-diff      proxy differ "cowsnap-diff", first in the diff service (1.7.4 and newer)
#   unpack-cowsnap    2.x: the transfer service unpacks "cowsnap" with cowsnap-diff
#   unpack-builtin    2.x: the transfer service unpacks btrfs, native and overlayfs with walking
#   no-gc             no garbage collection but those that somebody asks for (ctr_collect): snapshots that ctr
#                     makes without a lease stay, and so do the data of those that are removed
#   devmapper=POOL    the built-in devmapper snapshotter on that thin pool
#   debug             log level debug
#   file=PATH         the lines of that configuration, but for its version

CONTAINERD_PID=
CONTAINERD_DIR=
CONTAINERD_BIN=
CONTAINERD_SOCKET=
CONTAINERD_VERSION=
CONTAINERD_MAJOR=
CONTAINERD_MINOR=
CONTAINERD_NAMESPACE=

# containerd_version BIN: "1.7.24", without the packager's suffix.
containerd_version() { "$1/containerd" --version | awk '{ sub(/^v/, "", $3); sub(/[~+-].*/, "", $3); print $3 }'; }

# containerd_peer LINE: the folder with a containerd of that release line (1.6, 1.7, 2).
containerd_peer() { COWSNAP_BUILD=$RIG_BUILD "$RIG_TESTS/peers/containerd.sh" "$1"; }

containerd_configuration() {
    local mode platform
    platform=linux/$(dpkg --print-architecture 2>/dev/null || echo amd64)
    [ "$CONTAINERD_MAJOR" -ge 2 ] && echo 'version = 3' || echo 'version = 2'
    cat <<TOML
root = "$CONTAINERD_DIR/root"
state = "$CONTAINERD_DIR/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.zfs",$(case " $* " in *" devmapper="*) ;; *) echo ' "io.containerd.snapshotter.v1.devmapper",' ;; esac)
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs",
]
[grpc]
  address = "$CONTAINERD_SOCKET"
[debug]
  level = "$(case " $* " in *" debug "*) echo debug ;; *) echo info ;; esac)"
TOML
    for mode; do
        case $mode in
        cowsnap)
            printf '[proxy_plugins.cowsnap]\n  type = "snapshot"\n  address = "%s"\n' "$COWSNAPD_SOCKET"
            ;;
        cowsnap-diff)
            printf '[proxy_plugins.cowsnap-diff]\n  type = "diff"\n  address = "%s"\n' "$COWSNAPD_SOCKET"
            printf '[plugins."io.containerd.service.v1.diff-service"]\n  default = ["cowsnap-diff", "walking"]\n'
            ;;
        unpack-cowsnap) containerd_unpack_entry "$platform" cowsnap cowsnap-diff ;;
        unpack-builtin)
            local builtin
            for builtin in native btrfs overlayfs; do containerd_unpack_entry "$platform" "$builtin" walking; done
            ;;
        no-gc)
            printf '[plugins."io.containerd.gc.v1.scheduler"]\n  mutation_threshold = 1000000000\n  startup_delay = "24h"\n'
            ;;
        devmapper=*)
            printf '[plugins."io.containerd.snapshotter.v1.devmapper"]\n  pool_name = "%s"\n  base_image_size = "10GB"\n' "${mode#*=}"
            ;;
        debug) ;;
        file=*) sed '/^version *=/d' "${mode#file=}" ;;
        *) rig_fail "containerd_start: no mode '$mode'" ;;
        esac
    done
}

containerd_unpack_entry() {
    [ "$CONTAINERD_MAJOR" -ge 2 ] || return 0
    printf "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n"
    printf '  platform = "%s"\n  snapshotter = "%s"\n  differ = "%s"\n' "$@"
}

containerd_start() {
    CONTAINERD_DIR=$1
    CONTAINERD_BIN=$2
    shift 2
    mkdir -p "$CONTAINERD_DIR"
    CONTAINERD_SOCKET=$CONTAINERD_DIR/c.sock
    CONTAINERD_VERSION=$(containerd_version "$CONTAINERD_BIN")
    CONTAINERD_MAJOR=${CONTAINERD_VERSION%%.*}
    CONTAINERD_MINOR=${CONTAINERD_VERSION#*.}
    CONTAINERD_MINOR=${CONTAINERD_MINOR%%.*}
    CONTAINERD_NAMESPACE=$(basename "$RIG_DIR")
    export CONTAINERD_NAMESPACE
    containerd_configuration "$@" >"$CONTAINERD_DIR/config.toml"
    rig_undo_later containerd_end
    containerd_again
}

containerd_again() {
    PATH=$CONTAINERD_BIN:$PATH "$CONTAINERD_BIN/containerd" --config "$CONTAINERD_DIR/config.toml" \
        >>"$CONTAINERD_DIR/containerd.log" 2>&1 &
    CONTAINERD_PID=$!
    if ! rig_accepts "$CONTAINERD_SOCKET" "$CONTAINERD_PID" 30 || ! rig_until 30 containerd_answers; then
        containerd_log 30
        rig_fail "containerd $CONTAINERD_VERSION did not start"
    fi
}

# containerd_reconfigure MODE…: the same containerd, anew, in other modes.
containerd_reconfigure() {
    containerd_stop
    containerd_configuration "$@" >"$CONTAINERD_DIR/config.toml"
    containerd_again
}

containerd_answers() { ctr version >/dev/null 2>&1; }

containerd_log() { tail -n "${1:-40}" "$CONTAINERD_DIR/containerd.log" >&2 || true; }

# The client of the same version, in this run's own namespace.
ctr() { "$CONTAINERD_BIN/ctr" -a "$CONTAINERD_SOCKET" "$@"; }

# ctr_forget SNAPSHOTTER SECONDS: removes all snapshots of it from containerd's list; the snapshotter removes their
# data in the next garbage collection. Children go first, and the list does not tell them, so rounds follow until
# none is left.
ctr_forget() {
    rig_until "$2" ctr_forget_round "$1" || rig_fail "snapshots of $1 cannot be removed: $(cat "$RIG_DIR/forget.log")"
}

ctr_forget_round() {
    local name
    for name in $(ctr snapshots --snapshotter "$1" ls | awk 'NR > 1 { print $1 }'); do
        ctr snapshots --snapshotter "$1" rm "$name" </dev/null >/dev/null 2>"$RIG_DIR/forget.log" || true
    done
    [ -z "$(ctr snapshots --snapshotter "$1" ls | awk 'NR > 1')" ]
}

# ctr_collect: a garbage collection, waited for, with the removals by the snapshotters that it asks for. What was
# removed before containerd was started anew is not among them: it knows only in memory whom to ask.
ctr_collect() { ctr leases delete --sync "$(ctr leases create)" >/dev/null; }

containerd_stop() {
    [ -n "$CONTAINERD_PID" ] || return 0
    local pid=$CONTAINERD_PID
    CONTAINERD_PID=
    rig_stop "$pid" 20 || true
}

containerd_kill() {
    local pid=$CONTAINERD_PID
    CONTAINERD_PID=
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
}

# containerd_end: containers first, by containerd itself; then whatever shim still serves our socket.
containerd_end() {
    local id pid
    if [ -n "$CONTAINERD_PID" ] && containerd_answers; then
        for id in $(ctr tasks ls -q 2>/dev/null); do
            timeout 20 "$CONTAINERD_BIN/ctr" -a "$CONTAINERD_SOCKET" tasks rm -f "$id" >/dev/null 2>&1 || true
        done
    fi
    containerd_stop
    for pid in $(containerd_shims); do
        while read -r id; do kill -KILL "$id" 2>/dev/null || true; done < <(ps -o pid= --ppid "$pid")
        kill -KILL "$pid" 2>/dev/null || true
        rig_until 5 rig_gone "$pid" || true
    done
    # The control groups of this run's namespace, version 1 and 2, empty by now.
    find /sys/fs/cgroup -maxdepth 3 -depth -path "*/$CONTAINERD_NAMESPACE*" -type d -exec rmdir {} + 2>/dev/null || true
    rmdir "/run/containerd/runc/$CONTAINERD_NAMESPACE" /run/containerd/runc /run/containerd/s /run/containerd/fifo \
        /run/containerd 2>/dev/null || true
}

# The process ids of the shims of this containerd: its socket's path is in their command line.
containerd_shims() { pgrep -f -- "containerd-shim.* -address ${CONTAINERD_SOCKET//./\\.}( |\$)" || true; }
