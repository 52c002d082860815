#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh --build                 stages what the guest needs below BUILD/systemd
# run.sh [btrfs] [dm-thin]       in a guest of tests/vm/run --systemd
#
# cowsnapd.service as `cmake --install` puts it in place, under systemd, with containerd 1.7's own unit and udev:
# it starts, in its sandbox, before containerd; containers run on clones of both backends' embedded pools; what the
# daemon mounts is seen outside; a restart, a kill and a stop of the unit leave them running; all that was made goes.
# A start that cannot succeed yet is tried until it does.
# The sandbox refuses what it should (sandbox_probe.py) and nothing that the daemon does: the kernel's log says.
# On thin volumes udev makes the nodes, and no cookie stays.
#
# It changes the machine it runs on, which must be a guest: units, /etc/cowsnap, /etc/containerd, /var/lib.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
# shellcheck source=../e2e/common.sh
. "$RIG_TESTS/e2e/common.sh"

here=$RIG_TESTS/systemd
staged=$RIG_BUILD/systemd
unit=cowsnapd.service
image=cowsnap.test/minimal:latest
odd=cowsnap.test/privileged:latest

build() {
    rig_begin systemd
    rm -rf "$staged"
    DESTDIR=$staged cmake --install "$RIG_BUILD" --prefix /usr/local >"$RIG_DIR/install.log"
    "$here/privileged_layer.py" "$RIG_DIR/privileged.tar"
    "$RIG_PYTHON" -I "$RIG_TESTS/images/oci_archive.py" "$staged/privileged.oci.tar" "$odd" "$RIG_DIR/privileged.tar=gzip" >/dev/null
    "$RIG_TESTS/images/make_image.sh" minimal gzip,zstd,none >/dev/null
    containerd_peer 1.7 >/dev/null
}

if [ "${1:-}" = --build ]; then
    build
    exit
