/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>

static void is_shown(struct bytes bytes, const char *expected)
{
    char *text = text_shown(bytes);

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void only_what_needs_it_is_quoted(void **state)
{
    (void)state;
    is_shown(bytes_of("k8s.io/12/sha256:ab cd"), "k8s.io/12/sha256:ab cd");
    is_shown(bytes_of("caf\xc3\xa9"), "caf\xc3\xa9");
    is_shown(bytes_of(""), "\"\"");
    is_shown(bytes_of("\x1b[2J"), "\"\\x1b[2J\"");
    is_shown(bytes_of("\xc2\x9b"), "\"\\xc2\\x9b\"");
    is_shown(bytes_of("\xff"), "\"\\xff\"");
    is_shown(bytes_from("a\0", 2), "\"a\\x00\"");
    /* so that nobody takes it for an escape, or for quotes of ours */
    is_shown(bytes_of("\\x1b"), "\"\\x5cx1b\"");
    is_shown(bytes_of("\"a\""), "\"\\x22a\\x22\"");
}

static void long_keys_are_shown_whole(void **state)
{
    enum { LENGTH = 65536 };
    uint8_t *key = malloc(LENGTH);
    char *text;

    (void)state;
    assert_non_null(key);
    memset(key, 'a', LENGTH);
    text = text_shown(bytes_from(key, LENGTH));
    assert_int_equal(strlen(text), LENGTH);
    free(text);
    memset(key, 0xff, LENGTH);
    text = text_shown(bytes_from(key, LENGTH));
    assert_int_equal(strlen(text), 4 * LENGTH + 2);
    free(text);
    free(key);
}

static void spans_have_two_units(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0 s"},          {59, "59 s"},           {60, "1 min 0 s"},  {3599, "59 min 59 s"},
        {3600, "1 h 0 min"}, {86399, "23 h 59 min"}, {86400, "1 d 0 h"}, {40000000, "462 d 23 h"},
    };
    char buffer[TIME_ROOM];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(time_span(cases[i].seconds, buffer), cases[i].text);
    time_span(UINT64_MAX, buffer);
    assert_non_null(strstr(buffer, " d "));
}

static void local_times_follow_the_zone(void **state)
{
    char buffer[TIME_ROOM];

    (void)state;
    assert_int_equal(setenv("TZ", "EST5", 1), 0);
    assert_string_equal(time_local(1700000000000000000, buffer), "2023-11-14 17:13:20");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_needs_it_is_quoted),
        cmocka_unit_test(long_keys_are_shown_whole),
        cmocka_unit_test(spans_have_two_units),
        cmocka_unit_test(local_times_follow_the_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
