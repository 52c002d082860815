/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/lower.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

/* The folder "near" or "far" of the rig, as it stands in a mount's options. */
static const char *path_of(const struct tree_rig *rig, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", rig->path, name);
    return path;
}

/* A folder of a lower that looks different from one that was just made. */
static void make_marked(struct tree_rig *rig, const char *name, mode_t mode, unsigned owner)
{
    const struct timespec times[2] = {{100, 5}, {200, 6}};

    tree_rig_folder(rig, name);
    assert_int_equal(fchownat(rig->fd, name, owner, owner + 1, 0), 0);
    assert_int_equal(fchmodat(rig->fd, name, mode, 0), 0);
    assert_int_equal(utimensat(rig->fd, name, times, 0), 0);
}

/* Makes "upper" after the folder NAME of the lowers "near" and "far". */
static int copy_up_within(struct tree_rig *rig, const char *name, uint64_t *steps)
{
    char near[128], far[128];
    const char *const lowers[] = {path_of(rig, "near", near), path_of(rig, "far", far), NULL};
    scoped_fd int fd = openat(rig->fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    rig->why = (struct reason){0};
    return lower_copy_up(fd, name, lowers, steps, &rig->why);
}

static int copy_up(struct tree_rig *rig, const char *name)
{
    return copy_up_within(rig, name, NULL);
}

static void upper_is(struct tree_rig *rig, mode_t mode, unsigned owner)
{
    struct stat status = tree_rig_stat(rig, "upper");

    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_uid, owner);
}

static int setup(void **state)
{
    int result = tree_rig_setup(state);

    tree_rig_folder(*state, "near");
    tree_rig_folder(*state, "far");
    tree_rig_folder(*state, "upper");
    assert_int_equal(fchmodat(((struct tree_rig *)*state)->fd, "upper", 0755, 0), 0);
    return result;
}

static void a_folder_takes_after_its_lower_one(void **state)
{
    struct tree_rig *rig = *state;
    struct stat status;

    make_marked(rig, "far/d", 03711, 42);
    assert_int_equal(copy_up(rig, "d"), 0);
    upper_is(rig, 03711, 42);
    status = tree_rig_stat(rig, "upper");
    assert_int_equal(status.st_gid, 43);
    assert_int_equal(status.st_atim.tv_sec, 100);
    assert_int_equal(status.st_atim.tv_nsec, 5);
    assert_int_equal(status.st_mtim.tv_sec, 200);
    assert_int_equal(status.st_mtim.tv_nsec, 6);
}

static void the_nearest_that_has_it_counts(void **state)
{
    struct tree_rig *rig = *state;

    make_marked(rig, "far/d", 0700, 1);
    make_marked(rig, "near/d", 0711, 2);
    assert_int_equal(copy_up(rig, "d"), 0);
    upper_is(rig, 0711, 2);
}

static void what_is_nowhere_below_stays_as_it_is(void **state)
{
    struct tree_rig *rig = *state;
    scoped_fd int fd = openat(rig->fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(copy_up(rig, "d/e"), 0);
    upper_is(rig, 0755, 0);
    assert_int_equal(lower_copy_up(fd, "d", NULL, NULL, &rig->why), 0);
    upper_is(rig, 0755, 0);
}

static void something_else_in_between_hides_it(void **state)
{
    struct tree_rig *rig = *state;

    make_marked(rig, "far/d", 0700, 1);
    tree_rig_file(rig, "near/d", "text");
    assert_int_equal(copy_up(rig, "d"), 0);
    upper_is(rig, 0755, 0);
    make_marked(rig, "far/e", 0700, 1);
    make_marked(rig, "far/e/f", 0700, 1);
    tree_rig_file(rig, "near/e", "text");
    assert_int_equal(copy_up(rig, "e/f"), 0);
    upper_is(rig, 0755, 0);
}

static void a_link_in_a_lower_stays_within_it(void **state)
{
    struct tree_rig *rig = *state;

    make_marked(rig, "near/real", 0710, 7);
    tree_rig_symlink(rig, "near/d", "/real");
    assert_int_equal(copy_up(rig, "d"), 0);
    upper_is(rig, 0710, 7);
}

/* As containerd does, which looks it up with a slash in front: lexically, "x/.." is where x is. */
static void a_link_in_a_lower_is_rooted(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "near/p");
    tree_rig_folder(rig, "near/p/q");
    make_marked(rig, "near/y", 0711, 1);
    make_marked(rig, "near/p/y", 0722, 2);
    tree_rig_symlink(rig, "near/x", "p/q");
    tree_rig_symlink(rig, "near/d", "x/../y");
    assert_int_equal(copy_up(rig, "d"), 0);
    upper_is(rig, 0711, 1);
}

static void what_leads_too_far_is_no_hidden_folder(void **state)
{
    struct tree_rig *rig = *state;
    uint64_t steps = 3;

    make_marked(rig, "far/d", 0710, 7);
    tree_rig_symlink(rig, "near/d", "d"); /* a circle */
    assert_int_equal(copy_up_within(rig, "d", &steps), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "too many folders and symlinks"));
    steps = 1000;
    assert_int_equal(copy_up_within(rig, "d", &steps), 0);
    upper_is(rig, 0755, 0);
    assert_in_range(steps, 1, 999);
}

static void attributes_come_along_but_those_that_are_the_overlays(void **state)
{
    struct tree_rig *rig = *state;
    scoped_fd int upper = openat(rig->fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int lower = -1;
    char value[16];

    make_marked(rig, "near/d", 0700, 1);
    lower = openat(rig->fd, "near/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fsetxattr(lower, "trusted.overlay.opaque", "y", 1, 0) < 0 ||
        fsetxattr(lower, "security.test", "\0x", 2, 0) < 0) {
        print_message("no attributes on this file system\n");
        skip();
    }
    assert_int_equal(copy_up(rig, "d"), 0);
    assert_int_equal(fgetxattr(upper, "security.test", value, sizeof(value)), 2);
    assert_memory_equal(value, "\0x", 2);
    assert_int_equal(fgetxattr(upper, "trusted.overlay.opaque", value, sizeof(value)), -1);
    assert_int_equal(errno, ENODATA);
}

static void a_lower_that_is_not_there_is_a_failure(void **state)
{
    struct tree_rig *rig = *state;
    char wanted[256];

    assert_int_equal(unlinkat(rig->fd, "near", AT_REMOVEDIR), 0);
    assert_int_equal(copy_up(rig, "d"), -ENOENT);
    snprintf(wanted, sizeof(wanted),
             "cannot open the lower folder \"%s/near\": No such file or directory", rig->path);
    assert_string_equal(rig->why.text, wanted);
}

int main(void)
{
#define in_tree(test) cmocka_unit_test_setup_teardown(test, setup, tree_rig_teardown)
    const struct CMUnitTest tests[] = {
        in_tree(a_folder_takes_after_its_lower_one),
        in_tree(the_nearest_that_has_it_counts),
        in_tree(what_is_nowhere_below_stays_as_it_is),
        in_tree(something_else_in_between_hides_it),
        in_tree(a_link_in_a_lower_stays_within_it),
        in_tree(a_link_in_a_lower_is_rooted),
        in_tree(what_leads_too_far_is_no_hidden_folder),
        in_tree(attributes_come_along_but_those_that_are_the_overlays),
        in_tree(a_lower_that_is_not_there_is_a_failure),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
