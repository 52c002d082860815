/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/sparse.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make(void **state)
{
    *state = calloc(1, sizeof(struct sparse_map));
    return *state ? 0 : -1;
}

static int unmake(void **state)
{
    sparse_map_deinit(*state);
    free(*state);
    return 0;
}

static void assert_extents(const struct sparse_map *map, const char *expected)
{
    char text[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < map->count; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu+%llu ",
                                 (unsigned long long)map->extents[i].offset,
                                 (unsigned long long)map->extents[i].length);
    assert_string_equal(text, expected);
}

static int list(struct sparse_map *map, uint64_t size, const char *text, const char *count,
                struct reason *why)
{
    sparse_map_reset(map, size);
    return sparse_map_add_list(map, bytes_of(text), bytes_of(count), why);
}

static void reads_a_list(void **state)
{
    assert_int_equal(list(*state, 2000, "0,512,1024,1", "2", NULL), 0);
    assert_extents(*state, "0+512 1024+1 ");
    assert_int_equal(list(*state, 2000, "", "0", NULL), 0);
    assert_extents(*state, "");
}

static void drops_empty_extents_after_checking_them(void **state)
{
    assert_int_equal(list(*state, 100, "0,0,10,5,15,0,100,0", "4", NULL), 0);
    assert_extents(*state, "10+5 ");
    assert_int_equal(list(*state, 100, "101,0", "1", NULL), CONDITION_INVALID);
    assert_int_equal(list(*state, 100, "50,0,10,5", "2", NULL), CONDITION_INVALID);
}

static void refuses_maps_that_no_file_can_have(void **state)
{
    static const struct {
        const char *map, *count, *part;
    } wrong[] = {
        {"0,10,5,10", "2", "overlaps"},
        {"10,10,0,5", "2", "overlaps"},
        {"-1,10", "1", "impossible"},
        {"0,-10", "1", "impossible"},
        {"9223372036854775807,1", "1", "impossible"},
        {"1,9223372036854775807", "1", "impossible"},
        {"95,6", "1", "up to byte 101"},
        {"0,9223372036854775808", "1", "for an extent"},
        {"0,x", "1", "for an extent"},
        {"0,", "1", "ends too early"},
        {"0", "1", "ends too early"},
        {"0,1,", "1", "for an extent"},
        {"0,1", "2", "ends too early"},
        {"0,1,2", "2", "ends too early"},
        {"0,1,2,3", "1", "for an extent"},
        {"0,1", "0", "goes on"},
        {"0,1", "-1", "extents"},
        {"0,1", "", "extents"},
        {"0,1", "9223372036854775807", "ends too early"},
        {",", "1", "ends too early"},
        {",,", "1", "for an extent"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct reason why = {0};

        assert_int_equal(list(*state, 100, wrong[i].map, wrong[i].count, &why), CONDITION_INVALID);
        if (!strstr(why.text, wrong[i].part))
            fail_msg("%s of %s: %s", wrong[i].map, wrong[i].count, why.text);
    }
}

static int feed(struct sparse_map *map, uint64_t size, const char *text, size_t step,
                size_t *blocks)
{
    struct sparse_lines lines = {0};
    size_t length = strlen(text);
    bool done = false;

    sparse_map_reset(map, size);
    for (*blocks = 0; !done && *blocks * step < length; ++*blocks) {
        size_t left = length - *blocks * step;
        int result = sparse_lines_feed(
            &lines, map, bytes_from(text + *blocks * step, left < step ? left : step), &done, NULL);

        if (result != 0)
            return result;
    }
    return done ? 0 : -1;
}

static void reads_lines_cut_anywhere(void **state)
{
    size_t blocks;

    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(feed(*state, 5000, "2\n0\n512\n1024\n+0001\n", step, &blocks), 0);
        assert_extents(*state, "0+512 1024+1 ");
    }
}

static void stops_in_the_block_of_the_last_line(void **state)
{
    size_t blocks;

    assert_int_equal(feed(*state, 10, "1\n0\n1\nxyz and no number", 8, &blocks), 0);
    assert_int_equal(blocks, 1);
    assert_int_equal(feed(*state, 10, "0\nxyz", 8, &blocks), 0);
    assert_extents(*state, "");
    assert_int_equal(feed(*state, 10, "1\n0\n1", 8, &blocks), -1); /* wants more */
}

