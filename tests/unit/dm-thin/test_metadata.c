/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/metadata.h"
#include "unit/cmocka_setup.h"

#include <endian.h>
#include <isa-l/crc.h>
#include <string.h>

/* test_survey.c reads what a kernel wrote; here blocks are made by hand, to be damaged. */

#define SUPERBLOCK 160774
#define NODE 121107

static void put32(uint8_t *block, size_t at, uint32_t value)
{
    value = htole32(value);
    memcpy(block + at, &value, sizeof(value));
}

static void put64(uint8_t *block, size_t at, uint64_t value)
{
    value = htole64(value);
    memcpy(block + at, &value, sizeof(value));
}

static void seal(uint8_t *block, uint32_t kind)
{
    put32(block, 0, crc32_iscsi(block + 4, METADATA_BLOCK - 4, UINT32_MAX) ^ kind);
}

static void make_superblock(uint8_t *block, uint64_t number)
{
    memset(block, 0, METADATA_BLOCK);
    put64(block, 8, number);
    put64(block, 32, 27022010);
    put32(block, 40, 2);
    put64(block, 48, 5);
    put64(block, 56, 77);
    put64(block, 328, 9);
    put32(block, 336, 128);
    put32(block, 340, 8);
    put64(block, 344, 4096);
    seal(block, SUPERBLOCK);
}

/* A leaf with COUNT devices, the ids FIRST, FIRST + 1, …, and room for ten. */
static void make_leaf(uint8_t *block, uint64_t number, uint64_t first, unsigned count)
{
    memset(block, 0, METADATA_BLOCK);
    put32(block, 4, 2);
    put64(block, 8, number);
    put32(block, 16, count);
    put32(block, 20, 10);
    put32(block, 24, 24);
    for (unsigned i = 0; i < count && i < 10; i++) {
        put64(block, 32 + i * 8, first + i);
        put64(block, 32 + 80 + i * 24, 1000 + i);
        put64(block, 32 + 80 + i * 24 + 8, 3);
    }
    seal(block, NODE);
}

static void a_superblock_is_read(void **state)
{
    struct metadata_superblock superblock;
    uint8_t block[METADATA_BLOCK];

    (void)state;
    make_superblock(block, 0);
    assert_true(metadata_parse_superblock(block, 0, &superblock));
    assert_int_equal(superblock.transaction, 5);
    assert_int_equal(superblock.held_root, 77);
    assert_int_equal(superblock.details_root, 9);
    assert_int_equal(superblock.blocks, 4096);
    assert_int_equal(superblock.block_sectors, 128);
    assert_false(metadata_is_blank(block));
    memset(block, 0, sizeof(block));
    assert_true(metadata_is_blank(block));
    assert_false(metadata_parse_superblock(block, 0, &superblock));
}

static void a_damaged_superblock_is_refused(void **state)
{
    struct metadata_superblock superblock;
    uint8_t block[METADATA_BLOCK];

    (void)state;
    for (size_t i = 0; i < METADATA_BLOCK; i += 7) {
        make_superblock(block, 0);
        block[i] ^= 0x10;
        assert_false(metadata_parse_superblock(block, 0, &superblock));
    }
    make_superblock(block, 3);
    assert_false(metadata_parse_superblock(block, 0, &superblock));
    make_superblock(block, 0);
    put32(block, 40, 3); /* a later version */
    seal(block, SUPERBLOCK);
    assert_false(metadata_parse_superblock(block, 0, &superblock));
    make_superblock(block, 0);
    put32(block, 340, 16); /* blocks of another size */
    seal(block, SUPERBLOCK);
    assert_false(metadata_parse_superblock(block, 0, &superblock));
}

static void a_leaf_is_read(void **state)
{
    struct metadata_node node;
    struct metadata_device device;
    uint8_t block[METADATA_BLOCK];

    (void)state;
    make_leaf(block, 6, 41, 3);
    assert_true(metadata_parse_node(block, 6, &node));
    assert_true(node.leaf);
    assert_int_equal(node.count, 3);
    assert_true(metadata_entry(&node, 2, &device));
    assert_int_equal(device.id, 43);
    assert_int_equal(device.mapped, 1002);
    assert_int_equal(device.transaction, 3);
    make_leaf(block, 6, 0xffffff, 2);
    assert_true(metadata_parse_node(block, 6, &node));
    assert_true(metadata_entry(&node, 0, &device));
    assert_false(metadata_entry(&node, 1, &device));
    make_leaf(block, 6, 1, 0);
    assert_true(metadata_parse_node(block, 6, &node));
}

static void a_node_with_children_is_read(void **state)
{
    struct metadata_node node;
    uint8_t block[METADATA_BLOCK];

    (void)state;
    make_leaf(block, 6, 1, 2);
    put32(block, 4, 1);
    put32(block, 24, 8);
    put64(block, 32 + 80 + 8, 123);
    seal(block, NODE);
    assert_true(metadata_parse_node(block, 6, &node));
    assert_false(node.leaf);
    assert_int_equal(metadata_child(&node, 1), 123);
}

static void a_node_that_cannot_be_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } cases[] = {
        {4, 0},   {4, 3},           {4, 1}, /* neither, both, children of the size of devices */
        {16, 11}, {16, UINT32_MAX}, {20, 128}, {20, UINT32_MAX}, {24, 0}, {24, 8}, {24, UINT32_MAX},
    };
    struct metadata_node node;
    uint8_t block[METADATA_BLOCK];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        make_leaf(block, 6, 1, 3);
        put32(block, cases[i].at, cases[i].value);
        seal(block, NODE);
        if (metadata_parse_node(block, 6, &node))
            fail_msg("case %zu is taken", i);
    }
    make_leaf(block, 6, 1, 3);
    assert_false(metadata_parse_node(block, 7, &node));
    block[500] ^= 1;
    assert_false(metadata_parse_node(block, 6, &node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_superblock_is_read),
        cmocka_unit_test(a_damaged_superblock_is_refused),
        cmocka_unit_test(a_leaf_is_read),
        cmocka_unit_test(a_node_with_children_is_read),
        cmocka_unit_test(a_node_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
