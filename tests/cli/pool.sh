#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# pool.sh [btrfs|dm-thin]
#
# The tool's pool commands: with and without a daemon, on a pool of cowsnapd's own and on one of the operator's,
# sound and damaged.
# shellcheck disable=SC2016 # what stands in single quotes is jq's
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

backend=${1:-btrfs}
rig_need_root
rig_need jq losetup setpriv
case $backend in
btrfs) rig_need mkfs.btrfs btrfs ;;
dm-thin)
    rig_need mkfs.ext4 thin_check
    rig_need_device_mapper
    ;;
*) rig_fail "there is no backend '$backend'" ;;
esac
cowsnapd_need
[ -x "$COWSNAP" ] || rig_fail "$COWSNAP is not built"
rig_begin pool
# shellcheck source=checks.sh
. "$RIG_TESTS/cli/checks.sh"

MIB=1048576
snapshot() { "$RIG_BUILD/tests/cli/snapshot_client" "$COWSNAPD_SOCKET" "$@"; }

# settings FILE ROOT LINES…: a configuration.
settings() {
    local file=$1 root=$2
    shift 2
    printf '%s\n' "root = \"$root\"" "address = \"$RIG_DIR/cowsnap.sock\"" "backend = \"$backend\"" "$@" >"$file"
}

# flip FILE OFFSET: turns one bit of the byte around; a second time, back.
flip() {
    "$RIG_PYTHON" -I - "$1" "$2" <<'PYTHON'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
at = int(sys.argv[2])
byte = os.pread(fd, 1, at)[0]
os.pwrite(fd, bytes([byte ^ 1]), at)
os.fsync(fd)
PYTHON
}

# find_text FILE TEXT: where the text lies in the file.
find_text() {
    "$RIG_PYTHON" -I - "$1" "$2" <<'PYTHON'
import mmap, sys
with open(sys.argv[1], "rb") as file:
    print(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ).find(sys.argv[2].encode()))
PYTHON
}

# find_tree FILE: in a btrfs with nodes of 4 KiB, where a node of the tree of files is (struct btrfs_header).
find_tree() {
    "$RIG_PYTHON" -I - "$1" <<'PYTHON'
import mmap, struct, sys
with open(sys.argv[1], "rb") as file:
    image = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    fsid = image[0x10020:0x10030]
    newest = max((struct.unpack_from("<Q", image, at + 80)[0], at) for at in range(0x20000, 0x4000000, 4096)
                 if image[at + 32:at + 48] == fsid and struct.unpack_from("<Q", image, at + 88)[0] == 5)
    print(newest[1] + 104)
PYTHON
}

rest_pool() {
    if [ "$backend" = btrfs ]; then umount "$root/pool"; else rig_end_devices "$root"; fi
}
pool_rests() {
    [ -z "$(rig_mounts_below "$root/pool")$(rig_devices_of "$root")" ]
}

# dm-thin's own files are sparse as well, on whatever holds the scratch folder
root=$RIG_DIR/t/root
[ "$backend" != btrfs ] || rig_loop_mount ext4 "$RIG_DIR/t" 4G
mkdir -p "$RIG_DIR/t"
[ "$backend" = btrfs ] || rig_undo_later rig_end_devices "$root"
settings "$RIG_DIR/config.toml" "$root" '[pool]' 'size = "300MiB"' # to which no command may make it grow by the way
here=(--config "$RIG_DIR/config.toml")
if [ "$backend" = btrfs ]; then
    pool="\"$root/pool\"" examiner='`btrfs check --readonly`'
else
    pool='in thin-pool' examiner='thin_check'
fi

# ---- nothing there ----

tool pool status "${here[@]}"
check 'no root: says how one comes' tool_refused 1 "there is no pool, and no root folder \"$root\": \`cowsnap pool create\` makes both, or the first start of cowsnapd"
check 'no root: makes none' test ! -e "$root"
mkdir "$root"
for command in status 'grow 1GiB'; do
    # shellcheck disable=SC2086 # words
    tool pool $command "${here[@]}"
    check "no pool: $command says how one comes" tool_refused 1 \
        "the pool $pool is not there: if there was one, mount or restore what it lies on; \`cowsnap pool create\` makes the first"
