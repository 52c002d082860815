#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh bookworm|trixie|testing: gets the kernel of a Debian release and prints the folder that holds
# `vmlinuz`, `initrd` and the one-line file `version`.
#
# It comes as a package from the machine's own archive (tests/lib/apt.sh) and is kept below build/vm, so a
# second run needs no network. The initrd is made here: busybox, the scripts `init` and `guest`
# beside this file, and the modules that a guest of this rig needs, decompressed.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../lib/apt.sh
. "$here/../lib/apt.sh"

# What the guest boots from, what the rigs format and mount, and device-mapper with the targets that fail
# on purpose (flakey) or record every write (log-writes).
modules="virtio_pci virtio_blk 9pnet_virtio 9p loop dm-mod dm-thin-pool dm-flakey dm-log-writes ext4 xfs btrfs overlay"
suite=${1:-}

complain() {
    echo "kernel.sh: $*" >&2
    exit 1
}

case $suite in
bookworm | trixie | testing) ;;
*) complain "name a Debian release: bookworm, trixie or testing" ;;
esac

folder=$here/../../build/vm/$suite
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/lock"
flock 9

fetch_kernel() {
    local package
    command -v apt-get >/dev/null || complain "there is no apt here to get a Debian kernel with"
    apt_suite "$folder" "$suite" || complain "no kernel of Debian $suite: $APT_WHY"
    # The package without a version in its name is empty and depends on the newest that the suite has.
    package=$(apt_private apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -n 1)
    [ -n "$package" ] || complain "suite '$suite' offers no package linux-image-amd64"
    rm -rf "$folder/tree" "$folder/tree.new" "$folder/download" && mkdir "$folder/download"
    (cd "$folder/download" && apt_private apt-get -qq download "$package") >>"$folder/apt.log" 2>&1 ||
        complain "suite '$suite' offers $package but it cannot be fetched; see $folder/apt.log"
    dpkg -x "$folder"/download/linux-image-*.deb "$folder/tree.new"
    rm -rf "$folder/download" && apt_forget
    # kmod looks below lib, newer packages install below usr/lib.
    [ -d "$folder/tree.new/lib" ] || ln -s usr/lib "$folder/tree.new/lib"
    package=${package#linux-image-}
    depmod -b "$folder/tree.new" "$package" || complain "the modules of kernel $package cannot be indexed"
    mv "$folder/tree.new/boot/vmlinuz-$package" "$folder/vmlinuz"
    echo "$package" >"$folder/version"
    mv "$folder/tree.new" "$folder/tree"
}

make_initrd() {
    local version module file root=$folder/initrd.new
    version=$(cat "$folder/version")
    rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,host,modules}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$here/init" "$here/guest" "$root/"
    # In the order in which they must be loaded, each once. What is built in needs no file.
    for module in $modules; do
        modprobe -d "$folder/tree" -S "$version" --show-depends "$module" ||
            complain "kernel $version has no module $module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
        module=$(basename "$file")
        case $file in
        *.ko.xz) xz -dc "$file" >"$root/modules/${module%.xz}" ;;
        *.ko.zst) zstd -qdc "$file" >"$root/modules/${module%.zst}" ;;
        *) cp "$file" "$root/modules/" ;;
        esac
        echo "${module%.ko*}.ko"
    done >"$root/modules/order"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$folder/initrd.$$"
    mv "$folder/initrd.$$" "$folder/initrd"
    rm -rf "$root"
}

[ -d "$folder/tree" ] || fetch_kernel
if [ -z "$(find "$folder/initrd" -newer "$folder/version" -newer "$here/init" -newer "$here/guest" -newer "$here/kernel.sh" 2>/dev/null)" ]; then
    make_initrd
fi
echo "$folder"
