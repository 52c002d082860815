#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes layers that differ in one thing each, so that what a file costs and what a byte costs can be told apart.

    make_cost_layers.py FOLDER

FOLDER/ENTRIES-BYTES.tar.gz, all by gzip, of content that compression takes to about a third. The same on every
machine.
"""
import gzip
import os
import random
import sys

from make_dev_image import Layer, text_pool

FILES_IN_A_FOLDER = 40
LAYERS = ((1, 0), (20_000, 0), (20_000, 2_000), (20_000, 16_000), (100, 3_200_000))  # files, bytes of each


def make(path, pool, files, size):
    layer = Layer(path, random.Random(f"{files} {size}"), {"text": pool})
    for i in range(files):
        layer.file(f"d{i // FILES_IN_A_FOLDER}/f{i}", "text", size)
    layer.close()
    return layer.entries


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    pool = text_pool(random.Random("pools"))
    for files, size in LAYERS:
        tar = os.path.join(folder, "layer.tar")
        entries = make(tar, pool, files, size)
        with open(tar, "rb") as source, open(f"{folder}/{entries}-{files * size}.tar.gz", "wb") as sink:
            with gzip.GzipFile("", "wb", 6, sink, mtime=0) as out:
                while piece := source.read(1 << 20):
                    out.write(piece)
        os.unlink(tar)


if __name__ == "__main__":
    main()