static void refuses_lines_that_are_no_numbers(void **state)
{
    static const char *const wrong[] = {"\n",
                                        "x\n",
                                        "-1\n",
                                        "1\n\n1\n",
                                        "1\n0\n \n",
                                        "1\n0\n1x\n",
                                        "1\n5\n6\n",
                                        "1\n-1\n2\n",
                                        "9223372036854775807\n",
                                        "99999999999999999999\n"};
    size_t blocks;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(feed(*state, 10, wrong[i], 512, &blocks), CONDITION_INVALID);
}

static void put_field(uint8_t *field, const char *text)
{
    memcpy(field, text, strlen(text));
}

static void reads_gnu_tables_up_to_an_empty_offset(void **state)
{
    struct sparse_map *map = *state;
    uint8_t table[4 * 24 + 1] = {0};
    bool extended;

    put_field(table, "00000000000");
    put_field(table + 12, "00000001000");
    put_field(table + 24, "00000002000");
    put_field(table + 36, "00000000001");
    put_field(table + 60, "not looked at");
    sparse_map_reset(map, 2000);
    assert_int_equal(sparse_map_add_gnu(map, bytes_from(table, sizeof(table)), &extended, NULL), 0);
    assert_false(extended);
    assert_extents(map, "0+512 1024+1 ");
    table[96] = 1;
    sparse_map_reset(map, 2000);
    assert_int_equal(sparse_map_add_gnu(map, bytes_from(table, sizeof(table)), &extended, NULL), 0);
    assert_true(extended);
}

static void reads_a_whole_extension_block(void **state)
{
    struct sparse_map *map = *state;
    uint8_t block[TAR_BLOCK] = {0};
    bool extended;

    for (int i = 0; i < 21; i++) {
        char text[13];

        snprintf(text, sizeof(text), "%011o", (unsigned)i * 2);
        memcpy(block + (size_t)i * 24, text, 12);
        put_field(block + (size_t)i * 24 + 12, "1");
    }
    block[504] = 255;
    memset(block + 505, 'x', 7);
    sparse_map_reset(map, 41);
    assert_int_equal(sparse_map_add_gnu(map, bytes_from(block, sizeof(block)), &extended, NULL), 0);
    assert_true(extended);
    assert_int_equal(map->count, 21);
    assert_int_equal(map->extents[20].offset, 40);
    assert_int_equal(map->end, 41);
}

static void refuses_gnu_fields_that_are_no_numbers(void **state)
{
    struct sparse_map *map = *state;
    uint8_t table[97] = "0";
    bool extended;

    put_field(table + 12, "9");
    sparse_map_reset(map, 100);
    assert_int_equal(sparse_map_add_gnu(map, bytes_from(table, sizeof(table)), &extended, NULL),
                     CONDITION_INVALID);
    memset(table + 12, 0xff, 12); /* -1 */
    assert_int_equal(sparse_map_add_gnu(map, bytes_from(table, sizeof(table)), &extended, NULL),
                     CONDITION_INVALID);
}

static void keeps_many_extents(void **state)
{
    struct sparse_map *map = *state;

    sparse_map_reset(map, INT64_MAX);
    for (int64_t i = 0; i < 100000; i++)
        assert_int_equal(sparse_map_add(map, i * 4096, 1, NULL), 0);
    assert_int_equal(map->count, 100000);
    assert_int_equal(map->extents[99999].offset, 99999 * 4096);
    sparse_map_reset(map, 1);
    assert_int_equal(map->count, 0);
}

#define with_map(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_map(reads_a_list),
        with_map(drops_empty_extents_after_checking_them),
        with_map(refuses_maps_that_no_file_can_have),
        with_map(reads_lines_cut_anywhere),
        with_map(stops_in_the_block_of_the_last_line),
        with_map(refuses_lines_that_are_no_numbers),
        with_map(reads_gnu_tables_up_to_an_empty_offset),
        with_map(reads_a_whole_extension_block),
        with_map(refuses_gnu_fields_that_are_no_numbers),
        with_map(keeps_many_extents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