fi
backends=("$@")
[ $# -gt 0 ] || backends=(btrfs dm-thin)
[ "$(cat /proc/1/comm)" = systemd ] && grep -q 'overlay / ' /proc/mounts ||
    rig_skip "this changes the machine: tests/vm/run --systemd -- $0"
rig_need_root
rig_need_device_mapper
[ -x "$staged/usr/local/bin/cowsnapd" ] || rig_fail "nothing is staged below $staged: $0 --build does it, on the host"
rig_begin systemd
started=$(rig_now)
checks=0

# is WHAT FOUND WANTED
is() {
    [ "$2" = "$3" ] || rig_fail "$1: '$2', not '$3'"
    checks=$((checks + 1))
}
# holds WHAT COMMAND…
holds() {
    local what=$1
    shift
    "$@" || rig_fail "$what"
    checks=$((checks + 1))
}
property() { systemctl show --value -p "$1" "${2:-$unit}"; }
journal() { journalctl --sync && journalctl -q -o cat -b -u "$unit"; }
main_pid() { property MainPID; }

# Shows what happened when something failed.
explain() {
    [ "$RIG_KEPT_STATUS" != 0 ] || return 0
    systemctl --no-pager status "$unit" containerd.service 2>&1 | head -n 40 >&2 || true
    journal | tail -n 40 >&2 || true
    dmesg | tail -n 15 >&2 || true
}
rig_undo_later explain

# ---- the machine: both programs in place, as their packages would have it ----

sysctl -qw kernel.printk_ratelimit=0
cp -a "$staged/usr/local/." /usr/local/
peer=$(containerd_peer 1.7)
cp -a "$peer/." /usr/bin/
cp "$peer/../lib/systemd/system/containerd.service" /etc/systemd/system/
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 /dev/vda
mkdir -p /srv/disk /var/lib/cowsnap /var/lib/containerd /etc/cowsnap /etc/containerd
mount /dev/vda /srv/disk
for name in cowsnap containerd; do
    mkdir -m 711 "/srv/disk/$name"
    mount --bind "/srv/disk/$name" "/var/lib/$name"
done
{
    echo 'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]'
    # The collector waits to be asked, since ctr gives no lease to what it makes.
    cowsnap containerd-config --version "$(containerd_version /usr/bin)" | sed 's/^version.*/# &/'
    printf '[plugins."io.containerd.gc.v1.scheduler"]\n  mutation_threshold = 1000000000\n  startup_delay = "24h"\n'
} >/etc/containerd/config.toml
sed -i '1i version = 2' /etc/containerd/config.toml
# A boot asks for both at once, in whatever order.
printf '[Unit]\nWants=containerd.service %s\nAfter=containerd.service %s\n' "$unit" "$unit" >/run/systemd/system/node.target
# The same sandbox around another program, and the same capabilities without it.
sandboxed() { sed -E '/^(Type|ExecStart|Restart|RestartSec|RestartPreventExitStatus|Before|WantedBy)=|^\[Install\]/d' "/usr/local/lib/systemd/system/$unit"; }
probe() { printf 'Type=oneshot\nExecStart=%s -I %s\nStandardOutput=file:%s\n' "$RIG_PYTHON" "$here/sandbox_probe.py" "$1"; }
{
    sandboxed
    probe /run/sandboxed
} >/run/systemd/system/probe-sandboxed.service
{
    echo '[Service]'
    sandboxed | grep -E '^(CapabilityBoundingSet)='
    probe /run/free
} >/run/systemd/system/probe-free.service
systemctl daemon-reload

CONTAINERD_BIN=/usr/bin
CONTAINERD_SOCKET=/run/containerd/containerd.sock
COWSNAPD_SOCKET=/run/cowsnap/cowsnap.sock
COWSNAPD_ROOT=/var/lib/cowsnap
COWSNAP=/usr/local/bin/cowsnap
export CONTAINERD_NAMESPACE=default

# ---- the unit by itself ----

said=$(systemd-analyze verify "/usr/local/lib/systemd/system/$unit" 2>&1) || rig_fail "systemd-analyze verify: $said"
is "systemd-analyze verify" "$said" ""
systemctl -q enable "$unit"
is "enabled" "$(systemctl is-enabled "$unit")" enabled
systemd-analyze security --no-pager "$unit" >"$RIG_DIR/security.log"
cat "$RIG_DIR/security.log"
score=$(sed -nE 's/.*Overall exposure level for [^:]*: ([0-9.]+) .*/\1/p' "$RIG_DIR/security.log")
holds "systemd-analyze security gives $unit ${score:-no score}, more than 5.0" awk -v score="${score:-10}" 'BEGIN { exit score > 5.0 }'

systemctl start probe-free.service probe-sandboxed.service || rig_fail "the probes do not run"
is "what the daemon's capabilities do not allow, without a sandbox" "$(grep -v ': allowed$' /run/free)" ""
is "what the sandbox allows" "$(grep -v ': refused$' /run/sandboxed)" ""
is "lines of both probes" "$(wc -l </run/sandboxed)" "$(wc -l </run/free)"
probed=$(wc -l </run/sandboxed)
# The kernel tells of what a filter refuses: it did of the probe's calls, and at the end must not of the daemon's.
# clone3 (435) does not count: RestrictNamespaces answers ENOSYS, so that libc takes clone, whose flags can be seen.
refused_calls() { dmesg | grep -E 'type=1326 .*exe="[^"]*/('"$1"')[^"/]*"' | grep -v ' syscall=435 ' || true; }
[ -n "$(refused_calls python)" ] || rig_fail "the kernel's log does not tell of refused system calls"

# ---- the daemon ----

# A daemon that serves: ready, in its sandbox, in the mount namespace of all.
look_at_daemon() {
    local pid
    pid=$(main_pid)
    is "state of the unit" "$(property ActiveState)/$(property SubState)" active/running
    is "program of the unit" "$(readlink "/proc/$pid/exe")" /usr/local/bin/cowsnapd
    is "mount namespace of the daemon" "$(readlink "/proc/$pid/ns/mnt")" "$(readlink /proc/1/ns/mnt)"
    is "mode of system calls" "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/$pid/status")" 2
    is "no new privileges" "$(awk '$1 == "NoNewPrivs:" { print $2 }' "/proc/$pid/status")" 1
    is "effective capabilities" "$(awk '$1 == "CapEff:" { print $2 }' "/proc/$pid/status")" "$(awk '$1 == "CapBnd:" { print $2 }' "/proc/$pid/status")"
    holds "the daemon has all capabilities" [ "$(awk '$1 == "CapBnd:" { print $2 }' "/proc/$pid/status")" != 000001ffffffffff ]
    holds "cowsnap status does not answer" cowsnap status --json >"$RIG_DIR/status.json"
}

