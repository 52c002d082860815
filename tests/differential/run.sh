#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [cowsnap|thin|overlay|proof] [--engine NAME] [--only REGEX] [--every N] [--fresh] [--no-real]: the same
# layers by two differs; the trees must be equal. --engine forces an I/O engine on cowsnap; --every takes each N-th
# image only.
# run.sh --build [--every N] [--no-real]: what thin needs, made on the host for a guest that only reads the tree.
#
#   cowsnap   (default) what containerd's own differ makes on its built-in btrfs snapshotter, against what
#             cowsnap's Apply makes on cowsnap's snapshotter
#   thin      the same with cowsnap on thin volumes, which need device-mapper (tests/vm)
#   overlay   what each makes in the upper folder of containerd's overlayfs snapshotter, whiteouts and
#             opaque marks in overlayfs's form
#   proof     the differ of containerd 1.7 against that of containerd 2, both on built-in btrfs: shows that
#             this rig itself finds no difference where there is none (native would not do: its copies
#             lose the times of directories)
#
# The layers: all of the generated corpus (tests/corpus), those that must be refused too, and those of the
# images of tests/images. A layer that containerd refuses must be refused by cowsnap and the reverse.
# What containerd made is kept below BUILD/differential and made again when anything it depends on has
# changed, or with --fresh. Trees and differences of a failure are left there too (of thin, in RIG_KEEP_LOGS).
set -euo pipefail
# shellcheck source=../lib/rig.sh
. "$(dirname "$0")/../lib/rig.sh"

mode=cowsnap engine=auto only=. every=1 fresh='' real=1
while [ $# -gt 0 ]; do
    case $1 in
    cowsnap | thin | overlay | proof) mode=$1 ;;
    --build) mode=build ;;
    --every) every=${2:?--every needs a number} && shift ;;
    --engine) engine=${2:?--engine needs a name} && shift ;;
    --only) only=${2:?--only needs a regular expression} && shift ;;
    --fresh) fresh=1 ;;
    --no-real) real= ;;
    *) rig_fail "unknown argument '$1'; see the head of $0" ;;
    esac
    shift
done
rig_need_root
rig_need mkfs.btrfs losetup zstd gzip
[ "$mode" != thin ] || rig_need_device_mapper
rig_begin diff
bin=$(containerd_peer 1.7)
tree_dump=$(rig_tool tree_dump)
if [ "$engine" != auto ]; then
    # An empty blob is an empty layer: what is refused is the engine.
    refusal=$("$(rig_tool layer_apply)" --engine "$engine" /dev/null "$RIG_DIR" 2>&1 >/dev/null || true)
    case $refusal in *'does not work on this machine'*) rig_skip "$refusal" ;; esac
fi
# Go's own decompressors: what another program in PATH makes of odd streams is not the reference.
export CONTAINERD_DISABLE_PIGZ=1 CONTAINERD_DISABLE_IGZIP=1

# ---- the layers: one line each in $RIG_DIR/layers: name, manifest digest to unpack, chain id to look at ----

results=$RIG_BUILD/differential
mkdir -p "$results"
results=$(cd "$results" && pwd)
# What is made for one run, and what is kept between runs.
own=$results corpus=$RIG_DIR/corpus
case $mode in
build) corpus=$results/corpus ;;
thin) own=$RIG_DIR/results corpus=$results/corpus ;;
esac
if [ "$mode" = thin ]; then
    [ -e "$corpus/corpus.oci.tar" ] || rig_fail "$corpus is missing: $0 --build makes it, where the tree can be written"
else
    "$RIG_PYTHON" "$RIG_TESTS/corpus/odd_layers.py" "$corpus" >/dev/null
