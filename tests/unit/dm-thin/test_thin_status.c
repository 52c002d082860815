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

static void assert_level_of(enum thin_origin origin, struct line_pool_status status,
                            enum thin_level level, const char *words)
{
    const struct thin_pool pool = {.origin = origin, .name = "pool-x", .block_sectors = 128};
    struct reason why = {0};
    enum thin_level got = thin_pool_level(&pool, &status, UINT64_MAX, &why);

    if (got != level || !strstr(why.text, words) ||
        (level != THIN_OK && !strstr(why.text, "pool-x")))
        fail_msg("level %d: %s", (int)got, why.text);
}

static void assert_level(struct line_pool_status status, enum thin_level level, const char *words)
{
    assert_level_of(THIN_EMBEDDED, status, level, words);
}

static void a_pool_with_room_needs_no_advice(void **state)
{
    struct reason why = {0};
    static const struct thin_pool pool = {.name = "pool-x", .block_sectors = 128};
    struct line_pool_status status = roomy();

    (void)state;
    assert_int_equal(thin_pool_level(&pool, &status, UINT64_MAX, &why), THIN_OK);
    assert_string_equal(why.text, "");
}

/* The bounds are those of the pool's own room: 1 and 2 GiB here. */
static void room_on_the_disk_below_counts_as_the_pools_own(void **state)
{
    static const struct thin_pool pool = {.name = "pool-x", .block_sectors = 128};
    const uint64_t gib = UINT64_C(1) << 30;
    struct line_pool_status status = roomy();
    struct reason why = {0};

    (void)state;
    assert_int_equal(thin_pool_level(&pool, &status, 2 * gib + 65536, &why), THIN_OK);
    assert_int_equal(thin_pool_level(&pool, &status, 2 * gib, &why), THIN_LOW);
    assert_non_null(strstr(why.text, "the disk that the files of the thin pool pool-x lie on has "
                                     "room for 2.00 GiB more"));
    assert_int_equal(thin_pool_level(&pool, &status, gib + 65536, &why), THIN_LOW);
    assert_int_equal(thin_pool_level(&pool, &status, gib, &why), THIN_FULL);
    assert_int_equal(thin_pool_level(&pool, &status, 0, &why), THIN_FULL);
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
    assert_level_of(THIN_GIVEN, status, THIN_NEEDS_CHECK,
                    "run `thin_check` on its metadata device");
    status.mode = LINE_FAILED;
    assert_level(status, THIN_FAILED, "has failed and serves nothing");
    assert_level(status, THIN_FAILED, "run `cowsnap pool check`");
    assert_level_of(THIN_GIVEN, status, THIN_FAILED, "run `thin_check` on its metadata device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_with_room_needs_no_advice),
        cmocka_unit_test(room_for_data_has_two_bounds),
        cmocka_unit_test(room_on_the_disk_below_counts_as_the_pools_own),
        cmocka_unit_test(the_low_water_of_a_small_pool_is_a_share),
        cmocka_unit_test(room_for_metadata_has_two_bounds),
        cmocka_unit_test(what_is_broken_comes_before_what_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
