/* SPDX-License-Identifier: Apache-2.0 */
#include "store/readers.h"
#include "unit/store/rig.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define TMPFS 0x01021994 /* TMPFS_MAGIC of linux/magic.h: what memory files lie on */

static struct stat link_of(struct rig *rig)
{
    struct stat status;

    assert_int_equal(fstatat(rig->root, "meta/lock.mdb", &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(status.st_mode));
    return status;
}

/* Whether any descriptor of this process has the table open, on memory. */
static unsigned tables_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++) {
        char path[32], target[64] = "";
        struct statfs fs;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof(target) - 1) < 0 || !strstr(target, "cowsnap-lock.mdb"))
            continue;
        assert_int_equal(fstatfs(fd, &fs), 0);
        assert_int_equal(fs.f_type, TMPFS);
        count++;
    }
    return count;
}

static void the_table_is_no_file_on_the_disk(void **state)
{
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    (void)link_of(&rig);
    assert_int_equal(tables_open(), 1); /* LMDB's own descriptor */
    assert_int_equal(write_key(&rig, "key", NULL), 0);
    assert_true(id_of(&rig, bytes_of("key")) > 0);
    rig_remove(&rig);
    assert_int_equal(tables_open(), 0);
}

static void another_start_needs_no_new_link(void **state)
{
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    ino_t first = link_of(&rig).st_ino;
    rig_reopen(&rig, 0);
    assert_int_equal(link_of(&rig).st_ino, first);
    rig_remove(&rig);
}

static void what_is_in_the_way_is_replaced(void **state)
{
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    rig.store = store_close(rig.store);
    assert_int_equal(unlinkat(rig.root, "meta/lock.mdb", 0), 0);
    int file = openat(rig.root, "meta/lock.mdb", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    rig_open(&rig, 0);
    (void)link_of(&rig);
    rig.store = store_close(rig.store);

    assert_int_equal(unlinkat(rig.root, "meta/lock.mdb", 0), 0);
    assert_int_equal(symlinkat("/proc/self/fd/9", rig.root, "meta/lock.mdb"), 0);
    rig_open(&rig, 0);
    assert_int_equal(write_key(&rig, "key", NULL), 0);
    rig_remove(&rig);
}

static void two_stores_have_a_table_each(void **state)
{
    struct rig one, two;

    (void)state;
    rig_make(&one, 0);
    rig_make(&two, 0);
    assert_int_equal(tables_open(), 2);
    assert_int_equal(write_key(&one, "key", NULL), 0);
    assert_int_equal(id_of(&two, bytes_of("key")), 0);
    rig_remove(&two);
    assert_true(id_of(&one, bytes_of("key")) > 0);
    rig_remove(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_no_file_on_the_disk),
        cmocka_unit_test(another_start_needs_no_new_link),
        cmocka_unit_test(what_is_in_the_way_is_replaced),
        cmocka_unit_test(two_stores_have_a_table_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
