/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/inventory.h"
#include "backends/dm-thin/name.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct backend_ops *const ops = &backend_dm_thin;

static bool has(struct rig *rig, uint64_t id, const char *name)
{
    scoped_fd int root = rig_root(rig, id);

    return faccessat(root, name, F_OK, 0) == 0;
}

struct count {
    unsigned volumes;
    uint64_t sum;
};

static int count_volume(void *context, uint64_t id, struct reason *why)
{
    struct count *count = context;

    (void)why;
    count->volumes++;
    count->sum += id;
    return 0;
}

/* The kernel ends a device that somebody had open a moment after the last close. */
static void wait_until_gone(struct rig *rig, uint64_t id)
{
    double until = rig_seconds() + 20;

    while (rig_device(rig, id).exists)
        assert_true(rig_seconds() < until);
}

static struct count volumes_of(struct rig *rig)
{
    struct count count = {0};
    struct reason why = {0};

    rig_must(ops->each(rig->backend, count_volume, &count, &why));
    return count;
}

static void a_reboot_loses_nothing(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    for (uint64_t id = 1; id <= 5; id++)
        rig_must(ops->create(rig->backend, id, &why));
    rig_must(ops->clone(rig->backend, 6, 2, &why));
    rig_must(ops->remove(rig->backend, 3, NULL, &why));
    scoped_fd int root = rig_root(rig, 2);
    assert_int_equal(rig_write(root, "kept", 100), 0);
    close(take_fd(&root));
    rig_must(ops->sync(rig->backend, 2, &why));
    rig_stop(rig);
    rig_reboot(rig);
    assert_int_equal(rig_devices(rig), 0);
    rig_start(rig);
    struct count count = volumes_of(rig);
    assert_int_equal(count.volumes, 5);
    assert_int_equal(count.sum, 1 + 2 + 4 + 5 + 6);
    assert_true(has(rig, 2, "kept"));
    assert_false(has(rig, 6, "kept"));
}

static void a_killed_daemon_leaves_a_pool_that_opens(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    int status;
    pid_t child;

    rig_start(rig);
    rig_stop(rig);
    child = fork();
    if (child == 0) {
        rig_start(rig);
        for (uint64_t id = 1;; id++)
            if (id == 20)
                raise(SIGKILL);
            else if (ops->create(rig->backend, id, &why) != 0)
                _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    rig_start(rig);
    assert_int_equal(volumes_of(rig).volumes, 19);
}

static void strays_are_ended_and_others_are_not(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char name[DEVICE_NAME], stray[DEVICE_NAME], uuid[DEVICE_UUID], alien[DEVICE_NAME];
    struct device_state there;
    struct volume volume;

    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    name_volume(rig->pool, 1, name);
    assert_int_equal(device_suspend(name, true),
                     0); /* as a crash in the midst of a clone leaves it */
    name_volume(rig->pool, 77, stray);
    name_volume_uuid(rig->pool, 77, uuid);
    assert_int_equal(device_create(stray, uuid, "error", 8, ""), 0);
    name_volume(rig->pool, 78, alien);
    assert_int_equal(device_create(alien, "SOMEBODY-else", "error", 8, ""), 0);
    rig_stop(rig);
    rig_start(rig);
    assert_false(rig_device(rig, 77).exists);
    assert_int_equal(device_look(alien, &there, NULL), 0);
    assert_true(there.exists);
    assert_int_equal(device_remove(alien, false), 0);
    assert_true(rig_device(rig, 1).live);
    assert_false(rig_device(rig, 1).suspended);
}

/* What others do to the pool while it is open is seen, and can be mended. */
static void the_pool_is_asked_which_volumes_there_are(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;

    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->create(rig->backend, 2, &why));
    rig_must(ops->rest(rig->backend, 2, &why));
    wait_until_gone(rig, 2);
    assert_int_equal(volumes_of(rig).sum, 1 + 2); /* the first list is of what the start read */
    assert_int_equal(device_message(rig->pool, "create_snap 77 1"), 0);
    assert_int_equal(device_message(rig->pool, "delete 2"), 0);
    struct count seen = volumes_of(rig);
    assert_int_equal(seen.volumes, 2);
    assert_int_equal(seen.sum, 1 + 77);
    assert_int_equal(ops->locate(rig->backend, 2, &volume, &why), CONDITION_NOT_FOUND);
    rig_must(ops->remove(rig->backend, 2, NULL, &why));
    rig_must(ops->remove(rig->backend, 77, NULL, &why));
    rig_must(ops->remove(rig->backend, 78, NULL, &why)); /* never there */
    rig_must(ops->remove(rig->backend, THIN_ID_LABEL + (1 << THIN_ID_BITS), NULL, &why));
    rig_must(ops->remove(rig->backend, THIN_ID_BASE, NULL, &why));
    rig_must(
        ops->remove(rig->backend, 1 + (1 << THIN_ID_BITS), NULL, &why)); /* 1 has its thin id */
    assert_int_equal(volumes_of(rig).sum, 1);
    rig_must(ops->create(rig->backend, 3, &why)); /* of the base volume */
}

