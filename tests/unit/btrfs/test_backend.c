/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/backend.h"
#include "unit/cmocka_setup.h"

#include <string.h>

static void btrfs_is_found_by_its_name(void **state)
{
    const struct backend_ops *ops = NULL;

    (void)state;
    assert_int_equal(backend_find("btrfs", &ops, NULL), 0);
    assert_ptr_equal(ops, &backend_btrfs);
}

static void an_unknown_name_lists_those_there_are(void **state)
{
    const struct backend_ops *ops = NULL;
    struct reason why = {0};

    (void)state;
    assert_int_equal(backend_find("zf\ns", &ops, &why), CONDITION_INVALID);
    assert_null(ops);
    assert_non_null(strstr(why.text, "\"zf\\x0as\""));
    assert_non_null(strstr(why.text, "there are: btrfs"));
}

static void a_missing_function_is_named(void **state)
{
    struct reason why = {0};

    (void)state;
#define CHECK_WITHOUT(member)                                                                      \
    do {                                                                                           \
        struct backend_ops ops = backend_btrfs;                                                    \
        ops.member = NULL;                                                                         \
        assert_int_equal(backend_check(&ops, &why), CONDITION_INVALID);                            \
        assert_non_null(strstr(why.text, #member));                                                \
    } while (0)
    CHECK_WITHOUT(name);
    CHECK_WITHOUT(open);
    CHECK_WITHOUT(close);
    CHECK_WITHOUT(create);
    CHECK_WITHOUT(clone);
    CHECK_WITHOUT(remove);
    CHECK_WITHOUT(locate);
    CHECK_WITHOUT(open_root);
    CHECK_WITHOUT(sync);
    CHECK_WITHOUT(usage);
    CHECK_WITHOUT(each);
    CHECK_WITHOUT(status);
}

static void what_may_be_absent_may_be_absent(void **state)
{
    struct backend_ops ops = backend_btrfs;

    (void)state;
    ops.seal = NULL;
    ops.settle = NULL;
    assert_int_equal(backend_check(&ops, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(btrfs_is_found_by_its_name),
        cmocka_unit_test(an_unknown_name_lists_those_there_are),
        cmocka_unit_test(a_missing_function_is_named),
        cmocka_unit_test(what_may_be_absent_may_be_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
