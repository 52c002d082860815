/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/line.h"
#include "unit/cmocka_setup.h"

#include <string.h>

/* Lines as kernels 6.1 and 6.12 give them. */
static void the_status_of_a_pool_is_read(void **state)
{
    struct line_pool_status status;

    (void)state;
    assert_true(line_parse_pool_status("7 421/4096 71/16384 - rw discard_passdown "
                                       "error_if_no_space - 1024 ",
                                       &status));
    assert_int_equal(status.mode, LINE_READ_WRITE);
    assert_int_equal(status.transaction, 7);
    assert_int_equal(status.metadata_used, 421);
    assert_int_equal(status.metadata_total, 4096);
    assert_int_equal(status.data_used, 71);
    assert_int_equal(status.data_total, 16384);
    assert_false(status.held || status.needs_check);
    assert_true(status.error_if_no_space);

    assert_true(line_parse_pool_status("0 1/2 3/4 99 out_of_data_space discard_passdown "
                                       "queue_if_no_space - 1024",
                                       &status));
    assert_int_equal(status.mode, LINE_OUT_OF_DATA);
    assert_true(status.held);
    assert_int_equal(status.held_root, 99);
    assert_false(status.error_if_no_space);

    assert_true(line_parse_pool_status("0 1/2 3/4 - ro no_discard_passdown error_if_no_space "
                                       "needs_check 1024",
                                       &status));
    assert_int_equal(status.mode, LINE_READ_ONLY);
    assert_true(status.needs_check);
}

static void a_pool_that_is_no_more_says_so(void **state)
{
    struct line_pool_status status;

    (void)state;
    assert_true(line_parse_pool_status("Fail", &status));
    assert_int_equal(status.mode, LINE_FAILED);
    assert_true(line_parse_pool_status("Error", &status));
    assert_int_equal(status.mode, LINE_FAILED);
    assert_true(line_parse_pool_status("0 4096/4096 3/4 - ro discard_passdown - 1", &status));
    assert_int_equal(status.mode, LINE_OUT_OF_METADATA);
}

static void what_is_no_status_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "0",
        "0 1/2",
        "0 1/2 3/4",
        "0 1/2 3/4 -",
        "0 1/2 3/4 - odd",
        "-1 1/2 3/4 - rw",
        "0 1/2/3 3/4 - rw",
        "0 1/ 3/4 - rw",
        "0 1/2 3/4 x rw",
        "99999999999999999999 1/2 3/4 - rw",
        "18446744073709551616 1/2 3/4 - rw",
    };
    struct line_pool_status status;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (line_parse_pool_status(lines[i], &status))
            fail_msg("taken: %s", lines[i]);
    assert_true(line_parse_pool_status("18446744073709551615 1/2 3/4 - rw", &status));
    assert_true(status.transaction == UINT64_MAX);
}

static void tables_are_read_and_written(void **state)
{
    struct line_pool_table pool;
    char line[256];

    (void)state;
    assert_true(line_parse_pool_table("7:1 7:0 128 1024 1 error_if_no_space ", &pool));
    assert_int_equal(pool.metadata_major, 7);
    assert_int_equal(pool.metadata_minor, 1);
    assert_int_equal(pool.data_minor, 0);
    assert_int_equal(pool.block_sectors, 128);
    assert_false(line_parse_pool_table("7:1 7:0 0 1024", &pool));
    assert_false(line_parse_pool_table("/dev/loop1 7:0 128", &pool));

    line_pool_table(line, sizeof(line), "/dev/m", "/dev/d", 128, 9);
    assert_string_equal(line, "/dev/m /dev/d 128 9 1 error_if_no_space");
    line_thin_table(line, sizeof(line), 253, 4, 16777215);
    assert_string_equal(line, "253:4 16777215");
}

static void what_a_volume_has_mapped_is_read(void **state)
{
    uint64_t mapped;

    (void)state;
    assert_true(line_parse_thin_status("128 127", &mapped));
    assert_int_equal(mapped, 128);
    assert_true(line_parse_thin_status("0 -", &mapped));
    assert_int_equal(mapped, 0);
    assert_false(line_parse_thin_status("Fail", &mapped));
    assert_false(line_parse_thin_status("-", &mapped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_of_a_pool_is_read),
        cmocka_unit_test(a_pool_that_is_no_more_says_so),
        cmocka_unit_test(what_is_no_status_is_refused),
        cmocka_unit_test(tables_are_read_and_written),
        cmocka_unit_test(what_a_volume_has_mapped_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
