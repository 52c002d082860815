#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# restarts.sh 1.7|2: a container runs and writes while cowsnapd, containerd, or both end (by SIGTERM and by
# SIGKILL) and start again: it goes on undisturbed, it can be entered, others can be started beside it; an
# import that cowsnapd's death cuts short can be done again; and at the end nothing is left.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=common.sh
. "$RIG_TESTS/e2e/common.sh"

line=${1:-}
case $line in
1.7 | 2) ;;
*) rig_fail "name a line of containerd: 1.7 or 2" ;;
esac
archive=$("$RIG_TESTS/images/make_image.sh" minimal gzip,zstd,none)
real=$("$RIG_TESTS/images/make_image.sh" real)
e2e_start "restarts-$line" "$line"
started=$(rig_now)
image=cowsnap.test/minimal:latest
outages=0

e2e_import "$archive" 3
e2e_run steady "$image"
pid=$(e2e_pid steady)

lines() { wc -l <"/proc/$pid/root/counter"; }
beyond() { [ "$(lines)" -gt "$1" ]; }

# The container's own process still counts, in the root it began with, with no number left out. Looked at
# from outside, so that it holds without either daemon.
goes_on() {
    rig_until 10 beyond "$(($(lines) + 2))" || rig_fail "the container stands still $1"
    [ "$(cat "/proc/$pid/root/srv/data/third")" = "a file of the third layer" ] || rig_fail "the container's root is gone $1"
    # The last line may be half written.
    head -n -1 "/proc/$pid/root/counter" | awk '$1 != NR { exit 1 }' || rig_fail "the container lost what it wrote $1"
}

# gRPC waits up to 3 s before it dials again.
is_reached() { rig_until 10 e2e_snapshots info steady >/dev/null 2>&1 || rig_fail "containerd does not reach cowsnapd $1"; }

# Both daemons are there: the container is the same one, and can be entered; a new one runs.
all_is_well() {
    is_reached "$1"
    goes_on "$1"
    [ "$(e2e_pid steady)" = "$pid" ] || rig_fail "containerd lost the container $1"
    outages=$((outages + 1))
    e2e_exec steady sh -c "echo $outages >/srv/outage"
    [ "$(cat "/proc/$pid/root/srv/outage")" = "$outages" ] || rig_fail "what was executed wrote elsewhere $1"
    [ "$(ctr run --rm --snapshotter cowsnap "$image" "beside-$outages" cat /srv/data/second)" = "a file of the second layer" ] ||
        rig_fail "no new container can be started $1"
}

all_is_well "before any outage"

for way in stop kill; do
    cowsnapd_$way
    goes_on "without cowsnapd ($way)"
    cowsnapd_again
    all_is_well "after cowsnapd's $way"

    containerd_$way
    goes_on "without containerd ($way)"
    containerd_again
    all_is_well "after containerd's $way"

    cowsnapd_$way
    containerd_$way
    goes_on "without both ($way)"
    # In the order that a machine may start them in: containerd dials when it needs to.
    containerd_again
    cowsnapd_again
    all_is_well "after the $way of both"
done

# cowsnapd dies in the middle of an image. What it had not finished is undone at its next start.
before=$(e2e_applied)
more_applied() { [ "$(e2e_applied)" -gt "$before" ]; }
ctr images import --snapshotter cowsnap "$real" >"$RIG_DIR/import.said" 2>&1 &
import=$!
rig_until 60 more_applied || rig_fail "no layer of the real image is applied: $(cat "$RIG_DIR/import.said")"
cowsnapd_kill
! wait "$import" || rig_fail "an import succeeds whose snapshotter was killed"
goes_on "after cowsnapd died in an import"
cowsnapd_again
is_reached "after cowsnapd died in an import"
ctr images import --snapshotter cowsnap "$real" >/dev/null
[ "$(ctr run --rm --snapshotter cowsnap cowsnap.test/real:latest again cat /etc/cowsnap-image)" = "made from Debian packages" ] ||
    rig_fail "the image that was imported again does not run"
all_is_well "after cowsnapd died in an import"

e2e_stop steady
e2e_forget "$image" cowsnap.test/real:latest
version=$CONTAINERD_VERSION
e2e_done
echo "summary: containerd $version: one container through $((outages - 1)) outages, $((($(rig_now) - started) / 1000)) s"
