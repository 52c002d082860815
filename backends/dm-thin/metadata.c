/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/metadata.h"

#include <endian.h>
#include <isa-l/crc.h>
#include <string.h>

#define SUPERBLOCK_MAGIC 27022010
#define SUPERBLOCK_VERSION_MOST 2
#define SUPERBLOCK_CHECKSUM 160774
#define NODE_CHECKSUM 121107

/* THIN_METADATA_NEEDS_CHECK_FLAG */
#define FLAG_NEEDS_CHECK 1

#define NODE_HEADER 32
#define NODE_LEAF 2
#define NODE_INTERNAL 1
#define DETAILS_SIZE 24
#define CHILD_SIZE 8
#define ID_MOST 0xffffff

/* Offsets in struct thin_disk_superblock. */
enum {
    AT_CHECKSUM = 0,
    AT_FLAGS = 4,
    AT_NUMBER = 8,
    AT_MAGIC = 32,
    AT_VERSION = 40,
    AT_TRANSACTION = 48,
    AT_HELD_ROOT = 56,
    AT_DETAILS_ROOT = 328,
    AT_BLOCK_SECTORS = 336,
    AT_METADATA_BLOCK_SECTORS = 340,
    AT_METADATA_BLOCKS = 344,
};

static uint32_t read32(const uint8_t *block, size_t at)
{
    uint32_t value;

    memcpy(&value, block + at, sizeof(value));
    return le32toh(value);
}

static uint64_t read64(const uint8_t *block, size_t at)
{
    uint64_t value;

    memcpy(&value, block + at, sizeof(value));
    return le64toh(value);
}

/* dm_bm_checksum(): CRC-32C of all after the checksum itself, mixed with what the block is. */
static bool checksum_fits(const uint8_t *block, uint32_t kind)
{
    unsigned char *rest = (unsigned char *)block + sizeof(uint32_t); /* it is only read */
    uint32_t sum = crc32_iscsi(rest, METADATA_BLOCK - sizeof(uint32_t), UINT32_MAX);

    return (sum ^ kind) == read32(block, AT_CHECKSUM);
}

bool metadata_is_blank(const uint8_t block[METADATA_BLOCK])
{
    for (size_t i = 0; i < METADATA_BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

bool metadata_parse_superblock(const uint8_t block[METADATA_BLOCK], uint64_t number,
                               struct metadata_superblock *superblock)
{
    if (read64(block, AT_MAGIC) != SUPERBLOCK_MAGIC ||
        read32(block, AT_VERSION) > SUPERBLOCK_VERSION_MOST || read64(block, AT_NUMBER) != number ||
        read32(block, AT_METADATA_BLOCK_SECTORS) != METADATA_BLOCK / 512 ||
        !checksum_fits(block, SUPERBLOCK_CHECKSUM))
        return false;
    *superblock = (struct metadata_superblock){
        .transaction = read64(block, AT_TRANSACTION),
        .held_root = read64(block, AT_HELD_ROOT),
        .details_root = read64(block, AT_DETAILS_ROOT),
        .blocks = read64(block, AT_METADATA_BLOCKS),
        .block_sectors = read32(block, AT_BLOCK_SECTORS),
        .needs_check = read32(block, AT_FLAGS) & FLAG_NEEDS_CHECK,
    };
    return superblock->block_sectors > 0;
}

bool metadata_parse_node(const uint8_t block[METADATA_BLOCK], uint64_t number,
                         struct metadata_node *node)
{
    uint32_t flags = read32(block, 4), count = read32(block, 16), room = read32(block, 20),
             size = read32(block, 24);
    bool leaf = flags & NODE_LEAF;

    if (read64(block, 8) != number || !checksum_fits(block, NODE_CHECKSUM))
        return false;
    if (leaf == !!(flags & NODE_INTERNAL) || size != (leaf ? DETAILS_SIZE : CHILD_SIZE))
        return false;
    if (count > room || room > (METADATA_BLOCK - NODE_HEADER) / (sizeof(uint64_t) + size) ||
        (!leaf && count == 0))
        return false;
    *node = (struct metadata_node){.block = block, .leaf = leaf, .count = count, .room = room};
    return true;
}

static uint64_t node_key(const struct metadata_node *node, unsigned index)
{
    return read64(node->block, NODE_HEADER + index * sizeof(uint64_t));
}

static size_t node_value(const struct metadata_node *node, unsigned index, size_t size)
{
    return NODE_HEADER + node->room * sizeof(uint64_t) + index * size;
}

uint64_t metadata_child(const struct metadata_node *node, unsigned index)
{
    return read64(node->block, node_value(node, index, CHILD_SIZE));
}

bool metadata_entry(const struct metadata_node *node, unsigned index,
                    struct metadata_device *device)
{
    size_t value = node_value(node, index, DETAILS_SIZE);
    uint64_t key = node_key(node, index);

    if (key > ID_MOST)
        return false;
    *device = (struct metadata_device){
        .id = (uint32_t)key,
        .mapped = read64(node->block, value),
        .transaction = read64(node->block, value + 8),
    };
    return true;
}
