/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/name_set.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <stdio.h>
#include <string.h>

static bool has(struct name_set *set, const char *folder, const char *base, enum name_note note)
{
    bool found;

    assert_int_equal(name_set_has(set, folder, base, note, &found, NULL), 0);
    return found;
}

static void add(struct name_set *set, const char *folder, const char *base, enum name_note note)
{
    assert_int_equal(name_set_add(set, folder, base, note, NULL), 0);
}

static void names_and_notes_are_told_apart(void **state)
{
    struct tree_rig *rig = *state;
    struct name_set *set;

    assert_int_equal(name_set_new(&set, rig->fd, NAME_SET_MEMORY, NULL), 0);
    assert_false(has(set, "", "", NAME_UNPACKED));
    add(set, "usr/lib", "x", NAME_UNPACKED);
    assert_true(has(set, "usr/lib", "x", NAME_UNPACKED));
    assert_false(has(set, "usr/lib", "x", NAME_IMPLIED));
    assert_false(has(set, "usr/lib", "x", NAME_OUR_FOLDER));
    assert_false(has(set, "usr/lib", "y", NAME_UNPACKED));
    assert_false(has(set, "usr/li", "bx", NAME_UNPACKED));
    assert_false(has(set, "usr/libx", "", NAME_UNPACKED));
    /* however a name is cut in two, it is one */
    assert_true(has(set, "usr/lib/x", "", NAME_UNPACKED));
    assert_true(has(set, "usr", "lib/x", NAME_UNPACKED));
    assert_true(has(set, "", "usr/lib/x", NAME_UNPACKED));
    add(set, "", "", NAME_OUR_FOLDER);
    assert_true(has(set, "", "", NAME_OUR_FOLDER));
    assert_null(name_set_free(set));
    assert_null(name_set_free(NULL));
}

/* Half of COUNT names are put in, twice; exactly those are found, while it grows and afterwards. */
static void holds(struct tree_rig *rig, size_t memory, unsigned count)
{
    struct name_set *set;
    char base[16];

    assert_int_equal(name_set_new(&set, rig->fd, memory, NULL), 0);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < count; i += 2) {
            snprintf(base, sizeof(base), "%u", i);
            add(set, "folder", base, NAME_UNPACKED);
            snprintf(base, sizeof(base), "%u", i / 2);
            if (has(set, "folder", base, NAME_UNPACKED) != (i / 2 % 2 == 0))
                fail_msg("after %u of %u names, %s is not as it was put", i, count, base);
        }
    for (unsigned i = 0; i < count; i++) {
        snprintf(base, sizeof(base), "%u", i);
        if (has(set, "folder", base, NAME_UNPACKED) != (i % 2 == 0))
            fail_msg("of %u names in %zu bytes, %s is not as it was put", count, memory, base);
    }
    name_set_free(set);
}

static void a_set_grows_in_memory(void **state)
{
    holds(*state, NAME_SET_MEMORY, 50000);
}

static void a_set_moves_to_a_file_that_splits_its_blocks(void **state)
{
    struct tree_rig *rig = *state;

    holds(rig, 0, 8000);
    holds(rig, 64 * 1024, 60000);
    assert_string_equal(tree_rig_list(rig, "."), ""); /* the file has no name */
}

static void a_file_that_cannot_be_made_is_a_failure(void **state)
{
    struct name_set *set;
    struct reason why = {0};
    char base[16];
    int result = 0;

    (void)state;
    assert_int_equal(name_set_new(&set, -1, 0, NULL), 0);
    for (unsigned i = 0; !result && i < 10000; i++) {
        snprintf(base, sizeof(base), "%u", i);
        result = name_set_add(set, "", base, NAME_UNPACKED, &why);
    }
    assert_true(result < 0);
    assert_non_null(strstr(why.text, "temporary file"));
    name_set_free(set);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, tree_rig_setup, tree_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(names_and_notes_are_told_apart),
        with_rig(a_set_grows_in_memory),
        with_rig(a_set_moves_to_a_file_that_splits_its_blocks),
        cmocka_unit_test(a_file_that_cannot_be_made_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
