#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# containerd.sh LINE: gets a real containerd of a release line (1.6, 1.7 or 2) and prints the folder that
# holds containerd, its shim and ctr.
#
# The one installed on the machine is taken when it is of that line. Otherwise it comes from another suite
# of the machine's own archive: a private apt configuration is made from the machine's sources by changing
# the suite's name, so nothing is installed, no setting of the machine changes and no host is named here.
# Packages are kept below BUILD/peers/LINE, so a second run needs no network.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
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
exec 9>"$peers/lock"
flock 9
if [ -x "$peers/tree/usr/bin/containerd" ] && is_of_line "$(version_of "$peers/tree/usr/bin")"; then
    echo "$peers/tree/usr/bin"
    exit 0
fi
command -v apt-get >/dev/null || complain "containerd $line is not installed and there is no apt here to get it; install it and put it first in PATH"

# shellcheck source=/dev/null
. /etc/os-release
suites=$debian_suites
[ "${ID:-}" = ubuntu ] && suites=$ubuntu_suites

# sources_for SUITE: the machine's own entries that name its release and the component main, pointed at SUITE.
sources_for() {
    local file
    rm -rf "$peers/sources" && mkdir -p "$peers/sources"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        awk -v RS= -v own="$VERSION_CODENAME" -v wanted="$1" '
            {
                n = split($0, rows, "\n"); hit = 0; main = 0; text = ""
                for (i = 1; i <= n; i++) {
                    if (rows[i] ~ /^#/) continue
                    if (rows[i] ~ /^Enabled: *no/) { hit = 0; main = 0; break }
                    if (rows[i] ~ /^Suites:/) {
                        m = split(rows[i], words, /[ \t]+/)
                        for (j = 2; j <= m; j++) if (words[j] == own) hit = 1
                        rows[i] = "Suites: " wanted
                    }
                    if (rows[i] ~ /^Types:/) rows[i] = "Types: deb"
                    if (rows[i] ~ /^Components:.* main( |$)/) { main = 1; }
                    text = text rows[i] "\n"
                }
                if (hit && main) printf "%s\n", text
            }' "$file"
    done >"$peers/sources/peers.sources"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        awk -v own="$VERSION_CODENAME" -v wanted="$1" '
            $1 == "deb" {
                for (i = 2; i <= NF; i++)
                    if ($i == own && $0 ~ / main( |$)/) { $i = wanted; print; next }
            }' "$file"
    done | sort -u >"$peers/sources/peers.list"
    [ -s "$peers/sources/peers.sources" ] || [ -s "$peers/sources/peers.list" ]
}

private_apt() {
    local program=$1
    shift
    mkdir -p "$peers/lists/partial" "$peers/cache/archives/partial"
    "$program" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$peers/sources" \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::Lists="$peers/lists" -o Dir::Cache="$peers/cache" \
        -o APT::Get::List-Cleanup=1 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::Retries=3 "$@"
}

tried=
for suite in $suites; do
    sources_for "$suite" || complain "found no entry for ${VERSION_CODENAME:-this release} in apt's sources to derive suite $suite from; install containerd $line by hand"
    if ! private_apt apt-get -qq update >"$peers/apt.log" 2>&1; then
        tried="$tried suite '$suite' cannot be read ($(grep -m1 '^[EW]:' "$peers/apt.log" || true));"
        continue
    fi
    # The installed version is listed as well: only what an archive offers counts.
    offered=$(private_apt apt-cache madison containerd 2>/dev/null | awk -F' *[|] *' '{ print $2 }' | sort -rVu)
    for version in $offered; do
        is_of_line "$version" || continue
        rm -rf "$peers/tree" "$peers/download" && mkdir -p "$peers/download"
        (cd "$peers/download" && private_apt apt-get -qq download "containerd=$version") >>"$peers/apt.log" 2>&1 ||
            complain "suite '$suite' offers containerd $version but it cannot be fetched; see $peers/apt.log"
        dpkg -x "$peers"/download/containerd_*.deb "$peers/tree.new"
        found=$(version_of "$peers/tree.new/usr/bin") || true
        is_of_line "$found" || complain "containerd $version of suite '$suite' does not run here (it says '${found:-nothing}')"
        [ -x "$peers/tree.new/usr/bin/ctr" ] || complain "containerd $version of suite '$suite' brings no ctr"
        mv "$peers/tree.new" "$peers/tree"
        rm -rf "$peers/download" "$peers/lists" "$peers/cache"
        echo "$peers/tree/usr/bin"
        exit 0
    done
    tried="$tried suite '$suite' offers $(echo "${offered:-none}" | tr '\n' ' ');"
done
complain "no containerd of line $line:$tried check the network or install one by hand"
