#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows on one screen what cowsnap does, with real parts: a private containerd, a private cowsnapd on a
# pool of its own, a real image, runc containers. Leaves no mount, process or container behind, also after
# Ctrl-C; what it installed, fetched and built stays for the next time (build/, and Debian's packages).
#
#   sudo ./demo.sh                    makes an image from Debian packages
#   sudo ./demo.sh --archive FILE     takes an image from an OCI or Docker archive
#   sudo ./demo.sh --image REF        pulls an image
#   sudo TMPDIR=FOLDER ./demo.sh      works there, on a disk (default /tmp; /var/tmp where /tmp is in memory)
set -euo pipefail

archive='' image='' clones=10
while [ $# -gt 0 ]; do
    case $1 in
    --archive) archive=${2:?--archive wants a file} && shift 2 ;;
    --image) image=${2:?--image wants a reference} && shift 2 ;;
    -h | --help)
        sed -n '4,12s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "demo.sh: there is no option '$1'; --help tells those there are" >&2
        exit 2
        ;;
    esac
done
if [ -n "$archive" ]; then
    [ -r "$archive" ] || { echo "demo.sh: the archive $archive cannot be read" >&2; exit 2; }
    archive=$(realpath "$archive")
fi
cd "$(dirname "$0")" # names of files are taken from where the caller stands
[ "$(id -u)" = 0 ] || { echo "demo.sh: mounts and containers need root: sudo $0" >&2; exit 1; }

# shellcheck source=tests/lib/install.sh
. tests/lib/install.sh
install_build_packages
install_demo_packages
printf 'Building … '
mkdir -p build
{ cmake --preset release && cmake --build --preset release; } >build/demo-build.log 2>&1 ||
    { tail -n 30 build/demo-build.log; exit 1; }
echo "done"

export COWSNAP_BUILD=$PWD/build/release
# shellcheck source=tests/lib/rig.sh
. tests/lib/rig.sh
rig_begin demo
containerd_bin=$(containerd_peer 1.7)
builtin_root=$RIG_DIR/containerd/root/io.containerd.snapshotter.v1.btrfs

# ---- small helpers ----

# milliseconds as seconds with two decimals
seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }
mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
used_bytes() { df --output=used -B1 "$1" | tail -n 1 | tr -d ' '; }
settle() { sync -f "$1"; }

# progress_line LABEL FOLDER START BEFORE PID: while that process runs, tells how much has arrived below FOLDER.
progress_line() {
    while kill -0 "$5" 2>/dev/null && kill -0 $$ 2>/dev/null; do
        printf '\r  %-44s %9s  %s ' "$1" "$(mib $(($(used_bytes "$2") - $4)))" "$(seconds $(($(rig_now) - $3)))"
        sleep 0.2
    done
}

# progress LABEL FOLDER COMMAND…: runs it, with a line that grows. A process of its own writes the line, so that
# this shell does nothing but wait, and Ctrl-C finds it there.
progress() {
    local label=$1 folder=$2 start before pid line='' status=0
    shift 2
    start=$(rig_now)
    before=$(used_bytes "$folder")
    "$@" >"$RIG_DIR/progress.log" 2>&1 &
    pid=$!
    if [ -t 1 ]; then
        progress_line "$label" "$folder" "$start" "$before" "$pid" &
        line=$!
    fi
    wait "$pid" || status=$?
    progress_ms=$(($(rig_now) - start))
    if [ -n "$line" ]; then
        wait "$line" || true
        printf '\r'
    fi
    if [ "$status" != 0 ]; then
        printf '  %-44s failed\n' "$label"
        tail -n 20 "$RIG_DIR/progress.log" >&2
        cowsnapd_log 10
        exit 1
    fi
    printf '  %-44s %9s  %s \n' "$label" "" "$(seconds "$progress_ms")"
}

unpack() { ctr images unpack --snapshotter "$1" "$reference" 2>/dev/null || ctr snapshots unpack --snapshotter "$1" "$digest"; }