configure() {
    printf 'backend = "%s"\n[pool]\nsize = "2GiB"\n[apply]\nio_engine = "%s"\n[log]\nlevel = "debug"\n' "$1" "$2" >/etc/cowsnap/config.toml
}

# Both by one transaction, and the second after the first was ready.
start_both() {
    local ready began
    systemctl start node.target
    ready=$(property ActiveEnterTimestampMonotonic)
    began=$(property ExecMainStartTimestampMonotonic containerd.service)
    holds "containerd was started at $began µs, before cowsnapd was ready at $ready µs" [ "$began" -gt "$ready" ]
    rig_until 60 containerd_answers || rig_fail "containerd does not answer"
}

# lives ID PID: the container is the same process as ever and goes on counting.
lives() {
    local before
    is "process of container $1" "$(e2e_pid "$1")" "$2"
    before=$(wc -l <"/proc/$2/root/counter")
    holds "container $1 does not go on" rig_until 60 counts_on "$2" "$before"
}
counts_on() { [ "$(wc -l <"/proc/$1/root/counter")" -gt "$2" ]; }

# look_at_odd SNAPSHOT: as root of the machine sees it.
look_at_odd() {
    local where=$RIG_DIR/odd
    e2e_snapshots view odd "$1" >/dev/null
    e2e_mount odd "$where"
    is "the layer of the privileged" "$(cd "$where/odd" && stat -c '%n %a %u %g %F %t,%T' -- * locked/inside)" \
        "block 660 0 0 block special file 103,4d
capable 755 0 0 regular file 0,0
character 666 0 0 character special file 1,7
described 644 0 0 regular file 0,0
locked 0 1000 0 directory 0,0
of-somebody 400 1000 2000 regular file 0,0
pipe 644 0 0 fifo 0,0
set-group-id 2775 0 1000 directory 0,0
set-user-id 4755 0 0 regular file 0,0
locked/inside 600 1000 0 regular file 0,0"
    is "file capabilities" "$(getcap "$where/odd/capable")" "$where/odd/capable cap_net_raw=ep"
    is "attribute" "$(getfattr --absolute-names --only-values -n user.cowsnap "$where/odd/described")" "of all"
    umount "$where"
    e2e_snapshots rm odd
}
restarted() { [ "$(property NRestarts)" -gt "$1" ] && [ "$(property ActiveState)" = active ]; }

# The unit is restarted, killed and stopped under a container that runs.
disturb() {
    local pid containerd before restarts
    pid=$(e2e_pid first)
    containerd=$(property MainPID containerd.service)
    before=$(main_pid)
    systemctl restart "$unit"
    holds "the restart left the same daemon" [ "$(main_pid)" != "$before" ]
    is "containerd after the restart" "$(property MainPID containerd.service)" "$containerd"
    lives first "$pid"
    look_at_daemon
    is "a container after the restart" "$(ctr run --rm --snapshotter cowsnap "$image" second cat /srv/data/second)" "a file of the second layer"

    restarts=$(property NRestarts)
    kill -KILL "$(main_pid)"
    holds "the unit is not started again after a kill" rig_until 60 restarted "$restarts"
    lives first "$pid"
    is "a container after the kill" "$(ctr run --rm --snapshotter cowsnap "$image" second cat /srv/data/second)" "a file of the second layer"

    systemctl stop "$unit"
    is "how the daemon ended" "$(property Result)/$(property ExecMainStatus)" success/0
    lives first "$pid"
    systemctl start "$unit"
    look_at_daemon
}

