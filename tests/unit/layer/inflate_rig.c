/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/layer/inflate_rig.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

void rig_append(struct rig_bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return;
    if (bytes->length + length > bytes->room) {
        bytes->room = (bytes->length + length) * 2;
        bytes->data = realloc(bytes->data, bytes->room);
        assert_non_null(bytes->data);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void rig_bytes_free(struct rig_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct rig_bytes){0};
}

void rig_append_sample(struct rig_bytes *bytes, size_t length, unsigned seed)
{
    static const char *const words[] = {"snapshot", " of ", "layer", "/usr/lib/", "\n", "clone "};
    uint8_t *sample = malloc(length + 16);
    uint32_t state = seed * 2654435761u + 1;
    size_t at = 0;

    assert_non_null(sample);
    while (at < length) {
        state = state * 1664525u + 1013904223u;
        if (state >> 29 == 0) {
            sample[at++] = (uint8_t)(state >> 16);
        } else {
            const char *word = words[(state >> 24) % (sizeof(words) / sizeof(words[0]))];

            at = (size_t)(stpcpy((char *)sample + at, word) - (char *)sample);
        }
    }
    rig_append(bytes, sample, length);
    free(sample);
}

void rig_append_gzip(struct rig_bytes *bytes, const void *data, size_t length)
{
    struct isal_zstream *stream = calloc(1, sizeof(*stream));
    size_t room = length + length / 8 + 1024;
    uint8_t *out = malloc(room), *level = malloc(ISAL_DEF_LVL1_DEFAULT);

    assert_true(stream && out && level);
    isal_deflate_init(stream);
    stream->level = 1;
    stream->level_buf = level;
    stream->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    stream->gzip_flag = IGZIP_GZIP;
    stream->end_of_stream = 1;
    stream->next_in = (uint8_t *)data;
    stream->avail_in = (uint32_t)length;
    stream->next_out = out;
    stream->avail_out = (uint32_t)room;
    assert_int_equal(isal_deflate(stream), COMP_OK);
    assert_int_equal(stream->internal_state.state, ZSTATE_END);
    rig_append(bytes, out, stream->total_out);
    free(level);
    free(out);
    free(stream);
}

void rig_append_zstd(struct rig_bytes *bytes, const void *data, size_t length)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(length), made;
    uint8_t *out = malloc(room);

    assert_true(context && out);
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)));
    made = ZSTD_compress2(context, out, room, data, length);
    assert_false(ZSTD_isError(made));
    rig_append(bytes, out, made);
    free(out);
    ZSTD_freeCCtx(context);
}

struct rig_blob {
    const uint8_t *data;
    size_t length, offset;
    struct rig_drive drive;
};

static int rig_read(void *context, uint8_t *buffer, size_t room, size_t *got, struct reason *why)
{
    struct rig_blob *blob = context;
    size_t count = blob->length - blob->offset;

    assert_true(room > 0);
    if (blob->drive.fail_at != 0 && blob->offset >= blob->drive.fail_at)
        return failure(why, EIO, "read the blob");
    if (count > room)
        count = room;
    if (blob->drive.read_size != 0 && count > blob->drive.read_size)
        count = blob->drive.read_size;
    if (count > 0)
        memcpy(buffer, blob->data + blob->offset, count);
    blob->offset += count;
    *got = count;
    return 0;
}

int rig_inflate(const void *blob, size_t length, struct rig_drive drive, struct rig_bytes *out,
                struct reason *why)
{
    struct rig_blob source = {blob, length, 0, drive};
    size_t room = drive.room ? drive.room : (size_t)64 * 1024, got;
    uint8_t *buffer = malloc(room);
    struct inflater_handle *handle = NULL;
    const struct inflater *inflater = NULL;
    struct inflate_input input;
    int result;

    assert_non_null(buffer);
    assert_int_equal(inflate_input_init(&input, rig_read, &source, why), 0);
    result = inflater_choose(&input, &inflater, why);
    if (!result) {
        assert_int_equal(inflater->open(&handle, why), 0);
        do {
            got = SIZE_MAX;
            result = inflater->inflate(handle, &input, buffer, room, &got, why);
            assert_true(got <= room);
            rig_append(out, buffer, got);
        } while (!result && got == room);
        if (!result) {
            assert_int_equal(source.offset, length);
            assert_int_equal(input.offset, length);
        }
        inflater->close(handle);
    }
    inflate_input_deinit(&input);
    free(buffer);
    return result;
}
