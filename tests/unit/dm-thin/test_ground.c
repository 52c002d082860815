/* SPDX-License-Identifier: Apache-2.0 */

/* What a pool lies on, and whose that is: a start that finds something else than it left refuses,
 * instead of beginning anew on it. */

#include "backends/dm-thin/name.h"
#include "backends/dm-thin/pool_files.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static const struct backend_ops *const ops = &backend_dm_thin;

struct devices {
    char data[32], metadata[32];
};

static void settings(struct rig *rig, const char *data, const char *metadata)
{
    rig->options.data_device = data;
    rig->options.metadata_device = metadata;
}

/* A pool on two devices, with volume 1. */
static void start_on_devices(struct rig *rig, struct devices *devices)
{
    struct reason why = {0};

    rig_make_device(rig, "d", 256 * MIB, devices->data);
    rig_make_device(rig, "m", 2 * MIB, devices->metadata);
    rig->options.pool_size = 0;
    settings(rig, devices->data, devices->metadata);
    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
}

static void other_devices_than_those_of_the_active_pool_are_refused(void **state)
{
    struct rig *rig = *state;
    struct devices devices;
    char other[32], again[96];

    start_on_devices(rig, &devices);
    rig_stop(rig);
    rig_make_device(rig, "other", 256 * MIB, other);
    settings(rig, other, devices.metadata);
    rig_refused(rig, CONDITION_INVALID, "which is not what dm_thin.data_device and");
    settings(rig, devices.data, other);
    rig_refused(rig, CONDITION_INVALID, "which is not what dm_thin.data_device and");
    /* the same ones by other names are the same */
    snprintf(again, sizeof(again), "%s/link", rig->path);
    assert_int_equal(symlink(devices.data, again), 0);
    settings(rig, again, devices.metadata);
    rig_start(rig);
}

static void metadata_that_became_blank_are_not_begun_anew(void **state)
{
    struct rig *rig = *state;
    struct devices devices;
    char blank[32];

    start_on_devices(rig, &devices);
    rig_stop(rig);
    rig_reboot(rig);
    rig_make_device(rig, "blank", 2 * MIB, blank);
    rig_make_device(rig, "d", 256 * MIB, devices.data);
    settings(rig, devices.data, blank);
    rig_refused(rig, CONDITION_INVALID, "is blank, though the thin pool");
    assert_int_equal(rig_devices(rig), 0);
    rig_make_device(rig, "m", 2 * MIB, devices.metadata);
    settings(rig, devices.data, devices.metadata);
    rig_start(rig);
    scoped_fd int root = rig_root(rig, 1);
    assert_true(root >= 0);
}

static void a_device_with_a_file_system_is_not_overwritten(void **state)
{
    struct rig *rig = *state;
    struct devices devices;
    char command[128];

    rig_make_device(rig, "d", 256 * MIB, devices.data);
    rig_make_device(rig, "m", 2 * MIB, devices.metadata);
    snprintf(command, sizeof(command), "mkfs.ext4 -q -F %s", devices.data);
    assert_int_equal(system(command), 0);
    rig->options.pool_size = 0;
    settings(rig, devices.data, devices.metadata);
    rig_refused(rig, CONDITION_INVALID, "holds ext4 already: name another device");
    snprintf(command, sizeof(command), "wipefs -q --all %s", devices.data);
    assert_int_equal(system(command), 0);
    rig_start(rig);
}

static void a_root_has_one_kind_of_pool(void **state)
{
    struct rig *rig = *state;
    struct devices devices;

    rig_start(rig);
    rig_stop(rig);
    rig_make_device(rig, "d", 256 * MIB, devices.data);
    rig_make_device(rig, "m", 2 * MIB, devices.metadata);
    settings(rig, devices.data, devices.metadata);
    rig_refused(rig, CONDITION_INVALID, "this root has a thin pool in files");
    rig_reboot(rig);
    rig_refused(rig, CONDITION_INVALID, "this root has a thin pool in files");
    settings(rig, NULL, NULL);
    rig_start(rig);
}

