#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make_image.sh minimal|base|real [COMPRESSION,COMPRESSION,…]: makes an image from Debian packages and prints
# the path of its OCI archive.
#
#   minimal   busybox, three small layers, for tests that want a container and nothing else
#   base      a Debian base and one small file: two layers
#   real      a Debian base, packages on top, a tree of many small files, one small file: four layers
#
# COMPRESSION (gzip, zstd, none) goes layer by layer; the last one serves the layers that follow it.
# What the archive says it is called: cowsnap.test/minimal:latest, cowsnap.test/real:latest and so on.
# Layers and archives are kept below BUILD/images; the same packages give the same bytes. What is kept needs
# neither root nor a writable build tree.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
build=${COWSNAP_BUILD:-$here/../../build/release}
kind=${1:-}
wanted=${2:-gzip}
python=/usr/bin/python3
[ -x "$python" ] || python=python3
export LC_ALL=C

complain() {
    echo "make_image.sh: $*" >&2
    exit 1
}

case $kind in minimal | base | real) ;; *) complain "name a kind: minimal, base or real" ;; esac
mkdir -p "$build/images"
images=$(cd "$build/images" && pwd)
archive=$images/$kind-${wanted//,/-}.oci.tar
answer_kept() {
    [ -e "$archive" ] || return 0
    echo "$archive"
    exit 0
}
# Once without the lock, which cannot be had where the build tree is read-only.
answer_kept
[ "$(id -u)" = 0 ] || complain "ownership and device nodes need root"
exec 9>"$images/lock"
flock 9
answer_kept

work=$(mktemp -d "$images/.work.XXXXXX")
work=$(realpath "$work")
finish() {
    local point
    # debootstrap mounts /proc and /sys in its target for a while; an interrupted one leaves them.
    awk -v below="$work/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac |
        while IFS= read -r point; do umount -l "$point"; done
    rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# pack FOLDER LAYER: a tree as a layer's tar, independent of the hour and of the order on disk: nothing is
# younger than the youngest change any package in it speaks of.
pack() {
    local epoch
    epoch=$(find "$1" -name 'changelog*.gz' -type f -printf '%T@\n' | sort -n | tail -n 1)
    epoch=${epoch:-1700000000}
    tar --create --file "$2.part" --directory "$1" --format=posix --sort=name --numeric-owner --xattrs \
        --xattrs-include='security.capability' --xattrs-include='user.*' --acls \
        --mtime="@$epoch" --clamp-mtime \
        --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' .
    mv "$2.part" "$2"
}

minimal_layers() {
    local busybox=$work/busybox applet
    if ! busybox=$(static_busybox); then
        mkdir "$work/deb"
        (cd "$work/deb" && fetch busybox-static) || complain "busybox-static cannot be fetched; install it"
        dpkg -x "$work"/deb/busybox-static_*.deb "$work/deb/tree"
        busybox=$(find "$work/deb/tree" -type f -name busybox -perm -u+x | head -n 1)
    fi
    mkdir -p "$work/1"/{bin,dev,etc,proc,root,sys,usr/bin,usr/sbin,var/tmp} "$work/2/srv/data" "$work/3/srv/data"
    mkdir -m 1777 "$work/1/tmp"
    install -m 755 "$busybox" "$work/1/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$work/1/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$work/1/etc/passwd"
    echo 'root:x:0:' >"$work/1/etc/group"
    echo 'a file of the second layer' >"$work/2/srv/data/second"
    echo 'to be deleted by the third layer' >"$work/2/srv/data/deleted"
    ln "$work/2/srv/data/second" "$work/2/srv/data/second-link"
    echo 'a file of the third layer' >"$work/3/srv/data/third"
    : >"$work/3/srv/data/.wh.deleted"
    pack "$work/1" "$images/minimal-1.tar"
    pack "$work/2" "$images/minimal-2.tar"
    pack "$work/3" "$images/minimal-3.tar"
    tars=("$images"/minimal-[1-3].tar)
}

static_busybox() {
    local busybox
    busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 && realpath "$busybox"
}

# The machine's own apt serves; where its lists are empty (a fresh container image), private ones are read once.
apt_private=()
apt_ready() {
    [ ${#apt_private[@]} -eq 0 ] || return 0
    if apt-cache madison debootstrap 2>/dev/null | grep -q .; then
        apt_private=(-o Dir::Etc::dummy=)
        return 0
    fi
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    apt_private=(-o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root)
    apt-get -qq "${apt_private[@]}" update >&2 || complain "apt's lists cannot be read"
}

fetch() {
    apt_ready
    apt-get -qq "${apt_private[@]}" -o APT::Sandbox::User=root download "$@" >&2
}

# fetch_for STATUS PACKAGES…: the packages and what they need beyond a system whose dpkg status is STATUS.
fetch_for() {
    local status=$1
    shift
    apt_ready
    mkdir -p archives/partial
    apt-get -qq -y "${apt_private[@]}" -o APT::Sandbox::User=root -o Dir::State::status="$status" \
        -o Dir::Cache::archives="$PWD/archives" -o Debug::NoLocking=1 -o DPkg::Post-Invoke= -o APT::Clean-Installed=false \
        --no-install-recommends --download-only install "$@" >&2
}

# The machine's own mirror for its own release, from its apt sources.
own_mirror() {
    apt_ready
    # shellcheck disable=SC2016 # the fields are apt's
    apt-get "${apt_private[@]}" indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v own="$1" '$2 == own && $3 == "main" { print $1; exit }'
}

# unpack_all FOLDER TREE: the files of every package in a folder. The base has /bin, /lib… as symlinks into
# /usr; a layer with a directory of that name would replace the link, so older packages are moved over.
unpack_all() {
    local package old
    mkdir -p "$2/usr"
    for package in "$1"/*.deb; do dpkg -x "$package" "$2"; done
    for old in "$2"/bin "$2"/sbin "$2"/lib*; do
        if [ -d "$old" ] && [ ! -L "$old" ]; then
            cp -a --remove-destination "$old" "$2/usr/"
            rm -rf "$old"
        fi
    done
}

base_layer() {
    local mirror release
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    command -v debootstrap >/dev/null || complain "debootstrap is not installed"
    if [ ! -e "$images/real-1.tar" ] || [ ! -e "$images/real-1.status" ]; then
        mirror=$(own_mirror "$release")
        [ -n "$mirror" ] || complain "apt's sources name no mirror of $release to make a base system from"
        debootstrap --variant=minbase "$release" "$work/base" "$mirror" >"$images/debootstrap.log" 2>&1 || {
            tail -n 5 "$images/debootstrap.log" >&2
            complain "debootstrap failed; see $images/debootstrap.log"
        }
        cp "$work/base/var/lib/dpkg/status" "$images/real-1.status"
        # What differs from run to run, or names the machine.
        rm -rf "$work"/base/var/{log,cache/apt,lib/apt/lists,cache/ldconfig,cache/debconf}/* \
            "$work"/base/etc/{machine-id,hostname,resolv.conf} "$work"/base/var/lib/systemd/catalog/*
        pack "$work/base" "$images/real-1.tar"
        rm -rf --one-file-system "$work/base"
    fi
}

small_layer() {
    mkdir -p "$work/t4/etc"
    echo 'made from Debian packages' >"$work/t4/etc/cowsnap-image"
    pack "$work/t4" "$images/real-4.tar"
}

real_layers() {
    local package
    base_layer
    if [ ! -e "$images/real-2.tar" ]; then
        mkdir "$work/p2"
        (cd "$work/p2" && fetch_for "$images/real-1.status" python3 git iputils-ping) || complain "packages cannot be fetched"
        unpack_all "$work/p2/archives" "$work/t2"
        # The package's script would set it at installation; a layer bears it as an attribute.
        for package in "$work/t2/usr/bin/ping" "$work/t2/bin/ping"; do
            if [ -f "$package" ] && [ ! -L "$package" ]; then setcap cap_net_raw+ep "$package" 2>/dev/null || true; fi
        done
        pack "$work/t2" "$images/real-2.tar"
        rm -rf "$work/p2" "$work/t2"
    fi
    if [ ! -e "$images/real-3.tar" ]; then
        mkdir "$work/p3"
        (cd "$work/p3" && fetch_for "$images/real-1.status" golang-src golang-golang-x-tools-dev golang-golang-x-sys-dev) ||
            complain "packages cannot be fetched"
        unpack_all "$work/p3/archives" "$work/t3"
        pack "$work/t3" "$images/real-3.tar"
        rm -rf "$work/p3" "$work/t3"
    fi
    small_layer
    tars=("$images"/real-[1-4].tar)
}

base_layers() {
    base_layer
    small_layer
    tars=("$images"/real-[14].tar)
}

tars=()
"${kind}_layers"
layers=()
IFS=, read -ra compressions <<<"$wanted"
for tar in "${tars[@]}"; do
    layers+=("$tar=${compressions[${#layers[@]}]:-${compressions[-1]}}")
done
"$python" -I "$here/oci_archive.py" "$archive.part" "cowsnap.test/$kind:latest" "${layers[@]}" >/dev/null
mv "$archive.part" "$archive"
echo "$archive"
