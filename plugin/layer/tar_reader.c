/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_reader.h"

#include "layer/pax.h"
#include "layer/sparse.h"
#include "layer/tar_entry.h"
#include "layer/tar_header.h"
#include "layer/tar_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/*
 * Facts of Go's archive/tar that are followed here, since an archive must not mean one thing to
 * containerd and another to cowsnap:
 *
 *  - The archive ends at two blocks of zeros; also where the stream ends between two entries,
 * within the padding of one, or after a single block of zeros. Headers whose entry never came are
 *    dropped then. It is cut off when the stream ends within a header or within data.
 *  - A second header of one kind before an entry replaces the first one as a whole.
 *  - A global PAX header must be well formed and means nothing else, but headers before it are
 *    dropped with it.
 *  - A size in the header must not be negative, even when PAX gives another one.
 *  - Too much or too little data for a sparse map is an error of reading it, not of skipping it.
 *
 * More is refused here than there, where a file system would refuse it, or would take something
 * else than what stands in the archive: owners and device numbers outside 32 bits, attributes
 * without a name, NULs in GNU.sparse.name, unknown types (containerd knows none either), and long
 * sparse maps (later versions of Go have the same limit). Old GNU sparse files (type 'S') are read;
 * containerd refuses the type, though Go's reader knows it.
 */

struct tar_buffer {
    uint8_t *data; /* ends in a NUL behind LENGTH */
    size_t length, room;
};

struct tar_reader {
    struct tar_input input;
    bool finished;
    int broken;        /* the result that all later calls repeat */
    struct reason why; /* its sentence */

    struct tar_headers headers;
    struct tar_buffer records, long_name, long_link; /* what HEADERS borrows from */
    uint8_t block[TAR_BLOCK];
    uint64_t header_at; /* where in the archive the last header began */

    struct entry entry;
    uint64_t stored;   /* bytes of its data that were not taken yet */
    uint64_t padding;  /* bytes that fill its last block */
    uint64_t position; /* in the file, of the data that comes next */
    bool is_sparse;
    struct sparse_map map;
    size_t extent; /* the one POSITION is in or before */
};

int tar_reader_new(struct tar_reader **reader, tar_source *source, void *context,
                   struct reason *why)
{
    *reader = calloc(1, sizeof(**reader));
    if (!*reader)
        return failure(why, ENOMEM, "cannot make a tar reader");
    (*reader)->input = (struct tar_input){.source = source, .context = context};
    return 0;
}

struct tar_reader *tar_reader_free(struct tar_reader *reader)
{
    if (!reader)
        return NULL;
    tar_input_deinit(&reader->input);
    pax_deinit(&reader->headers.pax);
    sparse_map_deinit(&reader->map);
    free(reader->records.data);
    free(reader->long_name.data);
    free(reader->long_link.data);
    free(reader);
    return NULL;
}

/* Says where in the layer RESULT came up: at the entry or header called NAME. Errors of the source
 * have their own place and stay as they are. */
static int locate(struct tar_reader *reader, const char *name, int result)
{
    if (result == 0)
        return 0;
    return amend(&reader->why, result,
                 "the layer cannot be read, build or pull the image again: tar entry %s at byte "
                 "%" PRIu64,
                 quoted(bytes_of(name)), reader->header_at);
}

static int refuse_cut(struct tar_reader *reader, const char *name, uint64_t missing)
{
    int result = refuse(&reader->why, CONDITION_INVALID,
                        "the archive is cut off at byte %" PRIu64 ", in data that goes on for "
                        "%" PRIu64 " bytes",
                        reader->input.offset, missing);

    return locate(reader, name, result);
}

static int refuse_header(struct tar_reader *reader, const char *what)
{
    int result = refuse(&reader->why, CONDITION_INVALID, "%s", what);

    return amend(&reader->why, result,
                 "the layer cannot be read, build or pull the image again: tar header at byte "
                 "%" PRIu64,
                 reader->header_at);
}

/* What has to be stepped over before the next header. */
static void expect_data(struct tar_reader *reader, uint64_t stored)
{
    reader->stored = stored;
    reader->padding = -stored % TAR_BLOCK;
}

/* A stream that ends within the padding has no next header either. */
static int skip_data(struct tar_reader *reader)
{
    uint64_t skipped;
    int result;

    result = tar_input_skip(&reader->input, reader->stored, &skipped, &reader->why);
    if (result != 0)
        return result;
    if (skipped < reader->stored)
        return refuse_cut(reader, reader->entry.name ? reader->entry.name : "",
                          reader->stored - skipped);
    reader->stored = 0;

    result = tar_input_skip(&reader->input, reader->padding, &skipped, &reader->why);
    reader->padding = 0;
    return result;
}

/* One block; GOT is TAR_BLOCK, or 0 at the end of the stream. */
static int read_block(struct tar_reader *reader, size_t *got)
{
    int result = tar_input_copy(&reader->input, reader->block, TAR_BLOCK, got, &reader->why);

    if (result == 0 && *got > 0 && *got < TAR_BLOCK)
        return refuse_header(reader, "the archive is cut off within it");
    return result;
}

