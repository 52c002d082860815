/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"

#include "unit/cmocka_setup.h"

static uint64_t parsed(const char *text)
{
    struct reason why = {0};
    uint64_t size = 0;

    if (size_parse(bytes_of(text), &size, &why))
        fail_msg("%s: %s", text, why.text);
    return size;
}

static const char *refused(struct bytes text, struct reason *why)
{
    uint64_t size = 77;

    assert_int_equal(size_parse(text, &size, why), CONDITION_INVALID);
    assert_int_equal(size, 77);
    return why->text;
}

static void reads_binary_and_decimal_units(void **state)
{
    (void)state;
    assert_int_equal(parsed("0"), 0);
    assert_int_equal(parsed("123"), 123);
    assert_int_equal(parsed("123B"), 123);
    assert_int_equal(parsed("512M"), 512u << 20);
    assert_int_equal(parsed("512MiB"), 512u << 20);
    assert_int_equal(parsed("20GiB"), 20ull << 30);
    assert_int_equal(parsed("20gib"), 20ull << 30);
    assert_int_equal(parsed("1 TB"), 1000000000000);
    assert_int_equal(parsed("7kB"), 7000);
    assert_int_equal(parsed("3P"), 3ull << 50);
    assert_int_equal(parsed("18446744073709551615"), UINT64_MAX);
}

static void refuses_what_is_no_size(void **state)
{
    static const char *const words[] = {"",    "G",   "-1G",  "1.5G", "1 ",     "1  G", "1GG",
                                        "1iB", "1E",  "1Gi",  "1GBB", "0x10",   " 1",   "+1",
                                        "1b ", "1,0", "1e10", "1\n",  "1GiBiB", "1@"};
    struct reason why;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        refused(bytes_of(words[i]), &why);
    refused(bytes_from("1\0", 2), &why);
    refused(bytes_from("1G\0", 3), &why);
    assert_string_equal(
        refused(bytes_of("big"), &why),
        "\"big\" is no size; write a whole number with a unit, such as \"20GiB\" or "
        "\"512M\"");
}

static void refuses_what_overflows(void **state)
{
    struct reason why;

    (void)state;
    assert_string_equal(refused(bytes_of("18446744073709551616"), &why),
                        "\"18446744073709551616\" is more bytes than a 64-bit number holds");
    refused(bytes_of("16384P"), &why);
    refused(bytes_of("99999999999999999999999999G"), &why);
}

static void shows_three_digits(void **state)
{
    (void)state;
    assert_string_equal(size_text(0), "0 B");
    assert_string_equal(size_text(999), "999 B");
    assert_string_equal(size_text(1000), "0.98 KiB");
    assert_string_equal(size_text(1024), "1.00 KiB");
    assert_string_equal(size_text(1536), "1.50 KiB");
    assert_string_equal(size_text(10 << 10), "10.0 KiB");
    assert_string_equal(size_text(20ull << 30), "20.0 GiB");
    assert_string_equal(size_text(340ull << 20), "340 MiB");
    assert_string_equal(size_text(UINT64_MAX), "16.0 EiB");
}

/* Rounding never shows a fourth digit, and never goes back. */
static void never_shows_four_digits(void **state)
{
    (void)state;
    for (unsigned power = 0; power < 64; power++)
        for (int step = -600; step <= 600; step++) {
            uint64_t size =
                (1ull << power) + (uint64_t)((1ll << (power > 10 ? power - 10 : 0)) * step);
            const char *text = size_text(size);
            size_t digits = 0;

            for (const char *at = text; *at && *at != ' '; at++)
                digits += *at != '.';
            if (digits > 3)
                fail_msg("%llu is shown as %s", (unsigned long long)size, text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_binary_and_decimal_units), cmocka_unit_test(refuses_what_is_no_size),
        cmocka_unit_test(refuses_what_overflows),         cmocka_unit_test(shows_three_digits),
        cmocka_unit_test(never_shows_four_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
