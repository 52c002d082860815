/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/mounts.h"
#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <string.h>

static struct volume folder(const char *path)
{
    struct volume volume = {.kind = VOLUME_DIRECTORY, .fstype = "btrfs", .subvolume = 300};

    strcpy(volume.path, path);
    strcpy(volume.device, "/dev/loop7");
    return volume;
}

static struct volume device(const char *fstype)
{
    struct volume volume = {.kind = VOLUME_DEVICE, .path = "/dev/mapper/pool-12"};

    strcpy(volume.fstype, fstype);
    return volume;
}

/* "type source option,option" */
static void assert_mount(const struct volume *volume, enum mount_style style, bool readonly,
                         const char *expected)
{
    struct mounts mounts;
    char text[256];

    assert_int_equal(mounts_of_volume(&mounts, volume, style, readonly, NULL), 0);
    assert_int_equal(mounts.count, 1);
    snprintf(text, sizeof(text), "%s %s ", mounts.items[0].type, mounts.items[0].source);
    for (size_t i = 0; i < mounts.items[0].option_count; i++) {
        strcat(text, i ? "," : "");
        strcat(text, mounts.items[0].options[i]);
    }
    assert_string_equal(text, expected);
    mounts_clear(&mounts);
}

static void each_kind_of_volume_has_its_mount(void **state)
{
    struct volume btrfs = folder("/pool/0c/12");
    struct volume ext4 = device("ext4"), xfs = device("xfs");

    (void)state;
    assert_mount(&btrfs, MOUNT_STYLE_BIND, false, "bind /pool/0c/12 rw,rbind");
    assert_mount(&btrfs, MOUNT_STYLE_BIND, true, "bind /pool/0c/12 ro,rbind");
    assert_mount(&btrfs, MOUNT_STYLE_BTRFS, false, "btrfs /dev/loop7 subvolid=300,rw");
    assert_mount(&btrfs, MOUNT_STYLE_BTRFS, true, "btrfs /dev/loop7 subvolid=300,ro");
    assert_mount(&ext4, MOUNT_STYLE_BIND, false, "ext4 /dev/mapper/pool-12 rw,discard");
    assert_mount(&ext4, MOUNT_STYLE_BIND, true, "ext4 /dev/mapper/pool-12 ro,noload");
    assert_mount(&xfs, MOUNT_STYLE_BIND, false, "xfs /dev/mapper/pool-12 nouuid,rw,discard");
    assert_mount(&xfs, MOUNT_STYLE_BIND, true, "xfs /dev/mapper/pool-12 nouuid,ro,norecovery");
}

static void a_btrfs_of_several_devices_can_only_be_bound(void **state)
{
    struct volume volume = folder("/pool/0c/12");
    struct mounts mounts = {0};
    struct reason why = {0};

    (void)state;
    volume.device[0] = '\0';
    assert_int_equal(mounts_of_volume(&mounts, &volume, MOUNT_STYLE_BTRFS, false, &why),
                     CONDITION_UNIMPLEMENTED);
    assert_non_null(strstr(why.text, "mount_type"));
}

static uint64_t candidate(const char *source)
{
    struct mounts mounts;
    uint64_t id;

    mounts_make(&mounts, 1);
    mount_set(&mounts.items[0], "bind", source, "");
    id = mounts_candidate(&mounts).id;
    mounts_clear(&mounts);
    return id;
}

static void a_mount_by_subvolume_names_its_candidate_by_that(void **state)
{
    struct volume volume = folder("/pool/0c/12");
    struct mounts mounts, none = {0};

    (void)state;
    assert_int_equal(mounts_of_volume(&mounts, &volume, MOUNT_STYLE_BTRFS, false, NULL), 0);
    assert_int_equal(mounts_candidate(&mounts).id, 0); /* not the 7 of /dev/loop7 */
    assert_int_equal(mounts_candidate(&mounts).subvolume, 300);
    mounts_clear(&mounts);
    assert_int_equal(mounts_of_volume(&mounts, &volume, MOUNT_STYLE_BIND, false, NULL), 0);
    assert_int_equal(mounts_candidate(&mounts).id, 12);
    assert_int_equal(mounts_candidate(&mounts).subvolume, 0);
    mounts_clear(&mounts);
    assert_int_equal(mounts_candidate(&none).id, 0);
}

static void the_number_at_the_end_is_the_candidate(void **state)
{
    (void)state;
    assert_int_equal(candidate("/pool/0c/12"), 12);
    assert_int_equal(candidate("/dev/mapper/pool-12"), 12);
    assert_int_equal(candidate("/pool/12/"), 0);
    assert_int_equal(candidate(""), 0);
    assert_int_equal(candidate("/99999999999999999999999999"), 0);
}

static void the_order_of_options_does_not_matter(void **state)
{
    struct volume volume = folder("/pool/0c/12");
    struct mounts a, b;

    (void)state;
    mounts_of_volume(&a, &volume, MOUNT_STYLE_BIND, false, NULL);
    mounts_make(&b, 1);
    mount_set(&b.items[0], "bind", "/pool/0c/12", "");
    mount_add_option(&b.items[0], "rbind");
    assert_false(mounts_equal(&a, &b));
    mount_add_option(&b.items[0], "rw");
    assert_true(mounts_equal(&a, &b));
    mounts_clear(&a);
    mounts_of_volume(&a, &volume, MOUNT_STYLE_BIND, true, NULL);
    assert_false(mounts_equal(&a, &b));
    mounts_clear(&a);
    mounts_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_volume_has_its_mount),
        cmocka_unit_test(a_btrfs_of_several_devices_can_only_be_bound),
        cmocka_unit_test(the_number_at_the_end_is_the_candidate),
        cmocka_unit_test(a_mount_by_subvolume_names_its_candidate_by_that),
        cmocka_unit_test(the_order_of_options_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
