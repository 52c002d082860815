# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash source-path=SCRIPTDIR
# shellcheck disable=SC2034 # its variables are for those who source it
#
# What every rig script stands on: a scratch folder, a list of things to undo, and processes that are
# ended by their own id. Source this file and call rig_begin; whatever ends the script (success, an
# error, Ctrl-C, SIGTERM), nothing started through these functions stays behind.
#
#   RIG_DIR     the scratch folder of this run
#   RIG_TESTS   the tests/ folder
#   RIG_BUILD   the build tree (COWSNAP_BUILD, or build/release, or build/debug)

RIG_TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RIG_SOURCE=$(dirname "$RIG_TESTS")
if [ -n "${COWSNAP_BUILD:-}" ]; then
    RIG_BUILD=$COWSNAP_BUILD
elif [ -x "$RIG_SOURCE/build/release/plugin/daemon/cowsnapd" ]; then
    RIG_BUILD=$RIG_SOURCE/build/release
else
    RIG_BUILD=$RIG_SOURCE/build/debug
fi
RIG_PYTHON=/usr/bin/python3
[ -x "$RIG_PYTHON" ] || RIG_PYTHON=python3
RIG_DIR=
RIG_UNDO=()
RIG_KEPT_STATUS=0

rig_say() { printf '%s\n' "$*" >&2; }

rig_fail() {
    rig_say "FAILED: $*"
    exit 1
}

# A test that lacks a privilege or a program says so and ends with 77, which counts as a skip.
rig_skip() {
    rig_say "SKIPPED: $*"
    exit 77
}

rig_need() {
    local program
    for program; do
        command -v "$program" >/dev/null || rig_skip "$program is not installed"
    done
}

rig_need_root() { [ "$(id -u)" = 0 ] || rig_skip "this rig mounts file systems and must run as root"; }

# rig_undo_later COMMAND ARGUMENTS…: run at the end, the last registered first.
rig_undo_later() {
    local quoted
    printf -v quoted '%q ' "$@"
    RIG_UNDO+=("$quoted")
}

# Where scratch folders lie: TMPDIR, else /tmp, but on a disk. Where /tmp is in memory (Debian 13 makes it so), pools
# of many GiB have no room there, and what would be measured is memory.
rig_place() {
    if [ -z "${TMPDIR:-}" ] && [ "$(stat -f -c %T /tmp)" = tmpfs ] && [ -w /var/tmp ]; then
        echo /var/tmp
    else
        echo "${TMPDIR:-/tmp}"
    fi
}

