/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_error.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <string.h>

static void an_errno_is_told_as_what_it_means(void **state)
{
    static const struct {
        int error, result;
        const char *words;
    } cases[] = {
        {ENOSPC, CONDITION_EXHAUSTED, "cannot make the file \"f\\x0a\": the pool has no space"},
        {EDQUOT, CONDITION_EXHAUSTED, "the quota is used up"},
        {ENAMETOOLONG, CONDITION_INVALID, "255 bytes"},
        {ENOENT, -ENOENT, "was the snapshot removed"},
        {EIO, CONDITION_UNAVAILABLE, "cannot be read or written"},
        {EMLINK, CONDITION_INVALID, "as many names as"},
        {EBADF, -EBADF, "cannot make the file \"f\\x0a\": "},
        {EROFS, CONDITION_UNAVAILABLE, "the file system serves reads only"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reason why = {0};

        assert_int_equal(io_error(&why, cases[i].error, "make the file", "f\n"), cases[i].result);
        assert_non_null(strstr(why.text, cases[i].words));
        assert_int_equal(io_error(NULL, cases[i].error, "make the file", "f"), cases[i].result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_errno_is_told_as_what_it_means),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