fi
archives=("$corpus/corpus.oci.tar")
cut -f 1,5,6 "$corpus/layers.tsv" "$corpus/refused.tsv" >"$RIG_DIR/layers"
COWSNAP_BUILD=$RIG_BUILD
export COWSNAP_BUILD
archives+=("$("$RIG_TESTS/images/make_image.sh" minimal gzip,zstd,none)")
[ -z "$real" ] || archives+=("$("$RIG_TESTS/images/make_image.sh" real)")
for archive in "${archives[@]:1}"; do
    "$RIG_PYTHON" -I - "$archive" <<'PYTHON' >>"$RIG_DIR/layers"
import hashlib, json, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    blob = lambda digest: json.load(tar.extractfile("blobs/sha256/" + digest[7:]))
    for entry in json.load(tar.extractfile("index.json"))["manifests"]:
        image = entry["annotations"]["io.containerd.image.name"].split("/")[1].split(":")[0]
        chain = None
        for i, diff in enumerate(blob(blob(entry["digest"])["config"]["digest"])["rootfs"]["diff_ids"], 1):
            chain = diff if chain is None else "sha256:" + hashlib.sha256(f"{chain} {diff}".encode()).hexdigest()
            print(f"{image}-{i}", chain, entry["digest"], sep="\t")
PYTHON
done
# Whole images, since the layers of one build on each other.
awk -F '\t' -v every="$every" '!($3 in image) { image[$3] = images++ } image[$3] % every == 0' "$RIG_DIR/layers" |
    grep -E -- "$only" >"$RIG_DIR/selected" || rig_fail "no layer is called like '$only'"

# ---- one side: unpack all by one snapshotter, write each tree down ----

# side OUT SNAPSHOTTER: into the folder OUT: LAYER.dump, or LAYER.refused with containerd's words.
side() {
    local out=$1 snapshotter=$2 name chain digest where=$RIG_DIR/view since unpacked='' status=0
    rm -rf "$out" && mkdir -p "$out" "$where"
    since=$(date +%s)
    ctr_quiet image import --no-unpack "${archives[0]}"
    for archive in "${archives[@]:1}"; do ctr_quiet image import --no-unpack "$archive"; done
    while IFS=$'\t' read -r name chain digest; do
        if [ "$digest" != "$unpacked" ]; then
            status=0
            ctr snapshots unpack --snapshotter "$snapshotter" "$digest" >/dev/null 2>"$RIG_DIR/said" </dev/null || status=$?
            unpacked=$digest
        fi
        if [ "$status" != 0 ]; then
            cp "$RIG_DIR/said" "$out/$name.refused"
            continue
        fi
        ctr snapshots --snapshotter "$snapshotter" view look "$chain" >/dev/null </dev/null
        if [ "$snapshotter" = overlayfs ]; then
            # The upper folder of a committed layer is the first lower one of a view on it.
            ctr snapshots --snapshotter "$snapshotter" mounts "$where" look </dev/null >"$RIG_DIR/mounts"
            local upper
            upper=$(sed -nE 's/.*lowerdir=([^:,]*).*/\1/p; s|^mount -t bind ([^ ]*) .*|\1|p' "$RIG_DIR/mounts" | head -n 1)
            "$tree_dump" --fresh-from "$since" --no-xattr trusted.overlay.origin --no-xattr trusted.overlay.impure \
                "$upper" >"$out/$name.dump"
        else
            eval "$(ctr snapshots --snapshotter "$snapshotter" mounts "$where" look </dev/null)"
            "$tree_dump" --fresh-from "$since" "$where" >"$out/$name.dump"
            umount "$where"
        fi
        ctr snapshots --snapshotter "$snapshotter" rm look </dev/null
    done <"$RIG_DIR/selected"
    touch "$out/.complete"
}

ctr_quiet() { ctr "$@" >/dev/null 2>"$RIG_DIR/said" || { cat "$RIG_DIR/said" >&2; rig_fail "ctr $1 $2 failed"; }; }

# Everything a side's result depends on but cowsnap itself.
fingerprint() {
    {
        cat "$RIG_TESTS/differential/run.sh" "$RIG_TESTS/tools/tree_dump.c"
        "$bin/containerd" --version
    } | sha256sum | cut -c1-16
}

