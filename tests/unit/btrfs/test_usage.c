/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static const struct backend_ops *const ops = &backend_btrfs;

static struct volume_usage usage_of(struct rig *rig, uint64_t id, uint64_t parent, bool any_length)
{
    struct reason why = {0};
    struct volume_usage usage = {0};

    rig_must(ops->usage(rig->backend, id, parent, any_length, &usage, &why));
    return usage;
}

static struct volume_usage usage_synced(struct rig *rig, uint64_t id, uint64_t parent)
{
    struct reason why = {0};

    rig_must(ops->sync(rig->backend, id, &why));
    return usage_of(rig, id, parent, false);
}

#define assert_usage(usage, want_bytes, want_inodes)                                               \
    do {                                                                                           \
        struct volume_usage got_ = (usage);                                                        \
        assert_int_equal(got_.bytes, want_bytes);                                                  \
        assert_int_equal(got_.inodes, want_inodes);                                                \
        assert_true(got_.exact);                                                                   \
    } while (0)

/* COUNT files of SIZE bytes each in folders of 100. */
static void make_tree(int root, unsigned count, size_t size)
{
    char name[64];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "d%03u", i / 100);
        if (i % 100 == 0)
            assert_int_equal(mkdirat(root, name, 0755), 0);
        snprintf(name, sizeof(name), "d%03u/f%05u", i / 100, i);
        assert_int_equal(rig_write(root, name, size), 0);
    }
}

static void an_untouched_volume_holds_nothing(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    assert_usage(usage_synced(rig, 1, 0), 0, 0);
    scoped_fd int root = rig_root(rig, 1);
    make_tree(root, 300, 5000);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    assert_usage(usage_of(rig, 2, 1, false), 0, 0);
    assert_usage(usage_synced(rig, 2, 1), 0, 0);
}

static void what_was_written_is_counted_as_du_does(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat file;
    uint64_t blocks = 0;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "a", 3 * 4096), 0);
    assert_int_equal(rig_write(root, "b", 1000000), 0);
    assert_int_equal(rig_write(root, "small", 100), 0); /* lies in the tree itself */
    assert_int_equal(rig_write(root, "empty", 0), 0);
    assert_int_equal(mkdirat(root, "d", 0755), 0);
    assert_int_equal(linkat(root, "a", root, "d/again", 0), 0);
    assert_int_equal(symlinkat("target", root, "link"), 0);
    int sparse = openat(root, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(pwrite(sparse, "x", 1, 1 << 30), 1);
    assert_int_equal(fallocate(sparse, 0, 1 << 20, 65536), 0);
    close(sparse);

    struct volume_usage usage = usage_synced(rig, 1, 0);
    const char *const names[] = {"a", "b", "sparse"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fstatat(root, names[i], &file, 0), 0);
        blocks += (uint64_t)file.st_blocks * 512;
    }
    assert_int_equal(usage.inodes, 7);
    assert_true(usage.exact);
    assert_int_equal(usage.bytes, blocks + 100 + strlen("target"));
    assert_int_equal(blocks, 12288 + 1003520 + 4096 + 65536);
}

static void a_clone_is_charged_for_its_changes_only(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int parent = rig_root(rig, 1);
    make_tree(parent, 200, 8192);
    assert_int_equal(rig_write(parent, "big", 1 << 20), 0);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    scoped_fd int root = rig_root(rig, 2);

    /* two files in the root, which itself is never counted */
    assert_int_equal(rig_write(root, "new1", 8192), 0);
    assert_int_equal(rig_write(root, "new2", 4096), 0);
    assert_usage(usage_synced(rig, 2, 1), 12288, 2);

    /* one in a folder: the folder has changed as well */
    assert_int_equal(rig_write(root, "d000/new3", 4096), 0);
    assert_usage(usage_synced(rig, 2, 1), 16384, 4);

    /* one block in the middle of a file of the parent's */
    int big = openat(root, "big", O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(big, "change", 6, 300000), 6);
    close(big);
    assert_usage(usage_synced(rig, 2, 1), 20480, 5);

    /* a mode is an inode and no bytes */
    assert_int_equal(fchmodat(root, "d001/f00100", 0600, 0), 0);
    assert_usage(usage_synced(rig, 2, 1), 20480, 6);

    /* removing a file of the parent's gives nothing back; the folder has changed */
    assert_int_equal(unlinkat(root, "d001/f00101", 0), 0);
    assert_usage(usage_synced(rig, 2, 1), 20480, 7);

    /* removing one of its own does */
    assert_int_equal(unlinkat(root, "new1", 0), 0);
    assert_usage(usage_synced(rig, 2, 1), 12288, 6);

    /* a clone of the clone begins at nothing, and sealing changes no figure */
    rig_must(ops->seal(rig->backend, 2, &why));
    assert_usage(usage_of(rig, 2, 1, false), 12288, 6);
    rig_must(ops->clone(rig->backend, 3, 2, &why));
    assert_usage(usage_of(rig, 3, 2, false), 0, 0);
}

