# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash source-path=SCRIPTDIR
# shellcheck disable=SC2034 # its variables are for those who source it
#
# A daemon on thin volumes whose disks can fail, calls to it, and the kernel's own view of the pool; for the scripts
# beside this one, after rig_begin.
#
#   part   what is being tested, for messages
#   root   the daemon's root folder; pool: its pool's name; ground: the disk of its own that root is on, or empty
#   here   the options that name its settings to the tool

# shellcheck source=../cli/checks.sh
. "$RIG_TESTS/cli/checks.sh"

MIB=1048576
names=cowsnap-states-$$
part='' root='' pool='' web='' ground=''
declare -A loops=()

# ---- disks that can fail: a device of device-mapper over a loop device over a file ----

disk_path() { echo "/dev/mapper/$names-$1"; }
disk_sectors() { echo $(($(stat -c %s "$RIG_DIR/$1.disk") / 512)); }
disk() {
    truncate -s "$2" "$RIG_DIR/$1.disk"
    loops[$1]=$(losetup -f --show "$RIG_DIR/$1.disk")
    dmsetup create "$names-$1" --table "0 $(disk_sectors "$1") linear ${loops[$1]} 0"
}
# disk_becomes NAME TARGET [SECTORS OTHER]: as a whole, or for so many sectors and then of the other target.
disk_becomes() {
    local all first
    all=$(disk_sectors "$1")
    first=${3:-$all}
    dmsetup suspend --nolockfs "$names-$1"
    {
        echo "0 $first $2"
        [ "$first" = "$all" ] || echo "$first $((all - first)) $4"
    } | dmsetup load "$names-$1"
    dmsetup resume "$names-$1"
}
# disk_fails NAME [FEATURES]: from now on all of its I/O fails, or what the features of dm-flakey say.
disk_fails() { disk_becomes "$1" "flakey ${loops[$1]} 0 0 86400 ${2:-}"; }
# disk_is_bad NAME: what is on it cannot be read nor written; it still takes orders to flush.
disk_is_bad() { disk_becomes "$1" "linear ${loops[$1]} 0" 8 error; }
disk_works() { disk_becomes "$1" "linear ${loops[$1]} 0"; }
disk_grows() {
    truncate -s "$2" "$RIG_DIR/$1.disk"
    losetup -c "${loops[$1]}"
    disk_works "$1"
}
disks_end() {
    local name
    for name in "${!loops[@]}"; do
        dmsetup remove "$names-$name" && losetup -d "${loops[$name]}"
        rm -f "$RIG_DIR/$name.disk"
    done
    loops=()
}

# ---- a daemon and its pool ----

# What a reboot ends: mounts, volumes, the pool. What it lies on stays.
unmount_all() {
    local point
    while IFS= read -r point; do [ "$point" = "$ground" ] || umount "$point"; done < <(rig_mounts_below "$RIG_DIR")
}
reboot_pool() {
    unmount_all
    rig_end_devices "$root"
}
end_all() {
    local name
    for name in "${!loops[@]}"; do disk_works "$name"; done
    [ -z "$root" ] || reboot_pool
    [ -z "$ground" ] || umount "$ground"
    ground=''
    disks_end
}
rig_undo_later end_all

settings() {
    printf '%s\n' "root = \"$root\"" "address = \"$RIG_DIR/cowsnap.sock\"" 'backend = "dm-thin"' \
        '[snapshots]' 'stock = 0' '[dm_thin]' 'volume_size = "1GiB"' "$@" >"$root.toml"
    here=(--config "$root.toml")
}
start() {
    : >"$RIG_DIR/cowsnapd.log"
    cowsnapd_start "$root" "${here[@]}"
    pool=$("$COWSNAP" pool status "${here[@]}" --json | jq -r '.path | sub(".*/"; "")')
}
# begin PART DATA METADATA: a pool on two disks of those sizes, and a daemon on it.
begin() {
    root=$RIG_DIR/$1
    mkdir "$root"
    disk data "$2"
    disk metadata "$3"
    settings "data_device = \"$(disk_path data)\"" "metadata_device = \"$(disk_path metadata)\""
    start
}
end() {
    check "$part: the daemon is the one that was started" kill -0 "$COWSNAPD_PID"
    check "$part: and ends when it is told to" cowsnapd_stop
    end_all
    root=''
}
said() { grep -qE "$1" "$RIG_DIR/cowsnapd.log"; }

# ---- calls ----

client=$RIG_BUILD/tests/cli/snapshot_client
snapshot() { "$client" "$COWSNAPD_SOCKET" "$@"; }
: >"$out" >"$err" # what a check that fails before the first call shows
# call VERB WORDS…: as tool(), of a gRPC call.
call() {
    status=0
    "$client" "$COWSNAPD_SOCKET" "$@" >"$out" 2>"$err" || status=$?
}
# call_refused STATUS WORDS: with that name of a gRPC status, and words that match.
call_refused() { [ "$status" = 1 ] && [ ! -s "$out" ] && grep -qE "^snapshot_client: $1: .*$2" "$err"; }

