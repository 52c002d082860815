/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_ENTRY_H
#define COWSNAP_LAYER_ENTRY_H

/*
 * One member of a layer's tar, with every header that came before it (PAX, GNU long names) already
 * merged in. Names are as the archive has them, without any cleaning: what a name may do to a tree
 * is decided by path.c, not by the parser.
 */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum entry_type {
    ENTRY_FILE,
    ENTRY_DIRECTORY,
    ENTRY_SYMLINK,
    ENTRY_HARDLINK,
    ENTRY_CHARACTER_DEVICE,
    ENTRY_BLOCK_DEVICE,
    ENTRY_FIFO,
};

struct entry_xattr {
    const char *name; /* with its namespace: "security.capability"; NUL-terminated */
    const uint8_t *value;
    size_t length;
};

struct entry {
    enum entry_type type;
    const char *name; /* NUL-terminated; the archive cannot put a NUL inside */
    const char *link; /* target of a symlink, name of a hard link's other end; "" else */
    uint32_t mode;    /* permission bits with setuid, setgid, sticky (07777) */
    uint32_t uid, gid;
    uint64_t size; /* of the file as it shall be; holes included; 0 for all but ENTRY_FILE */
    struct timespec mtime;
    struct timespec atime; /* tv_nsec is UTIME_OMIT when the archive has none */
    uint32_t device_major, device_minor;
    const struct entry_xattr *xattrs;
    size_t xattr_count;
};

#endif
