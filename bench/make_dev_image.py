#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the image "dev": what a developer's image weighs, out of nothing but a seed.

    make_dev_image.py OUT.oci.tar [--compression gzip|zstd|none] [--scale PART] [--layers DIRECTORY]

Four layers, about 1.2 GiB and 96,000 entries: a base system, compilers and interpreters, a node_modules
tree of many tiny files (one folder of it huge), one small file. Sizes, depths, modes and the share that
compression takes (to about two fifths) follow what real images of that kind have; the content is made up. The
same arguments give the same tars on every machine. --scale 0.1 makes a tenth of the entries; --layers keeps
the compressed layers, too, as DIRECTORY/1 to 4. The image is called cowsnap.test/dev:latest.
"""
import argparse
import io
import math
import os
import random
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "images"))
from oci_archive import COMPRESS, Archive  # noqa: E402

EPOCH = 1700000000
POOL = 8 << 20  # bytes that contents are cut out of; far beyond the window of gzip


def text_pool(rng):
    """Words and punctuation as in program text: gzip makes about a third of it."""
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgkjqxz", k=rng.randint(2, 11))) for _ in range(4000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    gaps = [" ", " ", " ", " = ", "(", ");\n", ".", ", ", "\n    ", " {\n  ", "}\n", ': "']
    out, size = [], 0
    while size < POOL:
        some = rng.choices(words, weights, k=4096)
        piece = "".join(word + gap for word, gap in zip(some, rng.choices(gaps, k=len(some)))).encode()
        out.append(piece)
        size += len(piece)
    return b"".join(out)[:POOL]


def binary_pool(rng):
    """Machine code after a fashion: bytes of uneven frequency, tables, zeros; gzip makes two fifths of it."""
    common = rng.randbytes(9)
    out, size = [], 0
    while size < POOL:
        kind = rng.random()
        if kind < 0.62:
            piece = bytes(rng.choices(common, (16, 9, 6, 4, 3, 2, 1, 1, 1), k=700)) + rng.randbytes(40)
        elif kind < 0.8:
            piece = b"".join((0x401000 + rng.getrandbits(20)).to_bytes(8, "little") for _ in range(96))
        else:
            piece = bytes(rng.randint(64, 1024))
        out.append(piece)
        size += len(piece)
    return b"".join(out)[:POOL]


class Layer:
    """The tar of one layer, and the folders it has so far."""

    def __init__(self, path, rng, pools):
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
        self.rng = rng
        self.pools = pools
        self.folders = set()
        self.entries = 0

    def add(self, name, data=None, **fields):
        info = tarfile.TarInfo(name)
        info.mtime = EPOCH - self.rng.randrange(100_000_000)
        info.mode = 0o644
        for field, value in fields.items():
            setattr(info, field, value)
        if data is not None:
            info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data) if data is not None else None)
        self.entries += 1

    def folder(self, name, mode=0o755):
        if not name or name in self.folders:
            return
        self.folder(os.path.dirname(name))
        self.folders.add(name)
        self.add(name, type=tarfile.DIRTYPE, mode=mode)

    def content(self, kind, size):
        pool = self.pools[kind]
        out = bytearray()
        while len(out) < size:
            start = self.rng.randrange(len(pool) - 65536)
            out += pool[start : start + min(size - len(out), len(pool) - start)]
        return bytes(out)

    def file(self, name, kind, size, **fields):
        self.folder(os.path.dirname(name))
        self.add(name, self.content(kind, size), **fields)

    def link(self, name, target, hard=False):
        self.folder(os.path.dirname(name))
        self.add(name, type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, linkname=target, mode=0o777)

    def size(self, median, spread, most):
        """Sizes of files are log-normal, as a rule of thumb; SPREAD is that of the logarithm."""
        return min(most, int(median * math.exp(self.rng.gauss(0, spread))))

    def close(self):
        self.tar.close()


def word(rng, least=3, most=12):
    return "".join(rng.choices("abcdefghijklmnoprstuvwxyz", k=rng.randint(least, most)))


def base_system(layer, rng, scale):
    for name in ("bin", "lib", "sbin"):
        layer.link(name, "usr/" + name)
    for name, mode in (("dev", 0o755), ("proc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var/lib/dpkg", 0o755)):
        layer.folder(name, mode)
    for i in range(int(640 * scale)):
        set_id = i % 60 == 0
        layer.file(f"usr/bin/{word(rng)}{i}", "binary", layer.size(48_000, 1.2, 9 << 20), mode=0o4755 if set_id else 0o755)
    for i in range(int(800 * scale)):
        name = f"usr/lib/x86_64-linux-gnu/lib{word(rng)}{i}.so"
        layer.file(name + ".1.2", "binary", layer.size(82_000, 1.2, 12 << 20))
        layer.link(name + ".1", os.path.basename(name) + ".1.2")
    for i in range(int(1900 * scale)):
        layer.file(f"usr/share/doc/package{i // 3}/{('copyright', 'changelog.gz', 'README')[i % 3]}", "text",
                   layer.size(4_500, 1.0, 1 << 20))
    for i in range(int(600 * scale)):
        layer.file(f"usr/share/zoneinfo/zone{i // 30}/{word(rng)}{i}", "binary", layer.size(1_200, 0.5, 4_000))
    for i in range(int(1050 * scale)):
        package = f"var/lib/dpkg/info/{word(rng)}{i}"
        layer.file(package + ".list", "text", layer.size(700, 1.0, 200_000))
        if i % 4 == 0:
            layer.link(f"usr/share/man/man1/{word(rng)}{i}.1.gz", package + ".list", hard=True)


def toolchain(layer, rng, scale):
    for i in range(9):
        layer.file(f"usr/lib/gcc/x86_64-linux-gnu/12/cc{i}", "binary", int((24 << 20) * max(scale, 0.02)), mode=0o755)
    for i in range(int(460 * scale)):
        layer.file(f"usr/lib/x86_64-linux-gnu/{word(rng)}{i}.a", "binary", layer.size(250_000, 1.1, 16 << 20))
    for i in range(int(3900 * scale)):
        layer.file(f"usr/lib/python3/dist-packages/module{i // 24}/{word(rng)}{i}.py", "text", layer.size(8_500, 1.1, 2 << 20))
    for i in range(int(2500 * scale)):
        layer.file(f"usr/include/part{i // 18}/{word(rng)}{i}.h", "text", layer.size(4_500, 1.1, 1 << 20))
    for i in range(int(140 * scale)):
        layer.link(f"usr/lib/git-core/git-{word(rng)}{i}", "../../bin/git")


def node_package(layer, rng, root, files):
    """One package: its description, and FILES scripts in a tree of its own."""
    layer.file(root + "/package.json", "text", layer.size(1_500, 0.5, 30_000))
    folders = [root + "/" + sub for sub in ("lib", "dist", "dist/esm", "src")] + [root]
    for _ in range(files // 30):
        folders.append(rng.choice(folders) + "/" + word(rng))
    for i in range(files):
        ending = (".js", ".js", ".d.ts", ".js.map", ".mjs", ".md")[rng.randrange(6)]
        layer.file(f"{rng.choice(folders)}/{word(rng)}{i}{ending}", "text", layer.size(2_380, 1.5, 6 << 20))


def node_modules(layer, rng, scale):
    wanted = int(81_700 * scale)
    number = 0
    for i in range(int(9_000 * scale)):  # icons: one folder
        layer.file(f"app/node_modules/@icons/material/{word(rng)}{i}.js", "text", layer.size(650, 0.4, 8_000))
    while layer.entries < wanted:
        scope = f"@{word(rng)}/" if rng.random() < 0.15 else ""
        root = f"app/node_modules/{scope}{word(rng)}{number}"
        node_package(layer, rng, root, min(int(math.exp(rng.gauss(3.6, 1.1))) + 1, max(2, wanted - layer.entries)))
        if number % 9 == 0:
            layer.link(f"app/node_modules/.bin/{word(rng)}{number}", "../" + root.split("/", 2)[2] + "/package.json")
        number += 1


def last_layer(layer, rng, scale):
    layer.file("app/config.json", "text", 900)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--compression", choices=COMPRESS, default="gzip")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--layers", metavar="DIRECTORY")
    options = parser.parse_args()

    pools_rng = random.Random("pools")
    pools = {"text": text_pool(pools_rng), "binary": binary_pool(pools_rng)}
    archive = Archive(options.out)
    made = []
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(options.out)), prefix=".dev-") as work:
        for number, fill in enumerate((base_system, toolchain, node_modules, last_layer), 1):
            path = f"{work}/{number}.tar"
            rng = random.Random(f"layer {number}")
            layer = Layer(path, rng, pools)
            fill(layer, rng, options.scale)
            layer.close()
            made.append(archive.layer(path, options.compression))
            print(f"layer {number}: {layer.entries} entries, {os.path.getsize(path) / 2**20:.1f} MiB, "
                  f"{made[-1][0]['size'] / 2**20:.1f} MiB as {options.compression}")
            os.unlink(path)
            if options.layers:
                os.makedirs(options.layers, exist_ok=True)
                with open(archive.blobs[made[-1][0]["digest"]], "rb") as source:
                    with open(f"{options.layers}/{number}", "wb") as sink:
                        sink.write(source.read())
        archive.image("cowsnap.test/dev:latest", made)
        archive.write()


if __name__ == "__main__":
    main()
