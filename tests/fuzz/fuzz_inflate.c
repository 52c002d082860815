/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Drives the inflaters (inflate_gzip.c, inflate_zstd.c, inflate_plain.c, inflate_input.c) over any
 * bytes, twice: once seeing all of them at once, once in small reads and small calls. Both must
 * give the same, and both end. (libzstd alone may refuse in pieces what it takes as a whole: a
 * small frame seen whole is decoded by a simpler path, which lets an RLE block of no bytes pass.)
 * ISA-L's inner loops are assembly that no sanitizer looks into, so input and output end where a
 * page without access begins.
 *
 * The first byte of the data chooses sizes and what is put in front of the rest: nothing, a gzip
 * header or a zstd magic number, so that a fuzzer need not guess them.
 */

#include "layer/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes taken from a blob that inflates to more: several times what ISA-L keeps of its output, and
 * no more, since a byte at a time it is a call each. */
#define OUTPUT_LIMIT (192u * 1024)
#define ROOM_LIMIT (64u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool truth)
{
    if (!truth)
        abort();
}

/* SIZE bytes in front of a page that cannot be touched; the place of their end. */
static uint8_t *guarded_end(size_t size)
{
    size_t page = 4096, whole = (size + page - 1) / page * page;
    uint8_t *memory =
        mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    demand(memory != MAP_FAILED && mprotect(memory + whole, page, PROT_NONE) == 0);
    return memory + whole;
}

struct source {
    const uint8_t *data;
    size_t length, offset, each;
};

static int source_read(void *context, uint8_t *buffer, size_t room, size_t *got, struct reason *why)
{
    struct source *source = context;
    size_t count = source->length - source->offset;

    (void)why;
    demand(room > 0);
    if (count > room)
        count = room;
    if (count > source->each)
        count = source->each;
    if (count > 0)
        memcpy(buffer, source->data + source->offset, count);
    source->offset += count;
    *got = count;
    return 0;
}

struct outcome {
    const struct inflater *inflater;
    int result; /* CONDITION_EXHAUSTED: cut at OUTPUT_LIMIT */
    uint8_t *output;
    size_t length;
};

static void run(struct source source, uint8_t *window, uint8_t *room_end, size_t room,
                struct outcome *outcome)
{
    struct inflate_input input = {
        .read = source_read, .context = &source, .memory = window, .next = window};
    struct inflater_handle *handle = NULL;
    const struct inflater *inflater;
    struct reason why = {0};
    size_t got = 0;

    input.next += INFLATE_INPUT_MARGIN;
    demand(inflater_choose(&input, &inflater, &why) == 0);
    demand(inflater->open(&handle, &why) == 0);
    outcome->inflater = inflater;
    outcome->length = 0;
    do {
        uint8_t *out = room_end - room;

        got = SIZE_MAX;
        outcome->result = inflater->inflate(handle, &input, out, room, &got, &why);
        demand(got <= room);
        memcpy(outcome->output + outcome->length, out, got);
        outcome->length += got;
        if (outcome->result == 0 && outcome->length > OUTPUT_LIMIT)
            outcome->result = CONDITION_EXHAUSTED;
    } while (outcome->result == 0 && got == room);
    inflater->close(handle);
    demand(outcome->result >= 0 || outcome->result == -ENOMEM);
    demand(outcome->result == 0 || outcome->result == CONDITION_EXHAUSTED || why.text[0] != '\0');
    if (outcome->result == 0)
        demand(input.available == 0 && input.offset == source.length);
}

/* Whether OTHER, which was refused, may have met the damage behind the place where CUT was cut.
 * What an inflater holds back when it refuses is less than half of what is taken. */
static bool lies_behind_cut(const struct outcome *cut, const struct outcome *other)
{
    return cut->result == CONDITION_EXHAUSTED && other->result != 0 &&
           other->length >= OUTPUT_LIMIT / 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t gzip[10] = {0x1f, 0x8b, 8}, zstd[4] = {0x28, 0xb5, 0x2f, 0xfd};
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 64, 4096};
    static uint8_t *room_end, *blob_end, *window;
    static struct outcome whole, pieces;
    uint8_t blob[16384];
    size_t length = 0, common;

    if (size == 0 || size > sizeof(blob) - sizeof(gzip))
        return -1;
    if (!room_end) {
        room_end = guarded_end(ROOM_LIMIT);
        blob_end = guarded_end(INFLATE_INPUT_MARGIN + INFLATE_INPUT_SIZE);
        window = calloc(1, INFLATE_INPUT_MARGIN + INFLATE_INPUT_SIZE);
        whole.output = malloc(OUTPUT_LIMIT + ROOM_LIMIT);
        pieces.output = malloc(OUTPUT_LIMIT + ROOM_LIMIT);
        demand(window && whole.output && pieces.output);
    }
    if (data[0] >> 6 == 1) {
        memcpy(blob, gzip, sizeof(gzip));
        length = sizeof(gzip);
    } else if (data[0] >> 6 == 2) {
        memcpy(blob, zstd, sizeof(zstd));
        length = sizeof(zstd);
    }
    memcpy(blob + length, data + 1, size - 1);
    length += size - 1;

    run((struct source){blob, length, 0, SIZE_MAX}, blob_end - length - INFLATE_INPUT_MARGIN,
        room_end, ROOM_LIMIT, &whole);
    run((struct source){blob, length, 0, sizes[data[0] & 7]}, window, room_end,
        sizes[data[0] >> 3 & 7], &pieces);
    demand(whole.inflater == pieces.inflater);
    demand(whole.result == pieces.result || lies_behind_cut(&whole, &pieces) ||
           lies_behind_cut(&pieces, &whole) || whole.inflater == &inflater_zstd);
    common = whole.length < pieces.length ? whole.length : pieces.length;
    demand(memcmp(whole.output, pieces.output, common) == 0);
    demand(whole.result != 0 || pieces.result != 0 || whole.length == pieces.length);
    return 0;
}
