/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/cmocka_setup.h"
#include "unit/layer/inflate_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static const struct rig_drive drives[] = {{0, 0}, {1, 0}, {1, 1},  {0, 1},     {2, 3},
                                          {7, 5}, {0, 7}, {13, 0}, {4096, 700}};

static void assert_inflates(const struct rig_bytes *blob, const struct rig_bytes *wanted)
{
    for (size_t i = 0; i < sizeof(drives) / sizeof(drives[0]); i++) {
        struct rig_bytes out = {0};
        struct reason why = {0};
        int result = rig_inflate(blob->data, blob->length, drives[i], &out, &why);

        assert_string_equal(why.text, "");
        assert_int_equal(result, 0);
        assert_int_equal(out.length, wanted->length);
        if (out.length > 0)
            assert_memory_equal(out.data, wanted->data, out.length);
        rig_bytes_free(&out);
    }
}

static void assert_answers(const struct rig_bytes *blob, int result, const char *words)
{
    for (size_t i = 0; i < sizeof(drives) / sizeof(drives[0]); i++) {
        struct rig_bytes out = {0};
        struct reason why = {0};

        assert_int_equal(rig_inflate(blob->data, blob->length, drives[i], &out, &why), result);
        if (!strstr(why.text, words))
            assert_string_equal(why.text, words);
        rig_bytes_free(&out);
    }
}

static void assert_refused(const struct rig_bytes *blob, const char *words)
{
    assert_answers(blob, CONDITION_INVALID, words);
}

/* A skippable frame: any of 16 magic numbers, a length, and bytes without meaning. */
static void append_skippable(struct rig_bytes *blob, uint8_t variant, size_t length)
{
    uint8_t *filler = calloc(1, length + 1);

    assert_non_null(filler);
    rig_append(blob, (uint8_t[]){(uint8_t)(0x50 + variant), 0x2a, 0x4d, 0x18}, 4);
    rig_append(blob,
               (uint8_t[]){(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), 0}, 4);
    rig_append(blob, filler, length);
    free(filler);
}

static void one_frame_of_any_size_inflates(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 65536, 131072, 131073, 300000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig_bytes sample = {0}, blob = {0};

        rig_append_sample(&sample, sizes[i], (unsigned)i);
        rig_append_zstd(&blob, sample.data, sample.length);
        assert_inflates(&blob, &sample);
        rig_bytes_free(&sample);
        rig_bytes_free(&blob);
    }
}

static void frames_and_skippable_frames_are_one_stream(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};

    (void)state;
    append_skippable(&blob, 0, 0);
    for (uint8_t i = 0; i < 16; i++) {
        struct rig_bytes part = {0};

        rig_append_sample(&part, i % 5 == 0 ? 0 : (size_t)i * i * 100, i);
        rig_append(&sample, part.data, part.length);
        rig_append_zstd(&blob, part.data, part.length);
        append_skippable(&blob, i, (size_t)i * 999);
        rig_bytes_free(&part);
    }
    assert_inflates(&blob, &sample);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

static void only_skippable_frames_are_an_empty_stream(void **state)
{
    struct rig_bytes blob = {0}, nothing = {0};

    (void)state;
    append_skippable(&blob, 7, 300000);
    assert_inflates(&blob, &nothing);
    rig_bytes_free(&blob);
}

static void every_cut_is_refused_with_the_byte_it_is_at(void **state)
{
    struct rig_bytes sample = {0}, both = {0}, blob = {0};
    size_t first, second;

    (void)state;
    rig_append_sample(&sample, 700, 9);
    rig_append_zstd(&blob, sample.data, sample.length);
    first = blob.length;
    append_skippable(&blob, 3, 20);
    second = blob.length;
    rig_append_zstd(&blob, sample.data, sample.length);
    rig_append(&both, sample.data, sample.length);
    rig_append(&both, sample.data, sample.length);
    for (size_t cut = 4; cut < blob.length; cut++) {
        struct rig_bytes part = {blob.data, cut, 0};
        char words[64];

        if (cut == first || cut == second) {
            assert_inflates(&part, &sample);
            continue;
        }
        if ((cut > first && cut < first + 4) || (cut > second && cut < second + 4))
            (void)snprintf(words, sizeof(words), "goes on at byte %zu",
                           cut < second ? first : second);
        else
            (void)snprintf(words, sizeof(words), "the blob is cut off at byte %zu", cut);
        assert_refused(&part, words);
    }
    assert_inflates(&blob, &both);
    rig_bytes_free(&sample);
    rig_bytes_free(&both);
    rig_bytes_free(&blob);
}

