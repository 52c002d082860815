/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/pool_files.h"
#include "backends/loop.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)
#define SMALL_METADATA MIB     /* 256 blocks: used up by some sixty volumes */
#define SMALL_POOL (160 * MIB) /* soon full: the machine may be an emulated one */

static const struct backend_ops *const ops = &backend_dm_thin;

static struct pool_status status_of(struct rig *rig)
{
    struct pool_status status;
    struct reason why = {0};

    rig_must(ops->status(rig->backend, &status, &why));
    return status;
}

static void grow(struct rig *rig, uint64_t size, bool more, bool metadata)
{
    const struct pool_growth growth = {size, more, metadata};
    struct reason why = {0};

    rig_must(ops->grow(rig->backend, &growth, &why));
}

static void assert_not_grown(struct rig *rig, uint64_t size, bool more, bool metadata, int result,
                             const char *words)
{
    const struct pool_growth growth = {size, more, metadata};
    struct reason why = {0};
    int got = ops->grow(rig->backend, &growth, &why);

    if (got != result || !strstr(why.text, words))
        fail_msg("grow is %d: %s", got, why.text);
}

/* Makes volume ID, if the pool takes it, and writes to it, so that it has mappings of its own. */
static int make(struct rig *rig, uint64_t id, struct reason *why)
{
    int result = ops->admit(rig->backend, why);

    if (result == 0)
        result = ops->create(rig->backend, id, why);
    if (result == 0) {
        scoped_fd int root = rig_root(rig, id);
        assert_int_equal(rig_write(root, "file", 1000), 0);
        assert_int_equal(syncfs(root), 0);
    }
    return result;
}

/* Writes to a volume until the pool takes no more, a few blocks of metadata at a time: what one
 * commit cannot find room for makes the kernel want a check instead. */
static void use_up(struct rig *rig, uint64_t id)
{
    scoped_fd int root = rig_root(rig, id);
    char name[32];

    for (unsigned i = 0; status_of(rig).writable; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_true(i < 120);
        (void)rig_write(root, name, 4 * MIB);
        (void)syncfs(root);
    }
}

/* ---- an embedded pool ---- */

/* One that has little metadata, as if it had been made for few volumes. */
static void start_small(struct rig *rig)
{
    struct reason why = {0};
    char path[128];

    rig_must(pool_files_make(rig->options.root, rig->path, true, RIG_POOL_SIZE, &why));
    snprintf(path, sizeof(path), "%s/" POOL_FILES_METADATA, rig->path);
    assert_int_equal(truncate(path, SMALL_METADATA), 0);
    rig->options.pool_size = 0; /* else it would be made as large as fits that */
    rig_start(rig);
    assert_int_equal(status_of(rig).metadata_size, SMALL_METADATA);
}

