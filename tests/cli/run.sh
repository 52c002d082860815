#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tool `cowsnap` against a private cowsnapd: every command's table and JSON, keys of any bytes, what
# goes wrong; then the configuration that it prints, with real containerds of each release line, which
# serve from it.
# shellcheck disable=SC2016 # what stands in single quotes is jq's
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

rig_need_root
rig_need jq btrfs mkfs.btrfs losetup setpriv script iconv
cowsnapd_need
[ -x "$COWSNAP" ] || rig_fail "$COWSNAP is not built"
rig_begin tool

# shellcheck source=checks.sh
. "$RIG_TESTS/cli/checks.sh"

snapshot() { "$RIG_BUILD/tests/cli/snapshot_client" "$COWSNAPD_SOCKET" "$@"; }
# layer NAME PARENT MIB: a committed snapshot that holds so much.
layer() {
    local folder
    folder=$(snapshot prepare extract "$2")
    [ "$3" = 0 ] || head -c "$3"M /dev/urandom >"$folder/file"
    snapshot commit "$1" extract
}

# ---- a daemon that does not start: 2 for what does not heal by itself, 1 for what may ----

# daemon_refused STATUS SENTENCE [OPTIONS…]: how cowsnapd ends with them.
daemon_refused() {
    status=0
    "$COWSNAPD" "${@:3}" >"$out" 2>"$err" </dev/null || status=$?
    is "$status $(cat "$err")" "$1 cowsnapd: $2"
}
check 'an option of the daemon that is none' daemon_refused 2 \
    '"--rot" is not an option; did you mean --root?' --rot "$RIG_DIR"
check 'a value of an option that is none' daemon_refused 2 \
    '--log-level: must be "debug", "info", "warn" or "error", not "loud"' --log-level loud
printf '[pool]\nsiez = 1\n' >"$RIG_DIR/wrong.toml"
check 'a setting that is none' daemon_refused 2 \
    "$RIG_DIR/wrong.toml:2: pool.siez is not a setting; did you mean pool.size?" --config "$RIG_DIR/wrong.toml"
check 'a file of settings that is not there' daemon_refused 1 \
    "cannot open the configuration file \"$RIG_DIR/none.toml\": No such file or directory" --config "$RIG_DIR/none.toml"

# ---- without a daemon ----

dead=$RIG_DIR/dead.sock
for command in status ls tree check stages 'usage key'; do
    # shellcheck disable=SC2086 # words
    tool --address "$dead" $command
    check "$command says that nobody listens" tool_refused 1 \
        "nobody listens on $dead: is cowsnapd running, with this --address?"
done
"$RIG_PYTHON" -I -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dead"
tool status --address "$dead"
check 'a socket that was left behind' tool_refused 1 \
    "nobody listens on $dead: is cowsnapd running, with this --address?"
tool sttus
check 'a command that is none' tool_refused 2 '"sttus" is not a command; did you mean status?'
tool
check 'no command' tool_refused 2 'a command is missing; cowsnap --help lists them'
tool ls --jsno
check 'an option that is none' tool_refused 2 '"--jsno" is not an option; did you mean --json?'
tool usage
check 'a key that is missing' tool_refused 2 'usage wants KEY; see cowsnap usage --help'
tool help usage
cp "$out" "$RIG_DIR/help"
check 'help of a command' tool_says '^Usage: cowsnap usage '
tool usage --help
check 'help of a command, the other way' cmp -s "$out" "$RIG_DIR/help"
tool help pool grow
check 'help of a command of two words' tool_says '^Usage: cowsnap pool grow .*SIZE$'
tool pool grwo 1G
check 'a command of two words that is none' tool_refused 2 '"pool grwo" is not a command; did you mean pool grow?'
tool pool
check 'half a command' tool_refused 2 \
    'pool wants status, create, grow or check right after it; see cowsnap pool --help'
