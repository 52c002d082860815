# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# The seeds of the fuzz targets' corpora, made anew by tests/corpus. Source this file in the root of the
# tree and call make_seeds; $corpora is the folder that has a folder for each target.

# seed NAME [PREFIX]: standard input becomes a seed of NAME, behind the bytes PREFIX.
seed() {
    local folder=$corpora/$1 file
    mkdir -p "$folder"
    file=$(mktemp "$folder/.seed.XXXXXX")
    { printf '%b' "${2:-}" && cat; } >"$file"
    mv "$file" "$folder/$(sha1sum "$file" | cut -d' ' -f1)"
}

# The first byte of some inputs tells their target how to go about it; see there.
make_seeds() {
    local layers=build/fuzz/layers file text
    python3 tests/corpus/odd_layers.py "$layers" || return
    for file in "$layers"/layers/* "$layers"/refused/*; do
        if [ "$(stat -c %s "$file")" -gt 65536 ]; then continue; fi
        case $file in
        *.tar)
            seed tar_reader '\x7f' <"$file"
            seed inflate '\x00' <"$file"
            ;;
        *.gz | *.zst) seed inflate '\x00' <"$file" ;;
        esac
    done
    seed config <docs/deploy/config.toml
    for text in '30 mtime=1350244992.023960108\n11 path=a\n21 SCHILY.xattr.a=b\n' \
        '22 GNU.sparse.map=0,1\n25 GNU.sparse.name=a/b\n'; do
        printf '%b' "$text" | seed pax
    done
    printf '0,1,10,5,20,0' | seed sparse '\x00\x143;'
    printf '2\n0\n1\n10\n5\n' | seed sparse '\x02\x14'
    for text in 'kind==active' 'name~=/^a.*$/,labels."a.b"!=x' 'parent=="",labels.a\nname' \
        'labels."containerd.io/snapshot.ref"=="sha256:\\x61\\u00e9"' 'name~=|a\|b|'; do
        printf '%b' "$text" | seed filter
    done
    # superblocks of volumes: ext4's in the second KiB, xfs's at the start; and lines of the kernel
    { head -c 1080 /dev/zero && printf '\123\357' && head -c 100 /dev/zero; } | seed thin
    { printf 'XFSB' && head -c 200 /dev/zero; } | seed thin
    for text in '7 12/4096 10/1000 - rw discard_passdown queue_if_no_space - 1024' '2048 4095' '253:4 253:5 128 100 0' '253:6 7'; do
        printf '%s' "$text" | seed thin
    done
    printf 'a\n1\nb\n2\na\n3\nlabels.a\nlabels' | seed labels '\x46'
    for text in 'usr/lib/../x' '/../..//./a' './usr/./bin/'; do
        printf '%s' "$text" | seed path
    done
    printf '\n\001x\022\003key\032\006parent"\006\n\001k\022\001v' | seed requests
    printf '\n\003key\020\007\030\001' | seed record
}
