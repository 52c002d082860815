# SPDX-License-Identifier: Apache-2.0
"""Names: long, deep, many, with dots and slashes, and bytes of every kind."""
from tar_writer import *


def name_layers():
    deep = "/".join(f"{i:02}" + "x" * 148 for i in range(20))
    layers = {
        "name-dot-slash": [d("./"), f("./n1"), d("./n/"), f("./n/x")],
        "name-double-slash": [d("n//m"), f("n//m//x"), f("d///f1", "new\n")],
        "name-trailing-slash-dir": [d("n/"), d("m///"), f("n/x")],
        "name-trailing-slash-file": [f("n/", "typed a file\n")],
        "name-trailing-slash-old-dir": [member("n/", b"0"), member("m/", b"\0"), f("n/x")],
        "name-trailing-slash-symlink": [s("n/", "f")],
        "name-inner-dots": [f("d/./n"), f("d/../n2"), f("d/sub/../../n3"), f("no/../n4")],
        "name-dotdot-escapes": [f("../n"), f("../../../../n2"), f("d/../../../n3"), f("/../n4")],
        "name-absolute": [f("/n"), d("/m"), f("/m/x"), f("//k"), s("/sl", "/n"), h("/hl", "/n")],
        "name-dotdot-missing-parent": [f("no/such/../../n"), f("no2/../d/n")],
        "name-dotdot-through-symlink": [f("ld/../n"), f("lsub/../n2"), f("e/abs/../n3")],
        "name-root-dot": [d(".", 0o700, uid=3, mtime=4), f("n")],
        "name-root-dot-slash": [d("./", 0o1750, uid=3, gid=9, mtime=44), f("n")],
        "name-root-slash": [d("/", 0o711, uid=3, mtime=44), f("n")],
        "name-root-as-file": [f(".", "the root as a file\n"), f("n")],
        "name-root-as-symlink": [s("./", "d"), f("n")],
        "name-root-by-link": [d("e/back", 0o700), f("n")],
        "name-root-dotdot": [d("..", 0o700), d("d/..", 0o711), f("n")],
        "name-empty": [f(b"", "a file without a name\n"), f("n")],
        "name-empty-dir": [d(b""), f("n")],
        "name-unicode": [f("ünïcödé/文件/🐮"), f("e\u0301"), f("\u00e9"), s("сс", "ünïcödé")],
        "name-invalid-utf8": [f(b"\xff\xfe"), d(b"d/\x80"), f(b"d/\x80/\xc3("), s(b"\xa0l", b"\xff"), h(b"\xa0h", b"\xff\xfe")],
        "name-invalid-utf8-pax": [f("x", records={"path": b"pax-\xff-name"}), s("y", "t", records={"linkpath": b"\xfe"})],
        "name-newline-tab": [f("new\nline"), f("tab\there"), f("bell\a"), d("sp ace "), f("sp ace / x"), f("back\\slash")],
        "name-255-bytes": [f("n" * 255), d("m" * 255), f("m" * 255 + "/" + "k" * 255), s("l" * 255, "n" * 255)],
        "name-255-bytes-utf8": [f("é" * 127 + "x")],
        "name-deep-3-kib": [f(deep + "/file"), d(deep, 0o700, mtime=9), s(deep + "/l", "file"), h("top", deep + "/file")],
        "name-deep-100-levels": [f("/".join(["q"] * 100) + "/x"), wh("/".join(["q"] * 60) + "/nothing")],
        "name-prefix-field": [member("x" * 90, prefix="p" * 100 + "/" + "r" * 50), member("x2", prefix="p" * 100)],
        "name-exactly-100": [f("y" * 100), s("z" * 100, "t" * 100)],
        "name-gnu-long": [gnu_long("g" * 200, b"L") + header("short", magic=b"ustar  \0"),
                          gnu_long("d/" + "g" * 150, b"L") + header("short", b"5", 0o700, magic=b"ustar  \0")],
        "name-gnu-long-both": [gnu_long("t" * 300, b"K") + gnu_long("s" * 200, b"L")
                               + header("short", b"2", link="x", magic=b"ustar  \0")],
        "name-gnu-long-hardlink": [gnu_long("g" * 200, b"L") + header("short", magic=b"ustar  \0"),
                                   gnu_long("g" * 200, b"K") + header("n", b"1", link="x", magic=b"ustar  \0")],
        "name-gnu-long-then-pax": [gnu_long("g" * 120, b"L") + pax({"path": "from-pax"}) + header("short")],
        "name-pax-then-gnu-long": [pax({"path": "from-pax", "mtime": "5"}) + gnu_long("g" * 120, b"L") + header("short")],
        "name-pax-path": [f("x", records={"path": "pax/path/" + "p" * 180}), f("y", records={"path": "./pax2//z"})],
        "name-pax-path-trailing-slash": [d("x", records={"path": "paxdir/"}), f("x", records={"path": "paxfile/"})],
        "name-pax-linkpath": [s("n", "x", records={"linkpath": "p" * 2000}), h("m", "x", records={"linkpath": "d/f1"})],
        "name-pax-empty-path": [f("n", records={"path": ""})],
        "name-pax-path-whiteout": [f("x", "", records={"path": "d/.wh.f1"})],
        "name-10000-in-one-dir": [d("w")] + [f(f"w/{i:05}", f"{i}") for i in range(10000)],
        "name-2000-dirs": [d(f"w/{i % 40}/{i}", 0o700 + i % 8, mtime=i) for i in range(2000)],
        "name-duplicates": [f("n", f"{i}\n", mode=0o600 + i % 64) for i in range(50)],
        "name-case-and-dots": [f("N"), f("n"), f("..."), f("n."), f("n "), f("-n"), f("~"), f("*")],
        "name-long-symlink": [s("n", "/".join(["t" * 200] * 20))],
        "name-symlink-odd-targets": [s("n1", "."), s("n2", "/"), s("n3", "//x/../y/"), s("n4", "a\nb"), s("n5", "..")],
        "name-symlink-to-self": [s("n", "n"), s("m", "./m")],
        "name-nul-inside": [header(b"cut\0off") + b""],
        "name-dir-symlink-loop-sibling": [f("loop3"), s("loop4", "loop1/x")],
    }
    for name, parts in layers.items():
        tar = b"".join(parts) + END
        yield name, "none", tar, tar
