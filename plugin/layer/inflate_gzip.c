/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

/*
 * A gzip blob is one member or several, one after another (RFC 1952, section 2.2). ISA-L inflates
 * what is inside a member and takes its CRC; the header and the trailer around it are read here,
 * because ISA-L loses the header's flags and checksum when a header spans two reads.
 *
 * ISA-L works ahead of what it has used by up to eight bytes, which it keeps as bits. At the end of
 * a member those are given back to the window; this is what its margin is for.
 *
 * What may stand behind the last member: nothing, or zero bytes to the end, which tools that write
 * whole blocks leave there and gzip(1) ignores. Go's reader refuses them. Everything else is
 * refused here too, though gzip(1) only warns: a layer has no use for it.
 */

#include <errno.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#define GZIP_METHOD_DEFLATE 8
#define GZIP_FIXED_SIZE 10 /* magic, method, flags, mtime, extra flags, system */
#define GZIP_TRAILER_SIZE 8
#define GZIP_FLAG_HEADER_CRC 0x02
#define GZIP_FLAG_EXTRA 0x04
#define GZIP_FLAG_NAME 0x08
#define GZIP_FLAG_COMMENT 0x10
#define GZIP_FLAGS_RESERVED 0xe0

_Static_assert(sizeof(((struct inflate_state *)0)->read_in) <= INFLATE_INPUT_MARGIN / 2 &&
                   GZIP_FIXED_SIZE <= INFLATE_INPUT_MARGIN / 2,
               "the window's margin holds what is read ahead");

/* ISA-L up to 2.32.0 adds up lengths in 32 bits (docs/dependencies.md). */
_Static_assert(INFLATE_INPUT_MARGIN + INFLATE_INPUT_SIZE <
                   UINT32_MAX - sizeof(((struct inflate_state *)0)->tmp_in_buffer),
               "no length given to ISA-L wraps");

enum gzip_step { GZIP_HEADER, GZIP_DATA, GZIP_TRAILER, GZIP_END };

struct inflater_handle {
    enum gzip_step step;
    uint64_t members;      /* begun so far */
    uint64_t member_start; /* where the current one begins in the blob */
    uint64_t member_size;  /* uncompressed bytes of it so far */
    uint32_t header_crc;
    struct inflate_state isal; /* some 80 KiB */
};

static bool gzip_recognises(const uint8_t *first, size_t count)
{
    return count >= 2 && first[0] == 0x1f && first[1] == 0x8b;
}

static int gzip_open(struct inflater_handle **handle, struct reason *why)
{
    /* Zeroed, because isal_inflate_init() leaves the tables as they are. */
    struct inflater_handle *made = calloc(1, sizeof(*made));

    if (!made)
        return failure(why, ENOMEM, "start a gzip decompressor");
    isal_inflate_init(&made->isal);
    *handle = made;
    return 0;
}

static void gzip_close(struct inflater_handle *handle)
{
    free(handle);
}

static uint32_t gzip_number(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int gzip_cut_off(const struct inflater_handle *handle, const struct inflate_input *input,
                        const char *part, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "the blob is cut off at byte %" PRIu64 ", inside the %s of gzip member %" PRIu64
                  " that starts at byte %" PRIu64 ": fetch the layer again",
                  input->offset + input->available, part, handle->members, handle->member_start);
}

static int gzip_damaged(const struct inflater_handle *handle, const struct inflate_input *input,
                        const char *what, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "gzip member %" PRIu64 ", which starts at byte %" PRIu64
                  " of the blob, is damaged near byte %" PRIu64 " (%s): fetch the layer again",
                  handle->members, handle->member_start, input->offset, what);
}

/* Uses COUNT bytes of the header and returns them, valid until the next call; NULL if they cannot
 * be had, and then *RESULT says why. */
