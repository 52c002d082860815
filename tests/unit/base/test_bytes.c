/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "unit/cmocka_setup.h"

#include <stdlib.h>

static void compares_by_unsigned_byte(void **state)
{
    (void)state;
    assert_true(bytes_compare(bytes_of("a"), bytes_of("b")) < 0);
    assert_true(bytes_compare(bytes_of("a"), bytes_of("aa")) < 0);
    assert_true(bytes_compare(bytes_of("\xff"), bytes_of("a")) > 0);
    assert_int_equal(bytes_compare(bytes_of(""), bytes_of(NULL)), 0);
    assert_true(bytes_equal(bytes_from("a\0b", 3), bytes_from("a\0b", 3)));
    assert_false(bytes_equal(bytes_from("a\0b", 3), bytes_from("a\0c", 3)));
}

static void finds_a_prefix(void **state)
{
    (void)state;
    assert_true(bytes_start_with(bytes_of("labels.x"), bytes_of("labels.")));
    assert_true(bytes_start_with(bytes_of("x"), bytes_of("")));
    assert_false(bytes_start_with(bytes_of("lab"), bytes_of("labels.")));
}

static void copies_end_in_nul(void **state)
{
    uint8_t *copy = bytes_copy(bytes_from("a\0b", 3));

    (void)state;
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
}

static void quotes_what_would_harm_a_line(void **state)
{
    (void)state;
    assert_string_equal(quoted(bytes_of("ns/1/key")), "\"ns/1/key\"");
    assert_string_equal(quoted(bytes_from("a\n\0\"\\", 5)), "\"a\\x0a\\x00\\x22\\x5c\"");
    assert_string_equal(quoted(bytes_of("caf\xc3\xa9")), "\"caf\xc3\xa9\"");
    /* cut sequences, overlong forms and surrogates are shown as bytes */
    assert_string_equal(quoted(bytes_of("\xc3")), "\"\\xc3\"");
    assert_string_equal(quoted(bytes_of("\xc0\xaf")), "\"\\xc0\\xaf\"");
    assert_string_equal(quoted(bytes_of("\xed\xa0\x80")), "\"\\xed\\xa0\\x80\"");
    /* U+009B begins a command on some terminals; U+00A0 does not */
    assert_string_equal(quoted(bytes_of("\xc2\x9b")), "\"\\xc2\\x9b\"");
    assert_string_equal(quoted(bytes_of("\xc2\xa0")), "\"\xc2\xa0\"");
}

static void quoting_cuts_what_is_too_long(void **state)
{
    char buffer[QUOTE_ROOM(2)];
    uint8_t many[1000];

    (void)state;
    memset(many, '\n', sizeof(many));
    bytes_quote(bytes_from(many, sizeof(many)), buffer, sizeof(buffer));
    assert_true(strlen(buffer) < sizeof(buffer));
    assert_string_equal(buffer, "\"\\x0a\\x0a…\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_by_unsigned_byte),
        cmocka_unit_test(finds_a_prefix),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(quotes_what_would_harm_a_line),
        cmocka_unit_test(quoting_cuts_what_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
