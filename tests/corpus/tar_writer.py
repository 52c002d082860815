# SPDX-License-Identifier: Apache-2.0
"""Writes tar members byte by byte, the odd and the broken ones too, which no library would write."""

BLOCK = 512
WHEN = 1_000_000_000  # what an entry's mtime is unless it says otherwise: far from any test run
END = bytes(2 * BLOCK)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def raw(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    """Two's complement in WIDTH bytes with the top bit set: numbers too large or negative for octal."""
    number = (value if value >= 0 else (1 << (8 * width)) + value).to_bytes(width, "big")
    return bytes([number[0] | 0x80]) + number[1:]


def number(value, width):
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base256(value, width)


def header(name, kind=b"0", mode=0o644, uid=0, gid=0, size=0, mtime=WHEN, link=b"", device=(0, 0),
           magic=b"ustar\x0000", prefix=b"", user=b"", group=b"", tail=None, checksum=None, **fields):
    """One header block. FIELDS replaces the raw bytes of a numeric field: size_field=b'...'."""
    def field(which, value, width):
        return fields.get(which + "_field", number(value, width))
    block = bytearray(BLOCK)
    def put(offset, width, data):
        block[offset:offset + width] = data[:width].ljust(width, b"\0")
    put(0, 100, raw(name))
    put(100, 8, field("mode", mode, 8))
    put(108, 8, field("uid", uid, 8))
    put(116, 8, field("gid", gid, 8))
    put(124, 12, field("size", size, 12))
    put(136, 12, field("mtime", mtime, 12))
    put(156, 1, kind)
    put(157, 100, raw(link))
    put(257, 8, magic)
    if magic:
        put(265, 32, user)
        put(297, 32, group)
        put(329, 8, field("major", device[0], 8))
        put(337, 8, field("minor", device[1], 8))
        put(345, 155, raw(prefix))
    if tail is not None:
        put(345, 167, tail)
    put(148, 8, b" " * 8)
    put(148, 8, checksum if checksum is not None else b"%06o\0 " % sum(block))
    return bytes(block)


def pax_record(key, value):
    body = b" " + raw(key) + b"=" + raw(value) + b"\n"
    length = len(body)
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(records, kind=b"x"):
    data = b"".join(pax_record(k, v) for k, v in (records.items() if isinstance(records, dict) else records))
    return header(b"PaxHeaders/x", kind, size=len(data)) + padded(data)


def member(name, kind=b"0", data=b"", records=None, link=b"", **more):
    """An entry; a name or a target past 99 bytes, or a string number, goes into a PAX header before it."""
    name, link = raw(name), raw(link)
    records = dict(records or {})
    if len(name) > 100:
        records.setdefault("path", name)
    if len(link) > 100:
        records.setdefault("linkpath", link)
    before = pax(records) if records else b""
    more.setdefault("size", len(data))
    return before + header(name[:100], kind, link=link[:100], **more) + padded(data)


def f(name, data=b"new\n", **more):
    return member(name, b"0", raw(data), **more)


def d(name, mode=0o755, **more):
    return member(name, b"5", mode=mode, **more)


def s(name, target, mode=0o777, **more):
    return member(name, b"2", link=target, mode=mode, **more)


def h(name, target, **more):
    return member(name, b"1", link=target, **more)


def node(name, kind, major=0, minor=0, **more):
    return member(name, {"c": b"3", "b": b"4", "p": b"6"}[kind], device=(major, minor), **more)


def wh(path, **more):
    """The whiteout of PATH."""
    folder, slash, base = raw(path).rpartition(b"/")
    return f(folder + slash + b".wh." + base, b"", **more)


def opq(path):
    """The mark that makes the directory PATH opaque."""
    return f(raw(path) + b"/.wh..wh..opq" if path else b".wh..wh..opq", b"")


def gnu_long(text, kind):
    data = raw(text) + b"\0"
    return header(b"././@LongLink", kind, size=len(data), magic=b"ustar  \0") + padded(data)


def xattr(**values):
    """user_a='x' and the like: keys with the first underscore as a dot."""
    return {"SCHILY.xattr." + key.replace("_", ".", 1): value for key, value in values.items()}


def capability(permitted, effective=True, inheritable=0, version=2):
    words = [permitted & 0xffffffff, inheritable, permitted >> 32, 0]
    data = (version << 24 | effective).to_bytes(4, "little") + b"".join(w.to_bytes(4, "little") for w in words)
    return data + (b"\xe8\x03\0\0" if version == 3 else b"")


def acl(*entries):
    """A POSIX ACL attribute: (tag, permissions, id) each."""
    tags = {"u": 1, "user": 2, "g": 4, "group": 8, "mask": 16, "o": 32}
    data = (2).to_bytes(4, "little")
    for tag, permissions, *who in entries:
        data += tags[tag].to_bytes(2, "little") + permissions.to_bytes(2, "little")
        data += (who[0] if who else 0xffffffff).to_bytes(4, "little")
    return data


def sparse_old_gnu(name, runs, size, **more):
    """runs: (offset, data). The first four fit the header, the others go into extension blocks."""
    entries = [(offset, len(data)) for offset, data in runs] + ([(size, 0)] if runs and sum(map(len_of, runs[-1:])) + runs[-1][0] < size else [])
    def packed(part, room):
        return b"".join(octal(o, 12) + octal(n, 12) for o, n in part).ljust(24 * room, b"\0")
    rest = entries[4:]
    # The GNU header from byte 345: atime, ctime, offset, longnames (41 bytes), a pad, 4 runs, extended, real size.
    tail = bytes(41) + packed(entries[:4], 4) + (b"\1" if rest else b"\0") + octal(size, 12)
    stored = b"".join(data for _, data in runs)
    out = header(name, b"S", size=len(stored), magic=b"ustar  \0", tail=tail, **more)
    while rest:
        out += (packed(rest[:21], 21) + (b"\1" if rest[21:] else b"\0")).ljust(BLOCK, b"\0")
        rest = rest[21:]
    return out + padded(stored)


def len_of(run):
    return len(run[1])


def sparse_pax_00(name, runs, size):
    records = [("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", str(len(runs)))]
    for offset, data in runs:
        records += [("GNU.sparse.offset", str(offset)), ("GNU.sparse.numbytes", str(len(data)))]
    stored = b"".join(data for _, data in runs)
    return pax(records) + header(name, b"0", size=len(stored)) + padded(stored)


def sparse_pax_01(name, runs, size):
    places = ",".join(f"{offset},{len(data)}" for offset, data in runs)
    stored = b"".join(data for _, data in runs)
    return pax([("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", str(len(runs))),
                ("GNU.sparse.name", name), ("GNU.sparse.map", places)]) + \
        header(b"GNUSparseFile.0/x", b"0", size=len(stored)) + padded(stored)


def sparse_pax_10(name, runs, size):
    places = padded(b"%d\n" % len(runs) + b"".join(b"%d\n%d\n" % (offset, len(data)) for offset, data in runs))
    stored = b"".join(data for _, data in runs)
    return pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name),
                ("GNU.sparse.realsize", str(size))]) + \
        header(b"GNUSparseFile.0/x", b"0", size=len(places) + len(stored)) + padded(places + stored)
