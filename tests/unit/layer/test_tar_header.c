/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_header.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct tar_builder builder;
    uint8_t *bytes;
};

static int make(void **state)
{
    *state = calloc(1, sizeof(struct block));
    return *state ? 0 : -1;
}

static int unmake(void **state)
{
    struct block *block = *state;

    tar_builder_deinit(&block->builder);
    free(block);
    return 0;
}

static void build(struct block *block, struct tar_member member)
{
    block->builder.length = 0;
    block->bytes = tar_builder_header(&block->builder, &member);
}

static void assert_parsed(const struct block *block, struct tar_header *header)
{
    struct reason why = {0};

    assert_int_equal(tar_header_parse(header, block->bytes, &why), 0);
    assert_string_equal(why.text, "");
}

static void assert_refused(const struct block *block, const char *part)
{
    struct tar_header header;
    struct reason why = {0};

    assert_int_equal(tar_header_parse(&header, block->bytes, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, part));
}

static void reads_every_field_of_ustar(void **state)
{
    struct tar_header header;

    build(*state, (struct tar_member){.name = "name",
                                      .prefix = "some/prefix",
                                      .type = '3',
                                      .link = "link",
                                      .mode = 04755,
                                      .uid = 1000,
                                      .gid = 2000,
                                      .size = 077777777777,
                                      .mtime = 1700000000,
                                      .device_major = 8,
                                      .device_minor = 17,
                                      .format = TAR_FORMAT_USTAR});
    assert_parsed(*state, &header);
    assert_int_equal(header.format, TAR_FORMAT_USTAR);
    assert_string_equal(header.name, "some/prefix/name");
    assert_string_equal(header.link, "link");
    assert_int_equal(header.type, '3');
    assert_int_equal(header.mode, 04755);
    assert_int_equal(header.uid, 1000);
    assert_int_equal(header.gid, 2000);
    assert_int_equal(header.size, 077777777777);
    assert_int_equal(header.mtime, 1700000000);
    assert_int_equal(header.device_major, 8);
    assert_int_equal(header.device_minor, 17);
    assert_false(header.has_atime);
}

static void fills_names_to_their_last_byte(void **state)
{
    struct block *block = *state;
    struct tar_header header;
    char name[101], prefix[156];

    memset(name, 'n', 100);
    memset(prefix, 'p', 155);
    name[100] = prefix[155] = '\0';
    build(
        block,
        (struct tar_member){
            .name = name, .prefix = prefix, .link = name, .type = '2', .format = TAR_FORMAT_USTAR});
    assert_parsed(block, &header);
    assert_int_equal(strlen(header.name), 256);
    assert_int_equal(header.name[154], 'p');
    assert_int_equal(header.name[155], '/');
    assert_int_equal(header.name[156], 'n');
    assert_string_equal(header.link, name);
}

static void takes_v7_without_prefix_and_devices(void **state)
{
    struct block *block = *state;
    struct tar_header header;

    build(block, (struct tar_member){.name = "old"});
    memset(block->bytes + 329, 'x', 100); /* no number, no prefix: nobody looks */
    tar_builder_sum(block->bytes);
    assert_parsed(block, &header);
    assert_int_equal(header.format, TAR_FORMAT_V7);
    assert_string_equal(header.name, "old");
    assert_int_equal(header.device_major, 0);
}

static void takes_signed_and_unsigned_sums(void **state)
{
    struct block *block = *state;
    struct tar_header header;
    char text[8];
    int sum = 0;

    build(block, (struct tar_member){.name = "caf\xc3\xa9", .type = '0'});
    assert_parsed(block, &header);

    memset(block->bytes + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (int8_t)block->bytes[i];
    snprintf(text, sizeof(text), "%06o", (unsigned)sum);
    memcpy(block->bytes + 148, text, 7);
    assert_parsed(block, &header);
    block->bytes[155] = 0xff; /* behind the NUL, and in neither sum */
    assert_parsed(block, &header);

    block->bytes[0]++;
    assert_refused(block, "checksum");
}

static void refuses_a_sum_that_is_no_number(void **state)
{
    struct block *block = *state;

    build(block, (struct tar_member){.name = "a", .type = '0'});
    block->bytes[148] = 'x';
    assert_refused(block, "checksum");
    memset(block->bytes, 'z', TAR_BLOCK);
    assert_refused(block, "checksum");
}

static void refuses_numbers_that_are_none_and_names_the_entry(void **state)
{
    static const struct {
        size_t at;
        const char *name;
    } fields[] = {{100, "mode"},  {108, "uid"},   {116, "gid"},  {124, "size"},
                  {136, "mtime"}, {329, "major"}, {337, "minor"}};
    struct block *block = *state;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        build(block, (struct tar_member){.name = "who", .type = '0', .format = TAR_FORMAT_USTAR});
        memcpy(block->bytes + fields[i].at, "9", 1);
        tar_builder_sum(block->bytes);
        assert_refused(block, fields[i].name);
        assert_refused(block, "\"who\"");
    }
}

