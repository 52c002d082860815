#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a layer of what only the privileged can make.

    privileged_layer.py OUT.tar

For a container it adds nothing but the folder /odd. A sandbox around the daemon that is too tight refuses one of
these.
"""
import io
import struct
import sys
import tarfile

# cap_net_raw+ep, for whoever runs the file (struct vfs_cap_data of linux/capability.h, revision 2)
NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def main(out):
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:

        def add(name, kind=tarfile.REGTYPE, mode=0o644, data=b"", xattrs=None, **more):
            member = tarfile.TarInfo("odd/" + name if name else "odd")
            member.type, member.mode, member.size, member.mtime = kind, mode, len(data), 1700000000
            for key, value in more.items():
                setattr(member, key, value)
            for key, value in (xattrs or {}).items():
                # what tarfile writes as UTF-8, and these bytes are below 128
                member.pax_headers["SCHILY.xattr." + key] = value.decode("ascii")
            tar.addfile(member, io.BytesIO(data))

        add("", tarfile.DIRTYPE, 0o755)
        add("set-user-id", mode=0o4755, data=b"#!/bin/sh\n")
        add("set-group-id", tarfile.DIRTYPE, mode=0o2775, gid=1000)
        add("of-somebody", mode=0o400, data=b"his\n", uid=1000, gid=2000)
        add("locked", tarfile.DIRTYPE, mode=0o000, uid=1000)
        add("locked/inside", mode=0o600, data=b"deep\n", uid=1000)
        add("character", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=7)
        add("block", tarfile.BLKTYPE, mode=0o660, devmajor=259, devminor=77)
        add("pipe", tarfile.FIFOTYPE)
        add("capable", mode=0o755, data=b"#!/bin/sh\n", xattrs={"security.capability": NET_RAW})
        add("described", data=b"x\n", xattrs={"user.cowsnap": b"of all"})


if __name__ == "__main__":
    main(*sys.argv[1:])