# What a container leaves becomes an image's layer, a view of it is read, all goes.
commit_and_remove() {
    e2e_exec first sh -c 'echo "written in the container" >/srv/new'
    e2e_end_task first
    e2e_snapshots commit kept first
    e2e_snapshots view look kept >/dev/null
    e2e_mount look "$RIG_DIR/look"
    e2e_text "$RIG_DIR/look/srv/new" "written in the container"
    holds "a view can be written" read_only "$RIG_DIR/look"
    umount "$RIG_DIR/look"
    ctr containers rm first
    e2e_snapshots rm look
    e2e_snapshots rm kept
}
read_only() { ! touch "$1/new" 2>/dev/null; }

manage_pool() {
    cowsnap pool grow +256MiB >"$RIG_DIR/said" 2>&1 || rig_fail "cowsnap pool grow: $(cat "$RIG_DIR/said")"
    is "size of the pool that grew" "$(cowsnap pool status --json | jq .size)" $(((2 << 30) + (256 << 20)))
    cowsnap pool check >"$RIG_DIR/said" 2>&1 || rig_fail "cowsnap pool check: $(cat "$RIG_DIR/said")"
    cowsnap check >"$RIG_DIR/said" 2>&1 || rig_fail "cowsnap check: $(cat "$RIG_DIR/said")"
    checks=$((checks + 2))
}

E2E_KEPT_MOUNTS=
nothing_left() {
    local what
    ctr images rm --sync "$image" "$odd" >/dev/null
    for what in e2e_content e2e_keys e2e_volumes; do
        holds "$what: after the collection there is still something" rig_until 60 e2e_none "$what"
    done
}

# ---- what each backend has of its own ----

mounts_of_btrfs() {
    local pid=$1
    is "the pool, seen from the first process" "$(awk '$5 == "/var/lib/cowsnap/pool" { print $9 }' /proc/1/mountinfo)" btrfs
    is "the container's root" "$(awk '$5 == "/" { print $9 }' "/proc/$pid/mountinfo")" btrfs
    # A volume with another in a folder that cannot be changed: removing it takes more than the usual rights.
    local folder
    folder=$(e2e_snapshots mounts /nowhere first | awk '{ print $4 }')
    mkdir "$folder/stuck"
    btrfs -q subvolume create "$folder/stuck/nested" >/dev/null
    chattr +i "$folder/stuck"
}

is_link_to_dm() { [ -L "$1" ] && [[ $(readlink -f "$1") == /dev/dm-* ]]; }

mounts_of_dm_thin() {
    local pid=$1 pool node device volumes=0
    is "the container's root" "$(awk '$5 == "/" { print $9 }' "/proc/$pid/mountinfo")" ext4
    pool=$(cat /var/lib/cowsnap/thin-pool/name)
    # Devices of what was just committed are about to go.
    cowsnapd_settle 60
    # The library makes nodes, udev makes links to the kernel's own.
    for node in $(rig_devices_of /var/lib/cowsnap); do
        holds "/dev/mapper/$node is not udev's: $(ls -l "/dev/mapper/$node")" is_link_to_dm "/dev/mapper/$node"
        device=$(udevadm info "/dev/mapper/$node")
        case $node in
        "$pool"-snap-*)
            holds "udev is not told to keep off $node" grep -q 'DM_UDEV_DISABLE_OTHER_RULES_FLAG=1' <<<"$device"
            is "what udev found in $node" "$(grep ID_FS_ <<<"$device" || true)" ""
            volumes=$((volumes + 1))
            ;;
        esac
    done
    holds "no volume has a device" [ "$volumes" -gt 0 ]
    is "cookies that wait" "$(cookies)" ""
}
cookies() { dmsetup udevcookies 2>/dev/null | awk 'NR > 1'; }

end_of_btrfs() {
    systemctl stop containerd.service "$unit"
    is "the pool after the stop, seen from the first process" "$(awk '$5 == "/var/lib/cowsnap/pool" { print $9 }' /proc/1/mountinfo)" btrfs
    umount /var/lib/cowsnap/pool
}