static void a_pool_belongs_to_one_daemon(void **state)
{
    struct rig *rig = *state;

    rig_refused(rig, CONDITION_UNAVAILABLE, "another daemon uses the pool");
    rig_stop(rig);
    rig->options.file_system = "xfs";
    rig_refused(rig, CONDITION_INVALID, "hold ext4");
    rig->options.file_system = NULL;
    rig_start(rig);
}

static void a_pool_of_others_is_refused(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char path[DEVICE_PATH];

    rig_start(rig); /* for its files and devices; what holds it then is "somebody else's" pool */
    rig_stop(rig);
    assert_int_equal(device_message(rig->pool, "delete 0"), 0);
    rig->options.thin_pool = device_path(rig->pool, path);
    rig_refused(rig, CONDITION_INVALID, "1 volumes that are not cowsnap's");
    assert_int_equal(device_message(rig->pool, "delete 16777215"), 0);
    rig_must(ops->open(&rig->backend, &rig->options, &why));
    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig->options.thin_pool = "/dev/mapper/no-such-pool";
    rig_refused(rig, CONDITION_INVALID, "there is no active thin pool no-such-pool");
}

static void a_pool_is_there_or_not_as_expected(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat folder;
    char path[128];

    rig->options.presence = POOL_PRESENT;
    rig_refused(rig, CONDITION_NOT_FOUND, "cowsnap pool create");
    rig->options.presence = POOL_ACTIVE;
    rig_refused(rig, CONDITION_NOT_FOUND, "cowsnap pool create");
    snprintf(path, sizeof(path), "%s/thin-pool", rig->path);
    assert_int_equal(stat(path, &folder), -1);
    rig->options.presence = POOL_ABSENT;
    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig_refused(rig, CONDITION_EXISTS, "is there already");
    rig->options.presence = POOL_ACTIVE;
    rig_start(rig);
    rig_stop(rig);
    rig_reboot(rig);
    rig_refused(rig, CONDITION_PRECONDITION, "neither mounted nor active");
    assert_int_equal(rig_devices(rig), 0);
    rig->options.presence = POOL_PRESENT;
    rig_start(rig);
    assert_true(has(rig, 1, "."));
}

/* Else the kernel would begin a new pool on them, over what a repair could have used. */
static void blank_metadata_are_left_alone_where_a_pool_was(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char path[128], block[4096] = "", zeros[4096] = "";

    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig_reboot(rig);
    snprintf(path, sizeof(path), "%s/thin-pool/metadata", rig->path);
    scoped_fd int metadata = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(metadata, zeros, sizeof(zeros), 0), sizeof(zeros));
    assert_int_equal(fsync(metadata), 0);
    rig->options.presence = POOL_KNOWN;
    rig_refused(rig, CONDITION_PRECONDITION, "mount or restore what it lies on");
    rig->options.presence = POOL_PRESENT;
    rig_refused(rig, CONDITION_NOT_FOUND, "mount or restore what it lies on");
    assert_int_equal(rig_devices(rig), 0);
    assert_int_equal(pread(metadata, block, sizeof(block), 0), sizeof(block));
    assert_memory_equal(block, zeros, sizeof(zeros));
}

static void an_interrupted_first_start_is_made_up_for(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char label[DEVICE_NAME], path[DEVICE_PATH];
    static char zeros[4096];

    rig_start(rig);
    rig_stop(rig);
    /* back to where the label was made and not yet written, and the base volume not yet made */
    assert_int_equal(device_message(rig->pool, "delete 16777215"), 0);
    assert_int_equal(device_message(rig->pool, "delete 0"), 0);
    assert_int_equal(device_message(rig->pool, "create_thin 0"), 0);
    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    /* a label that was never finished: the base volume is there, in whatever state */
    name_part(rig->pool, "label", label);
    scoped_fd int fd = open(device_path(label, path), O_RDWR | O_CLOEXEC);
    assert_true(pread(fd, zeros, sizeof(zeros), 0) == sizeof(zeros));
    char *ready = strstr(zeros, "state=ready");
    assert_non_null(ready);
    memcpy(ready, "state=other", 11);
    assert_true(pwrite(fd, zeros, sizeof(zeros), 0) == sizeof(zeros) && fsync(fd) == 0);
    close(take_fd(&fd));
    rig_stop(rig);
    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_true(root >= 0);
}

static void a_full_pool_refuses_before_it_hurts(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char name[32];

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    int result = 0;
    for (unsigned i = 0; result == 0 && i < 100; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(rig_write(root, name, 8 << 20), 0);
        assert_int_equal(syncfs(root), 0); /* what is refused here still can be written */
        result = ops->admit(rig->backend, &why);
        if (result == 0)
            result = ops->create(rig->backend, 100 + i, &why);
    }
    assert_int_equal(result, CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, rig->pool));
    assert_non_null(strstr(why.text, "out of room for data"));
    close(take_fd(&root));
    rig_must(ops->remove(rig->backend, 1, NULL, &why));
    rig_must(ops->create(rig->backend, 1, &why));
}

