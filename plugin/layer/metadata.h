/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_METADATA_H
#define COWSNAP_LAYER_METADATA_H

/*
 * Owner, attributes, mode and times of an inode, given in just this order: a change of owner takes
 * set-user-ID bits and security.capability away, an ACL changes the mode, and everything changes
 * the times.
 */

#include "base/result.h"
#include "layer/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct metadata {
    uint32_t mode; /* 07777 */
    uint32_t uid, gid;
    struct timespec times[2]; /* access, modification */
    const struct entry_xattr *xattrs;
    size_t xattr_count;
    bool plain_owner, plain_mode; /* right already, since it was made so */
};

/* What ENTRY says. The access time is the later of the two; a time that does not fit into 64 bits
 * of nanoseconds since 1970 becomes 1970. Nothing is right already. Borrows from ENTRY. */
struct metadata metadata_of(const struct entry *entry);

/* Gives METADATA to the open file or folder FD, called NAME in sentences. Attributes of the
 * namespace "trusted" are left out, as are those that the file system does not support. */
int metadata_put(int fd, const char *name, const struct metadata *metadata, struct reason *why);

/* The same for NAME in the folder FOLDER, which is not followed when it is a symlink; a symlink
 * keeps its mode. TYPE is what is there. Of a symlink, a device or a fifo, the namespace "user" is
 * left out, too, when the kernel refuses it. */
int metadata_put_at(int folder, const char *name, enum entry_type type,
                    const struct metadata *metadata, struct reason *why);

/* Only the times; NAME is not followed. */
int metadata_put_times_at(int folder, const char *name, const struct timespec times[static 2],
                          struct reason *why);

#endif
