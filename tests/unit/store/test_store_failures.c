/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* What a store does when its disk does not do what it should. This program's fdatasync() stands
 * before the C library's and is what LMDB calls. */

static atomic_int sync_error; /* errno of the next fdatasync(); 0 for a real one */

int fdatasync(int fd)
{
    int error = atomic_exchange(&sync_error, 0);

    if (error) {
        errno = error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int write_key(struct rig *rig, const char *key, struct reason *why)
{
    struct record record = {.key = bytes_of(key), .kind = SNAPSHOT_ACTIVE};

    return store_write(rig->store, put, &record, why);
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

/* A file system of 1 MiB over the store's folder, so that writes really are cut short. */
static void a_really_full_disk_passes_too(void **state)
{
    struct rig rig;
    struct reason why = {0};
    static uint8_t big[STORE_KEY_LIMIT];
    int result = 0;
    int written = 0;

    (void)state;
    rig_folder(&rig);
    if (mount("tmpfs", rig.path, "tmpfs", 0, "size=1m,mode=0700")) {
        print_message("not run: mounting a tmpfs: %s\n", strerror(errno));
        rig_remove(&rig);
        skip();
    }
    close(rig.root);
    rig.root = open(rig.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_open(&rig, 0);
    while (!result && written < 200) {
        struct record record = {.key = bytes_from(big, sizeof(big)), .kind = SNAPSHOT_ACTIVE};

        memcpy(big, &written, sizeof(written));
        result = store_write(rig.store, put, &record, &why);
        written += result == 0;
    }
    assert_int_equal(result, CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, rig.path));
    assert_int_equal(figures(&rig).snapshots, written);
    /* what little fits into pages that were allotted already may still go through */
    result = write_key(&rig, "little", &why);
    assert_true(result == 0 || result == CONDITION_EXHAUSTED);
    written += result == 0;
    assert_int_equal(mount("tmpfs", rig.path, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    assert_int_equal(write_key(&rig, "small", &why), 0);
    rig_reopen(&rig, 0);
    assert_int_equal(figures(&rig).snapshots, written + 1);
    rig.store = store_close(rig.store);
    close(rig.root);
    assert_int_equal(umount(rig.path), 0);
    assert_int_equal(rmdir(rig.path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_a_condition_that_passes),
        cmocka_unit_test(after_a_disk_error_nothing_is_written_until_a_restart),
        cmocka_unit_test(a_really_full_disk_passes_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
