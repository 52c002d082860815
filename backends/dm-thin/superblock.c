/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/superblock.h"

#include <endian.h>
#include <string.h>

#define EXT4_AT 1024
#define EXT4_MAGIC 0xef53
#define EXT4_INCOMPAT_RECOVER 0x4 /* EXT4_FEATURE_INCOMPAT_RECOVER */

static uint32_t ext4_read32(const uint8_t *block, size_t at)
{
    uint32_t value;

    memcpy(&value, block + EXT4_AT + at, sizeof(value));
    return le32toh(value);
}

static uint64_t xfs_read64(const uint8_t *block, size_t at)
{
    uint64_t value;

    memcpy(&value, block + at, sizeof(value));
    return be64toh(value);
}

bool superblock_parse(const uint8_t block[SUPERBLOCK_SIZE], struct superblock *superblock)
{
    uint64_t all, unused;

    if (memcmp(block, "XFSB", 4) == 0) {
        all = xfs_read64(block, 128); /* sb_icount, sb_ifree: right after an unmount */
        unused = xfs_read64(block, 136);
        *superblock = (struct superblock){.fstype = "xfs"};
    } else if ((ext4_read32(block, 56) & 0xffff) == EXT4_MAGIC) {
        all = ext4_read32(block, 0);
        unused = ext4_read32(block, 16);
        *superblock = (struct superblock){
            .fstype = "ext4",
            .dirty = ext4_read32(block, 96) & EXT4_INCOMPAT_RECOVER,
        };
    } else {
        return false;
    }
    superblock->inodes = all > unused ? all - unused : 0;
    return true;
}
