/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes fail when a test says so: see the linker's --wrap in CMakeLists.txt. */
#include "layer/metadata.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* A capability set of version 2 with nothing in it (linux/capability.h, vfs_cap_data). */
static const uint8_t capability[20] = {0, 0, 0, 2};

static int xattr_error;

int __real_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    if (!xattr_error)
        return __real_fsetxattr(fd, name, value, size, flags);
    errno = xattr_error;
    return -1;
}

static int setup(void **state)
{
    int result = tree_rig_setup(state);

    xattr_error = 0;
    tree_rig_file(*state, "f", "text");
    assert_int_equal(fchmodat(((struct tree_rig *)*state)->fd, "f", 0600, 0), 0);
    return result;
}

static struct metadata sample(void)
{
    return (struct metadata){
        .mode = 06751, .uid = 1234, .gid = 5678, .times = {{100, 5}, {200, 6}}};
}

static void sees_sample(const struct stat *status)
{
    assert_int_equal(status->st_mode & 07777, 06751);
    assert_int_equal(status->st_uid, 1234);
    assert_int_equal(status->st_gid, 5678);
    assert_int_equal(status->st_atim.tv_sec, 100);
    assert_int_equal(status->st_atim.tv_nsec, 5);
    assert_int_equal(status->st_mtim.tv_sec, 200);
    assert_int_equal(status->st_mtim.tv_nsec, 6);
}

