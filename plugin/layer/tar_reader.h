/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TAR_READER_H
#define COWSNAP_LAYER_TAR_READER_H

/*
 * Turns a stream of chunks into entries and runs of file data. It drives the parsers (tar_header.c,
 * pax.c, sparse.c), which do no I/O of their own. Formats: V7, ustar, PAX (POSIX.1-2001), GNU with
 * long names, base-256 numbers and old, 0.0, 0.1 and 1.0 sparse maps. What is accepted and refused
 * follows Go's archive/tar, since containerd reads layers with that.
 */

#include "base/result.h"
#include "layer/chunk.h"
#include "layer/entry.h"

struct tar_reader;

/* Where bytes come from: hands over one reference to the next chunk, NULL in *CHUNK at the end. */
typedef int tar_source(void *context, struct chunk **chunk, struct reason *why);

/* The most that one header before an entry may take (PAX records, a long name, a sparse map), in
 * bytes, as in Go; the kernel takes no name past 4 KiB and no attribute past 64 KiB. A larger one
 * is refused unread. An entry has at most one of each kind, so a reader never takes more than 16
 * MiB. */
#define TAR_HEADERS_LIMIT (1024u * 1024)

int tar_reader_new(struct tar_reader **reader, tar_source *source, void *context,
                   struct reason *why);
/* NULL is allowed; returns NULL. */
struct tar_reader *tar_reader_free(struct tar_reader *reader);

/* Skips what is left of the previous entry's data and reads the next one. *ENTRY and all it points
 * to stay valid until the next call; it is NULL at the end of the archive. A malformed or truncated
 * archive is CONDITION_INVALID; the sentence names the entry and the byte offset. */
int tar_reader_next(struct tar_reader *reader, const struct entry **entry, struct reason *why);

/* A run of the current file's data, inside one chunk. */
struct tar_run {
    uint64_t offset;     /* where it belongs in the file; ascending; gaps are holes */
    const uint8_t *data; /* inside CHUNK */
    size_t length;       /* 0: no data is left */
    struct chunk *chunk; /* borrowed: chunk_ref() it to keep DATA past the next call */
};

/* The next run of data of the current ENTRY_FILE. */
int tar_reader_data(struct tar_reader *reader, struct tar_run *run, struct reason *why);

#endif
