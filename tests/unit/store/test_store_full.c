/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

/* A store on a disk of its own; OPTIONS are tmpfs's. */
static void open_on_disk(struct rig *rig, const char *options)
{
    rig_folder(rig);
    assert_int_equal(mount("tmpfs", rig->path, "tmpfs", 0, options), 0);
    close(rig->root);
    rig->root = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_open(rig, 0);
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
    open_on_disk(&rig, "size=1m,mode=0700");
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

/* Takes all that is free, in pieces down to a page. */
static void take_the_rest(struct rig *rig)
{
    static uint8_t piece[64 * 1024];
    int file = openat(rig->root, "stranger", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(file >= 0);
    for (size_t size = sizeof(piece); size >= 4096; size /= 2)
        while (write(file, piece, size) > 0)
            ;
    close(file);
}

static void on_a_full_disk_all_can_be_removed(void **state)
{
    static uint8_t big[STORE_KEY_LIMIT];
    uint64_t ids[200];
    struct reason why = {0};
    struct rig rig;
    int count = 0, result = 0;

    (void)state;
    open_on_disk(&rig, "size=4m,mode=0700");
    while (!result && count < 200) {
        struct record record = {.key = bytes_from(big, sizeof(big)), .kind = SNAPSHOT_ACTIVE};

        memcpy(big, &count, sizeof(count));
        result = store_write(rig.store, put, &record, &why);
        if (!result)
            ids[count++] = record.id;
    }
    assert_int_equal(result, CONDITION_EXHAUSTED);
    take_the_rest(&rig);
    rig_reopen(&rig, 0);
    assert_int_equal(write_key(&rig, "more", &why), CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, "free some space there"));
    for (int i = 0; i < count; i++)
        must(store_write_reserved(rig.store, delete, &ids[i], &why), &why);
    assert_int_equal(figures(&rig).snapshots, 0);
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
        cmocka_unit_test(on_a_full_disk_all_can_be_removed),
    };

    return may_mount() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