# Whether the kept reference NAME is of now, and has all of the layers that are wanted.
reference_is_good() {
    [ -e "$results/$1/.complete" ] && [ "$(cat "$results/$1/.fingerprint" 2>/dev/null)" = "$(fingerprint)" ] &&
        ! grep -vxFf "$results/$1/.layers" "$RIG_DIR/selected" >/dev/null
}

# reference NAME SNAPSHOTTER: a side by containerd's own differ, kept between runs.
reference() {
    [ -n "$fresh" ] || ! reference_is_good "$1" || return 0
    containerd_start "$RIG_DIR/c-$1" "$bin" unpack-builtin no-gc
    side "$results/$1" "$2"
    containerd_end
    cp "$RIG_DIR/selected" "$results/$1/.layers"
    fingerprint >"$results/$1/.fingerprint"
}

# containerd's database and blobs on tmpfs: only the trees are of interest, and they are on btrfs.
prepare_root() {
    local folder=$RIG_DIR/c-$1 snapshotter
    mkdir -p "$folder"
    mount -t tmpfs -o size=4g rig "$folder"
    for snapshotter in btrfs overlayfs; do
        mkdir -p "$folder/root/io.containerd.snapshotter.v1.$snapshotter" "$RIG_DIR/pool/$1-$snapshotter"
        mount --bind "$RIG_DIR/pool/$1-$snapshotter" "$folder/root/io.containerd.snapshotter.v1.$snapshotter"
    done
}

# Thin volumes bring their own file systems; what lies below them may be memory.
if [ "$mode" = thin ]; then
    mkdir -p "$RIG_DIR/pool" "$own"
else
    rig_loop_mount btrfs "$RIG_DIR/pool" 24G
fi
started=$(rig_now)
backend=()
case $mode in
build)
    prepare_root walking-btrfs && reference walking-btrfs btrfs
    exit
    ;;
proof)
    prepare_root walking-btrfs && reference walking-btrfs btrfs
    bin=$(containerd_peer 2)
    prepare_root walking-btrfs-2 && reference walking-btrfs-2 btrfs
    a=walking-btrfs b=walking-btrfs-2
    ;;
cowsnap | thin | overlay)
    cowsnapd_need
    if [ "$mode" = cowsnap ]; then
        a=walking-btrfs b=cowsnap snapshotter=cowsnap
        prepare_root $a && reference $a btrfs
    elif [ "$mode" = thin ]; then
        a=walking-btrfs b=cowsnap-thin snapshotter=cowsnap
        reference_is_good $a || rig_fail "$results/$a is missing or old: $0 --build makes it, where the tree can be written"
        backend=(--backend dm-thin --pool-size 8GiB)
        rig_undo_later rig_end_devices "$RIG_DIR/pool/cowsnap"
    else
        a=walking-overlay b=cowsnap-overlay snapshotter=overlayfs
        prepare_root $a && reference $a overlayfs
    fi
    prepare_root $b
    mkdir -p "$RIG_DIR/pool/cowsnap"
    cowsnapd_start "$RIG_DIR/pool/cowsnap" --content-root "$RIG_DIR/c-$b/root/io.containerd.content.v1.content" \
        --io-engine "$engine" "${backend[@]}"
    containerd_start "$RIG_DIR/c-$b" "$bin" cowsnap cowsnap-diff no-gc
    # Without walking to fall back on: what cowsnap does not take must show.
    sed -i 's/\["cowsnap-diff", "walking"\]/["cowsnap-diff"]/' "$CONTAINERD_DIR/config.toml"
    containerd_stop
    containerd_again
    side "$own/$b" $snapshotter
    containerd_end
    cowsnapd_stop || rig_fail "cowsnapd did not leave cleanly"
    ;;
esac

# ---- the comparison ----

