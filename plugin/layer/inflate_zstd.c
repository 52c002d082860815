/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The largest window, as log2 of bytes: the most that builders of images ask for (BuildKit from
 * compression level 10, zstd --ultra -20); levels up to 19 take 8 MiB. The decoder's memory is a
 * little more. */
#define ZSTD_WINDOW_LOG 25

struct inflater_handle {
    ZSTD_DCtx *context;
    bool in_frame;
    uint64_t frames;      /* begun so far */
    uint64_t frame_start; /* where the current one begins in the blob */
    bool made;            /* some byte was put out */
};

static uint32_t zstd_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static bool zstd_recognises(const uint8_t *first, size_t count)
{
    if (count < INFLATER_MAGIC_SIZE)
        return false;
    return zstd_number(first) == ZSTD_MAGICNUMBER ||
           (zstd_number(first) & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static void zstd_close(struct inflater_handle *handle)
{
    if (!handle)
        return;
    ZSTD_freeDCtx(handle->context);
    free(handle);
}

static int zstd_open(struct inflater_handle **handle, struct reason *why)
{
    struct inflater_handle *made = calloc(1, sizeof(*made));

    if (!made)
        return failure(why, ENOMEM, "start a zstd decompressor");
    made->context = ZSTD_createDCtx();
    if (!made->context ||
        ZSTD_isError(ZSTD_DCtx_setParameter(made->context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG))) {
        zstd_close(made);
        return failure(why, ENOMEM, "start a zstd decompressor");
    }
    *handle = made;
    return 0;
}

static int zstd_refuse(const struct inflater_handle *handle, const struct inflate_input *input,
                       size_t code, struct reason *why)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return failure(why, ENOMEM, "decompress the zstd frame at byte %" PRIu64 " of the blob",
                       handle->frame_start);
    case ZSTD_error_frameParameter_windowTooLarge:
        /* As long as nothing was written, the caller's next differ may take it. */
        return refuse(why, handle->made ? CONDITION_INVALID : CONDITION_UNIMPLEMENTED,
                      "zstd frame %" PRIu64 " at byte %" PRIu64
                      " of the blob needs a window of more than %u MiB: compress the layer without "
                      "--long and at level 20 or lower, or let containerd's \"walking\" differ "
                      "take it",
                      handle->frames, handle->frame_start, (1u << ZSTD_WINDOW_LOG) >> 20);
    default:
        return refuse(why, CONDITION_INVALID,
                      "zstd frame %" PRIu64 ", which starts at byte %" PRIu64
                      " of the blob, is damaged near byte %" PRIu64 " (%s): fetch the layer again",
                      handle->frames, handle->frame_start, input->offset, ZSTD_getErrorName(code));
    }
}

/* At a place where a frame may begin. Whether one does is seen in handle->in_frame. */
static int zstd_begin(struct inflater_handle *handle, struct inflate_input *input,
                      struct reason *why)
{
    int result = inflate_input_want(input, INFLATER_MAGIC_SIZE, why);

    if (result)
        return result;
    if (input->available == 0)
        return 0;
    /* libzstd would also take the formats from before 1.0, if it was built with them. */
    if (!zstd_recognises(input->next, input->available))
        return refuse(why, CONDITION_INVALID,
                      "the blob goes on at byte %" PRIu64 ", after zstd frame %" PRIu64
                      ", with something that is no zstd frame: fetch the layer again",
                      input->offset, handle->frames);
    handle->in_frame = true;
    handle->frames++;
    handle->frame_start = input->offset;
    return 0;
}

/* Runs the decoder once over what the window holds, which may be nothing: then it gives out what
 * it holds back. */
static int zstd_step(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                     size_t room, size_t *got, struct reason *why)
{
    ZSTD_inBuffer from = {input->next, input->available, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t code = ZSTD_decompressStream(handle->context, &to, &from);

    inflate_input_skip(input, from.pos);
    *got = to.pos;
    handle->made = handle->made || to.pos > 0;
    if (ZSTD_isError(code))
        return zstd_refuse(handle, input, code, why);
    if (code == 0)
        handle->in_frame = false;
    else if (to.pos < room && input->available == 0 && input->ended)
        return refuse(why, CONDITION_INVALID,
                      "the blob is cut off at byte %" PRIu64 ", inside zstd frame %" PRIu64
                      " that starts at byte %" PRIu64 ": fetch the layer again",
                      input->offset, handle->frames, handle->frame_start);
    return 0;
}

static int zstd_inflate(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                        size_t room, size_t *got, struct reason *why)
{
    *got = 0;
    while (*got < room) {
        size_t count = 0;
        int result;

        if (!handle->in_frame) {
            result = zstd_begin(handle, input, why);
            if (result || !handle->in_frame)
                return result;
        }
        result = inflate_input_want(input, 1, why);
        if (result)
            return result;
        result = zstd_step(handle, input, out + *got, room - *got, &count, why);
        *got += count;
        if (result)
            return result;
    }
    return 0;
}

static size_t zstd_memory(const struct inflater_handle *handle)
{
    return ZSTD_sizeof_DCtx(handle->context);
}

const struct inflater inflater_zstd = {
    .name = "zstd",
    .recognises = zstd_recognises,
    .open = zstd_open,
    .close = zstd_close,
    .inflate = zstd_inflate,
    .memory = zstd_memory,
};
