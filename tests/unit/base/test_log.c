/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char line[4096];

/* Says TEXT at the level "warn" and keeps what came out, without its time, in LINE. */
static const char *said(enum log_format format, const char *text)
{
    int output = memfd_create("log", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);
    char all[4096] = "";
    ssize_t length;

    log_setup(LOG_LEVEL_INFO, format);
    assert_true(dup2(output, STDERR_FILENO) >= 0);
    log_warn("%s", text);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    length = pread(output, all, sizeof(all) - 1, 0);
    close(before);
    close(output);
    assert_true(length >= 0);
    if (length > 0) {
        const char *stamp = format == LOG_FORMAT_JSON ? strchr(all, ':') + 2 : all;

        assert_int_equal(all[length - 1], '\n');
        assert_int_equal(strlen(all), length);
        assert_int_equal(stamp[4], '-');
        assert_int_equal(stamp[10], 'T');
        assert_int_equal(stamp[26], 'Z');
        strcpy(line, stamp + 27);
    } else {
        line[0] = '\0';
    }
    return line;
}

static void text_is_a_line_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(said(LOG_FORMAT_TEXT, "hello"), " warn  hello\n");
    assert_string_equal(said(LOG_FORMAT_TEXT, "a\nforged \"line\"\x7f\x1b[1m"),
                        " warn  a\\u000aforged \"line\"\\u007f\\u001b[1m\n");
}

static void commands_for_a_terminal_are_escaped(void **state)
{
    (void)state;
    assert_string_equal(said(LOG_FORMAT_TEXT, "\xc2\x9b"
                                              "1m \xc2\xa0"),
                        " warn  \\u009b1m \xc2\xa0\n");
}

static void json_is_one_object(void **state)
{
    (void)state;
    assert_string_equal(said(LOG_FORMAT_JSON, "hello"),
                        "\",\"level\":\"warn\",\"msg\":\"hello\"}\n");
    assert_string_equal(said(LOG_FORMAT_JSON, "a\"b\\c\td"),
                        "\",\"level\":\"warn\",\"msg\":\"a\\\"b\\\\c\\u0009d\"}\n");
    assert_string_equal(said(LOG_FORMAT_JSON, "caf\xc3\xa9"),
                        "\",\"level\":\"warn\",\"msg\":\"caf\xc3\xa9\"}\n");
}

/* JSON is UTF-8 (RFC 8259, 8.1): one bad byte would cost its reader the whole line. */
static void json_is_well_formed_whatever_is_said(void **state)
{
    (void)state;
    assert_string_equal(said(LOG_FORMAT_JSON, "\xff\xc3("),
                        "\",\"level\":\"warn\",\"msg\":\"\\ufffd\\ufffd(\"}\n");
}

/* Cut inside a character, or at the end of the room, it still is a line. */
static void a_long_text_is_cut_and_ended(void **state)
{
    static char text[3001];

    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        const char *found;

        for (size_t i = 0; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xc3\xa9", 2);
        memset(text, 'x', (size_t)shift);
        found = said(LOG_FORMAT_JSON, text + (shift == 2));
        assert_true(strlen(found) > 900);
        assert_string_equal(found + strlen(found) - 3, "\"}\n");
        for (const char *at = strchr(found, '\xc3'); at; at = strchr(at + 1, '\xc3'))
            assert_int_equal(at[1], '\xa9');
    }
    memset(text, '\n', 3000);
    assert_true(strlen(said(LOG_FORMAT_JSON, text)) < 2300);
    assert_string_equal(line + strlen(line) - 9, "\\u000a\"}\n");
    assert_true(strlen(said(LOG_FORMAT_TEXT, text)) < 2300);
    assert_string_equal(line + strlen(line) - 7, "\\u000a\n");
}

static void less_than_the_level_is_not_said(void **state)
{
    int output = memfd_create("log", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);

    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_true(dup2(output, STDERR_FILENO) >= 0);
    log_warn("not said");
    assert_int_equal(lseek(output, 0, SEEK_CUR), 0);
    log_error("said");
    assert_true(lseek(output, 0, SEEK_CUR) > 0);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(output);
}

static void names_are_those_of_the_settings(void **state)
{
    (void)state;
    assert_int_equal(log_level_from_name("debug"), LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_from_name("error"), LOG_LEVEL_ERROR);
    assert_int_equal(log_level_from_name("Error"), -1);
    assert_int_equal(log_level_from_name(""), -1);
    assert_int_equal(log_format_from_name("json"), LOG_FORMAT_JSON);
    assert_int_equal(log_format_from_name("xml"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_a_line_of_its_own),
        cmocka_unit_test(commands_for_a_terminal_are_escaped),
        cmocka_unit_test(json_is_one_object),
        cmocka_unit_test(json_is_well_formed_whatever_is_said),
        cmocka_unit_test(a_long_text_is_cut_and_ended),
        cmocka_unit_test(less_than_the_level_is_not_said),
        cmocka_unit_test(names_are_those_of_the_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
