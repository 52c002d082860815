/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_STREAM_H
#define COWSNAP_LAYER_STREAM_H

/*
 * The uncompressed bytes of one blob, as a sequence of chunks. Two threads of its own work behind
 * it: one inflates (ISA-L, zstd, or a plain read, told by the blob's first bytes), one takes the
 * SHA-256 of everything that comes out, whether or not the caller still wants it.
 */

#include "base/result.h"
#include "layer/chunk.h"
#include "layer/stages.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stream;

#define DIGEST_SIZE 32 /* bytes of a SHA-256 */

/* Uncompressed bytes from which on the ratio of a layer counts: a small layer of zeros is packed a
 * thousandfold, and harms nobody. */
#define STREAM_RATIO_FREE (UINT64_C(1) << 30)

struct stream_options {
    size_t chunks;         /* in flight at most, of CHUNK_SIZE bytes each */
    const uint8_t *verify; /* expected SHA-256 of the blob's own bytes (DIGEST_SIZE), or NULL */
    uint64_t size_limit;   /* uncompressed bytes allowed, 0 for no limit */
    /* Uncompressed bytes allowed for each byte of the blob, 0 for no limit; STREAM_RATIO_FREE are
     * allowed whatever the blob's size. */
    unsigned ratio_limit;
    const atomic_bool *cancel; /* looked at between chunks; may be NULL */
};

struct stream_sum {
    uint8_t
        digest[DIGEST_SIZE]; /* SHA-256 of the uncompressed bytes, to the very end of the blob */
    uint64_t size;           /* how many they are */
};

/* Starts reading BLOB from its start (pread; the descriptor stays the caller's and must outlive
 * the stream). The threads block all signals. */
int stream_open(struct stream **stream, int blob, const struct stream_options *options,
                struct reason *why);

/* The next chunk, with a reference that is now the caller's; *CHUNK is NULL at the end. A broken
 * blob is CONDITION_INVALID with a sentence that says what is broken and at which byte. */
int stream_next(struct stream *stream, struct chunk **chunk, struct reason *why);

/* Reads on to the end of the blob whatever the caller left, waits for the hash, and reports. A tar
 * ends before its stream does (zero blocks, padding), and the diff id is of the whole. */
int stream_finish(struct stream *stream, struct stream_sum *sum, struct reason *why);

/* What reading took, after stream_finish() went well: inflate and hash, and of parse the bytes and
 * the wait for chunks. */
void stream_stages(const struct stream *stream, struct stages *stages);

/* Stops the threads, waits for them, frees. Chunks still referenced elsewhere must be gone. NULL is
 * allowed; returns NULL. */
struct stream *stream_close(struct stream *stream);

#endif
