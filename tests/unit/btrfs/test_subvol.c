/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct backend_ops *const ops = &backend_btrfs;

static void assert_present(struct rig *rig, uint64_t id, bool present)
{
    struct volume volume;
    int result = ops->locate(rig->backend, id, &volume, NULL);

    assert_int_equal(result, present ? 0 : CONDITION_NOT_FOUND);
}

static size_t nested_left(struct rig *rig)
{
    char path[80];
    struct btrfs_util_subvolume_iterator *iterator;
    size_t count = 0;

    snprintf(path, sizeof(path), "%s/pool", rig->path);
    assert_int_equal(btrfs_util_create_subvolume_iterator(path, 5, 0, &iterator), BTRFS_UTIL_OK);
    while (btrfs_util_subvolume_iterator_next(iterator, NULL, NULL) == BTRFS_UTIL_OK)
        count++;
    btrfs_util_destroy_subvolume_iterator(iterator);
    return count;
}

static void a_new_root_is_0755_whatever_the_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat root;

    for (size_t i = 0; i < 4; i++) {
        mode_t before = umask(masks[i]);
        int result = ops->create(rig->backend, i + 1, &why);
        umask(before);
        rig_must(result);
        scoped_fd int fd = rig_root(rig, i + 1);
        assert_int_equal(fstat(fd, &root), 0);
        assert_int_equal(root.st_mode, S_IFDIR | 0755);
        assert_int_equal(root.st_uid, 0);
        assert_int_equal(root.st_gid, 0);
    }
}

static void the_location_ends_in_the_number_and_is_cut_off_from_users(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    struct stat there, here;
    char expected[128];
    uint64_t subvolume;

    rig_must(ops->create(rig->backend, 1234, &why));
    rig_must(ops->locate(rig->backend, 1234, &volume, &why));
    snprintf(expected, sizeof(expected), "%s/pool/12/1234", rig->path);
    assert_string_equal(volume.path, expected);
    assert_int_equal(volume.kind, VOLUME_DIRECTORY);
    assert_string_equal(volume.fstype, "btrfs");
    assert_memory_equal(volume.device, "/dev/loop", 9);
    assert_int_equal(btrfs_util_subvolume_id(volume.path, &subvolume), BTRFS_UTIL_OK);
    assert_int_equal(volume.subvolume, subvolume);

    scoped_fd int fd = rig_root(rig, 1234);
    assert_int_equal(fstat(fd, &here), 0);
    assert_int_equal(stat(volume.path, &there), 0);
    assert_int_equal(here.st_dev, there.st_dev);

    *strrchr(volume.path, '/') = '\0';
    assert_int_equal(stat(volume.path, &there), 0);
    assert_int_equal(there.st_mode & 07777, 0700);
}

static void a_volume_is_found_by_the_number_of_its_subvolume(void **state)
{
    struct rig *rig = *state;
    struct volume volume;
    struct reason why = {0};
    uint64_t id = 0, other;
    char path[80];

    rig_must(ops->create(rig->backend, 1234, &why));
    rig_must(ops->clone(rig->backend, 77, 1234, &why));
    rig_must(ops->locate(rig->backend, 1234, &volume, &why));
    rig_must(ops->find(rig->backend, volume.subvolume, &id, &why));
    assert_int_equal(id, 1234);

    /* the same name elsewhere on the file system, the top itself, and none at all */
    snprintf(path, sizeof(path), "%s/pool/77", rig->path);
    assert_int_equal(btrfs_util_create_subvolume(path, 0, NULL, NULL), BTRFS_UTIL_OK);
    assert_int_equal(btrfs_util_subvolume_id(path, &other), BTRFS_UTIL_OK);
    assert_int_equal(ops->find(rig->backend, other, &id, &why), CONDITION_NOT_FOUND);
    assert_int_equal(ops->find(rig->backend, 5, &id, &why), CONDITION_NOT_FOUND);
    assert_int_equal(ops->find(rig->backend, 1 << 20, &id, &why), CONDITION_NOT_FOUND);
    assert_int_equal(id, 1234);
    assert_int_equal(btrfs_util_delete_subvolume(path, 0), BTRFS_UTIL_OK);
}

