#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes OCI archives that `ctr image import` takes, from the tars of their layers.

    oci_archive.py OUT NAME LAYER[=gzip|zstd|none]...

makes one image, runnable (PATH is set, the command is /bin/sh). The same input gives the same bytes.
As a module, Archive puts several images into one file and takes blobs as they are.
"""
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile

MEDIA = "application/vnd.oci.image."
LAYER_MEDIA = {"none": MEDIA + "layer.v1.tar", "gzip": MEDIA + "layer.v1.tar+gzip", "zstd": MEDIA + "layer.v1.tar+zstd"}
COMPRESS = {"none": None, "gzip": ["gzip", "-nc6"], "zstd": ["zstd", "-qc", "-3", "-T1"]}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "loongarch64": "loong64"}


def digest_of(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            h.update(piece)
    return "sha256:" + h.hexdigest()


class Archive:
    """Collects blobs in a scratch folder beside the output; write() makes the archive in one rename."""

    def __init__(self, out):
        self.out = out
        self.scratch = tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out)), prefix=".oci-")
        self.blobs = {}
        self.manifests = []

    def blob_file(self, path, media, move=False):
        digest = digest_of(path)
        kept = os.path.join(self.scratch.name, digest[7:])
        if digest not in self.blobs:
            if move:
                os.rename(path, kept)
            else:
                os.symlink(os.path.abspath(path), kept)
            self.blobs[digest] = kept
        return {"mediaType": media, "digest": digest, "size": os.path.getsize(kept)}

    def blob_json(self, value, media):
        return self.blob_bytes(json.dumps(value, sort_keys=True).encode(), media)

    def blob_bytes(self, data, media):
        path = os.path.join(self.scratch.name, "new")
        with open(path, "wb") as f:
            f.write(data)
        return self.blob_file(path, media, move=True)

    def layer(self, tar, compression):
        """A layer from its tar: (descriptor, diff id)."""
        program = COMPRESS[compression]
        if program is None:
            return self.blob_file(tar, LAYER_MEDIA[compression]), digest_of(tar)
        path = os.path.join(self.scratch.name, "new")
        with open(tar, "rb") as source, open(path, "wb") as sink:
            subprocess.run(program, stdin=source, stdout=sink, check=True)
        return self.blob_file(path, LAYER_MEDIA[compression], move=True), digest_of(tar)

    def image(self, name, layers, command=("/bin/sh",)):
        """layers: (descriptor, diff id) pairs, the lowest first. Answers the manifest's digest."""
        config = self.blob_json({
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": list(command), "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }, MEDIA + "config.v1+json")
        manifest = self.blob_json({
            "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
            "config": config, "layers": [descriptor for descriptor, _ in layers],
        }, MEDIA + "manifest.v1+json")
        self.manifests.append({**manifest, "annotations": {
            "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        }})
        return manifest["digest"]

    def write(self):
        part = os.path.join(self.scratch.name, "archive")
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT, dereference=True) as tar:
            self._member(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
            self._member(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode())
            for digest in sorted(self.blobs):
                info = tarfile.TarInfo("blobs/sha256/" + digest[7:])
                info.size = os.path.getsize(self.blobs[digest])
                info.mode = 0o644
                with open(self.blobs[digest], "rb") as f:
                    tar.addfile(info, f)
        os.replace(part, self.out)
        self.scratch.cleanup()

    @staticmethod
    def _member(tar, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o644
        tar.addfile(info, io.BytesIO(data))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    archive = Archive(sys.argv[1])
    layers = []
    for argument in sys.argv[3:]:
        tar, _, compression = argument.rpartition("=")
        if not tar or compression not in COMPRESS:
            sys.exit(f"oci_archive.py: '{argument}': write LAYER=gzip, LAYER=zstd or LAYER=none")
        layers.append(archive.layer(tar, compression))
    print(archive.image(sys.argv[2], layers))
    archive.write()


if __name__ == "__main__":
    main()
