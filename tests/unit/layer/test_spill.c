/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/spill.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <fcntl.h>
#include <string.h>

static void a_spill_file_has_no_name(void **state)
{
    struct tree_rig *rig = *state;
    scoped_fd int fd = -1;
    char text[8] = "";

    assert_int_equal(spill_open(rig->fd, &fd, NULL), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_string_equal(tree_rig_list(rig, "."), "");
    assert_int_equal(spill_write(fd, "abc", 3, 100, NULL), 0);
    assert_int_equal(spill_read(fd, text, 3, 100, NULL), 0);
    assert_string_equal(text, "abc");
}

static void reading_past_the_end_gives_zeros(void **state)
{
    struct tree_rig *rig = *state;
    scoped_fd int fd = -1;
    char text[8];

    assert_int_equal(spill_open(rig->fd, &fd, NULL), 0);
    assert_int_equal(spill_write(fd, "abc", 3, 0, NULL), 0);
    memset(text, '!', sizeof(text));
    assert_int_equal(spill_read(fd, text, sizeof(text), 1, NULL), 0);
    assert_memory_equal(text, "bc\0\0\0\0\0\0", 8);
}

static void what_fails_names_the_file(void **state)
{
    struct reason why = {0};
    scoped_fd int nowhere = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int null = open("/dev/full", O_RDWR | O_CLOEXEC);
    int fd;

    (void)state;
    assert_true(spill_open(nowhere, &fd, &why) != 0);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(why.text, "temporary file of a large layer"));
    assert_int_equal(spill_write(null, "x", 1, 0, &why), CONDITION_EXHAUSTED);
    assert_true(spill_read(-1, &fd, 1, 0, &why) < 0);
}

/* Records of growing length, each filled with its number, in a list of LIMIT bytes of memory. */
static void keeps(struct tree_rig *rig, size_t limit, unsigned count)
{
    struct spill_list list;
    uint8_t record[64], found[64];
    size_t got;

    assert_int_equal(spill_list_init(&list, rig->fd, limit, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        memset(record, (int)i, sizeof(record));
        assert_int_equal(spill_list_append(&list, record, 1 + i % 64, NULL), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        memset(record, (int)i, sizeof(record));
        assert_int_equal(spill_list_take(&list, found, 1 + i % 64, &got, NULL), 0);
        assert_int_equal(got, 1 + i % 64);
        assert_memory_equal(found, record, got);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(spill_list_take(&list, found, 1, &got, NULL), 0);
        assert_int_equal(got, 0);
    }
    spill_list_deinit(&list);
}

static void a_list_gives_back_what_it_got_in_order(void **state)
{
    struct tree_rig *rig = *state;

    keeps(rig, 4096, 0);
    keeps(rig, 4096, 1);
    keeps(rig, 4096, 100);  /* all of it in memory */
    keeps(rig, 4096, 1000); /* most of it in a file */
    keeps(rig, 64, 1000);
    keeps(rig, 65, 129);
    assert_string_equal(tree_rig_list(rig, "."), "");
}

static void a_list_whose_file_cannot_be_made_fails(void **state)
{
    struct spill_list list;
    uint8_t record[16] = {0};

    (void)state;
    assert_int_equal(spill_list_init(&list, -1, 20, NULL), 0);
    assert_int_equal(spill_list_append(&list, record, sizeof(record), NULL), 0);
    assert_true(spill_list_append(&list, record, sizeof(record), NULL) < 0);
    spill_list_deinit(&list);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, tree_rig_setup, tree_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_spill_file_has_no_name),
        with_rig(reading_past_the_end_gives_zeros),
        cmocka_unit_test(what_fails_names_the_file),
        with_rig(a_list_gives_back_what_it_got_in_order),
        cmocka_unit_test(a_list_whose_file_cannot_be_made_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