# udev's links go with the devices; a daemon that finds no udev makes the nodes itself.
end_of_dm_thin() {
    local pool node
    pool=$(cat /var/lib/cowsnap/thin-pool/name)
    is "devices of snapshots" "$(rig_devices_of /var/lib/cowsnap | grep -- '-snap-' || true)" ""
    is "nodes of snapshots" "$(find /dev/mapper -name "$pool-snap-*")" ""
    is "cookies that wait" "$(cookies)" ""
    is "removals that were tried again" "$(journal | grep -iE 'busy|EBUSY' || true)" ""
    systemctl stop containerd.service "$unit"
    systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service
    holds "udev's socket is there still" [ ! -e /run/udev/control ]
    rig_end_devices /var/lib/cowsnap
    rm -f "/dev/mapper/$pool"*
    systemctl start --job-mode=ignore-dependencies "$unit"
    node=/dev/mapper/$pool
    holds "without udev $node is $(stat -c %F "$node" 2>&1), no node of the daemon's" own_node "$node"
    systemctl stop "$unit"
    rig_end_devices /var/lib/cowsnap
    systemctl start systemd-udevd.service
}
own_node() { [ -b "$1" ] && [ ! -L "$1" ]; }

# More often than systemd tries by itself (five times), and then well.
heals() {
    printf '[pool]\npath = "/srv/absent"\n' >/etc/cowsnap/config.toml
    holds "the unit starts without its pool" cannot_start
    holds "the unit is not tried again and again" rig_until 120 tried 7
    configure btrfs plain
    holds "the unit does not start when it can" rig_until 120 serving
    systemctl stop "$unit"
    umount /var/lib/cowsnap/pool
}
cannot_start() { ! systemctl start "$unit" 2>/dev/null; }
tried() { [ "$(property NRestarts)" -ge "$1" ]; }
serving() { [ "$(property ActiveState)" = active ]; }

# ---- a round ----

round() {
    local backend=$1 engine=$2 pid before
    configure "$backend" "$engine"
    E2E_BACKEND=$backend
    start_both
    look_at_daemon
    is "backend" "$(jq -r .backend "$RIG_DIR/status.json")" "$backend"
    ctr images import --snapshotter cowsnap "$RIG_BUILD/images/minimal-gzip-zstd-none.oci.tar" >/dev/null
    before=$(e2e_snapshots ls | awk 'NR > 1 { print $1 }')
    ctr images import --snapshotter cowsnap "$staged/privileged.oci.tar" >/dev/null
    # For containerd's own snapshotter, too, whose folders are elsewhere and want whiteouts.
    ctr images import --snapshotter overlayfs "$RIG_BUILD/images/minimal-gzip-zstd-none.oci.tar" >/dev/null
    is "layers applied by the daemon" "$(journal | grep -c 'applied layer')" "$applied"
    look_at_odd "$(e2e_snapshots ls | awk 'NR > 1 { print $1 }' | grep -vxF "$before")"
    e2e_run first "$image"
    pid=$(e2e_pid first)
    "mounts_of_${backend/-/_}" "$pid"
    disturb
    manage_pool
    commit_and_remove
    nothing_left
    "end_of_${backend/-/_}"
    rm -rf --one-file-system /var/lib/cowsnap/* /var/lib/containerd/*
    is "errors in the daemon's log" "$(journal | grep -E ' (ERROR|error) ' || true)" ""
}
applied=0
for backend in "${backends[@]}"; do
    applied=$((applied + 7))
    case $backend in
    btrfs) round btrfs plain ;;
    dm-thin) round dm-thin auto ;;
    *) rig_fail "there is no backend '$backend'" ;;
    esac
    rig_say "$backend: done after $((($(rig_now) - started) / 1000)) s"
done
heals
is "system calls of the daemon and its programs that the filter refused" "$(refused_calls 'cowsnapd|mkfs|mke2fs|thin_|btrfs|pdata_tools')" ""
echo "summary: cowsnapd.service on systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), ${backends[*]}: exposure $score, $probed things refused by the sandbox and none that the daemon does, $checks checks, $((($(rig_now) - started) / 1000)) s"