static int read_header(struct tar_reader *reader, bool *end)
{
    size_t got;
    int result;

    reader->header_at = reader->input.offset;
    result = read_block(reader, &got);
    *end = got == 0;
    if (result != 0 || *end)
        return result;

    if (tar_header_is_zero(reader->block)) {
        *end = true;
        result = read_block(reader, &got);
        if (result == 0 && got > 0 && !tar_header_is_zero(reader->block))
            return refuse_header(reader, "one block of zeros, where two end an archive");
        return result;
    }
    result = tar_header_parse(&reader->headers.header, reader->block, &reader->why);
    if (result != 0)
        return amend(&reader->why, result,
                     "the layer cannot be read, build or pull the image again: tar header at byte "
                     "%" PRIu64,
                     reader->header_at);
    return 0;
}

/* The data of a header that describes the next one. */
static int read_special(struct tar_reader *reader, struct tar_buffer *buffer)
{
    const char *name = reader->headers.header.name;
    size_t length = (size_t)reader->stored;
    size_t got;
    int result;

    if (reader->stored > TAR_HEADERS_LIMIT) {
        result = refuse(&reader->why, CONDITION_INVALID,
                        "this header before an entry has %" PRIu64 " bytes, more than the %u that "
                        "are allowed",
                        reader->stored, TAR_HEADERS_LIMIT);
        return locate(reader, name, result);
    }
    if (length + 1 > buffer->room) {
        uint8_t *grown = realloc(buffer->data, length + 1);

        if (!grown)
            return failure(&reader->why, ENOMEM, "cannot keep a tar header of %zu bytes", length);
        buffer->data = grown;
        buffer->room = length + 1;
    }
    result = tar_input_copy(&reader->input, buffer->data, length, &got, &reader->why);
    if (result != 0)
        return result;
    if (got < length)
        return refuse_cut(reader, name, length - got);
    buffer->data[length] = '\0';
    buffer->length = length;
    reader->stored = 0;
    return 0;
}

static void forget_headers(struct tar_reader *reader)
{
    pax_clear(&reader->headers.pax);
    reader->headers.long_name = NULL;
    reader->headers.long_link = NULL;
}

static int read_records(struct tar_reader *reader)
{
    int result = read_special(reader, &reader->records);

    if (result != 0)
        return result;
    result =
        pax_parse(&reader->headers.pax, reader->records.data, reader->records.length, &reader->why);
    return locate(reader, reader->headers.header.name, result);
}

static int read_long_text(struct tar_reader *reader, struct tar_buffer *buffer, const char **text)
{
    int result = read_special(reader, buffer);

    *text = result == 0 ? (const char *)buffer->data : NULL;
    return result;
}

/* Reads up to a header that is an entry's own, and what stands before it. */
static int read_headers(struct tar_reader *reader, bool *end)
{
    const struct tar_header *header = &reader->headers.header;
    int result;

    forget_headers(reader);
    for (;;) {
        result = skip_data(reader);
        if (result != 0)
            return result;
        reader->entry.name = NULL;
        result = read_header(reader, end);
        if (result != 0 || *end)
            return result;

        if (tar_header_has_data(header->type) && header->size < 0) {
            result = refuse(&reader->why, CONDITION_INVALID, "its size is negative: %" PRId64,
                            header->size);
            return locate(reader, header->name, result);
        }
        expect_data(reader, tar_header_has_data(header->type) ? (uint64_t)header->size : 0);

        switch (header->type) {
        case TAR_PAX:
            result = read_records(reader);
            break;
        case TAR_PAX_GLOBAL:
            result = read_records(reader);
            forget_headers(reader);
            break;
        case TAR_LONG_NAME:
            result = read_long_text(reader, &reader->long_name, &reader->headers.long_name);
            break;
        case TAR_LONG_LINK:
            result = read_long_text(reader, &reader->long_link, &reader->headers.long_link);
            break;
        default:
            return 0;
        }
        if (result != 0)
            return result;
    }
}

/* The old GNU map goes on in blocks between header and data, which no size counts. */
static int read_gnu_map(struct tar_reader *reader)
{
    struct bytes area = reader->headers.header.sparse;
    size_t taken = 0;
    bool extended;
    size_t got;
    int result;

    for (;;) {
        result = sparse_map_add_gnu(&reader->map, area, &extended, &reader->why);
        if (result != 0 || !extended)
            return locate(reader, reader->entry.name, result);
        taken += TAR_BLOCK;
        if (taken > TAR_HEADERS_LIMIT)
            break;
        result = read_block(reader, &got);
        if (result != 0)
            return result;
        if (got == 0)
            return refuse_cut(reader, reader->entry.name, reader->stored);
        area = bytes_from(reader->block, TAR_BLOCK);
    }
    result = refuse(&reader->why, CONDITION_INVALID, "its sparse map has more than %u bytes",
                    TAR_HEADERS_LIMIT);
    return locate(reader, reader->entry.name, result);
}