static void a_clone_has_the_content_and_changes_alone(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat file;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int parent = rig_root(rig, 1);
    assert_int_equal(fchmod(parent, 01777), 0);
    assert_int_equal(rig_write(parent, "a", 100000), 0);
    rig_must(ops->clone(rig->backend, 2, 1, &why));

    scoped_fd int child = rig_root(rig, 2);
    assert_int_equal(fstat(child, &file), 0);
    assert_int_equal(file.st_mode & 07777, 01777);
    assert_int_equal(fstatat(child, "a", &file, 0), 0);
    assert_int_equal(file.st_size, 100000);
    assert_int_equal(unlinkat(child, "a", 0), 0);
    assert_int_equal(rig_write(child, "b", 1), 0);
    assert_int_equal(fstatat(parent, "a", &file, 0), 0);
    assert_int_equal(fstatat(parent, "b", &file, 0), -1);
}

static void a_leftover_of_the_number_is_replaced(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat file;

    for (int clone = 0; clone < 2; clone++) {
        uint64_t id = 70 + (uint64_t)clone;
        rig_must(ops->create(rig->backend, id, &why));
        int fd = rig_root(rig, id);
        rig_write(fd, "old", 10);
        rig_nest(fd, "nested");
        close(fd);
        rig_must(ops->create(rig->backend, 5, &why));
        rig_must(clone ? ops->clone(rig->backend, id, 5, &why)
                       : ops->create(rig->backend, id, &why));
        fd = rig_root(rig, id);
        assert_int_equal(fstatat(fd, "old", &file, 0), -1);
        close(fd);
    }
    assert_int_equal(nested_left(rig), 3);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume_usage usage;
    int fd;

    assert_present(rig, 9, false);
    assert_int_equal(ops->open_root(rig->backend, 9, &fd, &why), CONDITION_NOT_FOUND);
    assert_non_null(strstr(why.text, "volume 9"));
    assert_int_equal(ops->clone(rig->backend, 10, 9, &why), CONDITION_NOT_FOUND);
    assert_int_equal(ops->seal(rig->backend, 9, &why), CONDITION_NOT_FOUND);
    assert_int_equal(ops->sync(rig->backend, 9, &why), CONDITION_NOT_FOUND);
    assert_int_equal(ops->usage(rig->backend, 9, 0, false, &usage, &why), CONDITION_NOT_FOUND);
    assert_present(rig, 10, false);
    assert_int_equal(ops->remove(rig->backend, 9, NULL, &why), 0);
    assert_true(ops->create(rig->backend, 0, &why) < 0);
}

static void a_stranger_in_the_place_of_a_volume_is_reported(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/pool/07/7", rig->path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(ops->create(rig->backend, 7, &why) < 0);
    assert_non_null(strstr(why.text, "is no subvolume: move it away"));
    assert_true(ops->remove(rig->backend, 7, NULL, &why) < 0);
    assert_int_equal(rmdir(path), 0);
    rig_must(ops->create(rig->backend, 7, &why));
}

static void a_volume_is_removed_with_what_is_nested_in_it(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    for (int sealed = 0; sealed < 2; sealed++) {
        rig_must(ops->create(rig->backend, 1, &why));
        int root = rig_root(rig, 1);
        rig_nest(root, "plain");
        rig_nest(root, "frozen");
        assert_int_equal(mkdirat(root, "d", 0700), 0);
        rig_nest(root, "d/deep");
        rig_nest(root, "d/deep/er");
        rig_nest(root, "d/deep/er/est");
        assert_int_equal(rig_write(root, "d/deep/er/est/file", 5000), 0);
        rig_nest(root, "d/deep/er/second");
        rig_freeze(root, "frozen");
        rig_freeze(root, "d/deep/er/est");
        rig_freeze(root, "d/deep/er");
        rig_freeze(root, "d/deep");
        close(root);
        assert_int_equal(nested_left(rig), 7);
        if (sealed)
            rig_must(ops->seal(rig->backend, 1, &why));
        rig_must(ops->remove(rig->backend, 1, NULL, &why));
        assert_present(rig, 1, false);
        assert_int_equal(nested_left(rig), 0);
    }
}

