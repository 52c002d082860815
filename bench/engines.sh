# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# The I/O engines: the tree of many small files of the image "dev" (a fifth of it), unpacked by each engine with
# one to three writers, in turn, each time into a file system that is new, in memory, so that no disk is measured.
# Processor seconds are those of the process, its kernel threads included; the file system's own background work
# is not in them.

# engines_once SYSTEM ENGINE WRITERS LAYER: "processor-ms ms", until all is synced. In the shell itself, so that what
# it mounts is known to the clean-up.
engines_once() {
    local point=$RIG_DIR/memory/target options=() TIMEFORMAT='%U %S %R'
    # As the daemon makes its own pool.
    [ "$1" != btrfs ] || options=(-K -n 4096 -m single -d single --csum xxhash)
    rig_loop_mount "$1" "$point" 6G "${options[@]}"
    mkdir "$point/tree"
    { time "$engines_apply" --engine "$2" --writers "$3" --sync "$4" "$point/tree" >"$RIG_DIR/engine.log" 2>&1; } 2>&1 |
        awk '{ printf "%.0f %.0f\n", ($1 + $2) * 1000, $3 * 1000 }' ||
        complain "engine $2 on $1: $(tail -n 1 "$RIG_DIR/engine.log")"
    umount "$point"
    rm "$point.img"
}

engines_run() {
    local layers=$RIG_BUILD/images/dev-0.2 engines=(plain io_uring) system writers engine round processor ms
    engines_apply=$(rig_tool layer_apply)
    if [ ! -e "$layers/3" ]; then
        progress "engines: making layers"
        "$RIG_PYTHON" bench/make_dev_image.py "$RIG_DIR/dev.oci.tar" --scale 0.2 --layers "$layers.part" >/dev/null
        rm "$RIG_DIR/dev.oci.tar"
        mv "$layers.part" "$layers"
    fi
    mkdir "$RIG_DIR/memory"
    mount -t tmpfs -o size=4g rig "$RIG_DIR/memory"
    cat "$layers/3" >/dev/null
    mkdir "$RIG_DIR/memory/probe"
    if ! "$engines_apply" --engine io_uring "$layers/4" "$RIG_DIR/memory/probe" >"$RIG_DIR/engine.log" 2>&1; then
        progress "engines: io_uring is left out: $(tail -n 1 "$RIG_DIR/engine.log")"
        engines=(plain)
    fi
    rm -rf "$RIG_DIR/memory/probe"
    for ((round = 1; round <= rounds; round++)); do
        for system in btrfs ext4; do
            for writers in 1 2 3; do
                for engine in $(in_turn "$round" "${engines[@]}"); do
                    progress "engines, round $round of $rounds: $engine on $system, writers: $writers"
                    engines_once "$system" "$engine" "$writers" "$layers/3" >"$RIG_DIR/engine"
                    read -r processor ms <"$RIG_DIR/engine"
                    note "{\"part\": \"engines\", \"system\": \"$system\", \"engine\": \"$engine\", \"writers\": $writers, \"processor_ms\": $processor, \"ms\": $ms}"
                done
            done
        done
    done
    umount "$RIG_DIR/memory"
    rmdir "$RIG_DIR/memory"
}
