#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# states.sh [full] [below] [held] [broken-metadata] [taken-back] [metadata] [scarce] [bad-data] [broken-data] [devices] [given]
#
# What a daemon answers and does, all the while without a restart, when its thin pool is full or what that lies on
# fails, when somebody holds a volume that is to go, and what a new start finds. All parts, or those named.
# shellcheck disable=SC2016 # what stands in single quotes is jq's, awk's or a message
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

parts=("$@")
[ $# -gt 0 ] || parts=(full below held broken-metadata taken-back metadata scarce bad-data broken-data devices given)
rig_need_root
rig_need jq losetup dmsetup mkfs.ext4 thin_check
rig_need_device_mapper
cowsnapd_need
rig_begin states
# shellcheck source=common.sh
. "$RIG_TESTS/dm-thin/common.sh"

# ---- out of data ----

run_full() {
    local folder
    begin full 96M 16M
    furnish
    folder=$(mounted gone)
    dd if=/dev/zero of="$folder/much" bs=1M count=24 conv=fsync status=none
    umount "$folder"
    folder=$(mounted web)
    check 'full: a pool with room is ok' is "$(figure '.pool.state, .pool.times_low' | tr '\n' ' ')" '"ok" 0 '

    # nobody calls: the kernel's event tells
    fill "$folder" 5
    check 'full: low water is told without a call' rig_until 60 said 'Z warn +the thin pool .* is nearly out of room for data: data [0-9.]+ MiB of 96.0 MiB used'
    tool pool status "${here[@]}" --json
    check 'full: and shown' tool_json '.state == "low" and .times_low == 1 and .writable and (.advice | test("is nearly out of room for data.*remove images or containers .*or make it larger"))'
    tool pool status "${here[@]}"
    check 'full: to people, too' tool_says '^became low: +1 time since cowsnapd started$'
    call prepare last layer
    check 'full: a low pool takes snapshots' tool_done
    snapshot remove last
    rig_until 60 reaped

    fill "$folder" 2
    call prepare more layer
    check 'full: what is kept back is not for new ones' call_refused RESOURCE_EXHAUSTED \
        "the thin pool $pool is out of room for data: data [0-9.]+ MiB of 96.0 MiB used, metadata [0-9]+ % used: remove images or containers \(\`cowsnap status\` shows what is used\), or make it larger \(\`cowsnap pool grow\`\): resource exhausted\$"
    call prepare more
    check 'full: without a parent neither' call_refused RESOURCE_EXHAUSTED 'is out of room for data'
    reads_go_on low

    check 'full: a write beyond the last block fails, and does not hang' \
        is "$(timeout 120 dd if=/dev/zero of="$folder/beyond" bs=1M count=16 conv=fsync status=none 2>/dev/null; echo $?)" 1
    check 'full: which the kernel says' kernel_says out_of_data_space
    call prepare more layer
    check 'full: nothing new in it' call_refused RESOURCE_EXHAUSTED 'is out of room for data'
    reads_go_on out

    call remove gone
    check 'full: Remove works' tool_done
    keys=(layer look web)
    rig_until 60 reaped
    check 'full: and frees' test "$(left)" -ge 18
    call prepare more layer
    check 'full: then a new one is made' tool_done
    check 'full: which is told' rig_until 60 said 'Z info +the thin pool .* has room again'
    folder=$(mounted more)
    check 'full: and written' cp "$RIG_DIR/layer.file" "$folder/copy"
    sync -f "$folder"

    fill "$folder" 2
    call prepare again layer
    check 'full: a second time' call_refused RESOURCE_EXHAUSTED 'is out of room for data'
    tool pool grow 160MiB "${here[@]}"
    check 'full: who has to make it larger' is "$status $(grep -c "lies on .*, which is yours and has only 100663296 bytes: make it larger first" "$err")" '1 1'
    disk_grows data 160M
    tool pool grow 160MiB "${here[@]}"
    check 'full: growth' tool_says '^data: 160 MiB, was 96.0 MiB$'
    call prepare again layer
    check 'full: ends it without a restart' tool_done
    check 'full: for what is mounted, too' dd if=/dev/zero of="$folder/on" bs=1M count=20 conv=fsync status=none
    check 'full: the second time was counted' rig_until 60 was_low 2
    end
}

was_low() { [ "$(figure .pool.times_low)" = "$1" ]; }

# ---- an embedded pool, and others fill the disk below it ----

run_below() {
    ground=$RIG_DIR/ground
    rig_loop_mount ext4 "$ground" 512M -m 0
    root=$ground/root
    mkdir "$root"
    settings '[pool]' 'size = "256MiB"'
    start
    furnish
    check 'below: a pool with room is ok' state_is ok
    disk_takes 12 # of 8 that are kept back, and 16 that are low
    check 'below: a disk that gets full is told' \
        rig_until 60 said "Z warn +the disk that the files of the thin pool $pool lie on has room for [0-9.]+ MiB more"
    call prepare last layer
    check 'below: a low disk takes snapshots' tool_done
    snapshot remove last
    rig_until 60 reaped
    disk_takes 5
    call prepare more layer
    check 'below: what is kept back is not for new ones' call_refused RESOURCE_EXHAUSTED \
        "the disk that the files of the thin pool $pool lie on has room for [0-9.]+ MiB more, less than the pool promises: free some there, or remove images or containers: resource exhausted\$"
    reads_go_on low
    # nothing at all is left: the metadata have their space
    disk_takes 0
    call remove gone
    check 'below: Remove works' tool_done
    keys=(layer look web)
    check 'below: and ends the volume' rig_until 60 reaped
    check 'below: the pool itself is well' kernel_says rw
    rm "$ground"/others-*
    check 'below: when there is room again, it is told' rig_until 60 said 'Z info +the thin pool .* has room again'
    call prepare more layer
    check 'below: and a new one is made' tool_done
    end
}
# disk_takes MIB: somebody else leaves no more than so much room on the ground; 0: not a byte.
disk_takes() {
    local room
    room=$(($(df --output=avail -B1M "$ground" | tail -n 1) - $1))
    if [ "$1" = 0 ]; then
        cat /dev/zero >"$ground/others-0" 2>/dev/null || true
    elif [ "$room" -gt 0 ]; then
        fallocate -l "${room}M" "$ground/others-$1"
    fi
}

# ---- out of metadata ----

run_metadata() {
    begin metadata 160M 1M
    furnish
    crowd 200 # of 256
    check 'metadata: scarce ones are told without a call' rig_until 60 said 'Z warn +the thin pool .* is nearly out of room for metadata: .*metadata (7[89]|8[0-9]) % used'
    crowd 243
    call prepare more layer
    check 'metadata: what is kept back is not for new ones' call_refused RESOURCE_EXHAUSTED \
        "the thin pool $pool is out of room for metadata: data .* used, metadata 9[0-9] % used: remove images"
    reads_go_on low
    call remove gone
    check 'metadata: Remove works' tool_done
    keys=(layer look web)
    check 'metadata: and ends the volume' rig_until 60 reaped

    uncrowd 60
    call prepare more layer
    check 'metadata: then a new one is made' tool_done
    keys+=(more)
    crowd 243
    call prepare again layer
    check 'metadata: a second time' call_refused RESOURCE_EXHAUSTED 'is out of room for metadata'
    disk_grows metadata 2M
    tool pool grow 2MiB --metadata "${here[@]}"
    check 'metadata: growth' tool_says '^metadata: 2.00 MiB, was 1.00 MiB$'
    call prepare again layer
    check 'metadata: ends it without a restart' tool_done
    keys+=(again)
    uncrowd
    end
}

# ---- an embedded pool, whose metadata grow by the kernel's event alone ----

run_scarce() {
    root=$RIG_DIR/scarce
    mkdir -p "$root/thin-pool"
    # as one that was made for few volumes: no command makes it so small
    echo "$names" >"$root/thin-pool/name"
    truncate -s 160M "$root/thin-pool/data"
    truncate -s 1M "$root/thin-pool/metadata"
    settings
    start
    check 'scarce: it begins with 1 MiB' is "$(metadata_all)" 256
    crowd 200
    check 'scarce: metadata grow while nobody calls' rig_until 60 is_larger 256
    check 'scarce: which is told' said 'Z info +the metadata of the thin pool .* has grown to 2.00 MiB'
    check 'scarce: and was not worth a warning' is "$(figure '.pool.state, .pool.times_low' | tr '\n' ' ')" '"ok" 0 '
    crowd 450
    check 'scarce: and once more' rig_until 60 is_larger 512
    uncrowd
    end
}
is_larger() { [ "$(metadata_all)" -gt "$1" ]; }

# ---- somebody holds a volume that is to go ----

run_held() {
    local device folder holder
    begin held 256M 16M
    layer layer
    snapshot prepare web layer >/dev/null
    device=$(snapshot mounts web)
    folder=$(mounted web)
    echo kept >"$folder/kept"
    # a process that stays in a folder which nobody sees any more, and one that has the device
    (cd "$folder" && exec sleep 3600) &
    holder=$!
    rig_undo_later end_holder "$holder"
    rig_until 60 is_in "$holder" "$folder"
    umount -l "$folder"
    exec 8<"$device"

    call remove web
    check 'held: Remove answers' tool_done
    call cleanup
    check 'held: and so does Cleanup' tool_done
    check 'held: the volume waits' is "$(figure .awaiting_removal) $(test -b "$device" && echo there)" '1 there'
    check 'held: whoever holds it goes on' is "$(cat "/proc/$holder/cwd/kept")" kept
    call prepare other layer
    check 'held: others do not wait for it' tool_done
    end_holder "$holder"
    call cleanup
    check 'held: one holder is left' is "$(figure .awaiting_removal)" 1
    exec 8<&-
    check 'held: it goes when the last has let go' rig_until 60 reaped
    check 'held: with its device' is "$(dmsetup ls | grep -c "^$(basename "$device")\b")" 0
    check 'held: it was not worth a warning' is "$(grep -cE 'Z (warn|error) ' "$RIG_DIR/cowsnapd.log")" 0
    end
}
is_in() { [ "$(readlink "/proc/$1/cwd")" = "$2" ]; }
end_holder() {
    kill -KILL "$1" 2>/dev/null || return 0
    wait "$1" 2>/dev/null || true
}

# ---- what the data lie on cannot be read, and the pool is none the worse ----

run_bad-data() {
    begin bad-data 256M 16M
    furnish
    disk_is_bad data
    call prepare more layer
    check 'bad-data: a new one says what fails' call_refused UNAVAILABLE \
        "the kernel cannot read or write what the thin pool $pool lies on \(data /dev/dm-[0-9]+, metadata /dev/dm-[0-9]+\): its log \(\`dmesg\`\) says which; mend or replace that: unavailable\$"
    call batch <<<"$(printf '%s\n' 'stat layer' 'mounts web' 'remove gone')"
    check 'bad-data: what needs no data goes on' is "$(head -n 2 "$out" | tr '\n' ' ')" "committed /dev/mapper/$pool-snap-$web "
    keys=(layer look web)
    disk_works data
    call prepare more layer
    check 'bad-data: when the disk is well, all is' tool_done
    keys+=(more)
    check 'bad-data: and what was to go has gone' rig_until 60 reaped
    reads_go_on mended
    end
}

# ---- a disk does not write any more, and the pool with it ----

# What the daemon answers while the kernel lets nothing be changed.
refuses() {
    local state=$1
    call prepare "more-$state" layer
    check "$part, $state: a new one is refused, and what to do said" call_refused UNAVAILABLE \
        "the thin pool $pool serves reads only until its metadata have been checked: see the kernel's log \(\`dmesg\`\) and mend what it lies on; then stop the containers and cowsnapd, deactivate it \(\`dmsetup remove\` its volumes, then the pool\) and run \`cowsnap pool check\`, which says what to do: unavailable\$"
    call prepare "more-$state"
    check "$part, $state: without a parent, too" call_refused UNAVAILABLE "the thin pool $pool serves reads only until"
    reads_go_on "$state"
}

# run_broken DISK [FEATURES]
run_broken() {
    local folder mend
    begin "$part" 256M 16M
    furnish
    folder=$(mounted web)
    echo before >"$folder/before"
    umount "$folder"
    mounted web >/dev/null # a container goes on meanwhile
    disk_fails "$@"
    # the kernel notices by the first change
    call prepare first layer
    check "$part: the first to meet it is refused" call_refused UNAVAILABLE "the thin pool $pool serves reads only until"
    check "$part: which is told" rig_until 60 said "Z error the thin pool $pool serves reads only until its metadata have been checked"
    disk_works "$1" # of which a pool that is broken is not mended
    tool pool status "${here[@]}" --json
    check "$part: and shown" tool_json '.state == "needs-check" and (.writable | not) and (.advice | test("serves reads only"))'
    tool pool check "${here[@]}"
    check "$part: a check has it, too" is "$status $(grep -c '^DAMAGED: the thin pool .* serves reads only until' "$out")" '1 1'
    refuses broken
    call remove gone
    check "$part: Remove answers" tool_done
    keys=(layer look web)

    cowsnapd_stop
    start
    check "$part: a restart serves the same" said "Z error the thin pool $pool serves reads only until"
    refuses again

    # what it said is to be done
    cowsnapd_stop
    reboot_pool
    tool pool check "${here[@]}"
    check "$part: a check of the pool at rest says what to run" is \
        "$status $(grep -c "^DAMAGED: thin_check finds nothing wrong .* but the kernel has marked it after a failure" "$out")" '1 1'
    mend=$(grep -o '`thin_check --clear-needs-check-flag [^`]*' "$out" | tr -d '`')
    # shellcheck disable=SC2086 # words
    check "$part: which takes the mark away" $mend >/dev/null
    tool pool check "${here[@]}"
    check "$part: then it is sound" tool_says '^sound: '
    start
    check "$part: then all is well" state_is ok
    call prepare more layer
    check "$part: and can be changed" tool_done
    keys+=(more)
    check "$part: what was to go has gone" rig_until 60 reaped
    reads_go_on mended
    check "$part: and what was written is there" is "$(cat "$(mounted web)/before")" before
    end
}
run_broken-data() { run_broken data; }
run_broken-metadata() { run_broken metadata '1 error_writes'; }

# ---- a commit of the pool's own, of every second, that fails: it takes back what was written to volumes, and the
# kernel answers a flush after that with success ----

run_taken-back() {
    local device
    begin taken-back 256M 16M
    furnish
    device=$(snapshot mounts web)
    disk_fails metadata '1 error_writes'
    check 'taken-back: a write of new blocks is taken' \
        dd if=/dev/urandom of="$device" bs=64K count=1 seek=16000 oflag=direct status=none
    check 'taken-back: until the pool cannot write its metadata' rig_until 60 kernel_says needs_check
    check 'taken-back: a flush is answered all the same' \
        "$RIG_PYTHON" -I -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDWR))' "$device"
    call commit done web
    check 'taken-back: a Commit is not' call_refused UNAVAILABLE "the thin pool $pool serves reads only until"
    call stat web
    check 'taken-back: and has not happened' is "$status $(cat "$out")" '0 active'
    disk_works metadata
    end
}

