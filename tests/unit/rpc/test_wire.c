/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire.h"

#include "unit/cmocka_setup.h"

static void sees_stamp(int64_t nanoseconds, int64_t seconds, int32_t nanos)
{
    Containerd__Types__Timestamp stamp = wire_timestamp(nanoseconds);

    assert_int_equal(stamp.seconds, seconds);
    assert_int_equal(stamp.nanos, nanos);
    assert_int_equal(wire_nanoseconds(&stamp), nanoseconds);
}

static void nanos_are_positive_on_both_sides_of_the_epoch(void **state)
{
    (void)state;
    sees_stamp(0, 0, 0);
    sees_stamp(1700000000123456789, 1700000000, 123456789);
    sees_stamp(-1, -1, 999999999);
    sees_stamp(-1000000000, -1, 0);
    sees_stamp(-1500000000, -2, 500000000);
    sees_stamp(INT64_MAX, 9223372036, 854775807);
}

static void a_time_out_of_reach_is_as_far_as_can_be(void **state)
{
    Containerd__Types__Timestamp stamp = CONTAINERD__TYPES__TIMESTAMP__INIT;

    (void)state;
    stamp.seconds = INT64_MAX;
    assert_int_equal(wire_nanoseconds(&stamp), INT64_MAX);
    stamp.seconds = INT64_MIN;
    assert_int_equal(wire_nanoseconds(&stamp), INT64_MIN);
    assert_int_equal(wire_nanoseconds(NULL), 0);
}

static void what_is_no_text_is_told(void **state)
{
    const struct label good = {bytes_of("k"), bytes_of("\xc2\x9b é")};
    const struct label labels[] = {
        good, {bytes_of("bad"), bytes_of("v\xff")}, {bytes_of("\xc3("), bytes_of("v")}};
    struct reason why = {0};

    (void)state;
    assert_int_equal(wire_check_text(bytes_from("a\0b", 3), "key", &why), 0);
    assert_int_equal(wire_check_text(bytes_of("k\xff"), "key", &why), CONDITION_INVALID);
    assert_string_equal(why.text, "the key \"k\\xff\" is no UTF-8");
    assert_int_equal(wire_check_labels(NULL, 0, &why), 0);
    assert_int_equal(wire_check_labels(labels, 1, &why), 0);
    assert_int_equal(wire_check_labels(labels, 2, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "the value \"v\\xff\" of the label \"bad\" is no UTF-8");
    assert_int_equal(wire_check_labels(labels + 2, 1, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "the label \"\\xc3(\" is no UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nanos_are_positive_on_both_sides_of_the_epoch),
        cmocka_unit_test(a_time_out_of_reach_is_as_far_as_can_be),
        cmocka_unit_test(what_is_no_text_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