done
tool pool check "${here[@]}"
check 'no pool: check could not' tool_refused 2 \
    "the pool $pool is not there: if there was one, mount or restore what it lies on; \`cowsnap pool create\` makes the first"
check 'no pool: nothing is made by looking' is "$(find "$root" -mindepth 1 ! -name lock)" ''
tool pool create 1MiB "${here[@]}"
check 'a pool that is too small' is "$status $(grep -c 'pool.size 1048576 is too small' "$err")" '2 1'
tool pool create wide "${here[@]}"
check 'a size that is none' is "$status $(grep -c '^cowsnap: "wide" is no size' "$err")" '2 1'
printf '[pool]\npath = "%s"\n' "$RIG_DIR" >"$RIG_DIR/folder.toml"
tool pool create 1GiB --config "$RIG_DIR/folder.toml" --root "$root" --backend btrfs
check 'a size for a folder' is "$status $(grep -c 'pool.size is for the pool that the daemon makes' "$err")" '2 1'
tool pool create --config "$RIG_DIR/nowhere.toml"
check 'settings that are not there' is "$([ "$status" != 0 ] && grep -c 'nowhere.toml' "$err")" 1

# ---- made without a daemon ----

tool pool create 256MiB "${here[@]}"
check 'create says what it made' tool_says "^made the pool of $root:\$"
check 'and shows it' tool_says '^kind: +embedded$'
tool pool create "${here[@]}"
check 'a pool that is there already' is "$status $(grep -c 'is there already: `cowsnap pool status` shows it$' "$err")" '1 1'
tool pool status "${here[@]}" --json
check 'status as JSON' tool_json '.kind == "embedded" and .state == "ok" and .advice == "" and .embedded and .writable
    and (.daemon_answered | not) and .ready_clones == null and .size == 256 * 1048576 and .backing > .size
    and (.data_on | startswith($root))' --arg root "$root/"
tool pool status "${here[@]}"
for row in 'state: +ok$' 'data: +.* used of 256 MiB \([0-9]+ %\), .* available$' 'metadata: +.* used of ' \
    "data on: +$root/" 'grows: +by cowsnap pool grow; the disk below has room for [0-9.]+ GiB of data$' \
    'used by: +no daemon: cowsnapd does not run$'; do
    check "status shows $row" tool_says "^$row"
done
tool pool grow +16MiB "${here[@]}" --json
check 'growth without a daemon' tool_json '.before.size == 256 * $m and .pool.size == 272 * $m' --argjson m $MIB
tool pool check "${here[@]}"
check 'a check of a pool in use, without a daemon' tool_says '^sound: '

# ---- at rest ----

rest_pool
tool pool status "${here[@]}"
check 'the status of a pool at rest' is "$status $(grep -c 'is there, but neither mounted nor active' "$err")" '1 1'
tool pool check "${here[@]}"
check 'a check of a pool at rest' is "$status $(grep -cF "sound: $examiner finds nothing wrong" "$out")" '0 1'
check 'which it stays' pool_rests
if [ "$backend" = btrfs ]; then
    image=$root/pool.img
    wrong=$(find_tree "$image")
else
    image=$root/thin-pool/metadata
    wrong=100
fi
flip "$image" "$wrong"
tool pool check "${here[@]}"
check 'damage is found' is "$status $(grep -c '^DAMAGED: ' "$out") $(cat "$err")" '1 1 '
tool pool check "${here[@]}" --json
check 'damage as JSON' is "$status $(jq '.sound | not' "$out") $(jq -r .finding "$out" | grep -cF "$image")" '1 true 1'
check 'a damaged pool is left at rest' pool_rests
flip "$image" "$wrong"
if [ "$backend" = btrfs ]; then # thin_check lies in one of the sbin folders, which are looked into
    PATH=$RIG_DIR/nowhere tool pool check "${here[@]}"
    check 'an examiner that is not installed' tool_refused 2 'btrfs is not installed: install btrfs-progs'
fi
tool pool grow +16MiB "${here[@]}"
check 'growth of a pool at rest' tool_says '^data: 288 MiB, was 272 MiB$'
check 'for which it is woken' is "$(pool_rests || echo awake)" awake

# ---- with a daemon ----