static void a_pool_grows_to_what_is_wanted(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig->options.pool_size = SMALL_POOL;
    rig_start(rig);
    uint64_t metadata = status_of(rig).metadata_size;
    rig_must(make(rig, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    grow(rig, 100 * MIB, true, false);
    assert_int_equal(status_of(rig).size, SMALL_POOL + 100 * MIB);
    assert_int_equal(status_of(rig).metadata_size, metadata);
    grow(rig, SMALL_POOL + 100 * MIB, false, false);
    assert_int_equal(status_of(rig).size, SMALL_POOL + 100 * MIB);
    assert_not_grown(rig, SMALL_POOL, false, false, CONDITION_INVALID, "and only grows");
    assert_not_grown(rig, 1, true, false, CONDITION_INVALID, "by whole MiB");
    /* twice the metadata goes with so much data */
    grow(rig, 32 * 1024 * MIB, false, false);
    assert_int_equal(status_of(rig).size, 32 * 1024 * MIB);
    assert_int_equal(status_of(rig).metadata_size, 32 * MIB);
    /* and what was mounted all the while takes it */
    assert_int_equal(rig_write(root, "more", 200 * MIB), 0);
    assert_int_equal(syncfs(root), 0);
}

static void metadata_grows_when_it_is_wanted(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t size;

    start_small(rig);
    size = status_of(rig).size;
    grow(rig, 3 * MIB, true, true);
    assert_int_equal(status_of(rig).metadata_size, 4 * MIB);
    assert_int_equal(status_of(rig).size, size);
    assert_not_grown(rig, 2 * MIB, false, true, CONDITION_INVALID, "the metadata of the thin pool");
    assert_not_grown(rig, POOL_METADATA_MOST + MIB, false, true, CONDITION_INVALID,
                     "cannot become larger than");
    for (uint64_t id = 1; id <= 80; id++) /* more than the small one takes */
        rig_must(make(rig, id, &why));
    assert_int_equal(status_of(rig).metadata_size, 4 * MIB);
    rig_stop(rig);
    rig_reboot(rig);
    rig_start(rig);
    assert_int_equal(status_of(rig).metadata_size, 4 * MIB);
}

static void metadata_grows_by_itself_before_it_is_used_up(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t id;

    start_small(rig);
    for (id = 1; status_of(rig).metadata_size == SMALL_METADATA; id++)
        rig_must(make(rig, id, &why));
    assert_int_equal(status_of(rig).metadata_size, 2 * SMALL_METADATA);
    assert_int_equal(status_of(rig).state, POOL_STATE_OK);
    rig_stop(rig);
    rig_start(rig); /* the list of what there is does not end where the metadata did */
    while (--id > 0)
        rig_must(ops->remove(rig->backend, id, NULL, &why));
}

/* As a daemon leaves it that was killed between the file and the table. */
static void a_growth_that_was_cut_short_is_made_up_for(void **state)
{
    struct rig *rig = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/" POOL_FILES_DATA, rig->path);
    assert_int_equal(truncate(path, 1024 * MIB), 0);
    assert_int_equal(status_of(rig).size, RIG_POOL_SIZE);
    rig_stop(rig);
    rig->options.pool_size = 1024 * MIB;
    rig_start(rig);
    assert_int_equal(status_of(rig).size, 1024 * MIB);
}

/* ---- a pool on devices, whose metadata cannot grow by itself ---- */

static void enlarge_device(const struct rig *rig, const char *name, uint64_t size, const char *path)
{
    scoped_fd int file = openat(rig->options.root, name, O_RDWR | O_CLOEXEC);
    scoped_fd int loop = open(path, O_RDWR | O_CLOEXEC);

    assert_int_equal(ftruncate(file, (off_t)size), 0);
    assert_int_equal(loop_resize(loop), 0);
}

static void a_pool_on_devices_takes_what_they_have(void **state)
{
    struct rig *rig = *state;
    char data[32], metadata[32];

    rig_make_device(rig, "d", 256 * MIB, data);
    rig_make_device(rig, "m", SMALL_METADATA, metadata);
    rig->options.data_device = data;
    rig->options.metadata_device = metadata;
    rig_start(rig);
    assert_string_equal(status_of(rig).kind, "devices");
    assert_string_equal(status_of(rig).data_on, data);
    assert_not_grown(rig, 512 * MIB, false, false, CONDITION_PRECONDITION,
                     "make it larger first (`lvextend -L 536870912b`");
    enlarge_device(rig, "d", 512 * MIB, data);
    grow(rig, 512 * MIB, false, false);
    assert_int_equal(status_of(rig).size, 512 * MIB);
    assert_int_equal(status_of(rig).metadata_size, SMALL_METADATA);
}

static void metadata_that_is_used_up_refuses_and_removes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    char data[32], metadata[32];
    uint64_t id = 1;
    int result;

    rig_make_device(rig, "d", 512 * MIB, data);
    rig_make_device(rig, "m", SMALL_METADATA, metadata);
    rig->options.data_device = data;
    rig->options.metadata_device = metadata;
    rig_start(rig);
    while ((result = make(rig, id, &why)) == 0)
        id++;
    assert_int_equal(result, CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, "out of room for metadata"));
    assert_int_equal(status_of(rig).state, POOL_STATE_LOW);
    assert_true(id > 10);

    /* what is kept back is enough for a removal, and that for another volume */
    for (uint64_t gone = 2; gone < 8; gone++)
        rig_must(ops->remove(rig->backend, gone, NULL, &why));
    rig_must(make(rig, id + 1, &why));

    /* now used up to the last block, by writes to what there is: the kernel takes no message */
    use_up(rig, 1);
    assert_int_equal(ops->admit(rig->backend, &why), CONDITION_EXHAUSTED);
    assert_int_equal(ops->create(rig->backend, id + 2, &why), CONDITION_EXHAUSTED);
    result = ops->remove(rig->backend, 8, NULL, &why);
    if (result != CONDITION_EXHAUSTED)
        fail_msg("remove is %d: %s", result, why.text);
    enlarge_device(rig, "m", 4 * MIB, metadata);
    grow(rig, 4 * MIB, false, true);
    assert_int_equal(status_of(rig).metadata_size, 4 * MIB);
    rig_must(ops->remove(rig->backend, 8, NULL, &why));
    rig_must(make(rig, id + 2, &why));
    assert_int_equal(status_of(rig).state, POOL_STATE_OK);
}

