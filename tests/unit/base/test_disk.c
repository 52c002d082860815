/* SPDX-License-Identifier: Apache-2.0 */
#include "base/disk.h"
#include "unit/cmocka_setup.h"

#include <errno.h>

static void a_full_disk_is_a_condition_and_says_what_to_do(void **state)
{
    static const int errors[] = {ENOSPC, EDQUOT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct reason why = {0};

        assert_int_equal(disk_failure(&why, errors[i], "/root/folder", "make %s", "it"),
                         CONDITION_EXHAUSTED);
        assert_string_equal(why.text, "make it: the file system that holds /root/folder is full "
                                      "(no space or no inodes left, or a quota is used up); free "
                                      "some space there");
    }
}

static void any_other_error_is_a_failure(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_int_equal(disk_failure(&why, EIO, "/root", "make %s", "it"), -EIO);
    assert_string_equal(why.text, "make it: Input/output error");
    assert_int_equal(disk_failure(NULL, ENOSPC, "/root", "make it"), CONDITION_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_a_condition_and_says_what_to_do),
        cmocka_unit_test(any_other_error_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
