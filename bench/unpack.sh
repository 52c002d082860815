# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# How long an image takes to unpack through containerd: by its own snapshotters and differ, by cowsnap, and
# by its overlayfs snapshotter with cowsnap's differ. Peers and cowsnap alternate; the btrfs ones share a
# pool. cowsnap is durable when it answers, the peers are not: their time to sync is noted beside.

unpack_image() {
    local scale=$1 compression=$2 made=$RIG_BUILD/images/dev-$1-$2.oci.tar
    if [ ! -e "$made" ]; then
        progress "making an image ($compression) …"
        mkdir -p "$RIG_BUILD/images"
        "$RIG_PYTHON" bench/make_dev_image.py "$made.part" --compression "$compression" --scale "$scale" >/dev/null
        mv "$made.part" "$made"
    fi
    echo "$made"
}

# unpack_random SIZE: bytes of no pattern, always the same.
unpack_random() { head -c "$1" /dev/zero | openssl enc -aes-128-ctr -pass pass:cowsnap -nosalt -md sha256 2>/dev/null; }

# One layer that is a single large file of no pattern.
unpack_large_image() {
    local size=$1 made=$RIG_BUILD/images/large-$1.oci.tar
    if [ ! -e "$made" ]; then
        progress "making an image of one file …"
        mkdir -p "$RIG_DIR/large"
        unpack_random "$size" >"$RIG_DIR/large/file"
        tar -C "$RIG_DIR/large" --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -cf "$RIG_DIR/large.tar" .
        "$RIG_PYTHON" tests/images/oci_archive.py "$made" cowsnap.test/large:latest "$RIG_DIR/large.tar=none" >/dev/null
        rm -rf "$RIG_DIR/large" "$RIG_DIR/large.tar"
    fi
    echo "$made"
}

# Archives may call their images alike, and all of them are unpacked in turn.
unpack_names=bench.test/

# unpack_import IMAGE ARCHIVE: into containerd, under a name of our own.
unpack_import() {
    local name
    progress "unpack, image $1: importing it"
    ctr images import --no-unpack "$2" >/dev/null
    name=$(ctr images ls -q | grep -v "^$unpack_names" | tail -n 1) || complain "$2 holds no image for this machine"
    ctr images tag "$name" "$unpack_names$1" >/dev/null
    ctr images ls -q | grep -v "^$unpack_names" | xargs -n 1 "$CONTAINERD_BIN/ctr" -a "$CONTAINERD_SOCKET" images rm >/dev/null
}

# forget SNAPSHOTTER: its snapshots and their space.
forget() {
    ctr_forget "$1" 120
    settle "$unpack_pool"
}

# unpack_once WHO SNAPSHOTTER IMAGE DIGEST FOLDER: one measurement.
unpack_once() {
    local who=$1 snapshotter=$2 image=$3 digest=$4 folder=$5 start took synced peak=0 before
    unpack_layers "$digest" | xargs cat >/dev/null # all read them from memory
    sync
    before=$(busy_ticks)
    start=$(rig_now)
    ctr snapshots --snapshotter "$snapshotter" unpack --snapshotter "$snapshotter" "$digest" >/dev/null
    took=$(($(rig_now) - start))
    start=$(rig_now)
    sync -f "$folder"
    synced=$(($(rig_now) - start))
    [ "$who" != cowsnap ] || note "{\"part\": \"stages\", \"image\": \"$image\", \"figures\": $("$COWSNAP" --address "$COWSNAPD_SOCKET" stages --json | jq -c .)}"
    [ -z "$COWSNAPD_PID" ] || peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$COWSNAPD_PID/status")
    note "{\"part\": \"unpack\", \"image\": \"$image\", \"who\": \"$who\", \"ms\": $took, \"sync_ms\": $synced, \"cpu_ms\": $((($(busy_ticks) - before) * 1000 / $(getconf CLK_TCK))), \"daemon_peak_kib\": $peak}"
    forget "$snapshotter"
}

unpack_digest() { ctr images ls | awk -v name="$unpack_names$1" '$1 == name { print $3 }'; }

# unpack_place ROOT SNAPSHOTTER FOLDER: where one of containerd's snapshotters keeps its data.
unpack_place() {
    local place=$1/root/io.containerd.snapshotter.v1.$2
    mkdir -p "$place" "$3"
    mount --bind "$3" "$place"
}

