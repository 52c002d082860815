/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/pool_files.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <endian.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct backend_ops *const ops = &backend_dm_thin;

static void assert_finds(const struct pool_verdict *verdict, bool sound, const char *words)
{
    if (verdict->sound != sound || !strstr(verdict->finding.text, words))
        fail_msg("the check says %d: %s", verdict->sound, verdict->finding.text);
}

static void assert_idle_finds(struct rig *rig, bool sound, const char *words)
{
    struct pool_verdict verdict = {0};
    struct reason why = {0};

    rig_must(ops->check_idle(&rig->options, NULL, &verdict, &why));
    assert_finds(&verdict, sound, words);
}

static void assert_finds_nothing(struct rig *rig)
{
    struct pool_verdict verdict = {0};
    struct reason why = {0};

    rig_must(ops->check(rig->backend, NULL, &verdict, &why));
    assert_finds(&verdict, true, "finds nothing wrong with the metadata");
}

/* A block of the metadata file of a pool that is not active. */
static void read_block(const struct rig *rig, uint64_t number, uint8_t block[METADATA_BLOCK])
{
    scoped_fd int file = openat(rig->options.root, POOL_FILES_METADATA, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(file, block, METADATA_BLOCK, (off_t)(number * METADATA_BLOCK)),
                     METADATA_BLOCK);
}

static void write_block(const struct rig *rig, uint64_t number, const uint8_t block[METADATA_BLOCK])
{
    scoped_fd int file = openat(rig->options.root, POOL_FILES_METADATA, O_RDWR | O_CLOEXEC);

    assert_int_equal(pwrite(file, block, METADATA_BLOCK, (off_t)(number * METADATA_BLOCK)),
                     METADATA_BLOCK);
}

static void a_pool_in_use_is_examined(void **state)
{
    struct rig *rig = *state;
    struct pool_verdict verdict = {0};
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_int_equal(rig_write(root, "a", 1 << 20), 0);
    assert_finds_nothing(rig);
    assert_int_equal(device_message(rig->pool, "reserve_metadata_snap"), 0); /* left by a crash */
    assert_finds_nothing(rig);
    /* and what was kept still goes on */
    assert_int_equal(device_message(rig->pool, "reserve_metadata_snap"), 0);
    assert_int_equal(device_message(rig->pool, "release_metadata_snap"), 0);
    assert_int_equal(ops->check_idle(&rig->options, NULL, &verdict, &why), CONDITION_PRECONDITION);
}

static void a_check_nobody_waits_for_ends(void **state)
{
    struct rig *rig = *state;
    struct pool_verdict verdict = {0};
    struct reason why = {0};
    const atomic_bool cancel = true;

    assert_int_equal(ops->check(rig->backend, &cancel, &verdict, &why), CONDITION_CANCELLED);
    assert_finds_nothing(rig); /* the metadata snapshot was given back */
}

static void a_pool_that_is_not_active_is_examined(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig_reboot(rig);
    assert_idle_finds(rig, true, "finds nothing wrong with the metadata");
}

static void damage_is_found(void **state)
{
    struct rig *rig = *state;
    struct metadata_superblock superblock;
    uint8_t block[METADATA_BLOCK];

    rig_stop(rig);
    rig_reboot(rig);
    read_block(rig, 0, block);
    assert_true(metadata_parse_superblock(block, 0, &superblock));
    read_block(rig, superblock.details_root, block);
    assert_idle_finds(rig, true, "finds nothing wrong");
    block[100] ^= 1;
    write_block(rig, superblock.details_root, block);
    assert_idle_finds(rig, false, "damaged (last words: \"");
    assert_idle_finds(rig, false, "thin_repair -i /dev/shm/");
}

static void metadata_that_are_lost_are_not_called_sound(void **state)
{
    struct rig *rig = *state;
    uint8_t block[METADATA_BLOCK] = {0};
    struct reason why = {0};

    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    rig_reboot(rig);
    write_block(rig, 0, block);
    assert_idle_finds(rig, false, "was in use, and its metadata on ");
    scoped_fd int file =
        openat(rig->options.root, "thin-pool/metadata", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    assert_int_equal(ftruncate(file, 512), 0);
    assert_idle_finds(rig, false, "end after 512 bytes");
}

static void a_mark_of_the_kernels_is_told(void **state)
{
    struct rig *rig = *state;
    uint8_t block[METADATA_BLOCK];

    rig_stop(rig);
    rig_reboot(rig);
    read_block(rig, 0, block);
    block[4] |= 1; /* THIN_METADATA_NEEDS_CHECK_FLAG */
    uint32_t sum = htole32(crc32_iscsi(block + 4, METADATA_BLOCK - 4, UINT32_MAX) ^ 160774);
    memcpy(block, &sum, sizeof(sum));
    write_block(rig, 0, block);
    assert_idle_finds(rig, false, "thin_check --clear-needs-check-flag /dev/shm/");
}

static void a_pool_that_was_never_made_is_not_found(void **state)
{
    struct rig *rig = *state;
    struct pool_verdict verdict = {0};
    struct reason why = {0};

    assert_int_equal(ops->check_idle(&rig->options, NULL, &verdict, &why), CONDITION_NOT_FOUND);
    rig_must(pool_files_make(rig->options.root, rig->path, true, RIG_POOL_SIZE, &why));
    assert_idle_finds(rig, true, "it was never activated");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_pool_in_use_is_examined),
        TEST(a_check_nobody_waits_for_ends),
        TEST(a_pool_that_is_not_active_is_examined),
        TEST(damage_is_found),
        TEST(metadata_that_are_lost_are_not_called_sound),
        TEST(a_mark_of_the_kernels_is_told),
        BARE(a_pool_that_was_never_made_is_not_found),
    };

    if (!rig_can_run())
        return 77;
    if (access("/usr/sbin/thin_check", X_OK) < 0 && access("/sbin/thin_check", X_OK) < 0) {
        printf("SKIP: this test needs thin_check\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
