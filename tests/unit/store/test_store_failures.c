/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

/* What a store does when its disk does not do what it should. This program's fdatasync() and
 * pwrite() stand before the C library's and are what LMDB calls. */

static atomic_int sync_error; /* errno of the next fdatasync(); 0 for a real one */
static atomic_int root_error; /* the same for the next pwrite() of less than a page: of a root */

int fdatasync(int fd)
{
    int error = atomic_exchange(&sync_error, 0);

    if (error) {
        errno = error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* With 64-bit offsets this file's own "pwrite" would be the C library's pwrite64; LMDB's is not. */
ssize_t lmdb_pwrite(int fd, const void *buffer, size_t size, off_t offset) __asm__("pwrite");

ssize_t lmdb_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
    int error = size < 4096 ? atomic_exchange(&root_error, 0) : 0;

    if (error) {
        errno = error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buffer, size, offset);
}

static void a_full_disk_is_a_condition_that_passes(void **state)
{
    static const int errors[] = {ENOSPC, EDQUOT};
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    for (size_t i = 0; i < 2; i++) {
        struct reason why = {0};

        atomic_store(&sync_error, errors[i]);
        assert_int_equal(write_key(&rig, "key", &why), CONDITION_EXHAUSTED);
        assert_non_null(strstr(why.text, rig.path));
        assert_non_null(strstr(why.text, "free some space"));
        assert_int_equal(id_of(&rig, bytes_of("key")), 0);
    }
    assert_int_equal(write_key(&rig, "key", NULL), 0);
    rig_reopen(&rig, 0);
    assert_true(id_of(&rig, bytes_of("key")) > 0);
    rig_remove(&rig);
}

/* When a commit finds no room, those who may use the reserve get a turn of their own. */
static void what_may_use_the_reserve_is_tried_again(void **state)
{
    struct reason why = {0};
    struct rig rig;
    uint64_t id;

    (void)state;
    rig_make(&rig, 0);
    id = add(&rig, "key", SNAPSHOT_ACTIVE, 0);
    atomic_store(&sync_error, ENOSPC);
    must(store_write_reserved(rig.store, delete, &id, &why), &why);
    assert_int_equal(id_of(&rig, bytes_of("key")), 0);
    rig_remove(&rig);
}

static void after_a_disk_error_nothing_is_written_until_a_restart(void **state)
{
    struct reason why = {0};
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    assert_int_equal(write_key(&rig, "before", NULL), 0);
    atomic_store(&sync_error, EIO);
    assert_int_equal(write_key(&rig, "lost", &why), -EIO);
    assert_int_equal(write_key(&rig, "after", &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, rig.path));
    assert_non_null(strstr(why.text, "restart cowsnapd"));
    assert_true(id_of(&rig, bytes_of("before")) > 0);
    assert_int_equal(id_of(&rig, bytes_of("lost")), 0);
    assert_int_equal(id_of(&rig, bytes_of("after")), 0);
    rig_reopen(&rig, 0);
    assert_true(id_of(&rig, bytes_of("before")) > 0);
    assert_int_equal(id_of(&rig, bytes_of("lost")), 0);
    assert_int_equal(write_key(&rig, "after", NULL), 0);
    rig_remove(&rig);
}

/* LMDB cannot tell then which root the disk has, and serves nobody until it is opened anew. */
static void after_a_failed_write_of_the_root_all_wait_for_a_restart(void **state)
{
    struct find find = {.key = bytes_of("before")};
    struct reason why = {0};
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    assert_int_equal(write_key(&rig, "before", NULL), 0);
    atomic_store(&root_error, EIO);
    assert_int_equal(write_key(&rig, "lost", &why), -EIO);
    assert_int_equal(write_key(&rig, "after", &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "restart cowsnapd"));
    assert_int_equal(store_read(rig.store, find_key, &find, &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "restart cowsnapd"));
    rig_reopen(&rig, 0);
    assert_true(id_of(&rig, bytes_of("before")) > 0);
    assert_int_equal(write_key(&rig, "after", NULL), 0);
    rig_remove(&rig);
}

/* A root that finds no room, as on a copy-on-write file system, ends LMDB's work just the same. */
static void a_root_without_room_says_so_and_then_waits_for_a_restart(void **state)
{
    struct reason why = {0};
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    atomic_store(&root_error, ENOSPC);
    assert_int_equal(write_key(&rig, "lost", &why), CONDITION_EXHAUSTED);
    assert_int_equal(write_key(&rig, "after", &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "restart cowsnapd"));
    rig_remove(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_a_condition_that_passes),
        cmocka_unit_test(what_may_use_the_reserve_is_tried_again),
        cmocka_unit_test(after_a_disk_error_nothing_is_written_until_a_restart),
        cmocka_unit_test(after_a_failed_write_of_the_root_all_wait_for_a_restart),
        cmocka_unit_test(a_root_without_room_says_so_and_then_waits_for_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
