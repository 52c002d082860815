/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_CHUNK_H
#define COWSNAP_LAYER_CHUNK_H

/*
 * Counted pieces of an uncompressed layer. The inflater fills a chunk, and from then on it is read
 * only: the hasher, the tar reader and any number of writers hold references, and the last one to
 * let go returns it to its pool. No stage copies file data.
 *
 * A pool has a fixed number of chunks, which bounds the memory of one Apply: a fast inflater waits
 * in chunk_take() until a slow writer lets go. So a stage may wait for others only while it holds
 * nothing that they wait for (see the essay in stream.c).
 */

#include "base/result.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_SIZE (256u * 1024) /* bytes of room in each chunk */

struct chunk_pool;

struct chunk {
    uint8_t *data; /* CHUNK_SIZE bytes, aligned to a page */
    size_t length; /* bytes that are filled; set once by the producer */
    struct chunk_pool *pool;
    _Atomic unsigned references;
    struct chunk *next_free; /* the pool's own */
};

/* A pool of COUNT chunks (at least 1); memory is touched only when a chunk is first used. NULL when
 * memory is out. */
struct chunk_pool *chunk_pool_new(size_t count);
/* Chunks may still be out; the last of them to be returned then takes the memory along, and no
 * chunk may be taken any more. NULL is allowed; returns NULL. */
struct chunk_pool *chunk_pool_free(struct chunk_pool *pool);
/* Makes every present and later chunk_take() return NULL: the way to stop a waiting producer. */
void chunk_pool_close(struct chunk_pool *pool);

/* Waits for a free chunk and takes it out of use for good; its memory goes back to the system now.
 * False once the pool is closed. */
bool chunk_pool_retire(struct chunk_pool *pool);

/* ns that chunk_take() waited so far, in all threads together. */
uint64_t chunk_pool_waited(struct chunk_pool *pool);

/* A free chunk with one reference and length 0; waits for one. NULL once the pool is closed. */
struct chunk *chunk_take(struct chunk_pool *pool);
void chunk_ref(struct chunk *chunk);
/* Gives one reference back; any thread. NULL is allowed. */
void chunk_unref(struct chunk *chunk);

#endif
