/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_SUPERBLOCK_H
#define COWSNAP_BACKENDS_DM_THIN_SUPERBLOCK_H

/*
 * What the first 4 KiB of a volume tell of its file system while it is mounted nowhere. No I/O.
 * Sources: linux fs/ext4/ext4.h (struct ext4_super_block, at byte 1024), fs/xfs/libxfs/xfs_format.h
 * (struct xfs_dsb, big-endian).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUPERBLOCK_SIZE 4096

struct superblock {
    const char *fstype; /* "ext4" or "xfs" */
    uint64_t inodes;    /* in use, the root folder and the file system's own among them */
    bool dirty;         /* ext4: its journal has to be replayed; xfs does not tell */
};

/* False when it is neither. */
bool superblock_parse(const uint8_t block[SUPERBLOCK_SIZE], struct superblock *superblock);

#endif
