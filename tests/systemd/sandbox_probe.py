#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tries what the sandbox of cowsnapd.service is to forbid, and prints "WHAT: allowed" or "WHAT: refused" a line.

Everything here is allowed to root with the daemon's capabilities, so that a refusal is the sandbox's and nothing
else's: the rig runs it once more without the sandbox, where nothing may be refused. What is answered by another
error than these counts as allowed: the call reached the kernel.
"""
import ctypes
import errno
import mmap
import os
import socket

REFUSALS = (errno.EPERM, errno.EAFNOSUPPORT)
libc = ctypes.CDLL(None, use_errno=True)

# Numbers of x86-64 (asm/unistd_64.h). Calls that change something are given what they fail at.
CALLS = {
    "keyctl": (250, 0, -1, 0),
    "add_key": (248, b"user", b"cowsnap", b"x", 1, -2),
    "mlock": (149, 0, 0),
    "setpriority": (141, 0, 0, 0),
    "sched_setscheduler": (144, -1, 0, 0),
    "setresuid": (117, -1, -1, -1),
    "personality": (135, 0xFFFFFFFF),
    "userfaultfd": (323, 1),
    "process_vm_readv": (310, 0, 0, 0, 0, 0, 0),
    "shmget": (29, 0x636F7773, 0, 0),
    "unshare": (272, 0x00020000),
    "setns": (308, -1, 0x00020000),
    "pivot_root": (155, b"/nowhere", b"/nowhere"),
    "move_mount": (429, -1, b"x", -1, b"x", 0),
    "open_tree": (428, -100, b"/", 0),
    "mount_setattr": (442, -100, b"/nowhere", 0, 0, 0),
    "ptrace": (101, 16, 0, 0, 0),
    "bpf": (321, -1, 0, 0),
    "perf_event_open": (298, 0, -1, -1, -1, 0),
    "swapoff": (168, b"/nowhere"),
    "sethostname": (170, 0, 1 << 20),
    "quotactl": (179, 0x80000000, 0, 0, 0),
}


def call(name):
    number, *arguments = CALLS[name]
    words = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), name)


def map_writable_code():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def open_device(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def report(what, attempt, *arguments):
    try:
        attempt(*arguments)
        allowed = True
    except OSError as error:
        allowed = error.errno not in REFUSALS
    print(f"{what}: {'allowed' if allowed else 'refused'}", flush=True)


for name in CALLS:
    report(name, call, name)
for family in ("AF_INET", "AF_INET6", "AF_NETLINK"):
    report(family, lambda: socket.socket(getattr(socket, family), socket.SOCK_DGRAM).close())
report("writable code", map_writable_code)
report("/dev/kmsg", open_device, "/dev/kmsg")
report("/dev/ttyS0", open_device, "/dev/ttyS0")