# rig_begin NAME: make the scratch folder and arm the clean-up.
rig_begin() {
    RIG_NAME=$1
    RIG_DIR=$(mktemp -d "$(rig_place)/cowsnap-$RIG_NAME.XXXXXX")
    RIG_DIR=$(realpath "$RIG_DIR")
    trap rig_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    if [ ${#RIG_DIR} -gt 60 ]; then
        rig_fail "the scratch folder $RIG_DIR has too long a name for unix sockets in it; set TMPDIR to a shorter one"
    fi
}

rig_end() {
    RIG_KEPT_STATUS=$?
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    if [ "$RIG_KEPT_STATUS" != 0 ] && [ "$RIG_KEPT_STATUS" != 77 ] && [ -n "${RIG_KEEP_LOGS:-}" ]; then
        mkdir -p "$RIG_KEEP_LOGS"
        find "$RIG_DIR" -maxdepth 4 \( -name '*.log' -o -name '*.diff' -o -name '*.toml' \) \
            -exec cp --backup=numbered -t "$RIG_KEEP_LOGS" {} +
    fi
    local i
    for ((i = ${#RIG_UNDO[@]} - 1; i >= 0; i--)); do
        eval "${RIG_UNDO[i]}" || rig_say "clean-up: '${RIG_UNDO[i]}' failed"
    done
    rig_sweep
    exit "$RIG_KEPT_STATUS"
}

# Mount points below DIRECTORY, the deepest and latest first.
rig_mounts_below() {
    awk -v below="$1/" '{ gsub(/\\040/, " ", $5); if (index($5 "/", below) == 1) print $5 }' /proc/self/mountinfo | tac
}

# Whatever still lies below the scratch folder goes: mounts, loop devices on files in it, the files.
rig_sweep() {
    [ -n "$RIG_DIR" ] && [ -d "$RIG_DIR" ] || return 0
    local point device file tries
    for tries in 1 2 3; do
        while IFS= read -r point; do
            umount "$point" 2>/dev/null || { [ "$tries" -lt 3 ] || umount -l "$point"; }
        done < <(rig_mounts_below "$RIG_DIR")
        [ -n "$(rig_mounts_below "$RIG_DIR")" ] || break
        sleep 0.2
    done
    while read -r device file; do
        case $file in "$RIG_DIR"/*) losetup -d "$device" 2>/dev/null ;; esac
    done < <(losetup -ln -O NAME,BACK-FILE 2>/dev/null)
    # Device nodes and immutable oddities of unpacked layers are plain names to rm; other file systems are not entered.
    rm -rf --one-file-system "$RIG_DIR" || rig_say "clean-up: $RIG_DIR could not be removed whole"
}

# rig_until SECONDS COMMAND…: try until it succeeds or the time is over, which is as many times as long as RIG_SLOW says.
rig_until() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000 * ${RIG_SLOW:-1}))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

rig_gone() {
    # A zombie of ours is over too: wait collects it.
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) || return 0
    [ "${state:0:1}" = Z ]
}

# rig_stop PID SECONDS: SIGTERM, then SIGKILL when the time is over. Answers the process's exit status
# (128+9 when it had to be killed).
rig_stop() {
    local pid=$1 seconds=${2:-10}
    kill -TERM "$pid" 2>/dev/null || true
    if ! rig_until "$seconds" rig_gone "$pid"; then
        rig_say "process $pid does not end by SIGTERM within $seconds s: killed"
        kill -KILL "$pid" 2>/dev/null || true
        rig_until 10 rig_gone "$pid" || rig_say "process $pid does not die"
    fi
    wait "$pid" 2>/dev/null
}

# rig_accepts SOCKET PID SECONDS: until the socket accepts a connection, in as long as rig_until has; fails at once when PID has ended.
rig_accepts() {
    "$RIG_PYTHON" -I - "$1" "$2" $(($3 * ${RIG_SLOW:-1})) <<'PYTHON'
import os, socket, sys, time
path, pid, deadline = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
def alive():
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
while True:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path)
            sys.exit(0)
        except OSError as e:
            last = e
    if not alive():
        sys.exit(f"process {pid} ended before {path} accepted a connection")
    if time.monotonic() > deadline:
        sys.exit(f"{path}: {last.strerror}, and the time is over")
    time.sleep(0.01)
PYTHON
}

# rig_loop_mount TYPE DIRECTORY SIZE [mkfs options…]: a fresh file system in a sparse file, by loop. Direct, as a
# disk is: a second copy of each page in the file's own cache would be measured with everything that is written.
rig_loop_mount() {
    local type=$1 directory=$2 size=$3 image=$2.img device
    shift 3
    mkdir -p "$directory"
    truncate -s "$size" "$image"
    case $type in
    btrfs) mkfs.btrfs -q "$@" "$image" >/dev/null ;;
    ext4) mkfs.ext4 -q -F -O has_journal "$@" "$image" >/dev/null ;;
    *) rig_fail "rig_loop_mount: no file system '$type'" ;;
    esac
    device=$(losetup --find --show "$image")
    losetup --direct-io=on "$device" 2>/dev/null || true # tmpfs on older kernels cannot
    mount -t "$type" "$device" "$directory"
    losetup --detach "$device" # goes with the mount
}

# rig_devices_of ROOT: names of the device-mapper devices of the pool that a daemon made under ROOT.
rig_devices_of() {
    local pool
    pool=$(cat "$1/thin-pool/name" 2>/dev/null) || return 0
    dmsetup ls 2>/dev/null | awk -v pool="$pool" '$1 == pool || index($1, pool "-") == 1 { print $1 }' | sort -r
}

# rig_end_devices ROOT: unmounts and ends them, the pool last. For rig_undo_later, before a daemon's own undo is put
# there: what is put later is undone first.
rig_end_devices() {
    local device
    for device in $(rig_devices_of "$1"); do
        while umount "/dev/mapper/$device" 2>/dev/null; do :; done
        dmsetup remove --retry --noudevsync "$device" >/dev/null 2>&1 || dmsetup remove --force "$device" ||
            rig_say "clean-up: the device $device stays"
    done
}

# rig_tool NAME: the path of a C program of tests/tools, compiled here when the build tree has none.
rig_tool() {
    local built=$RIG_BUILD/tests/tools/$1
    if [ ! -x "$built" ] || [ "$RIG_TESTS/tools/$1.c" -nt "$built" ]; then
        built=$RIG_DIR/$1
        [ -x "$built" ] || cc -std=gnu17 -D_GNU_SOURCE -O2 -o "$built" "$RIG_TESTS/tools/$1.c" -lcrypto ||
            rig_fail "tests/tools/$1.c does not compile"
    fi
    echo "$built"
}

# rig_go_verdict TITLE LOG DEPTH STATUS [ASIDE]: counts the checks of a test binary's LOG (DEPTH: top for whole tests,
# all for their parts as well), shows what failed, and ends in the lines that test.sh reads. Fails when anything did,
# and when nothing was checked. ASIDE is a test that has no meaning here: its skip is told and not counted.
rig_go_verdict() {
    local title=$1 log=$2 indent='' status=$4 without=${5:-} passed failed skipped aside=''
    [ "$3" = top ] || indent=' *'
    passed=$(grep -c "^$indent--- PASS: " "$log" || true)
    failed=$(grep -c "^$indent--- FAIL: " "$log" || true)
    skipped=$(grep -c "^$indent--- SKIP: " "$log" || true)
    if [ -n "$without" ] && grep -q "^$indent--- SKIP: $without " "$log"; then
        skipped=$((skipped - 1)) aside="; $without has no meaning here"
    fi
    if [ "$status" != 0 ]; then
        # containerd's suite tells of each mount that it ends
        grep -v -e '^=== ' -e "^$indent--- PASS" -e ': unmount /' "$log" | tail -n 100 >&2
        tail -n 20 "$RIG_DIR/t/root/server.log" >&2 || true
    fi
    echo "summary: $title: $passed passed, $failed failed, $skipped skipped$aside"
    echo "count: $passed $failed $skipped"
    [ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

# Whether this machine's own kernel has device-mapper's thin pools, loaded if need be, and we may use them.
rig_has_thin_pools() {
    modprobe -q dm_thin_pool 2>/dev/null || true
    [ -c /dev/mapper/control ] && dmsetup targets 2>/dev/null | grep -q '^thin-pool '
}

# rig_need_device_mapper: loop devices and thin pools, or a skip.
rig_need_device_mapper() {
    rig_need losetup dmsetup
    rig_has_thin_pools ||
        rig_skip "this kernel has no device-mapper with thin pools (modprobe dm_thin_pool; tests/vm has one)"
}

# rig_need_log_writes: what keeps a log of a disk's writes, or a skip.
rig_need_log_writes() {
    rig_need losetup dmsetup
    modprobe -q dm_log_writes 2>/dev/null || true
    [ -c /dev/mapper/control ] && dmsetup targets 2>/dev/null | grep -q '^log-writes ' ||
        rig_skip "this kernel has no dm-log-writes (modprobe dm_log_writes; tests/vm has one)"
}

# rig_go_suite NAME FILES…: the path of a test binary made of these Go files, with the packages that Debian
# ships. It is built below the build tree, where Go's own cache answers the later times. Where that cannot be
# written (a guest of tests/vm), the one that `tests/NAME/run.sh --build` made of the same files must be there.
rig_go_suite() {
    local name=$1 tree=$RIG_BUILD/$1 file
    shift
    mkdir -p "$tree/src/cowsnap/$name" 2>/dev/null || true
    if [ ! -w "$tree/src/cowsnap/$name" ]; then
        for file; do
            cmp -s "$file" "$tree/src/cowsnap/$name/$(basename "$file")" && [ -x "$tree/$name.test" ] ||
                rig_fail "$tree/$name.test is missing or old and cannot be built here: tests/$name/run.sh --build makes it"
        done
        echo "$tree/$name.test"
        return
    fi
    tree=$(cd "$tree" && pwd)
    rm -rf "$tree/src" && mkdir -p "$tree/src/cowsnap/$name"
    cp "$@" "$tree/src/cowsnap/$name/"
    (cd "$tree/src/cowsnap/$name" &&
        GO111MODULE=off GOFLAGS='' GOPATH=$tree:/usr/share/gocode GOCACHE=$tree/cache \
            go test -c -o "$tree/$name.test.$$" . >&2) || rig_fail "the Go suite $name does not compile"
    mv "$tree/$name.test.$$" "$tree/$name.test"
    echo "$tree/$name.test"
}

# rig_now: milliseconds, for figures only.
rig_now() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# shellcheck source=containerd.sh
. "$RIG_TESTS/lib/containerd.sh"
# shellcheck source=cowsnapd.sh
. "$RIG_TESTS/lib/cowsnapd.sh"