# Layers in which cowsnap differs on purpose, each with its reason; one that differs no longer is a failure, too.
#   global-*           containerd makes the parent folder of a global PAX header's own name and removes what
#                      bears that name; a header is no member of the tree, so cowsnap leaves it alone
#   sparse-old-gnu*, sparse-no-hole, sparse-over-lower   GNU tar's old sparse files: containerd refuses them
#   tar-parent-symlink-loop (overlay)   the parent is a loop of links in a lower layer, of which only the
#                      folder's metadata would be taken; containerd refuses, cowsnap makes it as a new one
#   labelled-plain-is-gzip   a gzip blob that calls itself plain: containerd refuses it
#   xattr-large (thin)  an attribute of 12,000 bytes, for which ext4 has no room and btrfs has
on_purpose() {
    [ "$mode" != proof ] || return 1
    case $1 in
    format-global-twice-in-the-middle | format-global-first-with-local) ;;
    sparse-old-gnu | sparse-old-gnu-extended | sparse-old-gnu-only-hole | sparse-no-hole | sparse-over-lower) ;;
    labelled-plain-is-gzip) ;;
    tar-parent-symlink-loop) [ "$mode" = overlay ] ;;
    xattr-large) [ "$mode" = thin ] ;;
    *) return 1 ;;
    esac
}

# differs NAME: one side takes it and the other does not, or they make other trees of it.
differs() {
    local one=$results/$a/$1 other=$own/$b/$1
    if [ -e "$one.dump" ] && [ -e "$other.dump" ]; then
        ! cmp -s "$one.dump" "$other.dump"
    else
        { [ -e "$one.dump" ] && [ -e "$other.refused" ]; } || { [ -e "$one.refused" ] && [ -e "$other.dump" ]; }
    fi
}

layers=0 different=0 refused=0 equal=0 known=0
: >"$own/$b.diff"
while IFS=$'\t' read -r name _; do
    layers=$((layers + 1))
    if on_purpose "$name"; then
        differs "$name" || rig_fail "$name no longer differs: take it off the list of those that do on purpose"
        known=$((known + 1))
    elif [ -e "$results/$a/$name.refused" ] && [ -e "$own/$b/$name.refused" ]; then
        refused=$((refused + 1))
    elif [ -e "$results/$a/$name.refused" ] || [ -e "$own/$b/$name.refused" ]; then
        different=$((different + 1))
        for s in "$results/$a" "$own/$b"; do
            if [ -e "$s/$name.refused" ]; then
                echo "DIFFERS $name: $(basename "$s") refuses it: $(tail -n 1 "$s/$name.refused")"
            else
                echo "        $name: $(basename "$s") takes it"
            fi
        done | sort -r
    elif cmp -s "$results/$a/$name.dump" "$own/$b/$name.dump"; then
        equal=$((equal + 1))
    else
        different=$((different + 1))
        echo "DIFFERS $name:"
        diff --label "$a" --label "$b" -U 0 "$results/$a/$name.dump" "$own/$b/$name.dump" |
            tee -a "$own/$b.diff" | grep -v '^@@' | head -n 8 | cut -c1-300 || true
    fi
done <"$RIG_DIR/selected"

# Those of the list that must be refused and were taken by the peer would otherwise hide among the equal ones.
taken=$(cut -f 1 "$corpus/refused.tsv" | { grep -Fxf <(cut -f 1 "$RIG_DIR/selected") || true; } | while read -r name; do
    [ -e "$own/$b/$name.refused" ] || echo "$name"
done)
[ -z "$taken" ] || rig_say "of the layers to be refused, $b takes: $(echo "$taken" | tr '\n' ' ')"

echo "count: $((equal + refused + known)) $different 0"
echo "summary: $layers layers, $different differences ($equal trees equal, $refused refused by both, $known differ on purpose); $a against $b, engine $engine, $((($(rig_now) - started) / 1000)) s"
[ "$different" = 0 ]
