/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/line.h"
#include "backends/dm-thin/name.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct backend_ops *const ops = &backend_dm_thin;

/* What happens just before a parent in use is suspended, or when it has been: see the linker's
 * --wrap in CMakeLists.txt. */
static void (*before_suspend)(void), (*before_resume)(void);

static void once(void (**what)(void))
{
    void (*now)(void) = *what;

    *what = NULL;
    if (now)
        now();
}

int __real_device_suspend(const char *name, bool freeze);
int __wrap_device_suspend(const char *name, bool freeze);
int __wrap_device_suspend(const char *name, bool freeze)
{
    once(&before_suspend);
    return __real_device_suspend(name, freeze);
}

int __real_device_resume(const char *name);
int __wrap_device_resume(const char *name);
int __wrap_device_resume(const char *name)
{
    once(&before_resume);
    return __real_device_resume(name);
}

static unsigned entries(int directory)
{
    DIR *list = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    unsigned count = 0;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count - 2;
}

static bool has(struct rig *rig, uint64_t id, const char *name)
{
    scoped_fd int root = rig_root(rig, id);

    return faccessat(root, name, F_OK, 0) == 0;
}

static void put(struct rig *rig, uint64_t id, const char *name, size_t size)
{
    scoped_fd int root = rig_root(rig, id);

    assert_int_equal(rig_write(root, name, size), 0);
}

static void an_empty_volume_has_the_root_that_is_asked_for(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat root;

    rig_must(ops->create(rig->backend, 7, &why));
    scoped_fd int fd = rig_root(rig, 7);
    assert_int_equal(fstat(fd, &root), 0);
    assert_int_equal(root.st_mode, S_IFDIR | 0755);
    assert_int_equal(root.st_uid, 0);
    assert_int_equal(root.st_gid, 0);
    assert_int_equal(entries(fd), 0);
}

static void a_clone_has_what_its_parent_had_and_goes_its_own_way(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 100000);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    rig_must(ops->clone(rig->backend, 3, 1, &why));
    put(rig, 2, "b", 10);
    assert_true(has(rig, 2, "a") && has(rig, 2, "b"));
    assert_true(has(rig, 3, "a") && !has(rig, 3, "b"));
    assert_false(has(rig, 1, "b"));
}

static void what_is_being_written_is_in_the_clone(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1); /* mounted all the while, nothing synced */
    assert_int_equal(rig_write(root, "a", 300000), 0);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    assert_int_equal(rig_write(root, "later", 10), 0);
    assert_true(has(rig, 2, "a"));
    assert_false(has(rig, 2, "later"));
    assert_false(rig_device(rig, 1).suspended);
}

static struct {
    struct rig *rig;
    int device; /* of volume 1, the last that has it open */
} last_user;

static void leave_the_device(void)
{
    double until = rig_seconds() + 60;

    close(take_fd(&last_user.device));
    while (rig_device(last_user.rig, 1).exists)
        assert_true(rig_seconds() < until);
}

static void clone_while_the_last_user_leaves(struct rig *rig, void (**moment)(void), uint64_t id)
{
    struct reason why = {0};
    struct volume volume;

    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    last_user.rig = rig;
    last_user.device = open(volume.path, O_RDONLY | O_CLOEXEC);
    assert_true(last_user.device >= 0);
    rig_must(ops->rest(rig->backend, 1, &why));
    assert_true(rig_device(rig, 1).leaving);
    *moment = leave_the_device;
    rig_must(ops->clone(rig->backend, id, 1, &why));
    assert_null(*moment);
    assert_true(has(rig, id, "a"));
}

/* As a container is started from a layer that was just committed and is being unmounted. */
static void a_parent_may_go_to_rest_while_it_is_cloned(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 1000);
    clone_while_the_last_user_leaves(rig, &before_suspend, 2);
    clone_while_the_last_user_leaves(rig, &before_resume, 3);
}

struct cloner {
    struct rig *rig;
    atomic_bool done;
    int result; /* of the first clone that failed */
    struct reason why;
};

#define CLONES 20

static void *clone_over_and_over(void *context)
{
    struct cloner *cloner = context;

    for (uint64_t id = 2; cloner->result == 0 && id < 2 + CLONES; id++)
        cloner->result = ops->clone(cloner->rig->backend, id, 1, &cloner->why);
    atomic_store(&cloner->done, true);
    return NULL;
}

