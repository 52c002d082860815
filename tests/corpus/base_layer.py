# SPDX-License-Identifier: Apache-2.0
"""The layer below every odd one: something of each kind to hide, replace, follow and link to."""
from tar_writer import *

DEFAULT_ACL = acl(("u", 7), ("user", 7, 1000), ("g", 5), ("group", 6, 50), ("mask", 7), ("o", 1))
ACCESS_ACL = acl(("u", 6), ("user", 4, 1000), ("g", 4), ("mask", 4), ("o", 0))


def base_layer():
    out = [
        d("d"), f("d/f1", "one\n"), f("d/f2", "two\n", mode=0o600, uid=1000, gid=1000),
        d("d/sub", 0o750, uid=3, gid=4), d("d/sub/deep"), f("d/sub/deep/file", "deep\n"), f("d/sub/g", "g\n"),
        f("f", "a file\n"), f("empty", ""), f("big", bytes(range(256)) * 4096),
        s("l", "f"), s("ld", "d"), s("la", "/d"), s("lchain", "ld"), s("lsub", "d/sub"), s("lout", "../../../../d"),
        s("lup", "d/sub/../../e"), s("ldangling", "nowhere/at/all"), s("loop1", "loop2"), s("loop2", "loop1"),
        d("e"), f("e/in-e", "e\n"), s("e/back", ".."), s("e/abs", "/d/sub"),
        f("h1", "linked\n"), h("h2", "h1"), h("d/h3", "h1"), h("lhard", "l"),
        d("private", 0o700, uid=5, gid=6), f("private/x", "x\n", mode=0o400),
        d("sgid", 0o2775, gid=50), f("sgid/x"), d("sticky", 0o1777), f("suid", "s\n", mode=0o4755),
        d("readonly", 0o555), f("readonly/x"),
        d("acl", records=xattr(system_posix_acl_default=DEFAULT_ACL)), f("acl/x"),
        f("aclfile", mode=0o640, records=xattr(system_posix_acl_access=ACCESS_ACL)),
        d("xd", records=xattr(user_dir="below")), f("xf", records=xattr(user_a="1", user_b="")),
        f("cap", "c\n", mode=0o755, records=xattr(security_capability=capability(1 << 13))),
        node("null", "c", 1, 3, mode=0o666), node("disk", "b", 8, 0, mode=0o660, gid=6), node("pipe", "p"),
        d("o"), f("o/a"), f("o/b"), d("o/p"), f("o/p/a"), d("o/p/q"), f("o/p/q/a"), s("o/l", "../d"), d("o/empty"),
        d("many"),
    ]
    out += [f(f"many/{i:03}", f"{i}\n") for i in range(200)]
    return b"".join(out) + END
