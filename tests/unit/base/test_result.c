/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <string.h>

static void a_refusal_is_positive_and_says_why(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_int_equal(refuse(&why, CONDITION_NOT_FOUND, "snapshot %s", "x"), CONDITION_NOT_FOUND);
    assert_string_equal(why.text, "snapshot x");
    assert_true(refuse(NULL, CONDITION_EXISTS, "x") > 0);
}

static void a_failure_is_negative_and_names_the_operation(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_int_equal(failure(&why, ENOENT, "open %s", "/x"), -ENOENT);
    assert_string_equal(why.text, "open /x: No such file or directory");
    assert_int_equal(failure(&why, 0, "forgotten"), -EIO);
}

static void context_goes_before_the_sentence(void **state)
{
    struct reason why = {0};

    (void)state;
    refuse(&why, CONDITION_INVALID, "bad header");
    assert_int_equal(amend(&why, CONDITION_INVALID, "layer %d", 3), CONDITION_INVALID);
    assert_string_equal(why.text, "layer 3: bad header");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    struct reason why = {0};
    char text[2000];

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    for (int shift = 0; shift < 2; shift++) {
        refuse(&why, CONDITION_INVALID, "%.*s%s", shift, "x", text);
        size_t length = strlen(why.text);
        assert_true(length < sizeof(why.text));
        assert_string_equal(why.text + length - 3, "…");
        assert_int_equal((length - 3 - (size_t)shift) % 2, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_positive_and_says_why),
        cmocka_unit_test(a_failure_is_negative_and_names_the_operation),
        cmocka_unit_test(context_goes_before_the_sentence),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