/* As the containers of an image are started: one runs, which makes the volume one in use, and each
 * of the others has a clone of it made, or mounts a view of it. */
static void a_volume_can_be_mounted_while_it_is_cloned(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    struct cloner cloner = {.rig = rig};
    char first[80], second[80];
    pthread_t thread;

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 1000);
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    snprintf(first, sizeof(first), "%s/first", rig->path);
    snprintf(second, sizeof(second), "%s/second", rig->path);
    assert_int_equal(mkdir(first, 0755) | mkdir(second, 0755), 0);
    assert_int_equal(mount(volume.path, first, "ext4", MS_RDONLY, "noload"), 0);
    assert_int_equal(pthread_create(&thread, NULL, clone_over_and_over, &cloner), 0);
    int located = 0, mounted = 0;
    while (located == 0 && mounted == 0 && !atomic_load(&cloner.done)) {
        located = ops->locate(rig->backend, 1, &volume, &why);
        mounted = mount(volume.path, second, "ext4", MS_RDONLY, "noload") < 0 ? errno : 0;
        umount(second);
    }
    pthread_join(thread, NULL);
    assert_int_equal(umount(first), 0);
    rig_must(located);
    rig_check_(cloner.result, &cloner.why, "clone", __FILE__, __LINE__);
    assert_int_equal(mounted, 0);
    assert_false(rig_device(rig, 1).suspended);
    assert_true(has(rig, 1 + CLONES, "a"));
}

static void a_removed_volume_is_gone(void **state)
{
    struct rig *rig = *state;
    struct volume volume;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 1000000);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    assert_int_equal(ops->locate(rig->backend, 1, &volume, &why), CONDITION_NOT_FOUND);
    assert_false(rig_device(rig, 1).exists);
    rig_must(ops->create(rig->backend, 1, &why));
    assert_false(has(rig, 1, "a"));
}

static void a_volume_in_use_is_removed_later(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    assert_int_equal(ops->remove(rig->backend, 1, NULL, &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "mounted"));
    assert_true(has(rig, 1, "."));
    close(root);
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
}

/* Giving its space back may take minutes; what is cut short there is there still. */
static void a_removal_that_is_cancelled_comes_again(void **state)
{
    struct rig *rig = *state;
    atomic_bool cancel = true;
    struct pool_status empty, after;
    struct reason why = {0};

    rig_must(ops->status(rig->backend, &empty, &why));
    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 1000000);
    assert_int_equal(ops->remove(rig->backend, 1, &cancel, &why), CONDITION_CANCELLED);
    assert_non_null(strstr(why.text, "cancelled"));
    assert_false(rig_device(rig, 1).exists);
    assert_true(has(rig, 1, "a"));
    rig_must(ops->rest(rig->backend, 1, &why));
    cancel = false;
    rig_must(ops->remove(rig->backend, 1, &cancel, &why));
    rig_must(ops->status(rig->backend, &after, &why));
    assert_true(after.used <= empty.used);

    rig_must(ops->create(rig->backend, 1, &why)); /* as empty as its parent: nothing takes long */
    cancel = true;
    rig_must(ops->remove(rig->backend, 1, &cancel, &why));
}

static void a_left_over_of_the_number_is_replaced(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "old", 10);
    rig_must(ops->create(rig->backend, 1, &why));
    assert_false(has(rig, 1, "old"));
}

static void space_comes_back(void **state)
{
    struct rig *rig = *state;
    struct pool_status before, full, after;
    struct reason why = {0};
    struct stat file;

    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->status(rig->backend, &before, &why));
    put(rig, 1, "a", 64 << 20);
    rig_must(ops->sync(rig->backend, 1, &why));
    rig_must(ops->status(rig->backend, &full, &why));
    assert_true(full.used >= before.used + (64 << 20));
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    rig_must(ops->status(rig->backend, &after, &why));
    assert_true(after.used <= before.used);
    assert_int_equal(fstatat(rig->options.root, "thin-pool/data", &file, 0), 0);
    assert_true((uint64_t)file.st_blocks * 512 < (32 << 20));
}