tool help usgae
check 'help of no command' tool_refused 2 '"usgae" is not a command; did you mean usage?'
tool --version
check 'the version' tool_says '^cowsnap [0-9]+\.[0-9]+\.[0-9]+$'
tool version --json
check 'the version as JSON' tool_json '.version | test("^[0-9.]+$")'
tool --help
mapfile -t commands < <(sed -n '/^Commands:/,/^$/ s/^  \([a-z-]*\( [a-z][a-z]*\)\?\)  .*/\1/p' "$out")
check 'help lists the commands' is "${#commands[@]}" 14
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086 # words
    tool $command --help
    check "help of $command" tool_says "^Usage: cowsnap $command "
done
if [ -e /dev/full ]; then
    status=0
    "$COWSNAP" --help >/dev/full 2>"$err" || status=$?
    check 'an output that cannot be written' is "$status $(cat "$err")" \
        '1 cowsnap: write the output: No space left on device'
fi

# ---- a daemon without snapshots ----

rig_loop_mount ext4 "$RIG_DIR/t" 4G
cowsnapd_start "$RIG_DIR/t/root"
here=(--address "$COWSNAPD_SOCKET")

tool "${here[@]}" ls
check 'an empty list is empty' is "$(cat "$out" "$err")$status" 0
tool "${here[@]}" tree
check 'an empty tree is empty' is "$(cat "$out" "$err")$status" 0
for command in ls tree; do
    tool $command --json "${here[@]}"
    check "an empty $command as JSON" tool_json '. == {snapshots: []}'
done

# ---- snapshots ----

layer k8s.io/2/sha256:one '' 3
layer k8s.io/4/sha256:two k8s.io/2/sha256:one 0
folder=$(snapshot prepare k8s.io/5/web k8s.io/4/sha256:two)
head -c 1M /dev/urandom >"$folder/log"
sync -f "$folder"
snapshot prepare default/1/web k8s.io/4/sha256:two >/dev/null
snapshot view default/2/look k8s.io/4/sha256:two

tool status "${here[@]}"
for row in 'cowsnapd: +[0-9.]+, process [0-9]+, up [0-9]+ s$' "address: +$COWSNAPD_SOCKET\$" \
    "root: +$RIG_DIR/t/root\$" 'backend: +btrfs, engine [a-z_]+$' 'pool: +embedded pool at ' \
    'space: +[0-9.]+ MiB used of [0-9.]+ GiB \([0-9]+ %\), [0-9.]+ GiB available$' \
    'metadata: +.* used of ' 'snapshots: +5: 2 committed, 2 active, 1 view$' \
    'store: +.* used of .*, [0-9]+ requests in [0-9]+ commits$' \
    'waiting: +0 to be removed, [0-9]+ to be sealed$' 'ready clones: +[0-9]+$' 'layers in work: 0$' 'damaged: +0$'; do
    check "status shows $row" tool_says "^$row"
done
kill -HUP "$COWSNAPD_PID"
tool status "${here[@]}" --json
check 'a daemon that is told to hang up goes on' tool_json '.pid == $pid' --argjson pid "$COWSNAPD_PID"
tool stages "${here[@]}"
check 'stages shows what no layer has passed' tool_says '^write +0\.000 +0\.000'
check 'stages counts layers' tool_says '^0 layers in 0\.000 s$'
tool --json "${here[@]}" stages
check 'stages as JSON' tool_json '.layers == 0 and .elapsed_ns == 0
    and [.stages[].name] == ["inflate", "hash", "parse", "hand", "write", "sync"]
    and all(.stages[]; .processor_ns == 0 and .waited_ns == 0 and .bytes == 0)'