static void reads_negative_and_large_numbers_in_base_256(void **state)
{
    struct tar_header header;

    build(*state, (struct tar_member){.name = "a",
                                      .type = '0',
                                      .uid = -5,
                                      .gid = 1 << 24,
                                      .size = INT64_MAX,
                                      .mtime = -1,
                                      .format = TAR_FORMAT_GNU});
    assert_parsed(*state, &header);
    assert_int_equal(header.uid, -5);
    assert_int_equal(header.gid, 1 << 24);
    assert_int_equal(header.size, INT64_MAX);
    assert_int_equal(header.mtime, -1);
}

static void finds_times_in_gnu_headers(void **state)
{
    struct block *block = *state;
    struct tar_header header;

    build(block, (struct tar_member){.name = "a", .type = '0', .format = TAR_FORMAT_GNU});
    assert_parsed(block, &header);
    assert_int_equal(header.format, TAR_FORMAT_GNU);
    assert_false(header.has_atime);

    tar_builder_number(block->bytes + 345, 12, 1600000000);
    tar_builder_sum(block->bytes);
    assert_parsed(block, &header);
    assert_true(header.has_atime);
    assert_int_equal(header.atime, 1600000000);
    assert_string_equal(header.name, "a");
}

static void takes_a_prefix_where_gnu_has_times_as_old_go_wrote_it(void **state)
{
    struct block *block = *state;
    struct tar_header header;

    build(block, (struct tar_member){
                     .name = "a", .type = '0', .prefix = "old/go", .format = TAR_FORMAT_GNU});
    assert_parsed(block, &header);
    assert_string_equal(header.name, "old/go/a");
    assert_false(header.has_atime);

    build(block, (struct tar_member){
                     .name = "a", .type = '0', .prefix = "caf\xc3\xa9", .format = TAR_FORMAT_GNU});
    assert_parsed(block, &header);
    assert_string_equal(header.name, "a");
}

static void reads_star_with_its_shorter_prefix_and_times(void **state)
{
    struct block *block = *state;
    struct tar_header header;

    build(block,
          (struct tar_member){.name = "a", .type = '0', .prefix = "p", .format = TAR_FORMAT_STAR});
    tar_builder_number(block->bytes + 476, 12, 1500000000);
    tar_builder_sum(block->bytes);
    assert_parsed(block, &header);
    assert_int_equal(header.format, TAR_FORMAT_STAR);
    assert_string_equal(header.name, "p/a");
    assert_true(header.has_atime);
    assert_int_equal(header.atime, 1500000000);

    memcpy(block->bytes + 488, "never", 6);
    tar_builder_sum(block->bytes);
    assert_refused(block, "change time");
}

static void knows_a_block_of_zeros(void **state)
{
    uint8_t zeros[TAR_BLOCK] = {0};

    (void)state;
    assert_true(tar_header_is_zero(zeros));
    zeros[TAR_BLOCK - 1] = 1;
    assert_false(tar_header_is_zero(zeros));
    zeros[TAR_BLOCK - 1] = 0;
    zeros[0] = 1;
    assert_false(tar_header_is_zero(zeros));
}

static void knows_which_types_have_data(void **state)
{
    (void)state;
    for (const char *type = "123456"; *type; type++)
        assert_false(tar_header_has_data((uint8_t)*type));
    for (const char *type = "07SLKxgA"; *type; type++)
        assert_true(tar_header_has_data((uint8_t)*type));
    assert_true(tar_header_has_data('\0'));
}

#define with_block(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_block(reads_every_field_of_ustar),
        with_block(fills_names_to_their_last_byte),
        with_block(takes_v7_without_prefix_and_devices),
        with_block(takes_signed_and_unsigned_sums),
        with_block(refuses_a_sum_that_is_no_number),
        with_block(refuses_numbers_that_are_none_and_names_the_entry),
        with_block(reads_negative_and_large_numbers_in_base_256),
        with_block(finds_times_in_gnu_headers),
        with_block(takes_a_prefix_where_gnu_has_times_as_old_go_wrote_it),
        with_block(reads_star_with_its_shorter_prefix_and_times),
        cmocka_unit_test(knows_a_block_of_zeros),
        cmocka_unit_test(knows_which_types_have_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