static void a_number_whose_thin_id_is_taken_is_refused(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t later = (UINT64_C(5) << 24) + 1;

    rig_must(ops->create(rig->backend, 1, &why));
    assert_int_equal(ops->create(rig->backend, later, &why), CONDITION_EXISTS);
    assert_int_equal(ops->create(rig->backend, UINT64_C(5) << 24, &why), CONDITION_EXISTS);
    rig_must(ops->create(rig->backend, later + 1, &why));
    rig_must(ops->clone(rig->backend, 2 + 1, 1, &why));
    put(rig, later + 1, "a", 10);
    rig_stop(rig);
    rig_reboot(rig);
    rig_start(rig);
    assert_true(has(rig, later + 1, "a"));
    assert_false(has(rig, 3, "a"));
    struct volume volume;
    assert_int_equal(ops->locate(rig->backend, 2, &volume, &why), CONDITION_NOT_FOUND);
}

/* As a virtual machine has it that got it as its disk: the file system on it is that machine's. */
static void a_volume_that_is_open_but_not_mounted_is_not_mounted_by_us(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    struct volume_usage usage;
    char before[4096], after[4096]; /* the superblock, which a mount changes */

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 10);
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    scoped_fd int device = open(volume.path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(device, before, sizeof(before), 0), sizeof(before));
    rig_must(ops->usage(rig->backend, 1, 0, true, &usage, &why));
    rig_must(ops->sync(rig->backend, 1, &why));
    assert_int_equal(pread(device, after, sizeof(after), 0), sizeof(after));
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(usage.inodes, 1);
}

static void make_file(int root, const char *name)
{
    scoped_fd int file = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_int_equal(write(file, "data", 4), 4);
}

/* Volume 2 as volume 1 is on the disk now, its journal open, with its device; as a loss of power
 * and a daemon that was killed before it came to the journal leave it. */
static void cut_the_power(struct rig *rig)
{
    char name[DEVICE_NAME], uuid[DEVICE_UUID], line[DEVICE_LINE];
    struct device_state state;

    name_volume(rig->pool, 1, name);
    assert_int_equal(device_suspend(name, false), 0);
    int error = device_message(rig->pool, "create_snap 2 1");
    assert_int_equal(device_resume(name), 0);
    assert_int_equal(error, 0);
    assert_int_equal(device_look(rig->pool, &state, NULL), 0);
    name_volume(rig->pool, 2, name);
    name_volume_uuid(rig->pool, 2, uuid);
    line_thin_table(line, sizeof(line), state.major, state.minor, 2);
    assert_int_equal(device_create(name, uuid, "thin", RIG_VOLUME_SIZE / 512, line), 0);
}

/* A view of the volume, mounted without replay, has the file "a", which only the journal had. */
static void assert_replayed(struct rig *rig, uint64_t id)
{
    struct reason why = {0};
    struct volume volume;

    rig_must(ops->locate(rig->backend, id, &volume, &why));
    assert_int_equal(mount(volume.path, "/mnt", "ext4", MS_RDONLY, "noload"), 0);
    int found = access("/mnt/a", F_OK);
    assert_int_equal(umount("/mnt"), 0);
    assert_int_equal(found, 0);
}

static void a_journal_is_replayed_though_its_device_is_there(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    make_file(root, "a");
    assert_int_equal(fsync(root), 0);
    cut_the_power(rig);
    close(root);
    rig_stop(rig);
    rig_start(rig);
    assert_replayed(rig, 2);
}

/* Ends a mounted ext4 without a last write of its journal (EXT4_IOC_SHUTDOWN of fs/ext4/ext4.h). */
static void shut_down(int root)
{
    uint32_t no_log = 2;

    assert_int_equal(ioctl(root, _IOR('X', 125, uint32_t), &no_log), 0);
}

static void a_file_system_that_gave_up_is_not_called_synced(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    make_file(root, "a");
    rig_must(ops->sync(rig->backend, 1, &why));
    make_file(root, "b");
    shut_down(root);
    int result = ops->sync(rig->backend, 1, &why);
    close(root);
    assert_int_not_equal(result, 0);
    assert_non_null(strstr(why.text, "write volume 1 to disk"));
}