# ---- two disks of the operator's, over a reboot ----

run_devices() {
    local folder used
    root=$RIG_DIR/devices
    mkdir "$root"
    disk data 256M
    disk metadata 16M
    settings "data_device = \"$(disk_path data)\"" "metadata_device = \"$(disk_path metadata)\""
    tool pool create "${here[@]}"
    check 'devices: made without a daemon' tool_says '^kind: +devices$'
    check 'devices: on what was named' is "$(grep -cE "^(data|metadata) on: +/dev/dm-[0-9]+\$" "$out")" 2
    start
    layer layer
    snapshot prepare web layer >/dev/null
    folder=$(mounted web)
    echo written >"$folder/written"
    umount "$folder"
    cowsnapd_stop

    # a reboot: nothing of device-mapper is left, and the disks come back under other numbers
    reboot_pool
    check 'devices: nothing is left' is "$(rig_devices_of "$root")" ''
    dmsetup remove "$names-metadata"
    dmsetup remove "$names-data"
    dmsetup create "$names-metadata" --table "0 $(disk_sectors metadata) linear ${loops[metadata]} 0"
    dmsetup create "$names-data" --table "0 $(disk_sectors data) linear ${loops[data]} 0"
    tool pool status "${here[@]}"
    check 'devices: a pool at rest says so' is "$status $(grep -c 'is there, but neither mounted nor active' "$err")" '1 1'
    tool pool check "${here[@]}"
    check 'devices: and is examined' tool_says "^sound: thin_check finds nothing wrong with the metadata of the thin pool $pool on $(disk_path metadata)"
    start
    call list
    check 'devices: all snapshots are there again' is "$(sort "$out" | tr '\n' ' ')" 'layer web '
    folder=$(mounted web)
    check 'devices: with what was written' is "$(cat "$folder/written") $(cmp "$folder/file" "$RIG_DIR/layer.file" && echo same)" 'written same'

    disk_grows data 512M
    disk_grows metadata 32M
    tool pool grow +256MiB "${here[@]}"
    check 'devices: they grow while one is mounted' is "$status $(grep -E '^(data|metadata): .*, was' "$out" | tr '\n' ' ')" \
        '0 data: 512 MiB, was 256 MiB metadata: 32.0 MiB, was 16.0 MiB '
    check 'devices: which takes it' dd if=/dev/zero of="$folder/more" bs=1M count=300 conv=fsync status=none
    # the low water is that of the new size: 32 MiB of 512
    used=$(dmsetup table "$pool" | awk '{ print $7 }')
    check 'devices: and the low water goes with it' is "$used" 512
    end
}

