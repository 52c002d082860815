# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# Snapshot calls: through containerd in cycles of Prepare, Stat, Usage, Commit and Remove, in bursts of
# Prepare, and on cowsnap's own socket. Two settings: everything on one btrfs, and containerd and cowsnap's
# store on ext4 with only the pool on btrfs.

calls_program() {
    local tree=$RIG_BUILD/bench-calls
    mkdir -p "$tree/src/cowsnap/calls"
    cp bench/calls/main.go "$tree/src/cowsnap/calls/"
    (cd "$tree/src/cowsnap/calls" &&
        GO111MODULE=off GOFLAGS='' GOPATH=$tree:/usr/share/gocode GOCACHE=$tree/cache go build -o "$tree/calls" .) || exit 1 # of the substitution
    echo "$tree/calls"
}

# calls SETTING TARGET SOCKET SNAPSHOTTER OPTIONS…: one measurement.
calls() {
    local setting=$1 target=$2 socket=$3 snapshotter=$4 line
    shift 4
    settle "$calls_pool"
    line=$(TMPDIR=$RIG_DIR "$calls_client" -address "$socket" -snapshotter "$snapshotter" "$@")
    note "{\"part\": \"calls\", \"setting\": \"$setting\", \"target\": \"$target\", ${line#\{}"
}

# The built-in btrfs snapshotter does two a second.
calls_cycles() { if [ "$1" = btrfs ]; then echo 20; else echo $((calls_count * ($2 == 1 ? 1 : 2))); fi; }

calls_setting() {
    local setting=$1 folder=$2 round clients snapshotter snapshotters=(overlayfs cowsnap) flags=()
    [ "$setting" != btrfs ] || snapshotters=(overlayfs btrfs cowsnap)
    mkdir -p "$folder/cowsnap"
    calls_pool=$folder
    if [ "$setting" = ext4 ]; then
        # The store stays on ext4; the pool is a btrfs of its own.
        calls_pool=$RIG_DIR/calls-pool
        rig_loop_mount btrfs "$calls_pool" 20G -n 4096
        printf '[pool]\npath = "%s"\n' "$calls_pool" >"$RIG_DIR/calls.toml"
        flags=(--config "$RIG_DIR/calls.toml")
    fi
    cowsnapd_start "$folder/cowsnap" "${flags[@]}"
    containerd_start "$folder/containerd" "$(containerd_peer 2)" cowsnap cowsnap-diff
    for ((round = 1; round <= rounds; round++)); do
        for clients in 1 16; do
            for snapshotter in $(in_turn "$round" "${snapshotters[@]}"); do
                progress "calls, $setting, round $round of $rounds: $snapshotter, $clients clients"
                calls "$setting" containerd "$CONTAINERD_SOCKET" "$snapshotter" -clients $clients \
                    -cycles "$(calls_cycles "$snapshotter" $clients)"
            done
        done
        for snapshotter in $(in_turn "$round" "${snapshotters[@]}"); do
            [ "$snapshotter" != btrfs ] || continue
            progress "calls, $setting, round $round of $rounds: $snapshotter, a burst of 64"
            calls "$setting" containerd "$CONTAINERD_SOCKET" "$snapshotter" -mode burst -clients 64 -pause 2s
        done
    done
    containerd_end
    for ((round = 1; round <= rounds; round++)); do
        progress "calls, $setting, round $round of $rounds: our own socket"
        calls "$setting" socket "$COWSNAPD_SOCKET" cowsnap -mode calls -clients 1 -cycles "$calls_count"
        calls "$setting" socket "$COWSNAPD_SOCKET" cowsnap -mode looks -clients 1 -cycles $((calls_count * 4))
        calls "$setting" socket "$COWSNAPD_SOCKET" cowsnap -mode calls -clients 16 -cycles $((calls_count * 4))
        calls "$setting" socket "$COWSNAPD_SOCKET" cowsnap -mode burst -clients 64 -pause 2s
    done
    cowsnapd_stop
}

calls_run() {
    calls_client=$(calls_program)
    calls_count=$([ -n "$quick" ] && echo 100 || echo 400)
    rig_loop_mount btrfs "$RIG_DIR/calls-btrfs" 20G -n 4096
    mkdir -p "$RIG_DIR/calls-ext4"
    calls_setting ext4 "$RIG_DIR/calls-ext4"
    calls_setting btrfs "$RIG_DIR/calls-btrfs"
}