# ---- the image ----

mkdir -p "$builtin_root"
if [ -z "$archive$image" ]; then
    echo 'Making an image from Debian packages (once; kept in build/) …'
    archive=$(tests/images/make_image.sh real)
fi
# As cowsnap makes its own (backends/btrfs/mkfs.c): what is compared is the snapshotters.
rig_loop_mount btrfs "$builtin_root" 40G -n 4096 -m single -d single --csum xxhash
containerd_start "$RIG_DIR/containerd" "$containerd_bin"
if [ -n "$image" ]; then
    ctr content fetch "$image" >/dev/null
    reference=$image
else
    ctr images import --no-unpack "$archive" >/dev/null
    reference=$(ctr images ls -q | head -n 1)
fi
digest=$(ctr images ls | awk -v name="$reference" '$1 == name { print $3 }')
echo
echo "Unpacking $reference, $(ctr images ls | awk -v name="$reference" '$1 == name { print $4, $5 }') compressed"

# ---- the peers: containerd's built-in snapshotters with its own differ ----

progress 'containerd, built-in overlayfs' "$RIG_DIR" unpack overlayfs
overlay_ms=$progress_ms
progress 'containerd, built-in btrfs' "$builtin_root" unpack btrfs
builtin_ms=$progress_ms
containerd_stop

# ---- cowsnap ----

cowsnapd_start "$RIG_DIR/cowsnap" --content-root "$RIG_DIR/containerd/root/io.containerd.content.v1.content"
containerd_start "$RIG_DIR/containerd" "$containerd_bin" cowsnap cowsnap-diff
pool=$RIG_DIR/cowsnap/pool
empty=$(used_bytes "$pool")
progress 'cowsnap (durable when it answers)' "$pool" unpack cowsnap
cowsnap_ms=$progress_ms
settle "$pool"
one=$(($(used_bytes "$pool") - empty))
printf '\n  cowsnap takes %s of the time of built-in btrfs, %s of overlayfs\n' \
    "$(awk "BEGIN { printf \"%.2f\", $cowsnap_ms / $builtin_ms }")" \
    "$(awk "BEGIN { printf \"%.2f\", $cowsnap_ms / $overlay_ms }")"

# ---- containers on clones ----

echo
printf 'A container on a clone says: '
# shellcheck disable=SC2016 # the container expands it
ctr run --rm --snapshotter cowsnap "$reference" first /bin/sh -c 'echo "hello from $(. /etc/os-release 2>/dev/null; echo ${PRETTY_NAME:-a container})"'
start=$(rig_now)
for ((i = 1; i <= clones; i++)); do
    ctr run -d --snapshotter cowsnap "$reference" "clone-$i" /bin/sh -c "echo $i >/mine; exec sleep 3600"
done
started_ms=$(($(rig_now) - start))
top=$(ctr snapshots --snapshotter cowsnap info clone-1 | awk -F'"' '$2 == "Parent" { print $4 }')
start=$(rig_now)
ctr snapshots --snapshotter cowsnap info "$top" >/dev/null
ctr_ms=$(($(rig_now) - start))
start=$(rig_now)
ctr snapshots --snapshotter cowsnap prepare one-more "$top" >/dev/null
clone_ms=$(($(rig_now) - start))
settle "$pool"
eleven=$(($(used_bytes "$pool") - empty))

printf '%d more containers started in %s; one clone takes %d ms by ctr, which takes %d ms to ask anything\n' \
    "$clones" "$(seconds $started_ms)" "$clone_ms" "$ctr_ms"
printf 'Disk: one image %s; with %d clones %s; %d copies would be %s\n\n' "$(mib $one)" $((clones + 1)) \
    "$(mib $eleven)" $((clones + 1)) "$(mib $((one * (clones + 1))))"
"$COWSNAP" --address "$COWSNAPD_SOCKET" tree
echo
"$COWSNAP" --address "$COWSNAPD_SOCKET" status
echo
echo 'All of it is removed now.'