tool --json "${here[@]}" status
check 'status as JSON' tool_json '.address == $address and .pid == $pid and .backend == "btrfs"
    and .pool.embedded and .pool.writable and .pool.path == $root + "/pool" and .root == $root
    and .pool.size > 1e9 and .pool.used > 4e6 and .pool.available < .pool.size
    and .snapshots == {total: 5, committed: 2, active: 2, views: 1}
    and .store.commits > 5 and .ready_clones >= 0 and .layers_in_work == 0 and .damaged == 0 and .uptime_seconds >= 0
    and (.started | sub("\\.[0-9]+"; "") | fromdateiso8601) > 1e9' \
    --arg address "$COWSNAPD_SOCKET" --arg root "$COWSNAPD_ROOT" --argjson pid "$COWSNAPD_PID"

tool "${here[@]}" ls
check 'ls has a line of headings' is "$(head -n 1 "$out" | tr -s ' ')" \
    "$(head -n 1 "$out" | grep -o 'ID PARENT.*' | tr -s ' ')"
check 'ls shows a layer' tool_says '^ *[0-9]+ +- committed +3\.[0-9]+ MiB +[0-9]+ [0-9-]{10} [0-9:]{8} k8s\.io/2/sha256:one$'
check 'ls counts what a container wrote' tool_says ' active +1\.[0-9]+ MiB +[0-9]+ .* k8s\.io/5/web$'
tool ls "${here[@]}" --json
check 'ls as JSON' tool_json '(.snapshots | map(.key) | sort) == ["default/1/web", "default/2/look",
    "k8s.io/2/sha256:one", "k8s.io/4/sha256:two", "k8s.io/5/web"]'
check 'ls is in the order of ids' tool_json '.snapshots | map(.id) | . == sort'
check 'ls as JSON, a layer' tool_json '.snapshots[0] | .kind == "committed" and .parent == null
    and .parent_id == null and .size >= 3145728 and .size < 4194304 and .inodes >= 1
    and (.created | test("^[0-9-]{10}T[0-9:]{8}\\.[0-9]{9}Z$")) and (.sealed | type) == "boolean"'
check 'ls as JSON, a child' tool_json '(.snapshots | map({key: (.id | tostring), value: .key}) | from_entries) as $keys
    | .snapshots[] | select(.parent_id) | $keys[.parent_id | tostring] == .parent'

tool tree "${here[@]}"
check 'the tree' is "$(LC_ALL=C.UTF-8 "$COWSNAP" tree "${here[@]}" | awk '{ print $1 }' | sed 's/^[^a-zK]*\(.*\)/\1/' | tr '\n' ' ')" \
    'KEY k8s.io/2/sha256:one k8s.io/4/sha256:two k8s.io/5/web default/1/web default/2/look '
check 'the tree without UTF-8' is "$(LC_ALL=C "$COWSNAP" "${here[@]}" tree | sed -n 's/^\(.*web\) .*/\1/p' | head -n 1)" '  |-k8s.io/5/web'
LC_ALL=C.UTF-8 tool "${here[@]}" tree
check 'the tree with UTF-8' tool_says '^  ├─k8s\.io/5/web +[0-9]+ active +1\.'
tool tree "${here[@]}" --json
check 'the tree as JSON' tool_json '.snapshots | map(.depth) == [0, 1, 2, 2, 2]'

# ---- usage, and what a key may be called ----

tool "${here[@]}" usage sha256:one
check 'usage by the name of a client' tool_says '^ *[0-9]+ committed +3\.[0-9]+ MiB +[0-9]+ k8s\.io/2/sha256:one$'
tool usage k8s.io/5/web --json "${here[@]}"
check 'usage by the whole key' tool_json '.key == "k8s.io/5/web" and .size >= 1048576 and .size < 2097152'
tool "${here[@]}" usage '#1' --json
check 'usage by id' tool_json '.id == 1 and .key == "k8s.io/2/sha256:one"'
tool "${here[@]}" ls --json
webs=$(jq -r '[.snapshots[] | select(.key | endswith("/web")) | "\"\(.key)\" (#\(.id))"] | join(", ")' "$out")
tool "${here[@]}" usage web
check 'a name of several snapshots' tool_refused 1 \
    "\"web\" is the name of 2 snapshots; give a whole key, or an id as #12: $webs"
