# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the end-to-end scripts share: a cowsnapd with a pool of its own and a containerd of one line, images
# unpacked and containers run on them, and the question whether anything is left. Sourced after rig.sh.

E2E_KEPT_MOUNTS=
E2E_BACKEND=

# e2e_start NAME LINE [BACKEND]: both daemons, as a user would have them: containerd falls back on its own differ.
# Only its collector waits to be asked, since ctr gives no lease to what it makes.
e2e_start() {
    E2E_BACKEND=${3:-btrfs}
    rig_need_root
    rig_need runc mkfs.btrfs losetup
    [ "$E2E_BACKEND" != dm-thin ] || rig_need_device_mapper
    cowsnapd_need
    rig_begin "$1"
    local bin
    bin=$(containerd_peer "$2")
    # On ext4, so that the pool is the embedded one whatever the machine's own file system is.
    rig_loop_mount ext4 "$RIG_DIR/t" 40G
    [ "$E2E_BACKEND" != dm-thin ] || rig_undo_later rig_end_devices "$RIG_DIR/t/cowsnap"
    cowsnapd_start "$RIG_DIR/t/cowsnap" --log-level debug --backend "$E2E_BACKEND" \
        --content-root "$RIG_DIR/t/c/root/io.containerd.content.v1.content"
    if [ "$2" = 1.6 ]; then
        containerd_start "$RIG_DIR/t/c" "$bin" no-gc cowsnap
    else
        containerd_start "$RIG_DIR/t/c" "$bin" no-gc cowsnap cowsnap-diff unpack-cowsnap
    fi
    E2E_KEPT_MOUNTS=$(rig_mounts_below "$RIG_DIR" | sort)
}

e2e_done() {
    containerd_end
    cowsnapd_stop || rig_fail "cowsnapd did not leave cleanly"
    ! grep -E ' (ERROR|error) ' "$RIG_DIR/cowsnapd.log" >&2 || rig_fail "cowsnapd logged errors"
}

# e2e_check: compares cowsnapd with containerd; what it says is in $RIG_DIR/said.
e2e_check() { "$COWSNAP" --address "$COWSNAPD_SOCKET" check --containerd "$CONTAINERD_SOCKET" >"$RIG_DIR/said" 2>&1; }

e2e_agrees() {
    e2e_check && [ "$(cat "$RIG_DIR/said")" = 'The store, the pool and containerd agree.' ] ||
        rig_fail "a check beside containerd says: $(cat "$RIG_DIR/said")"
}

# The snapshot that none of the others stands on; lines of key and parent come in.
e2e_leaf() { awk '{ keys[$1]; parents[$2] } END { for (key in keys) if (!(key in parents)) print key }'; }

