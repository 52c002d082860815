#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# many.sh [COUNT]
#
# A thousand snapshots (or COUNT) in one thin pool: layers, containers and views of them; a restart of the daemon and
# one of the machine with all of them there; and all of them gone at the end.
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

count=${1:-1000}
rig_need_root
rig_need jq losetup dmsetup mkfs.ext4
rig_need_device_mapper
cowsnapd_need
rig_begin many
# shellcheck source=common.sh
. "$RIG_TESTS/dm-thin/common.sh"

part=many
layers=$((count * 2 / 5)) others=$((count * 3 / 10))
# batch: what comes in, over one connection; how many milliseconds it took.
batch() { "$client" "$COWSNAPD_SOCKET" batch | tail -n 1; }
kinds() { figure '"\(.snapshots.committed) \(.snapshots.active) \(.snapshots.views)"' | tr -d '"'; }
volumes() { dmsetup ls | grep -c "^$pool-snap-" || true; }
rested() { [ "$(volumes)" = 0 ]; }
# starts: the daemon again; took is how many milliseconds until it answers.
starts() {
    local began
    began=$(rig_now)
    cowsnapd_again
    took=$(($(rig_now) - began))
}

root=$RIG_DIR/root
mkdir "$root"
settings '[pool]' 'size = "4GiB"'
start
layer layer
check 'the first layer rests' rig_until 60 rested
data=$(left)

made=$(for ((i = 0; i < layers; i++)); do printf 'prepare extract-%d layer\ncommit layer-%d extract-%d\n' $i $i $i; done | batch)
made="$made $(for ((i = 0; i < others; i++)); do printf 'prepare web-%d layer-%d\n' $i $((i % layers)); done | batch)"
made="$made $(for ((i = 0; i < others; i++)); do printf 'view look-%d layer-%d\n' $i $((i % layers)); done | batch)"
there="$((layers + 1)) $others $others"
check 'all are there' is "$(kinds)" "$there"

cowsnapd_stop
starts
again=$took
check 'after a restart, too' is "$(kinds)" "$there"
folder=$(mounted "web-$((others - 1))")
check 'and hold what they should' cmp "$folder/file" "$RIG_DIR/layer.file"
cowsnapd_stop
reboot_pool
check 'a reboot ends all devices' is "$(rig_devices_of "$root")" ''
starts
anew=$took
check 'after a reboot, too' is "$(kinds)" "$there"
folder=$(mounted "web-$((others - 1))")
check 'and hold it still' cmp "$folder/file" "$RIG_DIR/layer.file"
umount "$folder"

gone=$(for ((i = 0; i < others; i++)); do printf 'remove look-%d\nremove web-%d\n' $i $i; done | batch)
gone="$gone $(for ((i = 0; i < layers; i++)); do printf 'remove layer-%d\n' $i; done | batch)"
began=$(rig_now)
check 'the removals are carried out' rig_until 1200 reaped
reaped=$(($(rig_now) - began))
check 'only the first is left' is "$(kinds)" '1 0 0'
check 'and no device of the others' rig_until 60 rested
check 'their room is back' test "$(left)" -ge "$data"
snapshot remove layer
check 'all can go' rig_until 60 reaped
check 'the daemon ends when it is told to' cowsnapd_stop

rig_say "milliseconds: layers, containers, views made: $made; restart $again; start after a reboot $anew; removals answered: $gone; carried out $reaped later"
tool_verdict "$((layers + 1 + 2 * others)) snapshots in a thin pool, a restart in $again ms, after a reboot in $anew ms"