tool "${here[@]}" usage nothing
check 'a name of no snapshot' tool_refused 1 "there is no snapshot \"nothing\"; 'cowsnap ls' lists those there are"
tool "${here[@]}" usage $'\e[31m\n'
check 'a wrong key does not reach the terminal as it is' tool_refused 1 \
    "there is no snapshot \"\\x1b[31m\\x0a\"; 'cowsnap ls' lists those there are"

# ---- keys of any bytes ----

hostile='default/9/\x1b[31m\x00\x0a\x07"\x5c\xc2\x9b é'
snapshot prepare "$hostile" >/dev/null
layer 'default/10/\x1b' '' 0
snapshot prepare default/11/child 'default/10/\x1b' >/dev/null
for command in ls tree; do
    tool "${here[@]}" $command
    check "$command keeps controls from the terminal" tool_is_clean
    check "$command shows them" tool_says '"default/9/\\x1b\[31m\\x00\\x0a\\x07\\x22\\x5c\\xc2\\x9b é"'
    tool $command "${here[@]}" --json
    check "$command as JSON keeps controls from the terminal" tool_is_clean
    check "$command as JSON is UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null "$out"
    check "$command as JSON has the exact text" tool_json '[.snapshots[]
        | select(.key == "default/9/\u001b[31m\u0000\n\u0007\"\\\u009b é")] | length == 1'
    check "$command as JSON has them once where they are text" \
        tool_json '[.snapshots[] | select(.parent == "default/10/\u001b") | has("parent_base64")] == [false]'
done
tool "${here[@]}" usage --json "$(printf '\x1b')"
check 'usage of a key that is a control' tool_json '.key == "default/10/\u001b"'
long=$(head -c 3000 /dev/zero | tr '\0' k)
snapshot prepare "default/12/$long" >/dev/null
tool "${here[@]}" ls
check 'a long key is whole where there is no terminal' grep -q " default/12/$long\$" "$out"
script -qec "stty cols 80; LC_ALL=C.UTF-8 '$COWSNAP' --address '$COWSNAPD_SOCKET' ls" /dev/null </dev/null | tr -d '\r' >"$out"
check 'and is cut to one line where there is one' grep -q " default/12/kkkk" "$out"
check 'which is no longer than that' is "$(awk 'length > 80' "$out" | wc -l)" 0

# a chain deeper than what jq can read nested, or a recursive printer likes
parent=
for ((i = 1; i <= 200; i++)); do
    layer "chain-$i" "$parent" 0
    parent=chain-$i
done
tool tree --json "${here[@]}"
check 'a chain of 200' tool_json '[.snapshots[] | select(.key == "chain-200") | .depth] == [199]'
tool tree "${here[@]}"
check 'a chain of 200 as a table' is "$(grep -c 'chain-' "$out")" 200

# ---- damage from outside ----

# subvolume ID: where the pool keeps that volume.
subvolume() { find "$COWSNAPD_ROOT/pool" -maxdepth 3 -name "$1" -inum 256 | head -n 1; }
id_of() { "$COWSNAP" "${here[@]}" usage --json "$1" | jq .id; }
# difference REPAIRED ALL: how a check ends that found ALL and repaired so many.
difference() {
    [ "$status" = 1 ] && [ "$(cat "$err")" = \
        "cowsnap: $2 difference$([ "$2" = 1 ] || echo s) between the store and the pool, $1 of them repaired" ]
}

tool "${here[@]}" check
check 'a sound store' is "$status $(cat "$out" "$err")" '0 The store and the pool agree.'
tool check --repair --json "${here[@]}"
check 'a sound store as JSON' tool_json '. == {repair: true, findings: [], complete: true, differences: 0, repaired: 0}'

