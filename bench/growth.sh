# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # sourced by bench/run
#
# How cost grows with the number of snapshots that are there: each call, List, the daemon's start and its
# memory, with 10 and with many more. The rounds of one number follow each other: to go back would be to begin anew.

growth_resident() { awk '/^VmRSS/ { print $2 }' "/proc/$COWSNAPD_PID/status"; }

growth_run() {
    local counts=(10 1000 10000) count round there=0 start took client cycles=300 resident calls list
    [ -z "$quick" ] || counts=(10 2000) cycles=150
    client=$(calls_program)
    mkdir -p "$RIG_DIR/growth"
    rig_loop_mount btrfs "$RIG_DIR/growth-pool" 20G -n 4096
    # Without a stock, so that the same work is measured at every count.
    printf '[pool]\npath = "%s"\n[snapshots]\nstock = 0\n' "$RIG_DIR/growth-pool" >"$RIG_DIR/growth.toml"
    cowsnapd_start "$RIG_DIR/growth" --config "$RIG_DIR/growth.toml"
    for count in "${counts[@]}"; do
        progress "growth: making $count snapshots"
        TMPDIR=$RIG_DIR "$client" -address "$COWSNAPD_SOCKET" -mode fill -files 0 -clients 16 -cycles $((count - there)) >/dev/null
        there=$count
        for ((round = 1; round <= rounds; round++)); do
            progress "growth, $count snapshots, round $round of $rounds"
            cowsnapd_settle 120 # or the next start would carry on with the last round's removals
            cowsnapd_stop
            start=$(rig_now)
            cowsnapd_again
            took=$(($(rig_now) - start))
            resident=$(growth_resident)
            calls=$(TMPDIR=$RIG_DIR "$client" -address "$COWSNAPD_SOCKET" -mode calls -files 500 -clients 1 -cycles $cycles | jq -c .calls)
            list=$(TMPDIR=$RIG_DIR "$client" -address "$COWSNAPD_SOCKET" -mode list -files 0 -cycles 5 | jq -c .calls.list)
            note "{\"part\": \"growth\", \"snapshots\": $count, \"start_ms\": $took, \"resident_kib\": $resident, \"calls\": $calls, \"list\": $list}"
        done
    done
    cowsnapd_stop
}
