/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer target for the whole tar reader. The first byte chooses the size of the chunks; what
 * follows is the archive. Checksums are put right in every block that looks like a header, as
 * no fuzzer finds them by itself.
 */

#include "layer/tar_header.h"
#include "layer/tar_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
    const uint8_t *data;
    size_t left, step;
};

/* Of one chunk: a reader that held it while it asks for the next would wait for ever. */
static struct chunk_pool *pool;

static int feed_next(void *context, struct chunk **chunk, struct reason *why)
{
    struct feed *feed = context;
    size_t length = feed->left < feed->step ? feed->left : feed->step;

    *chunk = NULL;
    if (length == 0)
        return 0;
    *chunk = chunk_take(pool);
    if (!*chunk)
        return refuse(why, CONDITION_CANCELLED, "no pool");
    memcpy((*chunk)->data, feed->data, length);
    (*chunk)->length = length;
    feed->data += length;
    feed->left -= length;
    return 0;
}

static void mend_sums(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        uint8_t *block = data + at;
        unsigned sum = 0;
        char text[8];

        if (memcmp(block + 257, "ustar", 5) != 0 && block[155] != ' ')
            continue;
        memset(block + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
            sum += block[i];
        snprintf(text, sizeof(text), "%06o", sum);
        memcpy(block + 148, text, 7);
    }
}

static void read_data(struct tar_reader *reader, const struct entry *entry)
{
    struct reason why;
    struct tar_run run;
    uint64_t end = 0;

    while (tar_reader_data(reader, &run, &why) == 0 && run.length > 0) {
        if (entry->type != ENTRY_FILE || run.offset < end || run.offset > entry->size ||
            run.length > entry->size - run.offset || run.data < run.chunk->data ||
            run.data + run.length > run.chunk->data + run.chunk->length)
            abort();
        end = run.offset + run.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *archive;
    struct feed feed;
    struct tar_reader *reader;
    const struct entry *entry;
    struct reason why;

    if (!pool)
        pool = chunk_pool_new(1);
    if (size == 0 || !pool || !(archive = malloc(size > 1 ? size - 1 : 1)))
        return 0;
    memcpy(archive, data + 1, size - 1);
    mend_sums(archive, size - 1);
    feed = (struct feed){.data = archive, .left = size - 1, .step = data[0] * 8u + 1};
    if (tar_reader_new(&reader, feed_next, &feed, &why) == 0) {
        while (tar_reader_next(reader, &entry, &why) == 0 && entry) {
            size_t sum = strlen(entry->name) + strlen(entry->link);

            for (size_t i = 0; i < entry->xattr_count; i++)
                sum +=
                    strlen(entry->xattrs[i].name) + entry->xattrs[i].value[entry->xattrs[i].length];
            if (sum % 4 != 3 || entry->size < 100) /* some are skipped unread */
                read_data(reader, entry);
        }
        tar_reader_free(reader);
    }
    free(archive);
    return 0;
}
