/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/thin_pool.h"
#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <string.h>

/* A pool of 64 GiB in blocks of 64 KiB, with 16 MiB of metadata; most of it is free. */
static struct line_pool_status roomy(void)
{
    return (struct line_pool_status){
        .data_total = 1 << 20, .data_used = 1000, .metadata_total = 4096, .metadata_used = 100};
}

static void assert_level(struct line_pool_status status, enum thin_level level, const char *words)
{
    static const struct thin_pool pool = {.name = "pool-x", .block_sectors = 128};
    struct reason why = {0};
    enum thin_level got = thin_pool_level(&pool, &status, &why);

    if (got != level || !strstr(why.text, words) ||
        (level != THIN_OK && !strstr(why.text, "pool-x")))
        fail_msg("level %d: %s", (int)got, why.text);
}

static void a_pool_with_room_needs_no_advice(void **state)
{
    struct reason why = {0};
    static const struct thin_pool pool = {.name = "pool-x", .block_sectors = 128};
    struct line_pool_status status = roomy();

    (void)state;
    assert_int_equal(thin_pool_level(&pool, &status, &why), THIN_OK);
    assert_string_equal(why.text, "");
}

/* 1/16 of 64 GiB would be 4, and 1/32 would be 2. */
static void room_for_data_has_two_bounds(void **state)
{
    const uint64_t gib = 1 << 14; /* blocks */
    struct line_pool_status status = roomy();

    (void)state;
    status.data_used = status.data_total - 2 * gib - 1;
    assert_level(status, THIN_OK, "");
    status.data_used++;
    assert_level(status, THIN_LOW,
                 "is nearly out of room for data: data 62.0 GiB of 64.0 GiB used");
    status.data_used += gib - 1;
    assert_level(status, THIN_LOW, "is nearly out of room for data");
    status.data_used++;
    assert_level(status, THIN_FULL, "is out of room for data");
    status.mode = LINE_OUT_OF_DATA;
    status.data_used = 0; /* the kernel's word counts */
    assert_level(status, THIN_FULL, "is out of room for data");
}

static void the_low_water_of_a_small_pool_is_a_share(void **state)
{
    (void)state;
    assert_int_equal(thin_pool_low_water(3200, 128), 200);
    assert_int_equal(thin_pool_low_water(1 << 20, 128), 2 << 14);
    assert_int_equal(thin_pool_low_water(1 << 20, 1024), 2 << 11);
}

static void room_for_metadata_has_two_bounds(void **state)
{
    struct line_pool_status status = roomy();

    (void)state;
    status.metadata_used = 4096 - 1024;
    assert_false(thin_pool_metadata_scarce(&status));
    assert_level(status, THIN_OK, "");
    status.metadata_used++;
    assert_true(thin_pool_metadata_scarce(&status));
    assert_level(status, THIN_LOW, "is nearly out of room for metadata: ");
    status.metadata_used = 4096 - 256;
    assert_level(status, THIN_LOW, "is nearly out of room for metadata");
    status.metadata_used++;
    assert_level(status, THIN_FULL, "is out of room for metadata");
    /* of much metadata the kernel's 4 MiB would come after the bound for new volumes */
    status.metadata_total = 1 << 20;
    status.metadata_used = (1 << 20) - (1 << 17);
    assert_false(thin_pool_metadata_scarce(&status));
    status.metadata_used++;
    assert_true(thin_pool_metadata_scarce(&status));
    status.mode = LINE_OUT_OF_METADATA;
    status.metadata_used = 0;
    assert_level(status, THIN_FULL, "is out of room for metadata");
}

/* Whatever room there is. Each says what to do. */
static void what_is_broken_comes_before_what_is_full(void **state)
{
    struct line_pool_status status = roomy();

    (void)state;
    status.data_used = status.data_total;
    status.mode = LINE_READ_ONLY;
    assert_level(status, THIN_READ_ONLY, "serves reads only");
    assert_level(status, THIN_READ_ONLY, "start cowsnapd again");
    status.needs_check = true;
    assert_level(status, THIN_NEEDS_CHECK, "until its metadata have been checked");
    assert_level(status, THIN_NEEDS_CHECK, "run `cowsnap pool check`");
    status.mode = LINE_FAILED;
    assert_level(status, THIN_FAILED, "has failed and serves nothing");
    assert_level(status, THIN_FAILED, "run `cowsnap pool check`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_with_room_needs_no_advice),
        cmocka_unit_test(room_for_data_has_two_bounds),
        cmocka_unit_test(the_low_water_of_a_small_pool_is_a_share),
        cmocka_unit_test(room_for_metadata_has_two_bounds),
        cmocka_unit_test(what_is_broken_comes_before_what_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