static const uint8_t *gzip_header_take(struct inflater_handle *handle, struct inflate_input *input,
                                       size_t count, int *result, struct reason *why)
{
    const uint8_t *field;

    *result = inflate_input_want(input, count, why);
    if (*result)
        return NULL;
    if (input->available < count) {
        *result = gzip_cut_off(handle, input, "header", why);
        return NULL;
    }
    field = input->next;
    handle->header_crc = crc32_gzip_refl(handle->header_crc, field, count);
    inflate_input_skip(input, count);
    return field;
}

/* Two bytes of length and as many bytes of whatever. */
static int gzip_skip_extra(struct inflater_handle *handle, struct inflate_input *input,
                           struct reason *why)
{
    int result;
    const uint8_t *field = gzip_header_take(handle, input, 2, &result, why);

    if (!field)
        return result;
    for (size_t left = field[0] | (size_t)field[1] << 8; left > 0; left--)
        if (!gzip_header_take(handle, input, 1, &result, why))
            return result;
    return 0;
}

/* A name or a comment, up to its zero byte. */
static int gzip_skip_text(struct inflater_handle *handle, struct inflate_input *input,
                          struct reason *why)
{
    const uint8_t *field;
    int result;

    do
        field = gzip_header_take(handle, input, 1, &result, why);
    while (field && *field != 0);
    return result;
}

static int gzip_check_header_crc(struct inflater_handle *handle, struct inflate_input *input,
                                 struct reason *why)
{
    uint32_t counted = handle->header_crc & 0xffff;
    int result;
    const uint8_t *field = gzip_header_take(handle, input, 2, &result, why);

    if (!field)
        return result;
    if ((field[0] | (uint32_t)field[1] << 8) != counted)
        return gzip_damaged(handle, input, "the checksum of its header is wrong", why);
    return 0;
}

static int gzip_read_header(struct inflater_handle *handle, struct inflate_input *input,
                            struct reason *why)
{
    const uint8_t *field;
    uint8_t flags;
    int result;

    handle->members++;
    handle->member_start = input->offset;
    handle->member_size = 0;
    handle->header_crc = 0;
    field = gzip_header_take(handle, input, GZIP_FIXED_SIZE, &result, why);
    if (!field)
        return result;
    if (field[2] != GZIP_METHOD_DEFLATE)
        return gzip_damaged(handle, input, "its compression method is not deflate", why);
    flags = field[3];
    if (flags & GZIP_FLAGS_RESERVED)
        return gzip_damaged(handle, input, "its header has flags that gzip does not define", why);
    if (flags & GZIP_FLAG_EXTRA)
        result = gzip_skip_extra(handle, input, why);
    if (!result && flags & GZIP_FLAG_NAME)
        result = gzip_skip_text(handle, input, why);
    if (!result && flags & GZIP_FLAG_COMMENT)
        result = gzip_skip_text(handle, input, why);
    if (!result && flags & GZIP_FLAG_HEADER_CRC)
        result = gzip_check_header_crc(handle, input, why);
    if (result)
        return result;

    isal_inflate_reset(&handle->isal);
    handle->isal.crc_flag = ISAL_GZIP_NO_HDR; /* count the CRC, leave the comparison to us */
    handle->step = GZIP_DATA;
    return 0;
}

/* Behind a member: only zeros may follow. */
static int gzip_skip_padding(struct inflater_handle *handle, struct inflate_input *input,
                             struct reason *why)
{
    for (;;) {
        size_t zeros = 0;
        int result = inflate_input_want(input, 1, why);

        if (result)
            return result;
        while (zeros < input->available && input->next[zeros] == 0)
            zeros++;
        inflate_input_skip(input, zeros);
        if (input->available > 0)
            return refuse(why, CONDITION_INVALID,
                          "the blob goes on at byte %" PRIu64 ", after gzip member %" PRIu64
                          ", with something that is neither a gzip member nor zeros: fetch the "
                          "layer again",
                          input->offset, handle->members);
        if (input->ended)
            break;
    }
    handle->step = GZIP_END;
    return 0;
}

/* Where a member may begin; the first one does. */
static int gzip_begin(struct inflater_handle *handle, struct inflate_input *input,
                      struct reason *why)
{
    int result = inflate_input_want(input, 2, why);

