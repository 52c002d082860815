/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static const struct backend_ops *const ops = &backend_btrfs;

static void assert_finds(struct rig *rig, bool sound, const char *words)
{
    struct pool_verdict verdict = {0};
    struct reason why = {0};

    rig_must(ops->check(rig->backend, NULL, &verdict, &why));
    if (verdict.sound != sound || !strstr(verdict.finding.text, words))
        fail_msg("the check says %d: %s", verdict.sound, verdict.finding.text);
}

static void turn_around(int image, off_t at)
{
    char byte;

    assert_int_equal(pread(image, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(image, &byte, 1, at), 1);
}

/* Turns a byte around on the disk wherever TEXT lies: btrfs leaves older copies of what it wrote.
 */
static void damage(const struct rig *rig, const char *text)
{
    scoped_fd int image = openat(rig->options.root, "pool.img", O_RDWR | O_CLOEXEC);
    size_t length = strlen(text);
    unsigned places = 0;
    static char part[1 << 20];

    for (off_t at = 0; at < (off_t)RIG_POOL_SIZE; at += (off_t)sizeof(part)) {
        ssize_t got = pread(image, part, sizeof(part), at);
        const char *end = part + (got > 0 ? got : 0), *there = part;

        while ((there = memmem(there, (size_t)(end - there), text, length))) {
            turn_around(image, at + (there - part));
            there += length;
            places++;
        }
    }
    assert_true(places > 0);
    assert_int_equal(fsync(image), 0);
}

static void a_sound_pool_is_found_sound(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_verdict verdict = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "a", 20 * MIB), 0);
    assert_int_equal(syncfs(root), 0);
    assert_finds(rig, true, "read 20."); /* all of it was looked at */
    assert_int_equal(ops->check_idle(&rig->options, NULL, &verdict, &why), CONDITION_PRECONDITION);
}

static void damaged_data_are_found(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    static const char mark[] = "cowsnap-marks-this-place-of-the-pool";

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    scoped_fd int file = openat(root, "marked", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(file, mark, sizeof(mark) - 1), sizeof(mark) - 1);
    assert_int_equal(pwrite(file, "end", 3, 1 << 20), 3); /* no file that fits in the metadata */
    assert_int_equal(fsync(file), 0);
    assert_int_equal(syncfs(root), 0);
    assert_finds(rig, true, "every checksum is right");
    damage(rig, mark);
    assert_finds(rig, false, "found damaged data (1 blocks wrong");
}

/* The name of a file lies in a leaf of the metadata. */
static void damaged_metadata_are_found(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "a-name-that-no-other-file-has", 1 << 16), 0);
    assert_int_equal(syncfs(root), 0);
    damage(rig, "a-name-that-no-other-file-has");
    assert_finds(rig, false, "found damaged metadata");
}

static void a_pool_that_is_not_mounted_is_examined(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_verdict verdict = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig_unmount(rig);
    rig_must(ops->check_idle(&rig->options, NULL, &verdict, &why));
    assert_true(verdict.sound);
    assert_non_null(strstr(verdict.finding.text, "`btrfs check --readonly` finds nothing wrong"));
    assert_int_equal(mount("none", rig->path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    rig_must(ops->check_idle(&rig->options, NULL, &verdict, &why)); /* it writes nothing */
    assert_true(verdict.sound);
}

static void a_check_nobody_waits_for_ends(void **state)
{
    struct rig *rig = *state;
    struct pool_verdict verdict = {0};
    struct reason why = {0};
    const atomic_bool cancel = true;

    assert_int_equal(ops->check(rig->backend, &cancel, &verdict, &why), CONDITION_CANCELLED);
    assert_finds(rig, true, "every checksum is right");
}

static void a_pool_that_is_not_written_any_more_is_not_sound(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;
    char pool[80];

    snprintf(pool, sizeof(pool), "%s/pool", rig->path);
    assert_int_equal(mount("none", pool, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_finds(rig, false, "serves reads only");
    rig_must(ops->status(rig->backend, &status, &why));
    assert_int_equal(status.state, POOL_STATE_READ_ONLY);
    assert_non_null(strstr(status.advice.text, "cowsnap pool check"));
}

static void of_a_folder_the_counters_are_read(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_verdict verdict = {0};
    char path[128];

    rig_start(rig); /* for a btrfs, which is "the operator's" then */
    snprintf(path, sizeof(path), "%s/pool/theirs", rig->path);
    assert_int_equal(mkdir(path, 0755), 0);
    rig_stop(rig);
    rig->options.pool_path = path;
    assert_int_equal(ops->check_idle(&rig->options, NULL, &verdict, &why), CONDITION_PRECONDITION);
    rig_start(rig);
    assert_finds(rig, true, "has counted no error");
    rig->options.pool_path = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_pool_is_found_sound),
        TEST(damaged_data_are_found),
        TEST(damaged_metadata_are_found),
        TEST(a_pool_that_is_not_mounted_is_examined),
        TEST(a_check_nobody_waits_for_ends),
        TEST(a_pool_that_is_not_written_any_more_is_not_sound),
        BARE(of_a_folder_the_counters_are_read),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
