/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/chunk_queue.h"

#include "layer/stages.h"

#include <errno.h>
#include <stdlib.h>

int chunk_queue_init(struct chunk_queue *queue, size_t capacity)
{
    *queue = (struct chunk_queue){.capacity = capacity};
    queue->ring = calloc(capacity, sizeof(struct chunk *));
    if (!queue->ring)
        return -ENOMEM;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    return 0;
}

void chunk_queue_deinit(struct chunk_queue *queue)
{
    for (; queue->count > 0; queue->count--) {
        chunk_unref(queue->ring[queue->first]);
        queue->first = (queue->first + 1) % queue->capacity;
    }
    free(queue->ring);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

void chunk_queue_put(struct chunk_queue *queue, struct chunk *chunk)
{
    pthread_mutex_lock(&queue->lock);
    queue->ring[(queue->first + queue->count) % queue->capacity] = chunk;
    queue->count++;
    if (queue->waiting)
        pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

void chunk_queue_end(struct chunk_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

struct chunk *chunk_queue_get(struct chunk_queue *queue)
{
    struct chunk *chunk = NULL;

    pthread_mutex_lock(&queue->lock);
    queue->waiting = true;
    while (queue->count == 0 && !queue->ended)
        stage_wait(&queue->filled, &queue->lock, &queue->waited);
    queue->waiting = false;
    if (queue->count > 0) {
        chunk = queue->ring[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->lock);
    return chunk;
}