/* EXT4_FEATURE_INCOMPAT_RECOVER in s_feature_incompat (fs/ext4/ext4.h). */
static bool is_to_be_replayed(const char *device)
{
    scoped_fd int fd = open(device, O_RDONLY | O_CLOEXEC);
    uint32_t features;

    assert_int_equal(pread(fd, &features, sizeof(features), 1024 + 0x60), sizeof(features));
    return features & 4;
}

/* Its unmount could not write the journal, or, which leaves the same, a virtual machine was ended
 * that had it as its disk: nobody has it any more when it is committed. */
static void a_journal_that_was_left_is_replayed_by_a_sync(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char name[DEVICE_NAME], path[DEVICE_PATH];

    name_volume(rig->pool, 1, name);
    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    make_file(root, "a");
    assert_int_equal(fsync(root), 0);
    shut_down(root);
    close(root);
    assert_true(is_to_be_replayed(device_path(name, path)));
    rig_must(ops->sync(rig->backend, 1, &why));
    assert_false(is_to_be_replayed(path));
    assert_replayed(rig, 1);
}

/* Beside a view, and beside a container; and without a trace. */
static void a_volume_is_read_beside_whoever_has_it(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    char before[4096], after[4096];

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 10);
    rig_must(ops->sync(rig->backend, 1, &why));
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    scoped_fd int device = open(volume.path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(device, before, sizeof(before), 0), sizeof(before));
    for (int i = 0; i < 3; i++) { /* mounted nowhere, read-only, writable */
        static const char *const options[] = {"noload", ""};
        int root;

        if (i > 0)
            assert_int_equal(
                mount(volume.path, "/mnt", "ext4", i == 1 ? MS_RDONLY : 0, options[i - 1]), 0);
        int result = ops->open_read(rig->backend, 1, &root, &why);
        if (i > 0)
            assert_int_equal(umount2("/mnt", MNT_DETACH), 0);
        rig_must(result);
        assert_int_equal(faccessat(root, "a", F_OK, 0), 0);
        close(root);
        assert_int_equal(pread(device, after, sizeof(after), 0), sizeof(after));
        if (i < 2)
            assert_memory_equal(before, after, sizeof(before));
    }
}

static void a_device_of_somebody_else_is_left_alone(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    char name[DEVICE_NAME];

    rig_must(ops->create(rig->backend, 1, &why));
    put(rig, 1, "a", 100000); /* there is something to discard */
    rig_must(ops->sync(rig->backend, 1, &why));
    rig_must(ops->rest(rig->backend, 1, &why));
    snprintf(name, sizeof(name), "%.100s-snap-1", rig->pool);
    assert_int_equal(device_create(name, "somebody-elses", "error", 8, ""), 0);
    int result = ops->locate(rig->backend, 1, &volume, &why);
    rig_must(ops->rest(rig->backend, 1, NULL));
    rig_must(ops->remove(rig->backend, 1, NULL, NULL));
    bool there = rig_device(rig, 1).exists;
    assert_int_equal(device_remove(name, false), 0);
    assert_int_equal(result, CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "is not cowsnap's, though it has the name of volume 1"));
    assert_true(there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_volume_has_the_root_that_is_asked_for),
        TEST(a_clone_has_what_its_parent_had_and_goes_its_own_way),
        TEST(what_is_being_written_is_in_the_clone),
        TEST(a_volume_can_be_mounted_while_it_is_cloned),
        TEST(a_parent_may_go_to_rest_while_it_is_cloned),
        TEST(a_removed_volume_is_gone),
        TEST(a_volume_in_use_is_removed_later),
        TEST(a_removal_that_is_cancelled_comes_again),
        TEST(a_left_over_of_the_number_is_replaced),
        TEST(space_comes_back),
        TEST(a_number_whose_thin_id_is_taken_is_refused),
        TEST(a_journal_is_replayed_though_its_device_is_there),
        TEST(a_file_system_that_gave_up_is_not_called_synced),
        TEST(a_journal_that_was_left_is_replayed_by_a_sync),
        TEST(a_volume_is_read_beside_whoever_has_it),
        TEST(a_device_of_somebody_else_is_left_alone),
        TEST(a_volume_that_is_open_but_not_mounted_is_not_mounted_by_us),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
