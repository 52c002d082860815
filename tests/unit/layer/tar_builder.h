/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_TAR_BUILDER_H
#define COWSNAP_TESTS_TAR_BUILDER_H

/*
 * Archives in memory, right ones and wrong ones, and a source that hands them over in chunks of any
 * size. What cannot be built (memory is out) aborts the test.
 */

#include "layer/chunk.h"
#include "layer/tar_header.h"
#include "layer/tar_reader.h"

#include <stddef.h>
#include <stdint.h>

struct tar_builder {
    uint8_t *data;
    size_t length, room;
};

/* A header block. Zero means: no format is V7, no mode 0644, no field is left out. */
struct tar_member {
    const char *name;
    char type; /* '0' to '7', 'x', …; 0 is V7's regular file */
    const char *link;
    uint32_t mode;
    int64_t uid, gid, size, mtime; /* written in base-256 when octal has no room for them */
    int64_t device_major, device_minor;
    const char *prefix; /* ustar only */
    enum tar_format format;
};

void tar_builder_deinit(struct tar_builder *builder);
/* Any bytes. */
void tar_builder_raw(struct tar_builder *builder, const void *data, size_t length);
/* Bytes, and zeros up to the end of the block. */
void tar_builder_data(struct tar_builder *builder, const void *data, size_t length);
/* A block; returns where it is, valid until something is added. */
uint8_t *tar_builder_header(struct tar_builder *builder, const struct tar_member *member);
/* Puts the checksum of a changed header right. */
void tar_builder_sum(uint8_t *block);
/* A number in a field of a header: octal when it fits, otherwise base-256. */
void tar_builder_number(uint8_t *field, size_t size, int64_t number);
/* A ustar file with the text in it. */
void tar_builder_file(struct tar_builder *builder, const char *name, const char *text);
/* A header of TYPE ('x', 'g', 'L', 'K') with its data. */
void tar_builder_special(struct tar_builder *builder, char type, const void *data, size_t length);
/* A 'x' header of pairs KEY, VALUE, up to a NULL. */
void tar_builder_pax(struct tar_builder *builder, ...) __attribute__((sentinel));
/* Adds "LENGTH KEY=VALUE\n" to the bare bytes. */
void tar_builder_record(struct tar_builder *builder, const char *key, const void *value,
                        size_t length);
/* Two blocks of zeros. */
void tar_builder_end(struct tar_builder *builder);

/* A tar_source over bytes: STEP at a time, from a pool of chunks. */
struct tar_feed {
    const uint8_t *data;
    size_t length, at, step;
    struct chunk_pool *pool;
    size_t asked;  /* times */
    size_t broken; /* fails with EIO when it would pass this byte; 0: never */
};

/* Chunks of STEP bytes (at most CHUNK_SIZE; the last may be shorter) of the bytes built. */
struct tar_feed tar_feed_of(const struct tar_builder *builder, size_t step,
                            struct chunk_pool *pool);
int tar_feed_next(void *feed, struct chunk **chunk, struct reason *why);

/* Everything a reader makes of the feed, as text: a line for each entry, "0=abc 512=…" for its runs
 * joined where they touch, and the last sentence if it is refused. The caller frees it. */
char *tar_feed_describe(struct tar_feed *feed);

#endif