static void nesting_deeper_than_a_path_can_say_is_removed(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char name[250];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    rig_must(ops->create(rig->backend, 1, &why));
    int at = rig_root(rig, 1);
    for (int i = 0; i < 60; i++) {
        if (i % 2 == 0)
            rig_nest(at, name);
        else
            assert_int_equal(mkdirat(at, name, 0700), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    rig_must(ops->seal(rig->backend, 1, &why));
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_present(rig, 1, false);
    rig_must(ops->create(rig->backend, 1, &why));
    assert_int_equal(nested_left(rig), 1);
}

static void make_immutable(int directory, const char *name)
{
    scoped_fd int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int flags = FS_IMMUTABLE_FL;

    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
}

static void immutable_marks_do_not_stop_the_removal(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    assert_int_equal(mkdirat(root, "d", 0700), 0);
    rig_nest(root, "d/nested");
    rig_nest(root, "d/nested/nested");
    make_immutable(root, "d/nested/nested");
    make_immutable(root, "d/nested");
    make_immutable(root, "d");
    make_immutable(root, ".");
    close(root);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_present(rig, 1, false);
}

static void make_nesting(struct rig *rig, uint64_t id)
{
    static const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000, .tv_nsec = 3}};
    scoped_fd int root = rig_root(rig, id);

    rig_nest(root, "plain");
    assert_int_equal(rig_write(root, "plain/file", 5000), 0);
    assert_int_equal(mkdirat(root, "d", 0700), 0);
    rig_nest(root, "d/first");
    rig_nest(root, "d/deep");
    rig_nest(root, "d/deep/er");
    assert_int_equal(rig_write(root, "d/deep/er/file", 5000), 0);
    rig_freeze(root, "d/deep");
    assert_int_equal(mkdirat(root, "i", 0700), 0);
    rig_nest(root, "i/nested");
    assert_int_equal(utimensat(root, "d", times, 0), 0);
    make_immutable(root, "i");
}

