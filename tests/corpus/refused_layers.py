# SPDX-License-Identifier: Apache-2.0
"""Layers that must be refused: (name, compression, blob, stream, gRPC status, what is wrong)."""
from odd_compression import gzip, small_layer, zstd
from tar_writer import *

INVALID = "INVALID_ARGUMENT"


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def corrupt():
    """name: (label, the blob from a whole layer's tar, what is wrong)"""
    def cut(pack, size):
        return lambda tar: pack(tar)[:size]
    def half(pack):
        return lambda tar: pack(tar)[:len(pack(tar)) // 2]
    def at_end(pack, back):
        return lambda tar: flipped(pack(tar), len(pack(tar)) - back)
    def scribbled(pack, at, length):
        return lambda tar: pack(tar)[:at] + b"\xff" * length + pack(tar)[at + length:]
    def checked(tar):
        return zstd(tar, "--check")
    return {
        "gzip-cut-in-body": ("gzip", half(gzip), "the gzip stream ends in the middle"),
        "gzip-cut-in-header": ("gzip", cut(gzip, 7), "the gzip header is cut off"),
        "gzip-cut-in-trailer": ("gzip", cut(gzip, -3), "the gzip trailer is cut off"),
        "gzip-second-member-cut": ("gzip", lambda tar: gzip(tar) + gzip(b"x" * 5000)[:-10], "a later gzip member is cut off"),
        "gzip-bad-crc": ("gzip", at_end(gzip, 6), "the checksum in the gzip trailer is wrong"),
        "gzip-bad-length": ("gzip", at_end(gzip, 2), "the length in the gzip trailer is wrong"),
        "gzip-bad-deflate": ("gzip", scribbled(gzip, 60, 40), "the deflate data is corrupt"),
        "gzip-rubbish-after": ("gzip", lambda tar: gzip(tar) + b"rubbish that is no gzip member", "what follows the last member is no gzip"),
        "zstd-cut-in-body": ("zstd", half(zstd), "the zstd frame ends in the middle"),
        "zstd-cut-in-header": ("zstd", cut(zstd, 5), "the zstd frame's header is cut off"),
        "zstd-bad-checksum": ("zstd", at_end(checked, 1), "the checksum of the zstd frame is wrong"),
        "zstd-bad-block": ("zstd", scribbled(zstd, 20, 60), "a zstd block is corrupt"),
        "zstd-rubbish-after": ("zstd", lambda tar: zstd(tar) + b"rubbish that is no zstd frame", "what follows the last frame is no zstd"),
    }


def refused_layers():
    for name, (label, spoil, why) in corrupt().items():
        tar = small_layer(name)
        yield name, label, spoil(tar), tar, INVALID, why
    # a frame that wants a window of 2 GiB, for a block of a few bytes as they are
    tar = small_layer("zstd-window-2-gib")
    window = b"\x28\xb5\x2f\xfd\x00\xa8" + (len(tar) << 3 | 1).to_bytes(3, "little") + tar
    yield "zstd-window-2-gib", "zstd", window, tar, "UNIMPLEMENTED", "a zstd window of 2 GiB"
    one = f("n")
    hole = b"0123456789" * 100
    for name, tar, why in (
        ("tar-cut-in-header", one + header("m")[:300], "the archive ends inside a header"),
        ("tar-cut-in-body", one + header("m", size=5000) + b"x" * 700, "the archive ends inside a file"),
        ("tar-cut-after-header", one + header("m", size=5000), "the archive ends before a file's data"),
        ("tar-cut-in-pax", one + header("PaxHeaders/x", b"x", size=2000) + b"x" * 512, "the archive ends inside a PAX header"),
        ("tar-cut-after-pax", one + pax({"path": "x"}), "a PAX header without the entry it belongs to"),
        ("tar-bad-checksum", one + header("m", checksum=b"012345\0 "), "the header's checksum is wrong"),
        ("tar-rubbish", b"this is not a tar archive at all\n" * 100, "the layer is no archive"),
        ("tar-negative-size", one + header("m", size=-512), "a negative size"),
        ("tar-size-overflow", one + header("m", size=2 ** 63 - 1), "a size past the end of any archive"),
        ("tar-size-over-63-bits", one + header("m", size_field=b"\x80" + b"\xff" * 11), "a size that does not fit 64 bits"),
        ("tar-size-not-octal", one + header("m", size_field=b"12345678z90\0"), "a size that is no number"),
        ("tar-mode-not-octal", one + header("m", mode_field=b"xyz\0"), "a mode that is no number"),
        ("tar-pax-1-gib", one + header("PaxHeaders/x", b"x", size=1 << 30) + b"30 comment=x", "a PAX header of 1 GiB"),
        ("tar-pax-2-mib", one + pax({"comment": "c" * (2 << 20)}) + header("m"), "a PAX header larger than 1 MiB"),
        ("tar-gnu-long-1-gib", one + header("././@LongLink", b"L", size=1 << 30, magic=b"ustar  \0") + b"x" * 512,
         "a GNU long name of 1 GiB"),
        ("tar-pax-bad-length", one + header("PaxHeaders/x", b"x", size=20) + padded(b"99 path=toolong\n") + header("m"),
         "a PAX record longer than its header"),
        ("tar-pax-no-equals", one + header("PaxHeaders/x", b"x", size=9) + padded(b"9 nopath\n") + header("m"), "a PAX record without ="),
        ("tar-pax-no-newline", one + header("PaxHeaders/x", b"x", size=9) + padded(b"9 path=xy") + header("m"),
         "a PAX record that does not end in a newline"),
        ("tar-pax-zero-length", one + header("PaxHeaders/x", b"x", size=9) + padded(b"0 path=x\n") + header("m"), "a PAX record of length 0"),
        ("tar-pax-nul-in-path", one + pax({"path": b"a\0b"}) + header("m"), "a PAX path with a zero byte"),
        ("tar-pax-bad-size", one + pax({"size": "-5"}) + header("m"), "a negative size in a PAX header"),
        ("tar-pax-size-word", one + pax({"size": "many"}) + header("m"), "a size in a PAX header that is no number"),
        ("tar-pax-bad-mtime", one + pax({"mtime": "yesterday"}) + header("m"), "a time in a PAX header that is no number"),
        ("tar-pax-uid-overflow", one + pax({"uid": "99999999999999999999"}) + header("m"), "an owner that does not fit 64 bits"),
        ("tar-unknown-type", one + header("m", b"Z"), "an entry of a type nobody knows"),
        ("tar-hardlink-missing", one + h("m", "no/such/file"), "a hard link to nothing"),
        ("tar-hardlink-to-dir", one + h("m", "d"), "a hard link to a directory"),
        ("tar-hardlink-self", one + h("m", "m"), "a hard link to itself"),
        ("tar-hardlink-empty", one + h("m", ""), "a hard link with an empty target"),
        ("tar-hardlink-to-hidden", one + wh("f") + h("m", "f"), "a hard link to what the layer removed before"),
        ("tar-hardlink-over-itself", one + h("f", "f"), "a hard link over its own target"),
        ("tar-symlink-empty", one + s("m", ""), "a symlink without a target"),
        ("tar-symlink-too-long", one + s("m", "t" * 5000), "a symlink longer than a path may be"),
        ("tar-name-256", one + f("n" * 256), "a name longer than a file system takes"),
        ("tar-name-10000-deep", one + f("d/" * 10000 + "f"), "a name longer than any path, of 10,000 folders"),
        ("tar-name-5000", one + f("n" * 5000), "a name longer than any path"),
        ("tar-parent-is-file", one + f("f/x"), "a parent that is a file"),
        ("tar-parent-is-fifo", one + f("pipe/x"), "a parent that is a fifo"),
        ("tar-parent-symlink-to-file", one + f("l/x"), "a parent that is a symlink to a file"),
        ("tar-parent-symlink-loop", one + f("loop1/x"), "a parent that is a loop of symlinks"),
        ("tar-whiteout-dot", one + f("d/.wh..", ""), "a whiteout of the directory itself"),
        ("tar-whiteout-dotdot", one + f("d/.wh...", ""), "a whiteout of the parent directory"),
        ("tar-whiteout-dotdot-top", one + f(".wh...", ""), "a whiteout of what lies above the root"),
        ("tar-whiteout-nameless", one + f("d/.wh.", ""), "a whiteout without a name"),
        ("tar-whiteout-through-file", one + wh("f/x"), "a whiteout below a file"),
        ("tar-xattr-capability-bad", one + f("m", records=xattr(security_capability=b"\1")), "a capability that the kernel refuses"),
        ("tar-xattr-huge", one + f("m", records=xattr(user_x="v" * 70000)), "an attribute larger than 64 KiB"),
        ("tar-acl-bad", one + f("m", records=xattr(system_posix_acl_access=b"\2\0\0\0bad")), "an ACL that the kernel refuses"),
        ("tar-sparse-backwards", one + sparse_pax_10("m", [(500, hole), (0, hole)], 5000), "a sparse map that runs backwards"),
        ("tar-sparse-overlap", one + sparse_pax_01("m", [(0, hole), (10, hole)], 5000), "a sparse map whose runs overlap"),
        ("tar-sparse-past-end", one + sparse_pax_10("m", [(0, hole)], 10), "a sparse map past the file's end"),
        ("tar-sparse-short-data", one + pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "m"),
                                             ("GNU.sparse.realsize", "5000")]) + header("x", size=512) + padded(b"1\n0\n5000\n"),
         "a sparse file with less data than its map says"),
        ("tar-sparse-odd-map", one + pax([("GNU.sparse.size", "100"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "0,1,2")])
         + header("m"), "a sparse map with an odd number of numbers"),
        ("tar-sparse-map-not-numbers", one + pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")])
         + header("m", size=512) + padded(b"x\n0\n5\n"), "a sparse map that is no numbers"),
        ("tar-sparse-map-endless", one + pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")])
         + header("m", size=4 << 20) + b"1" * (4 << 20), "a sparse map without end"),
        ("tar-device-number-no-number", one + header("m", b"3", major_field=b"zz\0"),
         "a device number that is no number"),
    ):
        yield name, "none", tar, tar, INVALID, why
