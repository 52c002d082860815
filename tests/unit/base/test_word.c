/* SPDX-License-Identifier: Apache-2.0 */
#include "base/word.h"

#include "unit/cmocka_setup.h"

static unsigned distance(const char *a, const char *b)
{
    return word_distance(bytes_of(a), bytes_of(b));
}

static void counts_slips_of_the_keyboard(void **state)
{
    (void)state;
    assert_int_equal(distance("size", "size"), 0);
    assert_int_equal(distance("sise", "size"), 1);
    assert_int_equal(distance("siez", "size"), 1);
    assert_int_equal(distance("siz", "size"), 1);
    assert_int_equal(distance("sizes", "size"), 1);
    assert_int_equal(distance("", "size"), 4);
    assert_int_equal(distance("size", ""), 4);
    assert_int_equal(distance("kitten", "sitting"), 3);
}

static void words_beyond_measure_are_not_near(void **state)
{
    char word[200];

    (void)state;
    memset(word, 'a', sizeof(word));
    assert_int_equal(word_distance(bytes_from(word, sizeof(word)), bytes_of("a")), UINT32_MAX);
    assert_false(word_is_near(bytes_from(word, sizeof(word)), UINT32_MAX));
    assert_true(word_is_near(bytes_of("sise"), 2));
    assert_false(word_is_near(bytes_of("sise"), 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_slips_of_the_keyboard),
        cmocka_unit_test(words_beyond_measure_are_not_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
