#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What is too long for every change: run as root by hand, or by night.
#
#   sudo tests/long.sh                        everything at its full length
#   sudo tests/long.sh --kills 500 --cuts 50  so much instead of 2,000 kills and 400 cuts of the power;
#                                             --histories and --faults too, instead of 100,000 and 20,000
#   sudo tests/long.sh --load-seconds 60      with that much of load on 10,000 snapshots instead of 600 s
#   sudo tests/long.sh --fuzz-seconds 60      with each fuzz target run for so long by libFuzzer instead of 3,600 s, as
#                                             many at a time as there are processors
#   sudo tests/long.sh --seed NUMBER          with that seed
#
# In a virtual machine, where everything takes longer, there are a tenth as many kills with thin volumes, and a
# quarter as many cuts with either backend, of a disk that loses and reorders writes; an eighth with root on btrfs.
#
# The last line says how much was done, how long it took, and with which seed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. tests/lib/install.sh

kills=2000 cuts=400 histories=100000 faults=20000 load_seconds=600 fuzz_seconds=3600 seed=$(date +%s)
while [ $# -gt 0 ]; do
    case $1 in
    --kills) kills=$2 && shift 2 ;;
    --cuts) cuts=$2 && shift 2 ;;
    --histories) histories=$2 && shift 2 ;;
    --faults) faults=$2 && shift 2 ;;
    --load-seconds) load_seconds=$2 && shift 2 ;;
    --fuzz-seconds) fuzz_seconds=$2 && shift 2 ;;
    --seed) seed=$2 && shift 2 ;;
    *)
        sed -n '4,17s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
done

logs=$PWD/build/test-logs
mkdir -p "$logs"
install_build_packages && install_test_packages && install_vm_packages || exit 1
for preset in steps release; do
    { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$logs/build-$preset.log" 2>&1 || {
        tail -n 40 "$logs/build-$preset.log"
        echo "the preset $preset does not build"
        exit 1
    }
done

SECONDS=0 failed=0 done=''
guest="tests/vm/run --device-mapper --timeout 28800 -- "
for what in \
    "tests/crash/run.sh --kills $kills --seed $seed" \
    "tests/crash/run.sh --cuts $cuts --seed $seed" \
    "tests/crash/run.sh --cuts $((cuts / 4 + 1)) --root-on btrfs --seed $seed" \
    "${guest}tests/crash/run.sh --backend dm-thin --kills $((kills / 10 + 1)) --cuts $((cuts / 4 + 1)) --reorder --seed $seed" \
    "${guest}tests/crash/run.sh --cuts $((cuts / 4 + 1)) --reorder --seed $seed" \
    "${guest}tests/crash/run.sh --cuts $((cuts / 8 + 1)) --reorder --root-on btrfs --seed $seed" \
    "${guest}tests/crash/run.sh --backend dm-thin --cuts $((cuts / 8 + 1)) --reorder --root-on btrfs --seed $seed" \
    "tests/model/run.sh --histories $histories --faults $faults --seed $seed" \
    "tests/load/run.sh --seconds $load_seconds --snapshots 10000" \
    "tests/fuzz/run.sh $fuzz_seconds"; do
    # shellcheck disable=SC2086 # a command and its arguments
    RIG_KEEP_LOGS=$logs $what | tee "$logs/long.log" || failed=1
    done+="$(sed -n 's/^summary: //p' "$logs/long.log"); "
done
verdict=$([ "$failed" = 0 ] && echo passed || echo FAILED)
echo "long: $verdict: $done$SECONDS s, seed $seed"
exit "$failed"
