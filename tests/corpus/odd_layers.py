#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the corpus of odd layers.

    odd_layers.py OUT

OUT/base.tar                the layer below each of the others
OUT/layers/NAME.tar[.gz|.zst]   one odd layer each
OUT/layers.tsv              name, file, compression, diff id, chain id on the base, manifest digest
OUT/refused/…               layers that must be refused
OUT/refused/manifest.tsv    file, compression, diff id, expected gRPC status, what is wrong with it
OUT/refused.tsv             as layers.tsv
OUT/corpus.oci.tar          an image of two layers, base and odd, for each of both kinds
                            (cowsnap.test/odd:NAME), for `ctr image import --no-unpack`

The same bytes come out each time.
"""
import hashlib
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "images"))
sys.dont_write_bytecode = True

from base_layer import base_layer  # noqa: E402
from oci_archive import LAYER_MEDIA, Archive  # noqa: E402
from odd_compression import compression_layers  # noqa: E402
from odd_formats import format_layers  # noqa: E402
from odd_metadata import metadata_layers  # noqa: E402
from odd_names import name_layers  # noqa: E402
from odd_replacing import replacing_layers  # noqa: E402
from refused_layers import refused_layers  # noqa: E402

SUFFIX = {"none": ".tar", "gzip": ".tar.gz", "zstd": ".tar.zst"}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "layers"))
    os.makedirs(os.path.join(out, "refused"))
    archive = Archive(os.path.join(out, "corpus.oci.tar"))
    base = base_layer()
    with open(os.path.join(out, "base.tar"), "wb") as file:
        file.write(base)
    base_id = sha256(base)
    base_blob = archive.blob_bytes(base, LAYER_MEDIA["none"])
    names, chains = set(), {}

    def keep(folder, name, compression, blob, stream):
        """Writes one layer; BLOB is what lies in the store, STREAM what it inflates to."""
        if name in names:
            sys.exit(f"two layers are called {name}")
        names.add(name)
        file = os.path.join(folder, name + SUFFIX[compression])
        with open(os.path.join(out, file), "wb") as sink:
            sink.write(blob)
        diff_id = sha256(stream)
        chain_id = sha256(f"{base_id} {diff_id}".encode())
        if chain_id in chains:
            sys.exit(f"{name} has the same stream as {chains[chain_id]}: containerd would unpack only one of them")
        chains[chain_id] = name
        descriptor = archive.blob_bytes(blob, LAYER_MEDIA[compression])
        digest = archive.image("cowsnap.test/odd:" + name, [(base_blob, base_id), (descriptor, diff_id)])
        return "\t".join((name, file, compression, diff_id, chain_id, digest)) + "\n", diff_id, file

    with open(os.path.join(out, "layers.tsv"), "w") as table:
        for group in (replacing_layers, name_layers, metadata_layers, format_layers, compression_layers):
            for name, compression, blob, stream in group():
                table.write(keep("layers", name, compression, blob, stream)[0])
    with open(os.path.join(out, "refused.tsv"), "w") as table, \
            open(os.path.join(out, "refused", "manifest.tsv"), "w") as manifest:
        for name, compression, blob, stream, status, why in refused_layers():
            row, diff_id, file = keep("refused", name, compression, blob, stream)
            table.write(row)
            manifest.write("\t".join((os.path.basename(file), compression, diff_id, status, why)) + "\n")
    archive.write()
    print(f"{len(names)} layers")


if __name__ == "__main__":
    main()
