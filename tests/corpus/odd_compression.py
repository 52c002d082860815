# SPDX-License-Identifier: Apache-2.0
"""The same small layer in every wrapping that gzip and zstd allow."""
import subprocess
import zlib

from tar_writer import END, d, f


def small_layer(name):
    """A layer of its own for each: containerd unpacks one chain of diff ids only once."""
    return b"".join([d("n"), f("n/" + name), *[f(f"n/{i}", f"file {i}\n" * 200) for i in range(120)]]) + END


def gzip(data, level=6, flags=0, extra=b"", strategy=zlib.Z_DEFAULT_STRATEGY):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    body = packer.compress(data) + packer.flush()
    return b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\0\xff" + extra + body + \
        zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xffffffff).to_bytes(4, "little")


def zstd(data, *flags):
    return subprocess.run(["zstd", "-qc", *flags], input=data, stdout=subprocess.PIPE, check=True).stdout


def skippable(data, number=0):
    return (0x184d2a50 + number).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data


def wrappings(tar):
    third = len(tar) // 3
    parts = tar[:third], tar[third:2 * third], tar[2 * third:]
    crc_header = b"\x1f\x8b\x08\x02" + bytes(4) + b"\0\xff"
    crc16 = (zlib.crc32(crc_header) & 0xffff).to_bytes(2, "little")
    return {
        "gzip-plain": ("gzip", lambda: gzip(tar)),
        "gzip-stored": ("gzip", lambda: gzip(tar, 0)),
        "gzip-fixed-huffman": ("gzip", lambda: gzip(tar, 9, strategy=zlib.Z_FIXED)),
        "gzip-members": ("gzip", lambda: b"".join(map(gzip, parts))),
        "gzip-members-of-one-byte": ("gzip", lambda: b"".join(gzip(tar[i:i + 1]) for i in range(700)) + gzip(tar[700:])),
        "gzip-empty-members": ("gzip", lambda: gzip(b"") + gzip(tar[:100]) + gzip(b"") + gzip(b"") + gzip(tar[100:]) + gzip(b"")),
        "gzip-header-fields": ("gzip", lambda: gzip(tar, flags=0x1c, extra=b"\x04\0abcd" + b"a-name.tar\0" + b"a comment\0")),
        "gzip-header-crc": ("gzip", lambda: gzip(tar, flags=2, extra=crc16)),
        "zstd-plain": ("zstd", lambda: zstd(tar)),
        "zstd-checksum": ("zstd", lambda: zstd(tar, "--check", "-19")),
        "zstd-no-checksum-fast": ("zstd", lambda: zstd(tar, "--no-check", "--fast=5")),
        "zstd-frames": ("zstd", lambda: b"".join(map(zstd, parts))),
        "zstd-skippable": ("zstd", lambda: skippable(b"before") + zstd(parts[0]) + skippable(b"x" * 70000, 15)
                           + zstd(parts[1] + parts[2]) + skippable(b"")),
        "zstd-empty-frames": ("zstd", lambda: zstd(b"") + zstd(tar) + zstd(b"")),
        "zstd-no-content-size": ("zstd", lambda: zstd(tar, "--no-content-size")),
        # What the label says and what the bytes are differ: the bytes count.
        "labelled-gzip-is-plain": ("gzip", lambda: tar),
        "labelled-plain-is-gzip": ("none", lambda: gzip(tar)),
        "labelled-zstd-is-gzip": ("zstd", lambda: gzip(tar)),
        "labelled-gzip-is-zstd": ("gzip", lambda: zstd(tar)),
    }


def compression_layers():
    for name in wrappings(b""):
        tar = small_layer(name)
        label, wrap = wrappings(tar)[name]
        yield name, label, wrap(), tar
    tar = small_layer("gzip-zeros-after-tar") + bytes(1 << 20)
    yield "gzip-zeros-after-tar", "gzip", gzip(tar), tar
    tar = small_layer("zstd-long-window") + bytes(9 << 20)
    yield "zstd-long-window", "zstd", zstd(tar, "--long=23"), tar