layer k8s.io/21/sha256:lost k8s.io/2/sha256:one 1
layer default/22/parent '' 0
snapshot prepare default/23/child default/22/parent >/dev/null
lost=$(id_of k8s.io/21/sha256:lost) parent=$(id_of default/22/parent)
btrfs property set -ts "$(subvolume "$lost")" ro false
btrfs property set -ts "$(subvolume "$parent")" ro false
btrfs subvolume delete "$(subvolume "$lost")" "$(subvolume "$parent")" >/dev/null
base=$(id_of k8s.io/2/sha256:one)
stray=$((base + 64000)) # of 64 folders, the same one
btrfs subvolume snapshot "$(subvolume "$base")" "$(dirname "$(subvolume "$base")")/$stray" >/dev/null

tool "${here[@]}" check
check 'three differences' difference 0 3
check 'a volume that nobody knows' grep -qx \
    "volume $stray: no snapshot has it, and nothing is at work on it; 'cowsnap check --repair' removes it" "$out"
check 'a layer that lost its volume' grep -qx \
    "snapshot k8s.io/21/sha256:lost (#$lost): its volume $lost is missing; 'cowsnap check --repair' removes it" "$out"
check 'one that was built upon' grep -qx "snapshot default/22/parent (#$parent): its volume $parent is missing; not safe to \
remove: 'cowsnap tree' shows what was made of it; remove the containers of its image, then the image \
(ctr -n default images rm --sync IMAGE), check again with --repair, and pull the image again" "$out"
check 'each is one line' is "$(wc -l <"$out")" 3
tool check "${here[@]}" --content k8s.io/21/sha256:lost
check 'the volume is missed by its key, too' is "$status $(cat "$err")" "1 cowsnap: 1 difference, 0 of them repaired"
check 'and in these words' grep -q \
    "^snapshot k8s.io/21/sha256:lost (#$lost): its volume is missing: 'cowsnap check' says how to mend it" "$out"
tool status --json "${here[@]}"
check 'the status counts them' tool_json '.damaged == 2'

tool check "${here[@]}" --repair --containerd "$dead"
check 'a containerd that is not there is told before anything is repaired' tool_refused 1 \
    "nobody listens on $dead: is containerd running, with this socket?"

tool check "${here[@]}" --repair --json
check 'two are repaired' difference 2 3
check 'and told as JSON' jq -e '.repair and .differences == 3 and .repaired == 2
    and (.findings | map([.kind, .id, .key, .outcome])) == [
        ["volume-unknown", $stray, null, "repaired"],
        ["volume-missing", $parent, "default/22/parent", "has-children"],
        ["volume-missing", $lost, "k8s.io/21/sha256:lost", "repaired"]]
    and (.findings[2].advice | contains("ctr -n k8s.io snapshots --snapshotter cowsnap rm sha256:lost"))' \
    --argjson stray "$stray" --argjson parent "$parent" --argjson lost "$lost" "$out" >/dev/null
is_gone() { [ -z "$(subvolume "$1")" ]; }
check 'the volume that nobody knew goes' rig_until 30 is_gone "$stray"
tool "${here[@]}" ls --json
check 'the snapshot is gone' tool_json '.snapshots | map(.key) | (contains(["k8s.io/21/sha256:lost"]) | not)
    and contains(["default/22/parent"])'
layer k8s.io/21/sha256:lost k8s.io/2/sha256:one 1
tool "${here[@]}" usage k8s.io/21/sha256:lost --json
check 'and can be made anew' tool_json '.size >= 1048576'
tool "${here[@]}" check
check 'what was not safe is left' difference 0 1
snapshot remove default/23/child
tool "${here[@]}" check --repair
check 'until its children are gone' difference 1 1
check 'with the command for containerd' grep -qx "snapshot default/22/parent (#$parent): its volume $parent is missing; removed; \
for containerd to make it anew: ctr -n default snapshots --snapshotter cowsnap rm parent, then pull its image again" "$out"
tool "${here[@]}" check
check 'then all is well' is "$status $(cat "$out" "$err")" '0 The store and the pool agree.'
tool check --repiar "${here[@]}"
check 'an option of check that is none' tool_refused 2 '"--repiar" is not an option; did you mean --repair?'