# ---- a pool of the operator's, by its name ----

run_given() {
    local theirs=$names-pool folder
    root=$RIG_DIR/given
    mkdir "$root"
    disk data 256M
    disk metadata 16M
    settings "pool = \"/dev/mapper/$theirs\""
    status=0
    "$COWSNAPD" "${here[@]}" >"$out" 2>"$err" || status=$?
    check 'given: one that is not active is asked for' is "$status $(grep -c "there is no active thin pool $theirs: activate it before cowsnapd starts, or leave dm_thin.pool out for a pool in files" "$err")" '1 1'
    dmsetup create "$theirs" --table "0 $(disk_sectors data) thin-pool $(disk_path metadata) $(disk_path data) 128 0"
    rig_undo_later given_end "$theirs"
    start
    check 'given: is the one that was named' is "$pool" "$theirs"
    layer layer
    snapshot prepare web layer >/dev/null
    cowsnapd_kill

    # what a crash may have left, and what somebody else has made meanwhile
    dmsetup create "$pool-snap-77" -u "COWSNAP-$pool-77" --table '0 8 error'
    dmsetup create "$pool-snap-78" -u "SOMEBODY-else" --table '0 8 error'
    dmsetup create "$pool-backup" --table '0 8 error'
    dmsetup message "$pool" 0 'create_snap 79 16777215'
    : >"$RIG_DIR/cowsnapd.log"
    cowsnapd_again
    check 'given: a stray of ours is ended' is "$(dmsetup ls | grep -c "^$pool-snap-77\b")" 0
    check 'given: which is told' said "Z info +ending the stray device $pool-snap-77"
    check 'given: those of others are not' is "$(dmsetup ls | grep -cE "^$pool-(snap-78|backup)\b")" 2
    check 'given: a volume that nobody knows goes' rig_until 60 reaped
    check 'given: from the pool, too' is "$(dmsetup message "$pool" 0 'delete 79' 2>&1 | grep -c 'No data available')" 1
    folder=$(mounted web)
    check 'given: what was answered is there' cmp "$folder/file" "$RIG_DIR/layer.file"
    dmsetup remove "$pool-snap-78"
    dmsetup remove "$pool-backup"
    tool pool grow +1GiB "${here[@]}"
    check 'given: and is made larger by them' is "$status $(grep -cF 'is yours, and made larger by what made it' "$err")" '1 1'
    # as they do it
    disk_grows data 512M
    dmsetup suspend "$pool"
    dmsetup load "$pool" --table "0 $(disk_sectors data) thin-pool $(disk_path metadata) $(disk_path data) 128 0"
    dmsetup resume "$pool"
    check 'given: which is seen at once' is "$(figure .pool.size)" $((512 * MIB))
    check 'given: the daemon is the one that was started' kill -0 "$COWSNAPD_PID"
    check 'given: and ends when it is told to' cowsnapd_stop
    given_end "$theirs"
    root=''
    disks_end
}
given_end() {
    local device
    unmount_all
    for device in $(dmsetup ls 2>/dev/null | awk -v pool="$1-" 'index($1, pool) == 1 { print $1 }'); do
        dmsetup remove "$device"
    done
    ! dmsetup info "$1" >/dev/null 2>&1 || dmsetup remove "$1"
}

for part in "${parts[@]}"; do
    declare -F "run_$part" >/dev/null || rig_fail "there is no part '$part'"
    began=$SECONDS
    "run_$part"
    rig_say "$part: $((SECONDS - began)) s"
done
tool_verdict 'states of a thin pool'