static void a_flipped_byte_is_noticed_or_does_no_harm(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};
    size_t refused = 0;

    (void)state;
    rig_append_sample(&sample, 5000, 9);
    rig_append_zstd(&blob, sample.data, sample.length);
    for (size_t at = 4; at < blob.length; at++) {
        for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
            struct rig_bytes out = {0};
            struct reason why = {0};
            int result;

            blob.data[at] ^= (uint8_t)flip;
            result = rig_inflate(blob.data, blob.length, drives[at % 5 == 0 ? 3 : 0], &out, &why);
            assert_true(result == 0 || result == CONDITION_INVALID ||
                        result == CONDITION_UNIMPLEMENTED);
            if (result == 0) {
                assert_int_equal(out.length, sample.length);
                assert_memory_equal(out.data, sample.data, out.length);
            } else {
                refused++;
            }
            blob.data[at] ^= (uint8_t)flip;
            rig_bytes_free(&out);
        }
    }
    assert_true(refused > 8 * (blob.length - 4) * 9 / 10);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

static void what_is_no_frame_behind_a_frame_is_refused(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};
    size_t frame;

    (void)state;
    rig_append_sample(&sample, 700, 9);
    rig_append_zstd(&blob, sample.data, sample.length);
    frame = blob.length;
    rig_append(&blob, "\0", 1);
    assert_refused(&blob, "something that is no zstd frame");
    rig_append(&blob, "\0\0\0\0\0\0\0", 7);
    assert_refused(&blob, "something that is no zstd frame");
    memcpy(blob.data + frame, "\x27\xb5\x2f\xfd", 4); /* the format of zstd 0.7 */
    assert_refused(&blob, "something that is no zstd frame");
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

/* The header of a frame with a window of 2 to the power LOG, and one empty last block. */
static void append_window(struct rig_bytes *blob, unsigned log)
{
    rig_append(blob, (uint8_t[]){0x28, 0xb5, 0x2f, 0xfd, 0x00, (uint8_t)((log - 10) << 3), 1, 0, 0},
               9);
}

static void a_window_too_large_is_refused_by_name(void **state)
{
    struct rig_bytes blob = {0}, nothing = {0};

    (void)state;
    append_window(&blob, 25);
    assert_inflates(&blob, &nothing);
    rig_bytes_free(&blob);
    append_window(&blob, 26);
    assert_answers(&blob, CONDITION_UNIMPLEMENTED, "needs a window of more than 32 MiB");
    rig_bytes_free(&blob);
    /* frames that hold nothing leave it to another to take it */
    rig_append(&blob, (uint8_t[]){0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'p', 'z'}, 10);
    append_window(&blob, 20);
    append_window(&blob, 26);
    assert_answers(&blob, CONDITION_UNIMPLEMENTED, "zstd frame 3 at byte 19 of the blob needs");
    rig_bytes_free(&blob);
    /* what was put out may be written already */
    rig_append_zstd(&blob, (const uint8_t *)"x", 1);
    append_window(&blob, 26);
    assert_refused(&blob, "zstd frame 2 at byte 14");
    rig_bytes_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_frame_of_any_size_inflates),
        cmocka_unit_test(frames_and_skippable_frames_are_one_stream),
        cmocka_unit_test(only_skippable_frames_are_an_empty_stream),
        cmocka_unit_test(every_cut_is_refused_with_the_byte_it_is_at),
        cmocka_unit_test(a_flipped_byte_is_noticed_or_does_no_harm),
        cmocka_unit_test(what_is_no_frame_behind_a_frame_is_refused),
        cmocka_unit_test(a_window_too_large_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
