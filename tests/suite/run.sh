#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [folder|embedded|ext4|xfs|btrfs|native] [flags of the test binary, for example -test.run=/Walk]
# run.sh --build
#
# containerd's own snapshotter suite (1.6.20, from Debian's packages) against cowsnapd:
#   folder     its root lies on an existing btrfs (the default)
#   embedded   its root lies on ext4, so each daemon makes its own pool
#   ext4, xfs  the backend dm-thin, each daemon with its own pool of volumes with that file system
#   btrfs, native   containerd's built-in snapshotter instead: shows that the rig itself is sound
# --build only makes the test binary, for a guest of tests/vm.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

mode=folder
case ${1:-} in
folder | embedded | ext4 | xfs | btrfs | native | --build) mode=$1 && shift ;;
esac
rig_need_root
rig_need go mkfs.btrfs losetup
[ -d /usr/share/gocode/src/github.com/containerd/containerd/snapshots/testsuite ] ||
    rig_skip "golang-github-containerd-containerd-dev is not installed"
case $mode in
ext4 | xfs) rig_need_device_mapper ;;
esac
rig_begin suite
# Versions of the package that follow 1.6 moved parts of it: the suite is of the 1.6 line.
binary=$(rig_go_suite suite "$RIG_TESTS"/suite/*_test.go)
[ "$mode" != --build ] || exit 0

case $mode in
embedded) rig_loop_mount ext4 "$RIG_DIR/t" 40G ;;
ext4 | xfs) mkdir "$RIG_DIR/t" ;;
*) rig_loop_mount btrfs "$RIG_DIR/t" 8G ;;
esac
mkdir "$RIG_DIR/logs"

case $mode in
folder | embedded | ext4 | xfs)
    cowsnapd_need
    export SUITE_SNAPSHOTTER=cowsnap
    flags=${COWSNAPD_FLAGS:-}
    case $mode in
    ext4 | xfs)
        printf '[dm_thin]\nfile_system = "%s"\n' "$mode" >"$RIG_DIR/config.toml"
        flags="--backend dm-thin --pool-size 1GiB --config $RIG_DIR/config.toml $flags"
        ;;
    esac
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec "%s" --root "$1" --address "$1/s.sock" %s\n' "$COWSNAPD" "$flags" >"$RIG_DIR/serve"
    ;;
*)
    bin=$(containerd_peer 1.6)
    export SUITE_SNAPSHOTTER=$mode
    # shellcheck disable=SC2034 # read by containerd_configuration
    CONTAINERD_MAJOR=1 CONTAINERD_DIR=@ROOT@ CONTAINERD_SOCKET=@ROOT@/s.sock
    containerd_configuration >"$RIG_DIR/template.toml"
    cat >"$RIG_DIR/serve" <<SERVE
#!/bin/sh
sed "s|@ROOT@|\$1|g" "$RIG_DIR/template.toml" >"\$1/config.toml"
exec "$bin/containerd" --config "\$1/config.toml"
SERVE
    ;;
esac
chmod +x "$RIG_DIR/serve"

end_all_devices() {
    local root
    for root in "$RIG_DIR"/t/*/*; do rig_end_devices "$root"; done
}

status=0
rig_undo_later end_all_devices
# The suite builds whole file trees: it must see exact modes whatever the caller's umask.
TMPDIR=$RIG_DIR/t SUITE_SERVE=$RIG_DIR/serve SUITE_LOGS=$RIG_DIR/logs \
    "$binary" -test.v -test.parallel 6 -test.timeout 15m "$@" >"$RIG_DIR/suite.log" 2>&1 &
suite_pid=$!
rig_undo_later rig_stop "$suite_pid" 10
wait "$suite_pid" || status=$?

# checks VERDICT [NAME]: how many ended so, in all or those of that name.
checks() { grep -cE "^ *--- $1: TestSnapshotter/${2:-.*} \\(" "$RIG_DIR/suite.log" || true; }

# The suite skips this one on every snapshotter (snapshots/testsuite/issues.go, checkRename): no skip of ours.
left_out=$(checks SKIP Rename) aside=''
passed=$(checks PASS) failed=$(checks FAIL) skipped=$(($(checks SKIP) - left_out))
if [ "$status" != 0 ]; then
    grep -vE '^=== |^ +--- PASS' "$RIG_DIR/suite.log" | tail -n 150 >&2
    for log in "$RIG_DIR"/logs/*.log; do
        grep -aiE 'error|fail|panic|sanitizer' "$log" | sed "s|^|$(basename "$log"): |" | tail -n 5 >&2 || true
    done
fi
grep -A1 "^ *--- SKIP" "$RIG_DIR/suite.log" >&2 || true
[ "$left_out" = 0 ] || aside="; Rename, which the suite itself leaves out, is not counted"
echo "summary: containerd's snapshotter suite on $SUITE_SNAPSHOTTER ($mode): $passed passed, $failed failed, $skipped skipped$aside"
echo "count: $passed $failed $skipped"
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ] || exit 1
