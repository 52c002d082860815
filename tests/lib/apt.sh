# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # APT_WHY is for those who source it
#
# Packages of other releases, from the machine's own archive. A private apt configuration is made from the
# machine's sources by changing the suite's name, so nothing is installed, no setting of the machine
# changes and no host is named here. Source this file.
#
#   apt_suite FOLDER SUITE    a configuration below FOLDER that knows only SUITE; fails when the machine's
#                             sources have no entry to derive it from, or (APT_WHY says why) when it
#                             cannot be read
#   apt_private PROGRAM …     apt-get or apt-cache, with the configuration that apt_suite made last
#   apt_forget                removes it, what was downloaded to it included

APT_FOLDER=
APT_WHY=

apt_suite() {
    APT_FOLDER=$1 APT_WHY=
    if ! apt_sources "$2"; then
        APT_WHY="apt's sources have no entry for this machine's own release to derive suite '$2' from"
        return 1
    fi
    if ! apt_private apt-get -qq update >"$APT_FOLDER/apt.log" 2>&1; then
        APT_WHY="suite '$2' cannot be read ($(grep -m1 '^[EW]:' "$APT_FOLDER/apt.log" || true))"
        return 1
    fi
}

# apt_sources SUITE: the machine's own entries that name its release and the component main, pointed at SUITE.
apt_sources() {
    local file own
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    rm -rf "$APT_FOLDER/sources" && mkdir -p "$APT_FOLDER/sources"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        awk -v RS= -v own="$own" -v wanted="$1" '
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
    done >"$APT_FOLDER/sources/derived.sources"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        awk -v own="$own" -v wanted="$1" '
            $1 == "deb" {
                for (i = 2; i <= NF; i++)
                    if ($i == own && $0 ~ / main( |$)/) { $i = wanted; print; next }
            }' "$file"
    done | sort -u >"$APT_FOLDER/sources/derived.list"
    [ -s "$APT_FOLDER/sources/derived.sources" ] || [ -s "$APT_FOLDER/sources/derived.list" ]
}

# The state file of dpkg stays the machine's: apt reads it, nothing here writes it.
apt_private() {
    local program=$1
    shift
    mkdir -p "$APT_FOLDER/lists/partial" "$APT_FOLDER/cache/archives/partial"
    "$program" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$APT_FOLDER/sources" \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State::Lists="$APT_FOLDER/lists" -o Dir::Cache="$APT_FOLDER/cache" \
        -o APT::Get::List-Cleanup=1 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::Retries=3 "$@"
}

apt_forget() { rm -rf "$APT_FOLDER/sources" "$APT_FOLDER/lists" "$APT_FOLDER/cache"; }
