# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# What a layer, a file and a byte cost, the process on one core and on all: layers that differ in one thing each,
# applied and synced into an empty subvolume of a btrfs. report.py fits a model to it.

# costs_once LAYER CORES: milliseconds until it is on the disk. The file system's own workers have all cores always.
costs_once() {
    local start pool=$RIG_DIR/costs
    btrfs -q subvolume create "$pool/tree"
    sync -f "$pool"
    start=$(rig_now)
    taskset -c "0-$(($2 - 1))" "$costs_apply" --sync "$1" "$pool/tree" >"$RIG_DIR/costs.log" 2>&1 || {
        tail -n 5 "$RIG_DIR/costs.log" >&2
        exit 1 # of the substitution that this runs in
    }
    echo $(($(rig_now) - start))
    btrfs -q subvolume delete "$pool/tree"
    btrfs filesystem sync "$pool" # wakes who ends subvolumes
    btrfs subvolume sync "$pool" >/dev/null
}

costs_run() {
    local layers=$RIG_BUILD/images/costs layer name cores round took
    costs_apply=$(rig_tool layer_apply)
    if [ ! -d "$layers" ]; then
        progress "costs: making layers"
        "$RIG_PYTHON" bench/make_cost_layers.py "$layers.part"
        mv "$layers.part" "$layers"
    fi
    rig_loop_mount btrfs "$RIG_DIR/costs" 20G -n 4096
    for ((round = 1; round <= rounds; round++)); do
        for layer in "$layers"/*.tar.gz; do
            name=$(basename "$layer" .tar.gz)
            cat "$layer" >/dev/null
            for cores in 1 $(nproc); do
                progress "costs, round $round of $rounds: $name, the process on $cores cores"
                took=$(costs_once "$layer" "$cores")
                note "{\"part\": \"costs\", \"entries\": ${name%-*}, \"bytes\": ${name#*-}, \"cores\": $cores, \"ms\": $took}"
            done
        done
    done
}
