/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/label.h"
#include "unit/cmocka_setup.h"

#include <string.h>

static const struct label sample = {
    .root = "/var/lib/cowsnap",
    .file_system = "ext4",
    .volume_sectors = 209715200,
    .transaction = 12,
    .base_inodes = 10,
    .ready = true,
};

static void what_is_written_is_read(void **state)
{
    char block[LABEL_BLOCK];
    struct label label;

    (void)state;
    assert_true(label_format(&sample, block));
    assert_false(label_is_blank(block));
    assert_true(label_parse(block, &label));
    assert_string_equal(label.root, sample.root);
    assert_string_equal(label.file_system, "ext4");
    assert_int_equal(label.volume_sectors, sample.volume_sectors);
    assert_int_equal(label.transaction, 12);
    assert_int_equal(label.base_inodes, 10);
    assert_true(label.ready);
}

static void an_unfinished_one_is_told_from_a_ready_one(void **state)
{
    char block[LABEL_BLOCK];
    struct label label = sample;

    (void)state;
    label.ready = false;
    assert_true(label_format(&label, block));
    assert_true(label_parse(block, &label));
    assert_false(label.ready);
}

static void a_root_that_does_not_fit_is_refused(void **state)
{
    char block[LABEL_BLOCK];
    struct label label = sample;

    (void)state;
    memset(label.root, 'x', sizeof(label.root) - 1);
    label.root[0] = '/';
    assert_false(label_format(&label, block));
    strcpy(label.root, "/a\nstate=ready");
    assert_false(label_format(&label, block));
}

static void what_is_no_label_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "cowsnap thin pool 2\nroot=/r\nfile_system=ext4\nvolume_sectors=1\n",
        "cowsnap thin pool 1\n",
        "cowsnap thin pool 1\nroot=r\nfile_system=ext4\nvolume_sectors=1\n",
        "cowsnap thin pool 1\nroot=/r\nfile_system=vfat\nvolume_sectors=1\n",
        "cowsnap thin pool 1\nroot=/r\nfile_system=ext4\nvolume_sectors=\n",
        "cowsnap thin pool 1\nroot=/r\nfile_system=ext4\nvolume_sectors=-1\n",
        "cowsnap thin pool 1\nroot=/r\nfile_system=ext4\nvolume_sectors=1x\n",
        "cowsnap thin pool 1\nroot=/r\nfile_system=much-too-long\nvolume_sectors=1\n",
    };
    char block[LABEL_BLOCK];
    struct label label;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        memset(block, 0, sizeof(block));
        memcpy(block, texts[i], strlen(texts[i]));
        if (label_parse(block, &label))
            fail_msg("taken: %s", texts[i]);
    }
    memset(block, 'x', sizeof(block)); /* no end */
    assert_false(label_parse(block, &label));
    memset(block, 0, sizeof(block));
    assert_true(label_is_blank(block));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_unfinished_one_is_told_from_a_ready_one),
        cmocka_unit_test(a_root_that_does_not_fit_is_refused),
        cmocka_unit_test(what_is_no_label_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