cowsnapd_start "$root" --backend "$backend"
tool pool create "${here[@]}"
check 'create while cowsnapd runs' is "$status $(grep -c "^cowsnap: cowsnapd runs (process $COWSNAPD_PID, root $root), and has the pool " "$err")" '1 1'
tool pool status --address "$COWSNAPD_SOCKET" --json
check 'status by the socket alone' tool_json '.daemon_answered and .ready_clones >= 0 and .size == 288 * $m' --argjson m $MIB
tool pool status "${here[@]}" --address "$RIG_DIR/elsewhere.sock"
check 'a daemon that listens elsewhere' tool_refused 1 "nobody listens on $RIG_DIR/elsewhere.sock (--address names another socket), but: root $root is in use by cowsnapd or a \`cowsnap pool\` command, process $COWSNAPD_PID; stop it first, or choose another folder with --root"

tool pool status "${here[@]}" --root "$RIG_DIR/other"
check 'a daemon of another root' is "$status $(grep -c "there is no pool, and no root folder \"$RIG_DIR/other\"" "$err")" '1 1'

ln -s "$root" "$RIG_DIR/by-another-name"
tool pool status --address "$COWSNAPD_SOCKET" --root "$RIG_DIR/by-another-name/" --json
check 'the root of a daemon by another name' tool_json .daemon_answered
other=$([ "$backend" = btrfs ] && echo dm-thin || echo btrfs)
for command in status 'grow +16MiB' check; do
    # shellcheck disable=SC2086 # words
    tool pool $command --address "$COWSNAPD_SOCKET" --backend "$other"
    check "a daemon of another backend: $command" is "$status $(cat "$out" "$err")" "$([ "$command" = check ] && echo 2 || echo 1) \
cowsnap: cowsnapd runs (process $COWSNAPD_PID, root $root) with the backend $backend, not $other: leave --backend out, or stop it first"
done

held=$(snapshot prepare web '')
if [ "$backend" = dm-thin ]; then
    mkdir "$RIG_DIR/web"
    mount "$held" "$RIG_DIR/web"
    held=$RIG_DIR/web
fi
echo before >"$held/before"
tool pool grow 400MiB "${here[@]}"
check 'growth through the daemon' tool_says '^data: 400 MiB, was 288 MiB$'
head -c 310M /dev/zero | tr '\0' x >"$held/big"
sync -f "$held"
check 'what is mounted meanwhile has the new room' is "$(stat -c %s "$held/big") $(cat "$held/before")" "$((310 * MIB)) before"
rm "$held/big"
sync -f "$held"
tool pool grow 400MiB "${here[@]}"
check 'growth to what it has' tool_says '^the pool is that large already$'
tool pool grow 300MiB "${here[@]}"
check 'a pool is not made smaller' is "$status $(grep -c ' is 400 MiB already and only grows: give more than that, or +SIZE$' "$err")" '2 1'
tool pool grow +much "${here[@]}"
check 'a growth that is no size' is "$status $(grep -c '^cowsnap: "much" is no size' "$err")" '2 1'
if [ "$backend" = btrfs ]; then
    tool pool grow 100TiB "${here[@]}"
    check 'a size that no file has here' tool_refused 2 \
        "the pool $root/pool cannot grow to 100 TiB: no file can be so large on the disk below"
    tool pool grow +1GiB --metadata "${here[@]}"
    check 'btrfs has no metadata of its own size' tool_refused 2 \
        'btrfs takes data and metadata from the same room: leave --metadata out'
    tool pool grow 20GiB "${here[@]}"
    check 'more than the disk has is told' tool_says '^note: the disk below has room for only [0-9.]+ GiB of data: '
else
    before=$("$COWSNAP" pool status "${here[@]}" --json | jq .metadata_size)
    tool pool grow +16MiB --metadata "${here[@]}" --json
    check 'growth of the metadata' tool_json '.before.metadata_size == $before and .pool.metadata_size == $before + 16 * $m
        and .pool.size == .before.size' --argjson m $MIB --argjson before "$before"
    tool pool grow 1TiB --metadata "${here[@]}"
    check 'and its bound' is "$status $(grep -c 'cannot become larger than 15.8 GiB' "$err")" '2 1'