static void a_reflink_of_the_parents_data_takes_no_bytes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int parent = rig_root(rig, 1);
    assert_int_equal(rig_write(parent, "big", 1 << 20), 0);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    scoped_fd int root = rig_root(rig, 2);
    scoped_fd int from = openat(root, "big", O_RDONLY | O_CLOEXEC);
    scoped_fd int to = openat(root, "copy", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ioctl(to, FICLONE, from), 0);
    assert_usage(usage_synced(rig, 2, 1), 0, 1);
}

static void compressed_data_counts_with_what_it_takes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    static char zeros[131072];
    int flags = FS_COMPR_FL;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    scoped_fd int file = openat(root, "text", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ioctl(file, FS_IOC_SETFLAGS, &flags), 0);
    memset(zeros, 'x', sizeof(zeros));
    assert_int_equal(write(file, zeros, sizeof(zeros)), sizeof(zeros));
    struct volume_usage usage = usage_synced(rig, 1, 0);
    assert_in_range(usage.bytes, 4096, 16384);
}

static void past_the_bound_the_last_known_figure_comes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume_usage usage;

    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    scoped_fd int root = rig_root(rig, 2);
    make_tree(root, 100, 1);
    assert_usage(usage_synced(rig, 2, 1), 100, 101);

    for (unsigned i = 0; i < 6000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d000/g%05u", i);
        assert_int_equal(rig_write(root, name, 1), 0);
    }
    usage = usage_synced(rig, 2, 1);
    assert_false(usage.exact);
    assert_int_equal(usage.bytes, 100);
    assert_int_equal(usage.inodes, 101);

    usage = usage_of(rig, 2, 1, true);
    assert_true(usage.exact);
    assert_int_equal(usage.bytes, 6100);
    assert_int_equal(usage.inodes, 6101);
    assert_usage(usage_of(rig, 2, 1, false), 6100, 6101);

    /* with nothing known, what was seen so far */
    rig_stop(rig);
    rig_start(rig);
    double begin = rig_seconds();
    usage = usage_of(rig, 2, 1, false);
    printf("usage to the bound, %d inodes seen: %.3f ms\n", (int)usage.inodes,
           (rig_seconds() - begin) * 1e3);
    assert_false(usage.exact);
    assert_in_range(usage.inodes, 300, 6000);
}

static void ten_files_on_twenty_thousand_take_under_two_milliseconds(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    double best = 1e9;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int parent = rig_root(rig, 1);
    make_tree(parent, 20000, 600);
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    scoped_fd int root = rig_root(rig, 2);
    for (unsigned i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%03u/new", i * 17);
        assert_int_equal(rig_write(root, name, 5000), 0);
    }
    for (int i = 0; i < 5; i++) {
        /* a change before each, so that it is counted, not remembered */
        assert_int_equal(fchmodat(root, "d000/new", 0600 + i, 0), 0);
        rig_must(ops->sync(rig->backend, 2, &why));
        double begin = rig_seconds();
        assert_usage(usage_of(rig, 2, 1, false), 10 * 8192, 20);
        double took = rig_seconds() - begin;
        best = took < best ? took : best;
    }
    printf("usage of 10 new files on 20,000: %.3f ms\n", best * 1e3);
    assert_true(best < 2e-3);
}

static void a_new_volume_of_the_same_number_is_counted_anew(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "a", 4096), 0);
    close(root);
    assert_usage(usage_synced(rig, 1, 0), 4096, 1);
    rig_must(ops->create(rig->backend, 1, &why));
    assert_usage(usage_of(rig, 1, 0, false), 0, 0);
}

#define in_pool(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_pool(an_untouched_volume_holds_nothing),
        in_pool(what_was_written_is_counted_as_du_does),
        in_pool(a_clone_is_charged_for_its_changes_only),
        in_pool(a_reflink_of_the_parents_data_takes_no_bytes),
        in_pool(compressed_data_counts_with_what_it_takes),
        in_pool(past_the_bound_the_last_known_figure_comes),
        in_pool(ten_files_on_twenty_thousand_take_under_two_milliseconds),
        in_pool(a_new_volume_of_the_same_number_is_counted_anew),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