static void assert_nesting(struct rig *rig, uint64_t id)
{
    scoped_fd int root = rig_root(rig, id);
    scoped_fd int deep = openat(root, "d/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int marked = openat(root, "i", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    bool read_only;
    int flags;

    assert_int_equal(btrfs_util_get_subvolume_read_only_fd(deep, &read_only), BTRFS_UTIL_OK);
    assert_true(read_only);
    assert_int_equal(faccessat(root, "plain/file", F_OK, 0), 0);
    assert_int_equal(faccessat(root, "d/deep/er/file", F_OK, 0), 0);
    assert_int_equal(rig_write(root, "d/first/new", 10), 0);
    assert_int_equal(rig_write(root, "i/nested/new", 10), 0);
    assert_int_equal(fstatat(root, "d", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec, 2000);
    assert_int_equal(status.st_mtim.tv_nsec, 3);
    assert_int_equal(ioctl(marked, FS_IOC_GETFLAGS, &flags), 0);
    assert_true(flags & FS_IMMUTABLE_FL);
    assert_true(faccessat(root, "d/deep/er/new", F_OK, 0) < 0);
    assert_int_equal(rig_write(root, "d/deep/er/new", 10), 0);
}

static void a_clone_has_what_is_nested_in_its_parent(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    make_nesting(rig, 1);
    rig_must(ops->seal(rig->backend, 1, &why));
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    rig_must(ops->clone(rig->backend, 3, 2, &why));
    rig_must(ops->clone(rig->backend, 2, 1, &why)); /* in the place of a left-over */
    assert_int_equal(nested_left(rig), 3 * 6);
    assert_nesting(rig, 2);
    assert_nesting(rig, 3);
    rig_must(ops->remove(rig->backend, 2, NULL, &why));
    rig_must(ops->remove(rig->backend, 3, NULL, &why));
    assert_nesting(rig, 1);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_int_equal(nested_left(rig), 0);
}

static void the_removal_of_what_is_nested_can_be_cancelled(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    atomic_bool cancel = true;

    rig_must(ops->create(rig->backend, 1, &why));
    make_nesting(rig, 1);
    assert_int_equal(ops->remove(rig->backend, 1, &cancel, &why), CONDITION_CANCELLED);
    assert_present(rig, 1, true);
    cancel = false;
    rig_must(ops->remove(rig->backend, 1, &cancel, &why));
    assert_int_equal(nested_left(rig), 0);
}

static void a_clone_of_very_many_nested_ones_is_refused(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char name[16];

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    for (int i = 0; i < 101; i++) {
        snprintf(name, sizeof(name), "%d", i);
        rig_nest(root, name);
    }
    assert_int_equal(ops->clone(rig->backend, 2, 1, &why), CONDITION_PRECONDITION);
    assert_non_null(strstr(why.text, "clone volume 1: more than 100 subvolumes were made inside"));
    assert_present(rig, 2, false);
}

/* The mark of a read-only subvolume cannot be taken away before it is made writable. */
static void immutable_marks_of_what_is_read_only_do_not_stop_it_either(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    for (int nested = 0; nested < 2; nested++) {
        rig_must(ops->create(rig->backend, 1, &why));
        int root = rig_root(rig, 1);
        if (nested) {
            rig_nest(root, "nested");
            make_immutable(root, "nested");
            scoped_fd int inner = openat(root, "nested", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            assert_int_equal(btrfs_util_set_subvolume_read_only_fd(inner, true), BTRFS_UTIL_OK);
        }
        make_immutable(root, ".");
        close(root);
        rig_must(ops->seal(rig->backend, 1, &why));
        rig_must(ops->remove(rig->backend, 1, NULL, &why));
        assert_present(rig, 1, false);
    }
}

static void a_removed_volume_that_is_mounted_or_open_goes_all_the_same(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    char point[80];

    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    snprintf(point, sizeof(point), "%s/point", rig->path);
    assert_int_equal(mkdir(point, 0700), 0);
    assert_int_equal(mount(volume.path, point, NULL, MS_BIND, NULL), 0);
    scoped_fd int root = rig_root(rig, 1);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_present(rig, 1, false);
    umount2(point, MNT_DETACH);
}

static void a_sealed_volume_is_read_only_and_its_clone_is_not(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    rig_must(ops->seal(rig->backend, 1, &why));
    rig_must(ops->seal(rig->backend, 1, &why));
    assert_int_equal(rig_write(root, "a", 1), -EROFS);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    scoped_fd int clone = rig_root(rig, 2);
    assert_int_equal(rig_write(clone, "a", 1), 0);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_present(rig, 1, false);
    assert_present(rig, 2, true);
}

struct seen {
    struct backend *backend;
    uint64_t sum;
    unsigned count, stop_after;
};

static int see(void *context, uint64_t id, struct reason *why)
{
    struct seen *seen = context;

    seen->sum += id;
    seen->count++;
    if (seen->backend && ops->remove(seen->backend, id, NULL, why) != 0)
        return -EIO;
    return seen->stop_after && seen->count == seen->stop_after ? 42 : 0;
}

static void each_sees_every_volume_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct seen seen = {0};
    char path[128];

    for (uint64_t id = 1; id <= 130; id++)
        rig_must(ops->create(rig->backend, id, &why));
    rig_must(ops->create(rig->backend, UINT64_MAX, &why));
    rig_must(ops->remove(rig->backend, UINT64_MAX, NULL, &why));
    snprintf(path, sizeof(path), "%s/pool/00/64000", rig->path); /* a number, but a plain folder */
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pool/00/lost", rig->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pool/00", rig->path);
    int shard = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_nest(shard, "007");                     /* not as we write numbers */
    rig_nest(shard, "3");                       /* in the wrong shard */
    rig_nest(shard, "99999999999999999999999"); /* no number of 64 bits */
    close(shard);

    rig_must(ops->each(rig->backend, see, &seen, &why));
    assert_int_equal(seen.count, 130);
    assert_int_equal(seen.sum, 130 * 131 / 2);

    seen = (struct seen){.stop_after = 3};
    assert_int_equal(ops->each(rig->backend, see, &seen, &why), 42);
    assert_int_equal(seen.count, 3);

    seen = (struct seen){.backend = rig->backend};
    rig_must(ops->each(rig->backend, see, &seen, &why));
    assert_int_equal(seen.count, 130);
    seen = (struct seen){0};
    rig_must(ops->each(rig->backend, see, &seen, &why));
    assert_int_equal(seen.count, 0);
}

struct worker {
    pthread_t thread;
    struct rig *rig;
    uint64_t first;
    int result;
    struct reason why;
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct backend *backend = worker->rig->backend;
    struct volume_usage usage;
    int result = 0;

    for (uint64_t id = worker->first; result == 0 && id < worker->first + 12; id++) {
        int fd;
        result = ops->clone(backend, id, 1, &worker->why);
        if (result == 0)
            result = ops->open_root(backend, id, &fd, &worker->why);
        if (result != 0)
            break;
        result = rig_write(fd, "file", 3000);
        close(fd);
        if (result == 0)
            result = ops->sync(backend, id, &worker->why);
        if (result == 0)
            result = ops->usage(backend, id, 1, false, &usage, &worker->why);
        if (result == 0 && (usage.inodes != 1 || usage.bytes == 0))
            result = failure(&worker->why, EIO, "usage");
        if (result == 0 && id % 2 == 0)
            result = ops->remove(backend, id, NULL, &worker->why);
    }
    worker->result = result;
    return NULL;
}

static void eight_threads_clone_and_remove_at_once(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct worker workers[8] = {0};
    struct seen seen = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    for (unsigned i = 0; i < 8; i++) {
        workers[i].rig = rig;
        workers[i].first = 100 + 12 * i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < 8; i++)
        rig_check_(workers[i].result, &workers[i].why, "worker", __FILE__, __LINE__);
    rig_must(ops->settle(rig->backend, NULL, &why));
    rig_must(ops->each(rig->backend, see, &seen, &why));
    assert_int_equal(seen.count, 1 + 8 * 6);
}

#define in_pool(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_pool(a_new_root_is_0755_whatever_the_umask),
        in_pool(the_location_ends_in_the_number_and_is_cut_off_from_users),
        in_pool(a_volume_is_found_by_the_number_of_its_subvolume),
        in_pool(a_clone_has_the_content_and_changes_alone),
        in_pool(a_leftover_of_the_number_is_replaced),
        in_pool(what_is_not_there_is_not_found),
        in_pool(a_stranger_in_the_place_of_a_volume_is_reported),
        in_pool(a_volume_is_removed_with_what_is_nested_in_it),
        in_pool(a_clone_has_what_is_nested_in_its_parent),
        in_pool(a_clone_of_very_many_nested_ones_is_refused),
        in_pool(the_removal_of_what_is_nested_can_be_cancelled),
        in_pool(nesting_deeper_than_a_path_can_say_is_removed),
        in_pool(immutable_marks_do_not_stop_the_removal),
        in_pool(immutable_marks_of_what_is_read_only_do_not_stop_it_either),
        in_pool(a_removed_volume_that_is_mounted_or_open_goes_all_the_same),
        in_pool(a_sealed_volume_is_read_only_and_its_clone_is_not),
        in_pool(each_sees_every_volume_and_nothing_else),
        in_pool(eight_threads_clone_and_remove_at_once),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
