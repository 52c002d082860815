#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What is too long for every change: run as root by hand, or by night.
#
#   sudo tests/long.sh                        everything at its full length
#   sudo tests/long.sh --kills 500 --cuts 50  so much instead of 2,000 kills and 400 cuts of the power
#   sudo tests/long.sh --seed NUMBER          with that seed
#
# The last line says how much was done, how long it took, and with which seed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. tests/lib/install.sh

kills=2000 cuts=400 seed=$(date +%s)
while [ $# -gt 0 ]; do
    case $1 in
    --kills) kills=$2 && shift 2 ;;
    --cuts) cuts=$2 && shift 2 ;;
    --seed) seed=$2 && shift 2 ;;
    *)
        sed -n '4,10s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
done

logs=$PWD/build/test-logs
mkdir -p "$logs"
install_build_packages && install_test_packages || exit 1
{ cmake --preset steps && cmake --build --preset steps; } >"$logs/build-steps.log" 2>&1 || {
    tail -n 40 "$logs/build-steps.log"
    echo "the preset steps does not build"
    exit 1
}

SECONDS=0 failed=0 done=''
for what in "--kills $kills" "--cuts $cuts"; do
    # shellcheck disable=SC2086 # a flag and its value
    RIG_KEEP_LOGS=$logs tests/crash/run.sh $what --seed "$seed" | tee "$logs/long.log" || failed=1
    done+="$(sed -n 's/^summary: //p' "$logs/long.log"); "
done
verdict=$([ "$failed" = 0 ] && echo passed || echo FAILED)
echo "long: $verdict: $done$SECONDS s, seed $seed"
exit "$failed"
