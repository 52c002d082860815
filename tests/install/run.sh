#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` puts in place is what the design promises, and it runs from there.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"
rig_begin install

prefix=$RIG_DIR/prefix
cmake --install "$RIG_BUILD" --prefix "$prefix" >"$RIG_DIR/install.log"
for file in bin/cowsnapd bin/cowsnap share/man/man8/cowsnapd.8 share/man/man5/cowsnap.toml.5 share/man/man1/cowsnap.1; do
    [ -s "$prefix/$file" ] || rig_fail "$file was not installed"
done
version=$("$prefix/bin/cowsnapd" --version)
[[ $version == *[0-9].[0-9]* ]] || rig_fail "cowsnapd --version says '$version'"
"$prefix/bin/cowsnap" --help | grep -q status || rig_fail "cowsnap --help does not name its commands"
"$prefix/bin/cowsnap" containerd-config --version 2.1 | grep -q proxy_plugins || rig_fail "no containerd configuration"
if "$prefix/bin/cowsnapd" --no-such-flag >"$RIG_DIR/wrong.log" 2>&1; then
    rig_fail "cowsnapd takes a flag that does not exist"
fi
grep -q -- '--no-such-flag\|no-such-flag' "$RIG_DIR/wrong.log" || rig_fail "the message does not name the flag: $(cat "$RIG_DIR/wrong.log")"
# How it is built (docs/security.md): a program at any address, whose tables and stacks cannot be turned into
# code, with guarded stacks and checked calls.
for program in cowsnapd cowsnap; do
    file=$prefix/bin/$program
    readelf -hld "$file" >"$RIG_DIR/elf"
    grep -q 'Type: *DYN' "$RIG_DIR/elf" || rig_fail "$program is no position-independent program"
    for mark in GNU_RELRO 'BIND_NOW\|Flags:.* NOW'; do
        grep -q "$mark" "$RIG_DIR/elf" || rig_fail "$program has tables that stay writable"
    done
    grep -A 1 GNU_STACK "$RIG_DIR/elf" | grep -q ' RW ' || rig_fail "the stack of $program can be run"
    for symbol in __stack_chk_fail __snprintf_chk; do
        # counted, since a pipe that is left early would fail here
        [ "$(nm -D "$file" | grep -c "$symbol")" -gt 0 ] || rig_fail "$program does not call $symbol"
    done
done
echo "summary: $(find "$prefix" -type f | wc -l) files installed; $version"