# ---- who may, and who answers ----

chmod 711 "$RIG_DIR"
cp "$COWSNAP" "$RIG_DIR/cowsnap"
status=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$RIG_DIR/cowsnap" status "${here[@]}" >"$out" 2>"$err" || status=$?
check 'not for everybody' tool_refused 1 \
    "only root may talk to cowsnapd at $COWSNAPD_SOCKET: run this as root: Permission denied"
status=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$RIG_DIR/cowsnap" containerd-config --version 2 "${here[@]}" \
    >"$out" 2>"$err" || status=$?
check 'the configuration is for everybody' tool_says "address = \"$COWSNAPD_SOCKET\""

# ---- the configuration, with the containerd of each release line ----

tool containerd-config --version 1.7 "${here[@]}"
check "the daemon's own root" tool_says "^    root = \"$COWSNAPD_ROOT\"\$"
check "the daemon was asked" is "$(grep -c 'No cowsnapd could' "$out")" 0
tool containerd-config --version 1.7 "${here[@]}" --root /elsewhere
check 'a root that is given wins' tool_says '^    root = "/elsewhere"$'
tool containerd-config --version 1.7 --address "$dead"
check 'without a daemon: the defaults' tool_says '^    root = "/var/lib/cowsnap"$'
check 'without a daemon: says so' tool_says '^# No cowsnapd could be asked'
check 'without a daemon: the address that is given' tool_says "^  address = \"$dead\"\$"
tool containerd-config --version 1.7 --address here.sock
check 'a relative address' tool_refused 2 '--address must be an absolute path, not "here.sock"'
tool containerd-config --version seven
check 'a version that is none' tool_refused 2 \
    '"seven" is no version of containerd; write one such as 1.7.24, 1.7 or 2'
tool containerd-config --version 1.5
check 'a version that is too old' tool_refused 1 'containerd "1.5" is too old: cowsnap works with 1.6 and newer'
tool containerd-config --version 2.1 --json "${here[@]}"
check 'the configuration as JSON' tool_json '.containerd_version == "2.1" and .config_version == 3
    and .daemon_answered and .root == $root and (.toml | contains("unpack_config"))' --arg root "$COWSNAPD_ROOT"
mkdir "$RIG_DIR/nowhere"
PATH=$RIG_DIR/nowhere tool containerd-config "${here[@]}"
check 'no containerd: says for which it is' is "$status $(cat "$err") $(grep -c '^version = 3$' "$out")" \
    '0 cowsnap: there is no containerd in PATH; this is for the newest containerd, --version names another 1'

made_through_containerd() {
    ctr snapshots --snapshotter cowsnap prepare "extract-$1" >"$out" 2>"$err" &&
        ctr snapshots --snapshotter cowsnap commit "layer-$1" "extract-$1" >"$out" 2>"$err"
}
cannot_be_made() { ! made_through_containerd "$1"; }

# heals LINE: a layer that lost its volume can be made again through containerd, after the commands that a
# repair prints, and not before.
heals() {
    local name=$1 id command
    check "containerd $1: makes a layer" made_through_containerd "$name"
    id=$(id_of "layer-$name")
    btrfs property set -ts "$(subvolume "$id")" ro false
    btrfs subvolume delete "$(subvolume "$id")" >/dev/null
    tool "${here[@]}" check --repair
    check "containerd $1: the layer is removed" difference 1 1
    command=$(sed -n 's/.* to make it anew: \(ctr -n [^ ]* snapshots --snapshotter cowsnap rm [^ ,]*\), then .*/\1/p' "$out")
    check "containerd $1: has a record of its own still" cannot_be_made "$name"
    ctr snapshots --snapshotter cowsnap rm "extract-$name"
    eval "$command"
    check "containerd $1: makes the layer anew" made_through_containerd "$name"
    tool "${here[@]}" check
    check "containerd $1: and all is well" is "$status $(cat "$out" "$err")" '0 The store and the pool agree.'
}

