# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a Debian or Ubuntu machine needs. Source this file and call install_build_packages,
# install_test_packages, install_vm_packages or install_demo_packages: as root on a machine with apt they
# install what is missing and nothing else; elsewhere they name what to install and fail.

COWSNAP_BUILD_PACKAGES=(
    gcc g++ cmake ninja-build pkg-config libc6-dev
    libgrpc-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler
    liblmdb-dev libisal-dev libzstd-dev libssl-dev liburing-dev
    libblkid-dev libbtrfsutil-dev libdevmapper-dev libsmartcols-dev libtomlplusplus-dev
    libcmocka-dev btrfs-progs dmsetup e2fsprogs xfsprogs util-linux mount
)
# Besides the above: real images, a real containerd with runc, and what looks at the result.
COWSNAP_DEMO_PACKAGES=(
    containerd runc debootstrap python3-minimal libpython3-stdlib zstd gzip tar procps attr acl
    ca-certificates
)
COWSNAP_TEST_PACKAGES=(
    "${COWSNAP_DEMO_PACKAGES[@]}"
    golang-go golang-github-containerd-containerd-dev
    golang-github-containerd-continuity-dev golang-github-containerd-btrfs-dev
    golang-google-grpc-dev shellcheck jq libcap2-bin mandoc
    clang clang-tidy libclang-rt-dev llvm cppcheck afl++ binutils
)

# What a virtual machine with another kernel is made of (tests/vm).
COWSNAP_VM_PACKAGES=(
    qemu-system-x86 busybox-static kmod cpio xz-utils util-linux iproute2 thin-provisioning-tools systemd udev
)

# install_missing PACKAGES…: prints those that are not installed. A package that only provides another's
# name, or one that the distribution merged away, is judged by apt later.
install_missing() {
    local package
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    local why=$1 missing=() log
    shift
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        printf 'There is no apt on this machine. %s needs the equivalents of these Debian packages:\n  %s\n' "$why" "$*" >&2
        # Somebody may have installed them all by other means: the build says what it misses.
        return 1
    fi
    mapfile -t missing < <(install_missing "$@")
    # Docker's own repository ships containerd and runc in one package that conflicts with Debian's.
    if install_has containerd.io; then
        mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vxE 'containerd|runc|')
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        printf '%s needs packages that are not installed. As root:\n  apt-get install --no-install-recommends %s\n' \
            "$why" "${missing[*]}" >&2
        return 1
    fi
    printf 'Installing for %s: %s\n' "$why" "${missing[*]}" >&2
    log=$(mktemp "${TMPDIR:-/tmp}/cowsnap-install.XXXXXX")
    # A list that is fresh enough is used as it is; only when a package is not found in it is it renewed.
    if ! install_apt "$log" "${missing[@]}"; then
        if ! apt-get -q update >>"$log" 2>&1 || ! install_apt "$log" "${missing[@]}"; then
            tail -n 15 "$log" >&2
            printf 'apt-get could not install the packages; its whole output is in %s\n' "$log" >&2
            return 1
        fi
    fi
    rm -f "$log"
}

# Services are not started by the installation: Debian's containerd would otherwise run from then on,
# on a machine whose owner did not ask for it.
install_apt() (
    log=$1 policy=/usr/sbin/policy-rc.d
    shift
    if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" >>"$log" 2>&1 ||
        return 1
    # Nor at the next boot.
    case " $* " in *" containerd "*) deb-systemd-helper disable containerd.service >>"$log" 2>&1 || true ;; esac
)

install_has() { [ -z "$(install_missing "$1")" ]; }

install_build_packages() { install_packages "the build" "${COWSNAP_BUILD_PACKAGES[@]}"; }
install_test_packages() { install_packages "the tests" "${COWSNAP_TEST_PACKAGES[@]}"; }
install_vm_packages() { install_packages "the virtual machine" "${COWSNAP_VM_PACKAGES[@]}"; }
install_demo_packages() { install_packages "the demonstration" "${COWSNAP_DEMO_PACKAGES[@]}"; }