unpack_pool=$RIG_DIR/pool
unpack_run() {
    local scale=1 image round who images=() large=$((2 << 30)) bin root=$RIG_DIR/unpack
    bin=$(containerd_peer 1.7)
    [ -z "$quick" ] || scale=0.15 large=$((512 << 20))
    rig_loop_mount btrfs "$unpack_pool" 60G -n 4096
    rig_loop_mount ext4 "$RIG_DIR/ext4" 60G
    mkdir -p "$unpack_pool/cowsnap" "$unpack_pool/plain"
    unpack_place "$root" btrfs "$unpack_pool/builtin"
    unpack_place "$root" overlayfs "$RIG_DIR/ext4/overlay"
    unpack_place "$root" native "$RIG_DIR/ext4/native"
    cowsnapd_start "$unpack_pool/cowsnap" --content-root "$root/root/io.containerd.content.v1.content"
    containerd_start "$root" "$bin" cowsnap no-gc

    if [ -n "$archive" ]; then
        images=("given=$archive")
    else
        images=("gzip=$(unpack_image $scale gzip)" "zstd=$(unpack_image $scale zstd)" "large=$(unpack_large_image $large)")
    fi
    for image in "${images[@]}"; do
        unpack_import "${image%%=*}" "${image#*=}"
    done
    images=("${images[@]%%=*}")
    for ((round = 1; round <= rounds; round++)); do
        for image in "${images[@]}"; do
            for who in $(unpack_who "$image" "$round"); do
                progress "unpack, image $image, round $round of $rounds: $who"
                unpack_as "$who" "$image" "$(unpack_digest "$image")"
            done
        done
    done
    containerd_end
    cowsnapd_stop
}

# unpack_who IMAGE ROUND: who unpacks it, in turn; the peers are measured on gzip, as everywhere. zstd is held
# against the same in gzip right beside it.
unpack_who() {
    case $1 in
    zstd) in_turn "$2" cowsnap cowsnap-gzip ;;
    large) in_turn "$2" cowsnap dd ;;
    *) in_turn "$2" builtin-btrfs cowsnap floor overlayfs overlayfs-cowsnap native ;;
    esac
}

# containerd is started anew when its differs must change: who is asked first is its configuration.
unpack_mode=walking
unpack_differ() {
    [ "$unpack_mode" != "$1" ] || return 0
    unpack_mode=$1
    if [ "$1" = cowsnap ]; then
        containerd_reconfigure cowsnap cowsnap-diff no-gc
    else
        containerd_reconfigure cowsnap no-gc
    fi
}

unpack_as() {
    local who=$1 image=$2 digest=$3
    case $who in
    builtin-btrfs) unpack_differ walking && unpack_once "$who" btrfs "$image" "$digest" "$unpack_pool" ;;
    native) unpack_differ walking && unpack_once "$who" native "$image" "$digest" "$RIG_DIR/ext4" ;;
    overlayfs) unpack_differ walking && unpack_once "$who" overlayfs "$image" "$digest" "$RIG_DIR/ext4" ;;
    overlayfs-cowsnap) unpack_differ cowsnap && unpack_once "$who" overlayfs "$image" "$digest" "$RIG_DIR/ext4" ;;
    cowsnap | cowsnap-gzip)
        [ "$who" = cowsnap ] || digest=$(unpack_digest gzip)
        unpack_differ cowsnap
        cowsnapd_stop && cowsnapd_again # so that its peak memory is of this run
        unpack_once "$who" cowsnap "$image" "$digest" "$unpack_pool"
        ;;
    dd) unpack_dd "$image" ;;
    floor) unpack_floor "$image" "$digest" ;;
    esac
}

# The write speed of one file, synced as cowsnap syncs: what a layer of one file is held against.
unpack_dd() {
    local start size
    size=$([ -n "$quick" ] && echo $((512 << 20)) || echo $((2 << 30)))
    unpack_random "$size" >"$RIG_DIR/dd-in"
    cat "$RIG_DIR/dd-in" >/dev/null
    sync
    start=$(rig_now)
    dd if="$RIG_DIR/dd-in" of="$unpack_pool/plain/file" bs=1M 2>/dev/null
    sync -f "$unpack_pool"
    note "{\"part\": \"unpack\", \"image\": \"$1\", \"who\": \"dd\", \"ms\": $(($(rig_now) - start)), \"sync_ms\": 0, \"cpu_ms\": 0, \"daemon_peak_kib\": 0}"
    rm -f "$RIG_DIR/dd-in" "$unpack_pool/plain/file"
    sync
}

# The least that the work itself takes, by bench/floor.c, on the same pool.
unpack_floor() {
    local image=$1 digest=$2 layers
    mapfile -t layers < <(unpack_layers "$digest")
    mkdir -p "$unpack_pool/plain/floor"
    "$RIG_BUILD/bench/floor" "$unpack_pool/plain/floor" "${layers[@]}" |
        sed "s|^{|{\"part\": \"floor\", \"image\": \"$image\", |" >>"$measurements"
    rm -rf "$unpack_pool/plain/floor"
    sync
}

# unpack_layers DIGEST: the blobs of the image's layers.
unpack_layers() {
    local content=$CONTAINERD_DIR/root/io.containerd.content.v1.content/blobs/sha256
    jq -r '(.layers // [])[].digest' "$content/$(unpack_manifest "$1" "$content")" | sed "s|^sha256:|$content/|"
}

# The manifest's name: the image's digest may be an index's.
unpack_manifest() {
    local name=${1#sha256:}
    if jq -e .manifests "$2/$name" >/dev/null; then
        jq -r '.manifests[0].digest' "$2/$name" | sed 's/^sha256://'
    else
        echo "$name"
    fi
}