# serves LINE: the real one takes the snippet, names what is in it, and makes snapshots through it.
serves() {
    local line=$1 bin dump snippet
    if ! bin=$(containerd_peer "$line" 2>"$err"); then
        echo "SKIPPED: containerd $line: $(tail -n 1 "$err")"
        skipped=$((skipped + 1))
        return
    fi
    PATH=$bin:$PATH tool containerd-config "${here[@]}"
    snippet=$RIG_DIR/snippet-$line.toml
    cp "$out" "$snippet"
    check "containerd $line: asked for its version" \
        tool_says "^# For containerd ${line//./\\.}[.0-9]*: "
    dump=$RIG_DIR/dump-$line
    "$bin/containerd" --config "$snippet" config dump >"$dump" 2>"$err" || echo 'config dump failed' >>"$err"
    cp "$dump" "$out"
    check "containerd $line: takes the snippet without a word" test ! -s "$err"
    check "containerd $line: has the snapshotter" \
        grep -qE "^ *\[proxy_plugins\.[\"']?cowsnap[\"']?\]" "$dump"
    check "containerd $line: uses it for Kubernetes" \
        grep -qE "^ *snapshotter = [\"']cowsnap[\"']" "$dump"
    if [ "$line" != 1.6 ]; then
        check "containerd $line: has the differ, first" \
            grep -qE "^ *default = \[[\"']cowsnap-diff[\"'], [\"']walking[\"']\]" "$dump"
    fi

    containerd_start "$RIG_DIR/c-$line" "$bin" no-gc "file=$snippet"
    check "containerd $line: makes a snapshot through it" ctr snapshots --snapshotter cowsnap prepare "by-$line" >"$out" 2>"$err"
    tool "${here[@]}" usage "by-$line" --json
    check "containerd $line: and its name finds it" tool_json '.key | test("^[^/]+/[0-9]+/by-")'
    heals "$line"
    ctr plugins ls >"$out" 2>"$err"
    check "containerd $line: its plugins are well" is \
        "$(awk '/cowsnap/ { print $1, $2, $NF }' "$out" | sort | tr '\n' ' ')" "$2"
    containerd_stop
}

serves 1.6 'io.containerd.snapshotter.v1 cowsnap ok '
serves 1.7 'io.containerd.differ.v1 cowsnap-diff ok io.containerd.snapshotter.v1 cowsnap ok '
serves 2 'io.containerd.differ.v1 cowsnap-diff ok io.containerd.snapshotter.v1 cowsnap ok '

# ---- the manual ----

for page in "$RIG_SOURCE"/docs/man/*; do
    : >"$out"
    if command -v mandoc >/dev/null; then
        check "mandoc has nothing to say of $(basename "$page")" is "$(mandoc -Tlint -W warning "$page" 2>&1)" ''
    else
        echo "SKIPPED: mandoc is not installed"
        skipped=$((skipped + 1))
    fi
done

cowsnapd_stop

# ---- a daemon without a standard output and error ----

"$COWSNAPD" "${COWSNAPD_START[@]}" >&- 2>&- &
COWSNAPD_PID=$! silent=$!
rig_accepts "$COWSNAPD_SOCKET" "$COWSNAPD_PID" 60 || rig_fail 'cowsnapd did not start without a standard error'
cowsnapd_stop
check 'a daemon without a standard error writes its log into no file of its own' \
    is "$(cat "$COWSNAPD_ROOT/lock")" "$silent"
tool_verdict 'the tool'
