/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/inflate_rig.h"

#include <errno.h>
#include <string.h>

struct source {
    const char *text;
    size_t each;
};

static int source_read(void *context, uint8_t *buffer, size_t room, size_t *got, struct reason *why)
{
    struct source *source = context;
    size_t count = strnlen(source->text, source->each);

    (void)why;
    assert_true(count <= room);
    memcpy(buffer, source->text, count);
    source->text += count;
    *got = count;
    return 0;
}

static void a_window_shows_fields_whole_across_reads(void **state)
{
    struct source source = {"abcdefghij", 3};
    struct inflate_input input;

    (void)state;
    assert_int_equal(inflate_input_init(&input, source_read, &source, NULL), 0);
    assert_int_equal(inflate_input_want(&input, 2, NULL), 0);
    assert_int_equal(input.available, 3);
    inflate_input_skip(&input, 2);
    assert_int_equal(inflate_input_want(&input, 5, NULL), 0);
    assert_memory_equal(input.next, "cdefg", 5);
    assert_int_equal(input.offset, 2);
    inflate_input_skip(&input, 5);
    inflate_input_unskip(&input, 6); /* from before the last read */
    assert_memory_equal(input.next, "bcdefg", 6);
    assert_int_equal(input.offset, 1);
    assert_int_equal(inflate_input_want(&input, 32, NULL), 0);
    assert_int_equal(input.available, 9);
    assert_true(input.ended);
    assert_memory_equal(input.next, "bcdefghij", 9);
    inflate_input_deinit(&input);
}

static const struct inflater *chosen(const char *first, size_t length)
{
    struct source source = {first, length};
    struct inflate_input input;
    const struct inflater *inflater = NULL;

    assert_int_equal(inflate_input_init(&input, source_read, &source, NULL), 0);
    assert_int_equal(inflater_choose(&input, &inflater, NULL), 0);
    assert_int_equal(input.offset, 0);
    inflate_input_deinit(&input);
    return inflater;
}

static void the_first_bytes_tell_the_format(void **state)
{
    (void)state;
    assert_ptr_equal(chosen("\x1f\x8b\x08\x01", 4), &inflater_gzip);
    assert_ptr_equal(chosen("\x1f\x8b", 2), &inflater_gzip);
    assert_ptr_equal(chosen("\x1f", 1), &inflater_plain);
    assert_ptr_equal(chosen("\x28\xb5\x2f\xfd", 4), &inflater_zstd);
    assert_ptr_equal(chosen("\x28\xb5\x2f\xfd", 1), &inflater_zstd); /* one byte a read */
    assert_ptr_equal(chosen("\x28\xb5\x2f", 3), &inflater_plain);
    assert_ptr_equal(chosen("\x50\x2a\x4d\x18", 4), &inflater_zstd);
    assert_ptr_equal(chosen("\x5f\x2a\x4d\x18", 4), &inflater_zstd);
    assert_ptr_equal(chosen("\x60\x2a\x4d\x18", 4), &inflater_plain);
    assert_ptr_equal(chosen("etc/passwd", 10), &inflater_plain);
    assert_ptr_equal(chosen("", 1), &inflater_plain);
}

static void plain_bytes_come_out_as_they_are(void **state)
{
    static const struct rig_drive drives[] = {{0, 0}, {1, 1}, {7, 3}, {3, 7}, {4096, 65536}};
    struct rig_bytes sample = {0};

    (void)state;
    rig_append_sample(&sample, 600000, 1);
    for (size_t length = 0; length <= sample.length; length = length * 3 + 1) {
        for (size_t i = 0; i < sizeof(drives) / sizeof(drives[0]); i++) {
            struct rig_bytes out = {0};

            if (drives[i].room == 1 && length > 5000)
                continue;
            assert_int_equal(rig_inflate(sample.data, length, drives[i], &out, NULL), 0);
            assert_int_equal(out.length, length);
            if (length > 0)
                assert_memory_equal(out.data, sample.data, length);
            rig_bytes_free(&out);
        }
    }
    rig_bytes_free(&sample);
}

static void a_read_that_fails_is_a_failure_after_the_good_bytes(void **state)
{
    struct rig_bytes sample = {0}, blob = {0}, out = {0};
    struct reason why = {0};

    (void)state;
    rig_append_sample(&sample, 100000, 2);
    for (int format = 0; format < 3; format++) {
        struct rig_drive drive = {.read_size = 512, .room = 100001};

        if (format == 0)
            rig_append(&blob, sample.data, sample.length);
        else if (format == 1)
            rig_append_gzip(&blob, sample.data, sample.length);
        else
            rig_append_zstd(&blob, sample.data, sample.length);
        assert_true(blob.length > 2048);
        drive.fail_at = blob.length - 1000;
        assert_int_equal(rig_inflate(blob.data, blob.length, drive, &out, &why), -EIO);
        assert_true(out.length < sample.length || format != 0);
        assert_memory_equal(out.data, sample.data, out.length);
        if (format != 2) /* zstd gives whole blocks */
            assert_true(out.length > sample.length / 2);
        drive.fail_at = 1;
        assert_int_equal(rig_inflate(blob.data, 1, drive, &out, &why), -EIO);
        rig_bytes_free(&blob);
        rig_bytes_free(&out);
    }
    rig_bytes_free(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_shows_fields_whole_across_reads),
        cmocka_unit_test(the_first_bytes_tell_the_format),
        cmocka_unit_test(plain_bytes_come_out_as_they_are),
        cmocka_unit_test(a_read_that_fails_is_a_failure_after_the_good_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
