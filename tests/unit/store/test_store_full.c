/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

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
    assert_int_equal(mount("tmpfs", rig.path, "tmpfs", 0, "size=1m,mode=0700"), 0);
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

static bool may_mount(void)
{
    char path[] = "/tmp/cowsnap-store-XXXXXX";
    bool may = false;

    if (mkdtemp(path)) {
        may = mount("tmpfs", path, "tmpfs", 0, NULL) == 0;
        if (!may)
            print_message("not run: mounting a tmpfs: %s\n", strerror(errno));
        else
            umount(path);
        rmdir(path);
    }
    return may;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_really_full_disk_passes_too),
    };

    return may_mount() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