# mounted KEY: the folder where the active snapshot KEY is mounted now.
mounted() {
    mkdir -p "$RIG_DIR/at/$1"
    mount "$(snapshot mounts "$1")" "$RIG_DIR/at/$1"
    echo "$RIG_DIR/at/$1"
}
# layer NAME: a committed snapshot with a file of 1 MiB in it.
layer() {
    local folder
    mkdir -p "$RIG_DIR/at/extract"
    folder=$RIG_DIR/at/extract
    mount "$(snapshot prepare "extract-$1")" "$folder"
    head -c 1M /dev/urandom | tee "$folder/file" >"$RIG_DIR/$1.file"
    umount "$folder"
    snapshot commit "$1" "extract-$1"
}
# furnish: the layer "layer", a view "look" of it, and the actives "web" and "gone".
furnish() {
    layer layer
    web=$(printf '%s\n' 'view look layer' 'prepare web layer' 'prepare gone layer' | snapshot batch | sed -n '1s/.*-snap-//p')
    keys=(layer look web gone)
}
# reads_go_on STATE: what only reads is served. The layer "layer" is there, the active "web", and what is in keys.
# One batch of calls, since a process takes long to start where the processor is emulated.
keys=()
reads_go_on() {
    local folder=$RIG_DIR/at/reads state=$1 said
    call batch <<<"$(printf '%s\n' list 'stat layer' 'mounts web' 'usage layer' "view look-$state layer" "mounts look-$state")"
    check "$part, $state: what only reads is answered" is "$status $(cat "$err")" '0 '
    mapfile -t said <"$out"
    check "$part, $state: List" is "$(printf '%s\n' "${said[@]:0:${#keys[@]}}" | sort)" "$(printf '%s\n' "${keys[@]}" | sort)"
    said=("${said[@]:${#keys[@]}}")
    check "$part, $state: Stat and Mounts" is "${said[*]:0:2}" "committed /dev/mapper/$pool-snap-$web"
    check "$part, $state: Usage" is "$((${said[2]% *} >= MIB)) ${said[2]#* }" '1 1'
    mkdir -p "$folder"
    mount -o ro,noload "${said[3]}" "$folder"
    check "$part, $state: and files are read" cmp "$folder/file" "$RIG_DIR/layer.file"
    umount "$folder"
    snapshot remove "look-$state"
}

figure() { "$COWSNAP" status --address "$COWSNAPD_SOCKET" --json | jq "$1"; }
reaped() { [ "$(figure .awaiting_removal)" = 0 ]; }
state_is() { [ "$(figure .pool.state)" = "\"$1\"" ]; }
prepared() { snapshot prepare "$@" >/dev/null 2>"$err"; }

# How many MiB of data are left; blocks are 64 KiB.
left() { dmsetup status --noflush "$pool" | awk '{ split($6, blocks, "/"); print int((blocks[2] - blocks[1]) / 16) }'; }
# fill FOLDER MIB: writes there until no more than so much is left.
fill() {
    local now
    while now=$(left) && [ "$now" -gt "$2" ]; do
        dd if=/dev/zero of="$1/fill-$now" bs=1M count=$((now - $2)) conv=fsync status=none
    done
}
# Blocks of metadata in use, and all there are.
metadata_used() { dmsetup status --noflush "$pool" | awk '{ split($5, blocks, "/"); print blocks[1] }'; }
metadata_all() { dmsetup status --noflush "$pool" | awk '{ split($5, blocks, "/"); print blocks[2] }'; }
# crowd BLOCKS: thin devices of nobody's, a block of metadata each, until so many are in use.
crowd=0
crowd() {
    local lack
    while lack=$(($1 - $(metadata_used))) && [ "$lack" -gt 0 ]; do
        messages create_thin "$crowd" $((crowd + lack))
        crowd=$((crowd + lack))
    done
}
# uncrowd [COUNT]: ends them, or all but so many.
uncrowd() {
    messages delete "${1:-0}" "$crowd"
    crowd=${1:-0}
}
# messages VERB FROM TO: a message for each of these thin devices, by one process (struct dm_ioctl, DM_TARGET_MSG of
# linux/dm-ioctl.h).
messages() {
    "$RIG_PYTHON" -I - "$pool" "$@" <<'PYTHON'
import fcntl, struct, sys
pool, verb, first, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
control = open("/dev/mapper/control", "r+b", buffering=0)
for number in range(first, end):
    text = struct.pack("Q", 0) + f"{verb} {1000000 + number}".encode() + b"\0"
    head = struct.pack("=6Ii3IQ128s129s7x", 4, 0, 0, 312 + len(text), 312, 0, 0, 0, 0, 0, 0, pool.encode(), b"")
    fcntl.ioctl(control, 0xC138FD0E, bytearray(head + text))
PYTHON
}
# Whether the pool's own state, as the kernel has it, is that word.
kernel_says() { dmsetup status --noflush "$pool" | grep -qw "$1"; }