static int read_map_lines(struct tar_reader *reader)
{
    struct sparse_lines lines = {0};
    size_t taken = 0;
    bool done = false;
    size_t got;
    int result;

    while (!done) {
        taken += TAR_BLOCK;
        if (taken > TAR_HEADERS_LIMIT || reader->stored < TAR_BLOCK) {
            result = refuse(&reader->why, CONDITION_INVALID,
                            "its sparse map does not end within its data and %u bytes",
                            TAR_HEADERS_LIMIT);
            return locate(reader, reader->entry.name, result);
        }
        result = read_block(reader, &got);
        if (result != 0)
            return result;
        if (got == 0)
            return refuse_cut(reader, reader->entry.name, reader->stored);
        reader->stored -= TAR_BLOCK;
        result = sparse_lines_feed(&lines, &reader->map, bytes_from(reader->block, TAR_BLOCK),
                                   &done, &reader->why);
        if (result != 0)
            return locate(reader, reader->entry.name, result);
    }
    return 0;
}

static int read_map(struct tar_reader *reader, enum tar_sparse sparse)
{
    const struct pax *pax = &reader->headers.pax;
    int result;

    sparse_map_reset(&reader->map, reader->entry.size);
    switch (sparse) {
    case TAR_SPARSE_NONE:
        return 0;
    case TAR_SPARSE_GNU:
        return read_gnu_map(reader);
    case TAR_SPARSE_LINES:
        return read_map_lines(reader);
    case TAR_SPARSE_LIST:
        break;
    }
    result = sparse_map_add_list(&reader->map, pax->sparse_map, pax->sparse_count, &reader->why);
    return locate(reader, reader->entry.name, result);
}

static int read_entry(struct tar_reader *reader, bool *end)
{
    enum tar_sparse sparse;
    uint64_t stored;
    int result;

    result = read_headers(reader, end);
    if (result != 0 || *end)
        return result;
    result = tar_entry_merge(&reader->entry, &reader->headers, &stored, &sparse, &reader->why);
    if (result != 0)
        return locate(reader, reader->entry.name, result);
    expect_data(reader, stored);
    reader->position = 0;
    reader->extent = 0;
    reader->is_sparse = sparse != TAR_SPARSE_NONE;
    return read_map(reader, sparse);
}

/* Nothing more is read: repeats RESULT from now on, and lets the chunk go. */
static int stop(struct tar_reader *reader, int result, struct reason *why)
{
    tar_input_deinit(&reader->input);
    reader->broken = result;
    reader->finished = true;
    reader->stored = 0;
    if (why && result != 0)
        *why = reader->why;
    return result;
}

int tar_reader_next(struct tar_reader *reader, const struct entry **entry, struct reason *why)
{
    bool end = false;
    int result;

    *entry = NULL;
    if (reader->finished)
        return stop(reader, reader->broken, why);
    result = read_entry(reader, &end);
    if (result != 0 || end)
        return stop(reader, result, why);
    *entry = &reader->entry;
    return 0;
}

/* How many bytes may come in one run from POSITION on; 0 at the end. */
static int plan_run(struct tar_reader *reader, uint64_t *limit)
{
    const struct sparse_map *map = &reader->map;
    const struct sparse_extent *extent;
    int result;

    *limit = reader->stored;
    if (!reader->is_sparse)
        return 0;

    while (reader->extent < map->count &&
           reader->position >=
               map->extents[reader->extent].offset + map->extents[reader->extent].length)
        reader->extent++;
    if (reader->extent == map->count) {
        if (reader->stored == 0)
            return 0;
        result = refuse(&reader->why, CONDITION_INVALID,
                        "it has %" PRIu64 " bytes of data that its sparse map has no place for",
                        reader->stored);
        return locate(reader, reader->entry.name, result);
    }
    extent = &map->extents[reader->extent];
    if (reader->stored == 0) {
        result = refuse(&reader->why, CONDITION_INVALID,
                        "its sparse map speaks of data at byte %" PRIu64 " that is not there",
                        extent->offset);
        return locate(reader, reader->entry.name, result);
    }
    if (reader->position < extent->offset)
        reader->position = extent->offset;
    *limit = extent->offset + extent->length - reader->position;
    if (*limit > reader->stored)
        *limit = reader->stored;
    return 0;
}

int tar_reader_data(struct tar_reader *reader, struct tar_run *run, struct reason *why)
{
    uint64_t limit;
    int result;

    *run = (struct tar_run){0};
    if (reader->finished)
        return stop(reader, reader->broken, why);
    result = plan_run(reader, &limit);
    if (result == 0 && limit == 0)
        return 0;
    if (result == 0)
        result = tar_input_run(&reader->input, limit, &run->data, &run->length, &reader->why);
    if (result == 0 && run->length == 0)
        result = refuse_cut(reader, reader->entry.name, reader->stored);
    if (result != 0) {
        *run = (struct tar_run){0};
        return stop(reader, result, why);
    }
    run->offset = reader->position;
    run->chunk = reader->input.chunk;
    reader->position += run->length;
    reader->stored -= run->length;
    return 0;
}