static void a_root_has_one_kind_of_pool_on_devices_too(void **state)
{
    struct rig *rig = *state;
    struct devices devices;

    start_on_devices(rig, &devices);
    rig_stop(rig);
    settings(rig, NULL, NULL);
    rig_refused(rig, CONDITION_INVALID, "this root has a thin pool on devices");
    settings(rig, devices.data, devices.metadata);
    rig_start(rig);
}

/* The pool of an operator's, for which that of the rig stands. */
static void a_pool_that_the_operator_is_at_work_on_is_left_alone(void **state)
{
    struct rig *rig = *state;
    struct device_state there;
    char path[DEVICE_PATH];

    rig_start(rig);
    rig_stop(rig);
    rig->options.thin_pool = device_path(rig->pool, path);
    assert_int_equal(device_suspend(rig->pool, false), 0);
    rig_refused(rig, CONDITION_UNAVAILABLE, "is suspended, perhaps since it is being changed");
    assert_int_equal(device_look(rig->pool, &there, NULL), 0);
    assert_true(there.suspended);
    assert_int_equal(device_resume(rig->pool), 0);
    rig_start(rig);
}

static void devices_with_the_names_of_ours_are_left_alone(void **state)
{
    struct rig *rig = *state;
    struct device_state there;
    static const char *const parts[] = {"label", "base"};

    rig_start(rig); /* for the pool's name */
    rig_stop(rig);
    for (size_t i = 0; i < 2; i++) {
        char name[DEVICE_NAME];

        /* back to where neither was made */
        (void)device_message(rig->pool, "delete 16777215");
        (void)device_message(rig->pool, "delete 0");
        name_part(rig->pool, parts[i], name);
        assert_int_equal(device_create(name, "SOMEBODY-else", "error", 8, ""), 0);
        rig_refused(rig, CONDITION_INVALID, "is not cowsnap's, though it has the name of one");
        assert_int_equal(device_look(name, &there, NULL), 0);
        assert_true(there.exists);
        assert_int_equal(device_remove(name, false), 0);
    }
    rig_start(rig);
}

static void a_root_may_be_called_otherwise(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;
    char path[DEVICE_PATH], other[128];

    rig_start(rig);
    rig_stop(rig);
    rig->options.root_path = "/an/other/name";
    rig_start(rig); /* its files are in the root, so it is the root's */
    rig_must(ops->status(rig->backend, &status, &why));
    assert_string_equal(status.data_on, "/an/other/name/" POOL_FILES_DATA);
    rig_stop(rig);
    rig->options.thin_pool = device_path(rig->pool, path); /* as one of the operator's */
    rig_start(rig);
    rig_stop(rig);
    int root = rig->options.root;
    snprintf(other, sizeof(other), "%s/other", rig->path);
    assert_int_equal(mkdir(other, 0700), 0);
    rig->options.root = open(other, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_refused(rig, CONDITION_INVALID, "belongs to the daemon whose root is");
    close(rig->options.root);
    rig->options.root = root;
}

static bool metadata_has_its_space(const struct rig *rig)
{
    struct stat file;
    char path[128];

    snprintf(path, sizeof(path), "%s/" POOL_FILES_METADATA, rig->path);
    assert_int_equal(stat(path, &file), 0);
    return (uint64_t)file.st_blocks * 512 >= (uint64_t)file.st_size && file.st_size > 0;
}

static void metadata_have_their_space_on_the_disk(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth growth = {.size = 64 * MIB, .metadata = true};
    struct reason why = {0};

    rig_start(rig);
    assert_true(metadata_has_its_space(rig));
    rig_must(ops->grow(rig->backend, &growth, &why));
    assert_true(metadata_has_its_space(rig));
}

int main(void)
{
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        BARE(other_devices_than_those_of_the_active_pool_are_refused),
        BARE(metadata_that_became_blank_are_not_begun_anew),
        BARE(a_device_with_a_file_system_is_not_overwritten),
        BARE(a_root_has_one_kind_of_pool),
        BARE(a_root_has_one_kind_of_pool_on_devices_too),
        BARE(a_pool_that_the_operator_is_at_work_on_is_left_alone),
        BARE(devices_with_the_names_of_ours_are_left_alone),
        BARE(a_root_may_be_called_otherwise),
        BARE(metadata_have_their_space_on_the_disk),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
