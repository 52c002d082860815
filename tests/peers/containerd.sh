#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# containerd.sh LINE: gets a real containerd of a release line (1.6, 1.7 or 2) and prints the folder that
# holds containerd, its shim and ctr.
#
# The one installed on the machine is taken when it is of that line. Otherwise it comes from another suite
# of the machine's own archive (tests/lib/apt.sh) and is kept below BUILD/peers/LINE, so a second run needs
# no network.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../lib/apt.sh
. "$here/../lib/apt.sh"
build=${COWSNAP_BUILD:-$here/../../build/release}
line=${1:-}

complain() {
    echo "containerd.sh: $*" >&2
    exit 1
}

case $line in
1.6) debian_suites="bookworm" ubuntu_suites="jammy" ;;
1.7) debian_suites="trixie" ubuntu_suites="noble jammy-updates" ;;
2) debian_suites="testing sid" ubuntu_suites="devel plucky-updates plucky" ;;
*) complain "name a release line: 1.6, 1.7 or 2" ;;
esac

version_of() { "$1/containerd" --version 2>/dev/null | awk '{ sub(/^v/, "", $3); print $3 }'; }

# Proxy differs work from 1.7.4 on; an older 1.7 is of no use here.
is_of_line() {
    local version=$1
    case $line:$version in
    1.7:1.7.[0-3] | 1.7:1.7.[0-3][~+-]*) return 1 ;;
    2:2.*) return 0 ;;
    *) [ "${version#"$line".}" != "$version" ] ;;
    esac
}

if installed=$(command -v containerd) && command -v ctr >/dev/null; then
    folder=$(dirname "$installed")
    if [ -x "$folder/ctr" ] && is_of_line "$(version_of "$folder")"; then
        echo "$folder"
        exit 0
    fi
fi

peers=$build/peers/$line
mkdir -p "$peers"
peers=$(cd "$peers" && pwd)
answer_kept() {
    [ -x "$peers/tree/usr/bin/containerd" ] && is_of_line "$(version_of "$peers/tree/usr/bin")" || return 0
    echo "$peers/tree/usr/bin"
    exit 0
}
# Once without the lock, which cannot be had where the build tree is read-only.
answer_kept
exec 9>"$peers/lock"
flock 9
answer_kept
command -v apt-get >/dev/null || complain "containerd $line is not installed and there is no apt here to get it; install it and put it first in PATH"

# shellcheck source=/dev/null
. /etc/os-release
suites=$debian_suites
[ "${ID:-}" = ubuntu ] && suites=$ubuntu_suites

tried=
for suite in $suites; do
    if ! apt_suite "$peers" "$suite"; then
        tried="$tried $APT_WHY;"
        continue
    fi
    # The installed version is listed as well: only what an archive offers counts.
    offered=$(apt_private apt-cache madison containerd 2>/dev/null | awk -F' *[|] *' '{ print $2 }' | sort -rVu)
    for version in $offered; do
        is_of_line "$version" || continue
        rm -rf "$peers/tree" "$peers/download" && mkdir -p "$peers/download"
        (cd "$peers/download" && apt_private apt-get -qq download "containerd=$version") >>"$peers/apt.log" 2>&1 ||
            complain "suite '$suite' offers containerd $version but it cannot be fetched; see $peers/apt.log"
        dpkg -x "$peers"/download/containerd_*.deb "$peers/tree.new"
        found=$(version_of "$peers/tree.new/usr/bin") || true
        is_of_line "$found" || complain "containerd $version of suite '$suite' does not run here (it says '${found:-nothing}')"
        [ -x "$peers/tree.new/usr/bin/ctr" ] || complain "containerd $version of suite '$suite' brings no ctr"
        mv "$peers/tree.new" "$peers/tree"
        rm -rf "$peers/download" && apt_forget
        echo "$peers/tree/usr/bin"
        exit 0
    done
    tried="$tried suite '$suite' offers $(echo "${offered:-none}" | tr '\n' ' ');"
done
complain "no containerd of line $line:$tried check the network or install one by hand"
