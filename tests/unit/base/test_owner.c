/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"
#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <unistd.h>

static int check(uid_t user, mode_t mode, struct reason *why)
{
    const struct stat status = {.st_uid = user, .st_mode = S_IFREG | mode};

    return owner_check(&status, "/etc/c.toml", why);
}

static void root_and_ourselves_are_trusted(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_true(owner_is_trusted(0));
    assert_true(owner_is_trusted(geteuid()));
    assert_false(owner_is_trusted(geteuid() + 1));
    assert_int_equal(check(0, 0644, &why), 0);
    assert_int_equal(check(geteuid(), 0755, &why), 0);
}

static void others_are_refused_with_what_to_do(void **state)
{
    struct reason why = {0};
    char expected[256];

    (void)state;
    snprintf(
        expected, sizeof(expected),
        "\"/etc/c.toml\" belongs to user %u, who could make the daemon do anything: chown root "
        "\"/etc/c.toml\"",
        geteuid() + 1);
    assert_int_equal(check(geteuid() + 1, 0644, &why), CONDITION_PRECONDITION);
    assert_string_equal(why.text, expected);
    assert_int_equal(check(0, 0664, &why), CONDITION_PRECONDITION);
    assert_string_equal(why.text, "\"/etc/c.toml\" may be written by others than its owner (mode "
                                  "0664): chmod go-w \"/etc/c.toml\"");
    assert_int_equal(check(0, 0602, &why), CONDITION_PRECONDITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_and_ourselves_are_trusted),
        cmocka_unit_test(others_are_refused_with_what_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