    if (result)
        return result;
    /* One byte of a member's two, and the end: that is a header cut off. */
    if (gzip_recognises(input->next, input->available) ||
        (input->available == 1 && input->next[0] == 0x1f))
        return gzip_read_header(handle, input, why);
    return gzip_skip_padding(handle, input, why);
}

static const char *gzip_isal_text(int code)
{
    switch (code) {
    case ISAL_INVALID_BLOCK:
        return "invalid deflate block";
    case ISAL_INVALID_SYMBOL:
        return "invalid deflate symbol";
    case ISAL_INVALID_LOOKBACK:
        return "deflate distance reaches before the data";
    default:
        return "invalid deflate data";
    }
}

/* Runs ISA-L once. Its pointers are believed rather than its counts: when it finds damage in its
 * fast loop, 2.30 leaves the counts short by the loop's margin, even below zero, and counts bytes
 * as put out that it has not written. So a step that fails gives nothing. */
static int gzip_step(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                     size_t room, size_t *got, struct reason *why)
{
    struct inflate_state *isal = &handle->isal;
    size_t used, made;
    int code;

    isal->next_in = (uint8_t *)input->next;
    isal->avail_in = (uint32_t)input->available;
    isal->next_out = out;
    isal->avail_out = room > INT32_MAX ? INT32_MAX : (uint32_t)room;
    code = isal_inflate(isal);
    used = (size_t)(isal->next_in - input->next);
    made = (size_t)(isal->next_out - out);
    if (code < 0 || used > input->available || made > room) {
        inflate_input_skip(input, used < input->available ? used : input->available);
        return gzip_damaged(handle, input, gzip_isal_text(code), why);
    }
    inflate_input_skip(input, used);
    handle->member_size += made;
    *got = made;
    if (isal->block_state == ISAL_BLOCK_FINISH) {
        inflate_input_unskip(input, (size_t)isal->read_in_length / 8);
        handle->step = GZIP_TRAILER;
        return 0;
    }
    if (made == 0 && used == 0) {
        if (input->ended && input->available == 0)
            return gzip_cut_off(handle, input, "data", why);
        return gzip_damaged(handle, input, "the decompressor makes no progress", why);
    }
    return 0;
}

static int gzip_check_trailer(struct inflater_handle *handle, struct inflate_input *input,
                              struct reason *why)
{
    int result = inflate_input_want(input, GZIP_TRAILER_SIZE, why);

    if (result)
        return result;
    if (input->available < GZIP_TRAILER_SIZE)
        return gzip_cut_off(handle, input, "trailer", why);
    if (gzip_number(input->next) != handle->isal.crc)
        return gzip_damaged(handle, input, "the CRC-32 of its data is wrong", why);
    if (gzip_number(input->next + 4) != (uint32_t)handle->member_size)
        return gzip_damaged(handle, input, "the size of its data is wrong", why);
    inflate_input_skip(input, GZIP_TRAILER_SIZE);
    handle->step = GZIP_HEADER;
    return 0;
}

static int gzip_inflate(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                        size_t room, size_t *got, struct reason *why)
{
    size_t count;
    int result = 0;

    *got = 0;
    while (!result && *got < room && handle->step != GZIP_END) {
        switch (handle->step) {
        case GZIP_HEADER:
            result = gzip_begin(handle, input, why);
            break;
        case GZIP_DATA:
            result = inflate_input_want(input, 1, why);
            if (result)
                break;
            count = 0;
            result = gzip_step(handle, input, out + *got, room - *got, &count, why);
            *got += count;
            break;
        case GZIP_TRAILER:
            result = gzip_check_trailer(handle, input, why);
            break;
        case GZIP_END:
            break;
        }
    }
    return result;
}

const struct inflater inflater_gzip = {
    .name = "gzip",
    .recognises = gzip_recognises,
    .open = gzip_open,
    .close = gzip_close,
    .inflate = gzip_inflate,
};
