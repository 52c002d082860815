/* SPDX-License-Identifier: Apache-2.0 */

/* libFuzzer target for line_parse_…(), metadata_parse_…(), label_parse() and superblock_parse(). */

#include "backends/dm-thin/label.h"
#include "backends/dm-thin/line.h"
#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/superblock.h"

#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_lines(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1); /* exactly its size: the sanitizer sees more */
    struct line_pool_status status;
    struct line_pool_table table;
    uint64_t mapped;

    if (!line)
        return;
    memcpy(line, data, size);
    line[size] = '\0';
    (void)line_parse_pool_status(line, &status);
    (void)line_parse_thin_status(line, &mapped);
    if (line_parse_pool_table(line, &table) && table.block_sectors == 0)
        abort();
    free(line);
}

/* What a block says of itself would refuse nearly all of them. */
static void vouch(uint8_t *block, uint32_t kind)
{
    uint32_t sum;

    memset(block + 8, 0, 8); /* its number */
    sum = crc32_iscsi(block + 4, METADATA_BLOCK - 4, UINT32_MAX) ^ kind;
    memcpy(block, &sum, sizeof(sum));
}

static void try_blocks(uint8_t *block)
{
    struct metadata_superblock metadata;
    struct metadata_device device;
    struct superblock superblock;
    struct metadata_node node;
    struct label label;

    (void)superblock_parse(block, &superblock);
    if (label_parse((const char *)block, &label) &&
        (label.root[0] != '/' || label.volume_sectors == 0))
        abort();
    vouch(block, 160774);
    (void)metadata_parse_superblock(block, 0, &metadata);
    vouch(block, 121107);
    if (!metadata_parse_node(block, 0, &node))
        return;
    for (unsigned i = 0; i < node.count; i++) {
        if (!node.leaf)
            (void)metadata_child(&node, i);
        else if (metadata_entry(&node, i, &device) && device.id > 0xffffff)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *block = calloc(1, METADATA_BLOCK);

    if (!block)
        return 0;
    try_lines(data, size);
    memcpy(block, data, size < METADATA_BLOCK ? size : METADATA_BLOCK);
    try_blocks(block);
    free(block);
    return 0;
}
