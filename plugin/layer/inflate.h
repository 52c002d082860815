/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_INFLATE_H
#define COWSNAP_LAYER_INFLATE_H

/*
 * Decompressors. Each turns the bytes of a blob, seen through a window, into uncompressed bytes in
 * memory it is given. They run on one thread, know nothing of files, chunks or hashes, and so can
 * be driven over any bytes by a test.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes before the window's start that stay readable, so that a decompressor which has read ahead
 * can give bytes back, and a field of up to this length can be seen whole. */
#define INFLATE_INPUT_MARGIN 64u
#define INFLATE_INPUT_SIZE (256u * 1024) /* bytes asked for in one read */

/* Reads on where the last call ended: up to ROOM bytes into BUFFER; *GOT is 0 only at the end. */
typedef int inflate_read(void *context, uint8_t *buffer, size_t room, size_t *got,
                         struct reason *why);

/* A window on the blob. */
struct inflate_input {
    inflate_read *read;
    void *context;
    uint8_t *memory;     /* INFLATE_INPUT_MARGIN + INFLATE_INPUT_SIZE */
    const uint8_t *next; /* the first byte not used yet, inside MEMORY */
    size_t available;    /* bytes from there on */
    uint64_t offset;     /* where NEXT is in the blob */
    bool ended;          /* the blob has no bytes after these */
};

/* -ENOMEM leaves nothing to undo. */
int inflate_input_init(struct inflate_input *input, inflate_read *read, void *context,
                       struct reason *why);
void inflate_input_deinit(struct inflate_input *input);
/* Makes COUNT bytes (1 to INFLATE_INPUT_MARGIN / 2) available in one piece, reading only if they
 * are not; fewer are available only where the blob ends. */
int inflate_input_want(struct inflate_input *input, size_t count, struct reason *why);
/* The COUNT available bytes in front are used. */
void inflate_input_skip(struct inflate_input *input, size_t count);
/* Gives COUNT (at most INFLATE_INPUT_MARGIN / 2) bytes skipped before back. */
void inflate_input_unskip(struct inflate_input *input, size_t count);

#define INFLATER_MAGIC_SIZE 4u

struct inflater_handle;

struct inflater {
    const char *name; /* "gzip", "zstd", "plain" */

    /* Whether a blob whose first COUNT bytes (INFLATER_MAGIC_SIZE, if it has them) are FIRST is of
     * this format. NULL: the format has no mark. */
    bool (*recognises)(const uint8_t *first, size_t count);

    int (*open)(struct inflater_handle **handle, struct reason *why);
    void (*close)(struct inflater_handle *handle);

    /* The next uncompressed bytes into OUT. *GOT is ROOM (at least 1), or less at the end of the
     * data, which is the end of the blob, or less before an error: the bytes before it are good.
     * CONDITION_INVALID: the data is damaged or cut off; the sentence says where in the blob.
     * CONDITION_UNIMPLEMENTED, before the first byte: it is not of a kind that is inflated here. */
    int (*inflate)(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                   size_t room, size_t *got, struct reason *why);

    /* Bytes that the decompressor holds now. NULL: always less than a MiB. */
    size_t (*memory)(const struct inflater_handle *handle);
};

extern const struct inflater inflater_gzip;  /* RFC 1952, any number of members; ISA-L */
extern const struct inflater inflater_zstd;  /* RFC 8878, any number of frames; libzstd */
extern const struct inflater inflater_plain; /* the bytes as they are */

/* The one that fits the first bytes of INPUT, of which none is used. What is neither gzip nor zstd
 * is plain, also a blob of no bytes: containerd takes that for an empty layer. */
int inflater_choose(struct inflate_input *input, const struct inflater **inflater,
                    struct reason *why);

#endif