static int put_on_file(struct tree_rig *rig, const struct metadata *metadata)
{
    scoped_fd int fd = openat(rig->fd, "f", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    rig->why = (struct reason){0};
    return metadata_put(fd, "f", metadata, &rig->why);
}

static ssize_t size_of_xattr(struct tree_rig *rig, const char *key)
{
    scoped_fd int fd = openat(rig->fd, "f", O_RDONLY | O_CLOEXEC);
    char value[256];

    return fgetxattr(fd, key, value, sizeof(value));
}

/* Whether the file system of the rig keeps attributes of users; if not, says so and skips. */
static void needs_xattrs(struct tree_rig *rig)
{
    scoped_fd int fd = openat(rig->fd, "f", O_RDONLY | O_CLOEXEC);

    if (__real_fsetxattr(fd, "user.probe", "", 0, 0) == 0)
        return;
    print_message("the file system keeps no attributes of users\n");
    skip();
}

/* ---- what an entry says ---- */

static void times_are_bounded_and_access_is_the_later(void **state)
{
    static const struct {
        struct timespec mtime, atime, wanted_access, wanted_change;
    } cases[] = {
        {{10, 1}, {0, UTIME_OMIT}, {10, 1}, {10, 1}},
        {{10, 1}, {9, 9}, {10, 1}, {10, 1}},
        {{10, 1}, {10, 2}, {10, 2}, {10, 1}},
        {{10, 1}, {11, 0}, {11, 0}, {10, 1}},
        {{-1, 0}, {0, UTIME_OMIT}, {0, 0}, {0, 0}},
        {{-1, 0}, {5, 0}, {5, 0}, {0, 0}},
        /* the last nanosecond of 64 bits, and the one after it */
        {{9223372036, 854775807},
         {0, UTIME_OMIT},
         {9223372036, 854775807},
         {9223372036, 854775807}},
        {{9223372036, 854775808}, {0, UTIME_OMIT}, {0, 0}, {0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct entry entry = {.mtime = cases[i].mtime, .atime = cases[i].atime};
        struct metadata metadata = metadata_of(&entry);

        assert_int_equal(metadata.times[0].tv_sec, cases[i].wanted_access.tv_sec);
        assert_int_equal(metadata.times[0].tv_nsec, cases[i].wanted_access.tv_nsec);
        assert_int_equal(metadata.times[1].tv_sec, cases[i].wanted_change.tv_sec);
        assert_int_equal(metadata.times[1].tv_nsec, cases[i].wanted_change.tv_nsec);
    }
}

static void the_rest_is_taken_as_it_is(void **state)
{
    const struct entry_xattr xattr = {.name = "user.a"};
    const struct entry entry = {
        .mode = 0106751, .uid = 1, .gid = 2, .xattrs = &xattr, .xattr_count = 1};
    struct metadata metadata = metadata_of(&entry);

    (void)state;
    assert_int_equal(metadata.mode, 06751);
    assert_int_equal(metadata.uid, 1);
    assert_int_equal(metadata.gid, 2);
    assert_ptr_equal(metadata.xattrs, &xattr);
    assert_int_equal(metadata.xattr_count, 1);
    assert_false(metadata.plain_owner);
    assert_false(metadata.plain_mode);
}

/* ---- what is open ---- */

/* Any other order would lose one of them. */
static void owner_attributes_mode_and_times_all_survive(void **state)
{
    struct tree_rig *rig = *state;
    const struct entry_xattr xattrs[] = {
        {"security.capability", capability, sizeof(capability)},
        {"user.a", (const uint8_t *)"\0v", 2},
    };
    struct metadata metadata = sample();
    struct stat status;

    needs_xattrs(rig);
    metadata.xattrs = xattrs;
    metadata.xattr_count = 2;
    assert_int_equal(put_on_file(rig, &metadata), 0);
    status = tree_rig_stat(rig, "f");
    sees_sample(&status);
    assert_int_equal(size_of_xattr(rig, "security.capability"), sizeof(capability));
    assert_int_equal(size_of_xattr(rig, "user.a"), 2);
}

static void what_is_right_already_is_left_alone(void **state)
{
    struct tree_rig *rig = *state;
    struct metadata metadata = sample();
    struct stat status;

    metadata.plain_owner = metadata.plain_mode = true;
    assert_int_equal(put_on_file(rig, &metadata), 0);
    assert_int_equal(metadata_put_at(rig->fd, "f", ENTRY_FILE, &metadata, &rig->why), 0);
    status = tree_rig_stat(rig, "f");
    assert_int_equal(status.st_uid, 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_mtim.tv_sec, 200);
}

static void attributes_that_cannot_be_are_left_out(void **state)
{
    struct tree_rig *rig = *state;
    const struct entry_xattr xattrs[] = {
        {"trusted.overlay.opaque", (const uint8_t *)"y", 1},
        {"unheard-of.namespace", (const uint8_t *)"y", 1},
        {"user.a", (const uint8_t *)"v", 1},
    };
    struct metadata metadata = sample();

    needs_xattrs(rig);
    metadata.xattrs = xattrs;
    metadata.xattr_count = 3;
    assert_int_equal(put_on_file(rig, &metadata), 0);
    assert_int_equal(size_of_xattr(rig, "trusted.overlay.opaque"), -1);
    assert_int_equal(size_of_xattr(rig, "user.a"), 1);
}

static void attributes_that_fail_say_which(void **state)
{
    static const struct {
        int error, wanted;
        const char *words;
    } cases[] = {
        {ENOSPC, CONDITION_EXHAUSTED,
         "cannot set the attribute \"user.a\" of \"f\": no space for it; the attributes of a file "
         "are limited, or the pool is full"},
        {E2BIG, CONDITION_INVALID,
         "cannot set the attribute \"user.a\" of \"f\": its name or value is none that the kernel "
         "takes; the layer must be built anew"},
        {ERANGE, CONDITION_INVALID, "is none that the kernel takes"},
        {EINVAL, CONDITION_INVALID, "is none that the kernel takes"},
        {EDQUOT, CONDITION_EXHAUSTED, "attribute \"user.a\": "},
        {EIO, CONDITION_UNAVAILABLE, "attribute \"user.a\": "},
        {EPERM, -EPERM, "attribute \"user.a\": "}, /* it is no special file */
        {EOPNOTSUPP, 0, ""},
    };
    const struct entry_xattr xattr = {"user.a", (const uint8_t *)"v", 1};
    struct tree_rig *rig = *state;
    struct metadata metadata = sample();

    metadata.xattrs = &xattr;
    metadata.xattr_count = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        xattr_error = cases[i].error;
        assert_int_equal(put_on_file(rig, &metadata), cases[i].wanted);
        if (!strstr(rig->why.text, cases[i].words))
            fail_msg("%s", rig->why.text);
    }
}

/* ---- what has a name ---- */

static void a_name_is_given_the_same(void **state)
{
    const struct entry_xattr xattr = {"security.capability", capability, sizeof(capability)};
    struct tree_rig *rig = *state;
    struct metadata metadata = sample();
    struct stat status;

    needs_xattrs(rig);
    metadata.xattrs = &xattr;
    metadata.xattr_count = 1;
    assert_int_equal(metadata_put_at(rig->fd, "f", ENTRY_HARDLINK, &metadata, &rig->why), 0);
    status = tree_rig_stat(rig, "f");
    sees_sample(&status);
    assert_int_equal(size_of_xattr(rig, "security.capability"), sizeof(capability));
}

static void a_symlink_is_not_followed(void **state)
{
    const struct entry_xattr xattr = {"user.a", (const uint8_t *)"v", 1};
    const enum entry_type types[] = {ENTRY_SYMLINK, ENTRY_HARDLINK};
    struct tree_rig *rig = *state;
    struct metadata metadata = sample();

    metadata.xattrs = &xattr; /* symlinks have none of users */
    metadata.xattr_count = 1;
    tree_rig_symlink(rig, "l", "f");
    for (int i = 0; i < 2; i++) {
        struct stat status;

        assert_int_equal(metadata_put_at(rig->fd, "l", types[i], &metadata, &rig->why), 0);
        assert_int_equal(fstatat(rig->fd, "l", &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(status.st_uid, 1234);
        assert_int_equal(status.st_mtim.tv_sec, 200);
        status = tree_rig_stat(rig, "f");
        assert_int_equal(status.st_uid, 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_not_equal(status.st_mtim.tv_sec, 200);
        assert_int_equal(size_of_xattr(rig, "user.a"), -1);
    }
}

static void a_fifo_has_no_attributes_of_users(void **state)
{
    const struct entry_xattr xattr = {"user.a", (const uint8_t *)"v", 1};
    struct tree_rig *rig = *state;
    struct metadata metadata = sample();
    struct stat status;

    metadata.xattrs = &xattr;
    metadata.xattr_count = 1;
    assert_int_equal(mkfifoat(rig->fd, "p", 0600), 0);
    assert_int_equal(metadata_put_at(rig->fd, "p", ENTRY_FIFO, &metadata, &rig->why), 0);
    status = tree_rig_stat(rig, "p");
    sees_sample(&status);
}

static void times_alone_can_be_set(void **state)
{
    const struct timespec times[2] = {{300, 7}, {400, 8}};
    struct tree_rig *rig = *state;
    struct stat status;

    assert_int_equal(metadata_put_times_at(rig->fd, "f", times, &rig->why), 0);
    status = tree_rig_stat(rig, "f");
    assert_int_equal(status.st_atim.tv_sec, 300);
    assert_int_equal(status.st_mtim.tv_nsec, 8);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(metadata_put_times_at(rig->fd, "gone", times, &rig->why), -ENOENT);
    assert_non_null(strstr(rig->why.text, "set the times of"));
    assert_non_null(strstr(rig->why.text, "gone"));
}

int main(void)
{
#define in_tree(test) cmocka_unit_test_setup_teardown(test, setup, tree_rig_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_bounded_and_access_is_the_later),
        cmocka_unit_test(the_rest_is_taken_as_it_is),
        in_tree(owner_attributes_mode_and_times_all_survive),
        in_tree(what_is_right_already_is_left_alone),
        in_tree(attributes_that_cannot_be_are_left_out),
        in_tree(attributes_that_fail_say_which),
        in_tree(a_name_is_given_the_same),
        in_tree(a_symlink_is_not_followed),
        in_tree(a_fifo_has_no_attributes_of_users),
        in_tree(times_alone_can_be_set),
    };

    if (!tree_rig_is_root())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
