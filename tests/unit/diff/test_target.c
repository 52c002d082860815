/* SPDX-License-Identifier: Apache-2.0 */
#include "diff/target.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct mounts one_mount(const char *type, const char *source, const char *const *options)
{
    struct mounts mounts;

    mounts_make(&mounts, 1);
    mount_set(&mounts.items[0], type, source, "");
    for (; options && *options; options++)
        mount_add_option(&mounts.items[0], *options);
    return mounts;
}

static int open_one(struct rig *rig, struct target *target, const char *type, const char *source,
                    const char *const *options)
{
    static atomic_bool cancel;
    struct mounts mounts = one_mount(type, source, options);
    int result;

    rig->why = (struct reason){0};
    result = target_open(target, rig->snapshots, &mounts, &cancel, &rig->why);
    mounts_clear(&mounts);
    return result;
}

static const char *const writable[] = {"rw", "rbind", NULL};

static void our_own_mounts_are_held(void **state)
{
    struct rig *rig = *state;
    struct target target;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(open_one(rig, &target, "bind", "/memory/1", writable), 0);
    assert_true(target.ours);
    assert_int_equal(target.hold.id, 1);
    assert_int_equal(target_close(&target, rig->snapshots, NULL, false, &rig->why), 0);
}

static void a_bind_mount_of_another_is_opened(void **state)
{
    struct rig *rig = *state;
    struct target target;

    assert_int_equal(open_one(rig, &target, "bind", rig->path, writable), 0);
    assert_false(target.ours);
    assert_int_equal(target.whiteouts, WHITEOUT_DELETE);
    assert_true(target.directory >= 0);
    assert_int_equal(target_close(&target, rig->snapshots, NULL, false, &rig->why), 0);
}

static void an_overlay_is_written_into_its_upper(void **state)
{
    struct rig *rig = *state;
    struct target target;
    char upper[128];
    const char *const options[] = {"index=off", "workdir=/w", upper,
                                   "lowerdir=/one:/two\\:half:/three", NULL};

    snprintf(upper, sizeof(upper), "upperdir=%s", rig->path);
    assert_int_equal(open_one(rig, &target, "overlay", "overlay", options), 0);
    assert_int_equal(target.whiteouts, WHITEOUT_OVERLAY);
    assert_string_equal(target.lowers[0], "/one");
    assert_string_equal(target.lowers[1], "/two:half");
    assert_string_equal(target.lowers[2], "/three");
    assert_null(target.lowers[3]);
    assert_int_equal(target_close(&target, rig->snapshots, NULL, false, &rig->why), 0);
}

static void what_is_not_served_goes_to_the_next_differ(void **state)
{
    struct rig *rig = *state;
    struct target target;
    static const char *const shifted[] = {"upperdir=/tmp", "uidmap=0:1000:1", NULL};
    static const char *const shifted_bind[] = {"uidmap=0:1000:1", "rw", "rbind", NULL};
    struct mounts none = {0};
    atomic_bool cancel = false;

    assert_int_equal(open_one(rig, &target, "ext4", "/dev/sda1", writable),
                     CONDITION_UNIMPLEMENTED);
    assert_int_equal(open_one(rig, &target, "overlay", "overlay", shifted),
                     CONDITION_UNIMPLEMENTED);
    assert_int_equal(open_one(rig, &target, "bind", rig->path, shifted_bind),
                     CONDITION_UNIMPLEMENTED);
    assert_int_equal(target_open(&target, rig->snapshots, &none, &cancel, &rig->why),
                     CONDITION_UNIMPLEMENTED);
}

static void what_cannot_be_written_is_refused(void **state)
{
    struct rig *rig = *state;
    struct target target;
    static const char *const readonly[] = {"ro", "rbind", NULL};
    static const char *const no_upper[] = {"lowerdir=/one", NULL};

    assert_int_equal(open_one(rig, &target, "bind", rig->path, readonly), CONDITION_INVALID);
    assert_int_equal(open_one(rig, &target, "overlay", "overlay", no_upper), CONDITION_INVALID);
    assert_int_equal(open_one(rig, &target, "bind", "tmp", writable), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "absolute"));
    assert_int_equal(open_one(rig, &target, "bind", "/no/such/folder", writable),
                     CONDITION_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(our_own_mounts_are_held, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bind_mount_of_another_is_opened, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(an_overlay_is_written_into_its_upper, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_served_goes_to_the_next_differ, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_refused, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