fi
tool pool check "${here[@]}"
check 'a check through the daemon' tool_says '^sound: '
tool status --address "$COWSNAPD_SOCKET" --json
check 'cowsnap status has the same pool' tool_json '.pool.kind == "embedded" and .pool.state == "ok"'
chmod 711 "$RIG_DIR"
cp "$COWSNAP" "$RIG_DIR/cowsnap"
status=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$RIG_DIR/cowsnap" pool status --address "$COWSNAPD_SOCKET" >"$out" 2>"$err" || status=$?
check 'not for everybody' tool_refused 1 "only root may talk to cowsnapd at $COWSNAPD_SOCKET: run this as root: Permission denied"

if [ "$backend" = btrfs ]; then
    mark=mark-$RANDOM-$RANDOM-$RANDOM
    for ((i = 0; i < 8192; i++)); do echo "$mark $i"; done >"$held/marked"
    sync -f "$held"
    flip "$image" "$(find_text "$image" "$mark 100")"
    tool pool check "${here[@]}"
    check 'damaged data are found in use' is "$status $(grep -c '^DAMAGED: a scrub of the pool .* found damaged data (1 blocks wrong' "$out")" '1 1'
fi
[ "$backend" = btrfs ] || umount "$held"
cowsnapd_stop
rest_pool

# ---- gone, while the store has snapshots of it ----

mkdir "$RIG_DIR/away"
if [ "$backend" = btrfs ]; then
    mv "$root/pool.img" "$RIG_DIR/away"
    rmdir "$root/pool"
else
    mv "$root/thin-pool" "$RIG_DIR/away"
fi
status=0
"$COWSNAPD" "${here[@]}" --backend "$backend" --address "$RIG_DIR/gone.sock" >"$out" 2>"$err" || status=$?
check 'a lost pool is not made anew by a start' \
    is "$status $(grep -cF "the store in root has snapshots, and their pool $pool is not there: mount or restore" "$err")" '1 1'
tool pool create "${here[@]}"
check 'nor by the tool' is "$status $(grep -cF "the store in root has snapshots, and their pool $pool is not there: mount or restore" "$err")" '1 1'
check 'nor is anything in its place' is "$(ls -d "$root"/pool* "$root"/thin-pool* 2>/dev/null || true)" ''

# ---- a pool of the operator's ----

theirs=$RIG_DIR/theirs
mkdir -p "$theirs"
if [ "$backend" = btrfs ]; then
    rig_loop_mount btrfs "$RIG_DIR/b" 300M
    mkdir "$RIG_DIR/b/cowsnap"
    settings "$RIG_DIR/theirs.toml" "$theirs" '[pool]' "path = \"$RIG_DIR/b/cowsnap\""
    kind=folder advice="run \`btrfs filesystem resize max $RIG_DIR/b/cowsnap\`" found='the kernel has counted no error'
else
    truncate -s 512M "$RIG_DIR/data"
    truncate -s 16M "$RIG_DIR/metadata"
    data=$(losetup -f --show "$RIG_DIR/data")
    metadata=$(losetup -f --show "$RIG_DIR/metadata")
    name=cowsnap-test-$$
    dmsetup create "$name" --table "0 $((512 * 2048)) thin-pool $metadata $data 128 0"
    end_theirs() {
        dmsetup remove "$name-label" >/dev/null 2>&1 || true
        dmsetup remove "$name"
    }
    rig_undo_later end_theirs
    settings "$RIG_DIR/theirs.toml" "$theirs" '[dm_thin]' "pool = \"/dev/mapper/$name\""
    kind=pool advice='`lvextend -L +SIZE VG/POOL`' found='thin_check finds nothing wrong'
fi
there=(--config "$RIG_DIR/theirs.toml")
tool pool status "${there[@]}"
check 'a pool of theirs that is not ours yet' is "$status $(grep -c 'is not there' "$err")" '1 1'
tool pool create "${there[@]}"
check 'is made ours' tool_says "^kind: +$kind\$"
tool pool create "${there[@]}"
check 'once' is "$status $(grep -c 'is there already' "$err")" '1 1'
tool pool grow +1GiB "${there[@]}"
check 'and made larger by them' is "$status $(grep -cF "$advice" "$err")" '1 1'
tool pool check "${there[@]}"
check 'and examined' is "$status $(grep -cF "sound: $found" "$out")" '0 1'

tool_verdict "the tool's pool commands, $backend"
