#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh bookworm|trixie|testing: gets the kernel of a Debian release and prints the folder that holds
# `vmlinuz`, `initrd`, and below `modules` what modprobe -d wants.
#
# It comes as a package from the machine's own archive (tests/lib/apt.sh) and is kept below build/vm, so a
# second run needs no network. The initrd is made here: busybox, the scripts `init` and `guest` beside this
# file, and the modules without which there is no root.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../lib/apt.sh
. "$here/../lib/apt.sh"

# What the guest starts with: its disks, its root, and the two whose device nodes programs look for.
boot_modules="virtio_pci virtio_blk 9pnet_virtio 9p loop dm-mod"
# What the kernel asks for when it is first used: the file systems that the rigs mount with the checksums
# they may be made with, and device-mapper's targets, with one that fails on purpose and one that records
# every write.
other_modules="ext4 xfs btrfs xxhash_generic overlay dm-thin-pool dm-flakey dm-log-writes"
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
    local package version tree=$folder/tree
    if ! (. /etc/os-release && [ "$ID" = debian ]) || ! command -v apt-get >/dev/null; then
        echo "SKIPPED: this machine is no Debian, whose archive the kernels of $suite come from" >&2
        exit 77
    fi
    apt_suite "$folder" "$suite" || complain "no kernel of Debian $suite: $APT_WHY"
    # The package without a version in its name is empty and depends on the newest that the suite has.
    package=$(apt_private apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -n 1)
    [ -n "$package" ] || complain "suite '$suite' offers no package linux-image-amd64"
    rm -rf "$tree" "$folder/download" && mkdir "$folder/download"
    (cd "$folder/download" && apt_private apt-get -qq download "$package") >>"$folder/apt.log" 2>&1 ||
        complain "suite '$suite' offers $package but it cannot be fetched; see $folder/apt.log"
    dpkg -x "$folder"/download/linux-image-*.deb "$tree"
    version=${package#linux-image-}
    # kmod looks below lib, newer packages install below usr/lib.
    [ -d "$tree/lib" ] || ln -s usr/lib "$tree/lib"
    depmod -b "$tree" "$version" || complain "the modules of kernel $version cannot be indexed"
    keep_modules "$tree" "$version"
    mv "$tree/boot/vmlinuz-$version" "$folder/vmlinuz"
    rm -rf "$tree" "$folder/download" && apt_forget
}

# insmods FOLDER VERSION MODULES…: the files of the modules and of what they need, in the order of loading.
insmods() {
    local folder=$1 version=$2 module
    shift 2
    for module; do
        modprobe -d "$folder" -S "$version" --show-depends "$module" || complain "kernel $version has no module $module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# Only what is used stays, decompressed, and without signatures and type information: an emulated processor
# would spend most of its start on those two.
keep_modules() {
    local tree=$1 version=$2 file kept=$folder/modules.new
    rm -rf "$folder/modules" "$kept" && mkdir -p "$kept/lib/modules/$version"
    cp "$tree/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$kept/lib/modules/$version/"
    # shellcheck disable=SC2086 # names are words
    insmods "$tree" "$version" $boot_modules $other_modules >"$folder/files"
    while read -r file; do
        case $file in
        *.xz) xz -d "$file" && file=${file%.xz} ;;
        *.zst) zstd -qd --rm "$file" && file=${file%.zst} ;;
        esac
        objcopy --strip-debug -R .BTF "$file" "$kept/lib/modules/$version/$(basename "$file")"
    done <"$folder/files"
    depmod -b "$kept" "$version" && mv "$kept" "$folder/modules"
}

make_initrd() {
    local version file root=$folder/initrd.new
    version=$(basename "$folder"/modules/lib/modules/*)
    rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,host,modules}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$here/init" "$here/guest" "$root/"
    # shellcheck disable=SC2086 # names are words
    insmods "$folder/modules" "$version" $boot_modules >"$folder/files"
    while read -r file; do
        cp "$file" "$root/modules/"
        basename "$file"
    done <"$folder/files" >"$root/modules/order"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$folder/initrd.$$"
    mv "$folder/initrd.$$" "$folder/initrd"
    rm -rf "$root"
}

[ -e "$folder/vmlinuz" ] || fetch_kernel
if [ -z "$(find "$folder/initrd" -newer "$here/init" -newer "$here/guest" -newer "$here/kernel.sh" 2>/dev/null)" ]; then
    make_initrd
fi
rm -f "$folder/files"
echo "$folder"
