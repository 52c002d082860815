/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reserve.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static char folder[] = "/tmp/cowsnap-reserve-XXXXXX";

/* A disk of so many KiB. */
static int disk(unsigned kib)
{
    char size[32];

    snprintf(size, sizeof(size), "size=%uk,mode=0700", kib);
    assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, size), 0);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void no_more_of(int *fd)
{
    close(*fd);
    assert_int_equal(umount(folder), 0);
}

static uint64_t blocks_of(int file)
{
    struct stat status;

    assert_int_equal(fstat(file, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static int file_in(int at)
{
    struct reason why = {0};

    assert_int_equal(reserve_make_file(at, "path", &why), 0);
    int file = openat(at, "data.mdb", O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    return file;
}

static void room_is_had_ahead_and_the_size_stays(void **state)
{
    scoped(no_more_of) int at = disk(8192);
    scoped_fd int file = file_in(at);
    struct reserve reserve = {0};
    struct stat status;

    (void)state;
    assert_true(reserve_keep(&reserve, file, 4 * PAGE));
    assert_true(blocks_of(file) >= RESERVE_BYTES + 4 * PAGE);
    assert_int_equal(fstat(file, &status), 0);
    assert_int_equal(status.st_size, 0);
    uint64_t before = blocks_of(file);
    assert_true(reserve_keep(&reserve, file, 5 * PAGE)); /* had already */
    assert_int_equal(blocks_of(file), before);
    assert_true(reserve_keep(&reserve, file, before));
    assert_true(blocks_of(file) >= before + RESERVE_BYTES);
}

static void the_last_room_is_taken_and_then_there_is_none(void **state)
{
    scoped(no_more_of) int at = disk(RESERVE_BYTES / 1024 + 64);
    scoped_fd int file = file_in(at);
    struct reserve reserve = {0};

    (void)state;
    assert_true(reserve_keep(&reserve, file, 4 * PAGE));
    assert_int_equal(reserve.end, RESERVE_BYTES + 4 * PAGE);
    assert_false(reserve_keep(&reserve, file, 64 * PAGE));
    assert_int_equal(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    assert_true(reserve_keep(&reserve, file, 64 * PAGE));
}

static void a_file_that_cannot_be_made_says_why(void **state)
{
    scoped_fd int at = -1;
    struct reason why = {0};

    (void)state;
    assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, "nr_inodes=1,mode=0700"), 0);
    at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(reserve_make_file(at, "the/path", &why), CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, "the file system that holds the/path is full"));
    close(take_fd(&at));
    assert_int_equal(umount(folder), 0);
}

static void where_nothing_can_be_had_ahead_all_goes_on(void **state)
{
    struct reserve reserve = {0};
    scoped_fd int file = open("/proc/self/comm", O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(file >= 0);
    assert_true(reserve_keep(&reserve, file, PAGE));
}

static bool may_mount(void)
{
    if (mount("tmpfs", folder, "tmpfs", 0, NULL) == 0)
        return umount(folder) == 0;
    print_message("SKIPPED: mounting a tmpfs: %s\n", strerror(errno));
    return false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_had_ahead_and_the_size_stays),
        cmocka_unit_test(the_last_room_is_taken_and_then_there_is_none),
        cmocka_unit_test(a_file_that_cannot_be_made_says_why),
        cmocka_unit_test(where_nothing_can_be_had_ahead_all_goes_on),
    };
    int status = 77;

    if (!mkdtemp(folder))
        return 1;
    if (may_mount())
        status = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return status;
}