/* ---- and an embedded one that is used up between two calls ---- */

static void metadata_that_is_used_up_grows_for_a_removal(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t id = 1;

    start_small(rig);
    rig_stop(rig);
    rig->options.presence = POOL_PRESENT; /* not watched: the watch would make them grow earlier */
    rig_start(rig);
    while (status_of(rig).metadata_used * 100 < SMALL_METADATA * 91)
        rig_must(make(rig, id++, &why));
    assert_int_equal(status_of(rig).metadata_size, SMALL_METADATA);
    use_up(rig, 1);
    assert_int_equal(status_of(rig).state, POOL_STATE_LOW);
    assert_false(status_of(rig).writable);
    rig_must(ops->remove(rig->backend, 2, NULL, &why));
    assert_true(status_of(rig).metadata_size > SMALL_METADATA);
    assert_true(status_of(rig).writable);
}

/* Writes fail to the last block of data, and removals give it back. */
static void data_that_is_used_up_refuses_and_removes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig->options.pool_size = SMALL_POOL;
    rig_start(rig);
    rig_must(make(rig, 1, &why));
    rig_must(make(rig, 2, &why));
    scoped_fd int root = rig_root(rig, 2);
    int written = rig_write(root, "big", SMALL_POOL);
    assert_true(written < 0 || syncfs(root) < 0);
    close(take_fd(&root));
    assert_int_equal(ops->admit(rig->backend, &why), CONDITION_EXHAUSTED);
    assert_non_null(strstr(why.text, "out of room for data"));
    assert_int_equal(status_of(rig).state, POOL_STATE_LOW);
    rig_must(ops->remove(rig->backend, 2, NULL, &why));
    rig_must(make(rig, 3, &why));
    assert_int_equal(status_of(rig).state, POOL_STATE_OK);
}

/* What was added again after a failure is added once. */
static void a_data_file_that_is_longer_already_counts_once(void **state)
{
    struct rig *rig = *state;
    uint64_t before = status_of(rig).size;
    char path[128];

    snprintf(path, sizeof(path), "%s/thin-pool/data", rig->path);
    assert_int_equal(truncate(path, (off_t)(before + 64 * MIB)), 0);
    grow(rig, 64 * MIB, true, false);
    assert_int_equal(status_of(rig).size, before + 64 * MIB);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        BARE(a_pool_grows_to_what_is_wanted),
        BARE(metadata_grows_when_it_is_wanted),
        BARE(metadata_grows_by_itself_before_it_is_used_up),
        TEST(a_growth_that_was_cut_short_is_made_up_for),
        TEST(a_data_file_that_is_longer_already_counts_once),
        BARE(a_pool_on_devices_takes_what_they_have),
        BARE(metadata_that_is_used_up_refuses_and_removes),
        BARE(metadata_that_is_used_up_grows_for_a_removal),
        BARE(data_that_is_used_up_refuses_and_removes),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
