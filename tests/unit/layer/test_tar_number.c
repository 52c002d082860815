/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_number.h"

#include "unit/cmocka_setup.h"

#define FIELD(text) bytes_from(text, sizeof(text) - 1)

static void assert_field(struct bytes field, int64_t expected)
{
    int64_t value = 12345;

    assert_true(tar_number_field(field, &value));
    assert_int_equal(value, expected);
}

static void assert_no_field(struct bytes field)
{
    int64_t value = 12345;

    assert_false(tar_number_field(field, &value));
    assert_int_equal(value, 12345);
}

static void reads_octal_with_any_padding(void **state)
{
    (void)state;
    assert_field(FIELD("0000644\0"), 0644);
    assert_field(FIELD("  644 \0\0"), 0644);
    assert_field(FIELD("\0 \00012\0 "), 012);
    assert_field(FIELD("77777777"), 077777777);
    assert_field(FIELD("777777777777"), 0777777777777);
    assert_field(FIELD("\0\0\0\0"), 0);
    assert_field(FIELD("    "), 0);
    assert_field(FIELD(""), 0);
}

static void looks_at_nothing_behind_a_nul(void **state)
{
    (void)state;
    assert_field(FIELD("12\0zz99"), 012);
}

static void refuses_what_is_not_octal(void **state)
{
    (void)state;
    assert_no_field(FIELD("8"));
    assert_no_field(FIELD("-1"));
    assert_no_field(FIELD("+1"));
    assert_no_field(FIELD("0x1"));
    assert_no_field(FIELD("1 2"));
    assert_no_field(FIELD("1777777777777777777777"));
    assert_field(FIELD("777777777777777777777"), INT64_MAX);
    assert_no_field(FIELD("1000000000000000000000"));
}

static void reads_base_256_of_both_signs(void **state)
{
    (void)state;
    assert_field(FIELD("\x80\0\0\0\0\0\x01\x02"), 0x102);
    assert_field(FIELD("\x80"), 0);
    assert_field(FIELD("\xbf"), 0x3f);
    assert_field(FIELD("\xff\xff\xff\xff\xff\xff\xff\xff"), -1);
    assert_field(FIELD("\xff\xff\xff\xff\xff\xff\xff\xfe"), -2);
    assert_field(FIELD("\xc0"), -64);
    assert_field(FIELD("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX);
    assert_field(FIELD("\xff\xff\xff\xff\x80\0\0\0\0\0\0\0"), INT64_MIN);
}

static void refuses_base_256_past_64_bits(void **state)
{
    (void)state;
    assert_no_field(FIELD("\x80\0\0\0\x80\0\0\0\0\0\0\0"));
    assert_no_field(FIELD("\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff"));
    assert_no_field(FIELD("\x80\x01\0\0\0\0\0\0\0\0\0\0"));
}

static void assert_decimal(const char *text, int64_t expected)
{
    int64_t value = 12345;

    assert_true(tar_number_decimal(bytes_of(text), &value));
    assert_int_equal(value, expected);
}

static void reads_decimal_up_to_both_ends_of_64_bits(void **state)
{
    (void)state;
    assert_decimal("0", 0);
    assert_decimal("-0", 0);
    assert_decimal("+7", 7);
    assert_decimal("000000000000000000000000000000000000012", 12);
    assert_decimal("9223372036854775807", INT64_MAX);
    assert_decimal("-9223372036854775807", -INT64_MAX);
    assert_decimal("-9223372036854775808", INT64_MIN);
}

static void refuses_what_is_no_decimal(void **state)
{
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        " 1",
                                        "1 ",
                                        "--1",
                                        "1-",
                                        "0x1",
                                        "1_0",
                                        "1e3",
                                        "1.0",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "18446744073709551616",
                                        "99999999999999999999999999999"};
    int64_t value = 12345;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(tar_number_decimal(bytes_of(wrong[i]), &value));
    assert_false(tar_number_decimal(bytes_from("1\0", 2), &value));
    assert_int_equal(value, 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_octal_with_any_padding),
        cmocka_unit_test(looks_at_nothing_behind_a_nul),
        cmocka_unit_test(refuses_what_is_not_octal),
        cmocka_unit_test(reads_base_256_of_both_signs),
        cmocka_unit_test(refuses_base_256_past_64_bits),
        cmocka_unit_test(reads_decimal_up_to_both_ends_of_64_bits),
        cmocka_unit_test(refuses_what_is_no_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