# e2e_lose ARCHIVE: takes the last layer of its image, which is all there is, away behind containerd's back; a check
# names it, and what the check says to do makes it anew.
e2e_lose() {
    local key name forget
    e2e_agrees
    key=$(e2e_keys | e2e_leaf)
    name=${key#*/*/}
    forget="ctr -n $CONTAINERD_NAMESPACE snapshots --snapshotter cowsnap rm $name"
    "$CONTAINERD_BIN/ctr" -a "$COWSNAPD_SOCKET" snapshots --snapshotter cowsnap rm "$key"
    ! e2e_check || rig_fail "a check does not miss '$key'"
    grep -q "^containerd's snapshot $CONTAINERD_NAMESPACE/$name: cowsnapd does not have it, and the image .* needs it; .*: $forget, and pull" "$RIG_DIR/said" ||
        rig_fail "a check says of what is lost: $(cat "$RIG_DIR/said")"
    e2e_snapshots rm "$name"
    ctr images import --snapshotter cowsnap "$1" >/dev/null
    e2e_agrees
}

# e2e_compare STATUS: compares the files of all layers with what their layers had; what it says is in $RIG_DIR/said.
e2e_compare() {
    local status=0
    "$COWSNAP" --address "$COWSNAPD_SOCKET" check --content >"$RIG_DIR/said" 2>&1 || status=$?
    [ "$status" = "$1" ] || rig_fail "a comparison of the files ends with $status, not $1: $(cat "$RIG_DIR/said")"
}

# e2e_spoil FILE COUNT: COUNT layers of the image are cowsnapd's work and as they were. On thin volumes, a file of the last
# one is changed behind its back; a comparison names it, and agrees again when it is what it was.
e2e_spoil() {
    local key device spoilt=$RIG_DIR/spoilt
    e2e_compare 0
    grep -q "^Files compared with what layers had: $2 snapshots;" "$RIG_DIR/said" ||
        rig_fail "a comparison of $2 layers says: $(cat "$RIG_DIR/said")"
    [ "$2" -gt 0 ] || return 0
    key=$(e2e_snapshots ls | awk '$3 == "Committed"' | e2e_leaf)
    "$COWSNAP" --address "$COWSNAPD_SOCKET" check --content "$key" >"$RIG_DIR/said" 2>&1 &&
        grep -q '^Files compared with what layers had: 1 snapshot;' "$RIG_DIR/said" ||
        rig_fail "a comparison of the layer $key alone says: $(cat "$RIG_DIR/said")"
    [ "$E2E_BACKEND" = dm-thin ] || return 0
    e2e_snapshots view spoil "$key" >/dev/null
    device=$(e2e_snapshots mounts "$spoilt" spoil | grep -o '/dev/mapper/[^ ]*')
    mkdir -p "$spoilt"
    mount "$device" "$spoilt"
    cp -p "$spoilt$1" "$RIG_DIR/unspoilt"
    printf x | dd of="$spoilt$1" conv=notrunc status=none
    umount "$spoilt"
    e2e_compare 1
    [ "$(grep -cF "\"${1#/}\": its bytes are others" "$RIG_DIR/said")" = 1 ] ||
        rig_fail "a comparison says of $1, which was changed: $(cat "$RIG_DIR/said")"
    mount "$device" "$spoilt"
    dd if="$RIG_DIR/unspoilt" of="$spoilt$1" conv=notrunc status=none
    umount "$spoilt"
    e2e_snapshots rm spoil
    e2e_compare 0
}

e2e_snapshots() { ctr snapshots --snapshotter cowsnap "$@"; }

# How many layers cowsnapd says it has applied since it was first started.
e2e_applied() { grep -c 'applied layer' "$RIG_DIR/cowsnapd.log" || true; }

# e2e_import ARCHIVE APPLIED FLAGS…: APPLIED of the archive's layers are cowsnapd's work, no more and no less.
e2e_import() {
    local archive=$1 wanted=$2 before applied
    shift 2
    before=$(e2e_applied)
    ctr images import --snapshotter cowsnap "$@" "$archive" >/dev/null
    applied=$(($(e2e_applied) - before))
    [ "$applied" = "$wanted" ] || rig_fail "cowsnapd applied $applied layers of $(basename "$archive"), not $wanted"
}

# e2e_run ID IMAGE: a container that counts, line by line, in /counter for as long as it lives. Returns when
# it does.
e2e_run() {
    # shellcheck disable=SC2016 # the container's own shell counts
    ctr run -d --snapshotter cowsnap "$2" "$1" /bin/sh -c 'i=0; while :; do i=$((i + 1)); echo $i >>/counter; sleep 0.05; done'
    rig_until 20 test -s "/proc/$(e2e_pid "$1")/root/counter" || rig_fail "the container $1 does not begin to count"
}

# e2e_exec ID COMMAND…: in a container that runs.
e2e_exec() {
    local id=$1
    shift
    ctr tasks exec --exec-id "e-$RANDOM-$RANDOM" "$id" "$@"
}

e2e_pid() { ctr tasks ls | awk -v id="$1" '$1 == id { print $2 }'; }

# e2e_end_task ID: the container's process is killed, of which ctr warns.
e2e_end_task() { ctr tasks rm -f "$1" >"$RIG_DIR/said" 2>&1 || rig_fail "task $1 cannot be ended: $(cat "$RIG_DIR/said")"; }

# e2e_stop ID: the task, the container and its snapshot.
e2e_stop() {
    e2e_end_task "$1"
    ctr containers rm "$1"
}

# e2e_mount KEY DIRECTORY: as containerd would mount it.
e2e_mount() {
    mkdir -p "$2"
    eval "$(e2e_snapshots mounts "$2" "$1")"
}

e2e_text() { [ "$(cat "$1")" = "$2" ] || rig_fail "$1 holds '$(cat "$1")', not '$2'"; }

# ---- what is left ----

# Each prints what is there, and something, too, when it cannot be told.

# The snapshots that cowsnapd itself knows, in whatever namespace: its socket speaks containerd's service.
e2e_keys() {
    "$CONTAINERD_BIN/ctr" -a "$COWSNAPD_SOCKET" snapshots --snapshotter cowsnap ls 2>"$RIG_DIR/said" | awk 'NR > 1' ||
        cat "$RIG_DIR/said"
}
# What the pool holds: subvolumes; or devices of thin volumes, volumes that no snapshot has (there is none here) and
# those that wait for their removal.
e2e_volumes() {
    local found
    if [ "$E2E_BACKEND" = dm-thin ]; then
        rig_devices_of "$COWSNAPD_ROOT" | grep -- '-snap-' || true
        found=$("$COWSNAP" --address "$COWSNAPD_SOCKET" check --json 2>&1) || true
        jq -r '.findings[] | "\(.id): \(.problem)"' <<<"$found" 2>/dev/null || echo "$found"
        "$COWSNAP" --address "$COWSNAPD_SOCKET" status --json 2>&1 | jq '.awaiting_removal | select(. != 0)'
    else
        btrfs subvolume list "$COWSNAPD_ROOT/pool" 2>&1
    fi
}
e2e_content() { ctr content ls -q 2>&1; }
e2e_mounts() { rig_mounts_below "$RIG_DIR" | sort | grep -vxF "$E2E_KEPT_MOUNTS" || true; }

e2e_none() { [ -z "$("$@")" ]; }

# e2e_forget IMAGE…: the images go, containerd collects its garbage, and nothing at all is left.
e2e_forget() {
    local what
    # The collection that --sync asks for removes snapshots and blobs; the reaper follows it.
    ctr images rm --sync "$@" >/dev/null
    for what in e2e_content e2e_keys e2e_volumes containerd_shims e2e_mounts; do
        rig_until 20 e2e_none "$what" || rig_fail "$what: after the collection there is still:"$'\n'"$("$what")"
    done    # The collector, once it was asked, goes on by itself, and ctr's views have nothing that keeps them.
    containerd_stop
    containerd_again
}
