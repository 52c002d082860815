# SPDX-License-Identifier: Apache-2.0
"""Dialects of tar: PAX and global headers, GNU, V7, base-256, sparse maps, and how an archive may end."""
from tar_writer import *

HOLEY = [(0, b"a" * 512), (8192, b"b" * 1000), (100_000, b"c" * 3)]
MANY = [(i * 5000, b"%04d" % i) for i in range(60)]


def format_layers():
    layers = {
        "format-v7": [header("n", b"\0", magic=b"", size=4) + padded(b"new\n"), header("m/", b"\0", magic=b"", mode=0o755),
                      header("l", b"2", magic=b"", link="n"), header("h", b"1", magic=b"", link="n")],
        "format-typeflag-7": [header("n", b"7", size=4) + padded(b"new\n")],
        "format-typeflag-nul": [header("n", b"\0", size=4) + padded(b"new\n")],
        "format-star": [header("n", size=4, magic=b"ustar\x0000", tail=b"sub".ljust(131, b"\0") + octal(5, 12) + octal(6, 12)
                               + bytes(8) + b"tar\0") + padded(b"new\n")],
        "format-gnu-atime": [header("n", magic=b"ustar  \0", tail=octal(5, 12) + octal(6, 12))],
        "format-base256": [header("n", uid_field=base256(70000, 8), gid_field=base256(2 ** 31, 8), size_field=base256(4, 12),
                                  mtime_field=base256(2 ** 34, 12)) + padded(b"new\n")],
        "format-octal-spaces": [header("n", size_field=b"          4 ", mode_field=b"   644 \0", uid_field=b"      7 ") + padded(b"new\n")],
        "format-octal-empty": [header("n", uid_field=b"", gid_field=b"", mtime_field=b"", mode_field=b"")],
        "format-checksum-signed": [signed_checksum(header(b"n\xc3\xa9\xff"))],
        "format-checksum-spaces": [header("n", checksum=b"%6o\0 " % checksum_of(header("n")))],
        "format-pax-size": [pax({"size": "4"}) + header("n", size=0) + padded(b"new\n"), f("after")],
        "format-pax-size-wins": [pax({"size": "600"}) + header("n", size=4) + padded(b"z" * 600), f("after")],
        "format-pax-size-on-dir": [pax({"size": "600"}) + header("n", b"5", mode=0o755), f("after")],
        "format-size-on-symlink-dir-device": [header("n", b"2", link="f", size=5), header("m", b"5", mode=0o755, size=600),
                                              header("p", b"6", size=7), f("after")],
        "format-pax-duplicate-keys": [pax([("path", "first"), ("path", "second"), ("mtime", "1"), ("mtime", "2")]) + header("n")],
        "format-pax-unknown-keys": [f("n", records={"VENDOR.thing": "x", "comment": "hello", "charset": "BINARY", "hdrcharset": "BINARY"})],
        "format-pax-two-headers": [pax({"path": "first", "uid": "9"}) + pax({"mtime": "5"}) + header("n")],
        "format-pax-delete-value": [pax({"uid": "", "path": "", "mtime": ""}) + header("n", uid=8)],
        "format-pax-empty-header": [pax({}) + header("n")],
        "format-global-header": [pax({"comment": "0123abc", "path": "not-for-us", "uid": "77", "mtime": "5"}, b"g"), f("n"), d("m")],
        "format-global-twice-in-the-middle": [f("n"), pax({"gid": "5"}, b"g"), pax({"comment": "x"}, b"g"), f("m"), h("k", "n")],
        "format-global-first-with-local": [pax({"mtime": "5"}, b"g"), f("n", records={"uid": "3"})],
        "format-pax-1000-records": [f("n", records={f"VENDOR.k{i}": "v" * 50 for i in range(1000)})],
        "format-pax-900-kib": [f("n", records={"comment": "c" * 900_000})],
        "sparse-old-gnu": [sparse_old_gnu("n", HOLEY, 200_000, mode=0o640, uid=4)],
        "sparse-old-gnu-extended": [sparse_old_gnu("n", MANY, 400_000), f("after")],
        "sparse-old-gnu-only-hole": [sparse_old_gnu("n", [], 70_000), f("after")],
        "sparse-pax-0.0": [sparse_pax_00("n", HOLEY, 200_000), f("after")],
        "sparse-pax-0.1": [sparse_pax_01("n", HOLEY, 200_000), f("after")],
        "sparse-pax-1.0": [sparse_pax_10("n", HOLEY, 200_000), f("after")],
        "sparse-pax-1.0-many": [sparse_pax_10("n", MANY, 400_000), f("after")],
        "sparse-pax-1.0-map-ends-on-block": [sparse_pax_10("n", [(i * 10000, b"xy") for i in range(51)], 600_000), f("after")],
        "sparse-pax-only-hole": [sparse_pax_10("n", [(70_000, b"")], 70_000), sparse_pax_01("m", [(70_000, b"")], 70_000)],
        "sparse-no-hole": [sparse_pax_10("n", [(0, b"whole\n")], 6), sparse_old_gnu("m", [(0, b"whole\n")], 6)],
        "sparse-hole-first": [sparse_pax_10("n", [(1 << 20, b"end")], (1 << 20) + 3)],
        "sparse-50-mib-hole": [sparse_pax_10("n", [(0, b"s"), (50 << 20, b"e")], (50 << 20) + 1)],
        "sparse-hardlinked": [sparse_pax_10("n", HOLEY, 200_000), h("m", "n")],
        "sparse-over-lower": [sparse_pax_10("big", HOLEY, 200_000), sparse_old_gnu("d/f1", HOLEY, 100_003)],
        "sparse-adjacent-and-empty-runs": [sparse_pax_10("n", [(0, b"ab"), (2, b"cd"), (4, b""), (10, b"ef")], 20)],
    }
    for name, parts in layers.items():
        tar = b"".join(parts) + END
        yield name, "none", tar, tar
    one = f("n") + f("m", "x" * 600)
    for name, tar in {
        "end-none": one, "end-one-block": one + bytes(512), "end-empty-archive": END, "end-nothing-at-all": b"",
        "end-many-zeros": one + bytes(1 << 20), "end-odd-length-zeros": one + bytes(1024 + 77),
        "end-bytes-after": one + END + b"what follows the end is hashed but not read" * 50,
        "end-archive-after": one + END + f("not-to-be-seen") + END, "end-one-zero-block-then-member": one + bytes(512) + f("k") + END,
        "end-padding-missing": f("n") + header("m", size=3) + b"abc",
    }.items():
        yield name, "none", tar, tar


def checksum_of(block):
    return sum(block[:148]) + 8 * 32 + sum(block[156:])


def signed_checksum(block):
    total = sum(b - 256 if b > 127 else b for b in block[:148] + b" " * 8 + block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]
