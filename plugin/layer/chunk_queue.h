/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_CHUNK_QUEUE_H
#define COWSNAP_LAYER_CHUNK_QUEUE_H

/*
 * Chunks on their way from one thread to another, in order. The ring has room for every chunk of
 * the pool, so putting never waits: only the pool bounds how much is under way.
 */

#include "layer/chunk.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct chunk_queue {
    pthread_mutex_t lock; /* taken alone, never with another */
    pthread_cond_t filled;
    bool waiting; /* the one consumer is in chunk_queue_get() */
    bool ended;
    uint64_t waited; /* ns, by the consumer, which may read it when it has nothing more to get */
    size_t capacity, first, count;
    struct chunk **ring;
};

/* CAPACITY is the number of chunks in the pool. -ENOMEM leaves nothing to undo. */
int chunk_queue_init(struct chunk_queue *queue, size_t capacity);
/* Lets go of what is still inside. No thread may use the queue any more. */
void chunk_queue_deinit(struct chunk_queue *queue);

/* Hands over one reference; never waits. */
void chunk_queue_put(struct chunk_queue *queue, struct chunk *chunk);
/* No more will come: what is inside can still be had. */
void chunk_queue_end(struct chunk_queue *queue);
/* Waits for a chunk, whose reference is the caller's; NULL when the queue is empty and ended. For
 * one thread at a time. */
struct chunk *chunk_queue_get(struct chunk_queue *queue);

#endif