static void a_pool_grows_while_it_is_in_use(void **state)
{
    struct rig *rig = *state;
    struct pool_status before, after;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    rig_must(ops->status(rig->backend, &before, &why));
    rig_stop(rig);
    rig->options.pool_size = 2 * RIG_POOL_SIZE;
    rig_start(rig);
    rig_must(ops->status(rig->backend, &after, &why));
    assert_int_equal(after.size, 2 * RIG_POOL_SIZE);
    assert_true(after.metadata_size >= before.metadata_size);
    assert_int_equal(rig_write(root, "a", 1 << 20), 0);
    assert_int_equal(syncfs(root), 0);
    rig_must(ops->create(rig->backend, 2, &why));
}

static void a_journal_left_open_is_replayed_for_views(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    char copy[96];

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "in-the-journal", 5000), 0);
    scoped_fd int file = openat(root, "in-the-journal", O_WRONLY | O_CLOEXEC);
    assert_int_equal(fsync(file), 0); /* durable, but not yet where a mount without replay looks */
    close(take_fd(&file));
    /* the disk at this moment, as a power cut leaves it: a clone of the device without freezing */
    assert_int_equal(device_message(rig->pool, "create_snap 2 1"), 0);
    close(take_fd(&root));
    rig_stop(rig);
    rig_reboot(rig);
    rig_start(rig);
    rig_must(ops->locate(rig->backend, 2, &volume, &why));
    snprintf(copy, sizeof(copy), "%s/view", rig->path);
    assert_int_equal(mkdir(copy, 0700), 0);
    assert_int_equal(mount(volume.path, copy, "ext4", MS_RDONLY, "noload"), 0);
    strcat(copy, "/in-the-journal");
    bool there = access(copy, R_OK) == 0;
    *strrchr(copy, '/') = '\0';
    umount2(copy, MNT_DETACH);
    assert_true(there);
}

static void a_resting_volume_has_no_device(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    rig_must(ops->rest(rig->backend, 1, &why));
    assert_true(rig_device(rig, 1).leaving); /* somebody has it mounted */
    assert_int_equal(rig_write(root, "still", 10), 0);
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    assert_false(rig_device(rig, 1).leaving);
    rig_must(ops->rest(rig->backend, 1, &why));
    close(take_fd(&root));
    wait_until_gone(rig, 1);
    assert_true(has(rig, 1, "still"));
    rig_must(ops->rest(rig->backend, 1, &why));
    rig_must(ops->rest(rig->backend, 1, &why));
    assert_false(rig_device(rig, 1).exists);
}

static void usage_is_what_was_added(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume_usage usage;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    for (char name[] = "a"; name[0] <= 'j'; name[0]++)
        assert_int_equal(rig_write(root, name, 1 << 20), 0);
    close(take_fd(&root));
    rig_must(ops->sync(rig->backend, 1, &why));
    rig_must(ops->usage(rig->backend, 1, 0, false, &usage, &why));
    assert_in_range(usage.bytes, 10 << 20, (12 << 20) + (1 << 19));
    assert_int_equal(usage.inodes, 10);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    rig_must(ops->usage(rig->backend, 2, 1, false, &usage, &why));
    assert_int_equal(usage.bytes, 0);
    root = rig_root(rig, 2);
    assert_int_equal(rig_write(root, "new", 4 << 20), 0);
    assert_int_equal(syncfs(root), 0);
    rig_must(ops->usage(rig->backend, 2, 1, false, &usage, &why));
    assert_in_range(usage.bytes, 4 << 20, 5 << 20);
    assert_int_equal(usage.inodes, 1);
    /* and after a restart, from what the pool knows */
    close(take_fd(&root));
    rig_stop(rig);
    rig_start(rig);
    rig_must(ops->usage(rig->backend, 2, 1, true, &usage, &why));
    assert_in_range(usage.bytes, 4 << 20, 5 << 20);
    assert_int_equal(usage.inodes, 1);
    assert_true(usage.exact);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_reboot_loses_nothing),
        BARE(a_killed_daemon_leaves_a_pool_that_opens),
        TEST(the_pool_is_asked_which_volumes_there_are),
        TEST(strays_are_ended_and_others_are_not),
        TEST(a_pool_belongs_to_one_daemon),
        BARE(a_pool_of_others_is_refused),
        BARE(a_pool_is_there_or_not_as_expected),
        BARE(blank_metadata_are_left_alone_where_a_pool_was),
        BARE(an_interrupted_first_start_is_made_up_for),
        TEST(a_full_pool_refuses_before_it_hurts),
        TEST(a_pool_grows_while_it_is_in_use),
        TEST(a_journal_left_open_is_replayed_for_views),
        TEST(a_resting_volume_has_no_device),
        TEST(usage_is_what_was_added),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
