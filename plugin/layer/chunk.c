/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/chunk.h"

#include "layer/stages.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

struct chunk_pool {
    pthread_mutex_t lock; /* the only lock; guards all below */
    pthread_cond_t returned;
    struct chunk *free; /* the chunk returned last comes first: its memory is warm */
    size_t outstanding; /* chunks that are in use */
    unsigned waiting;   /* threads in chunk_take() */
    uint64_t waited;    /* ns, by those threads */
    bool closed;
    bool orphan; /* chunk_pool_free() was called; the last chunk takes the pool along */

    uint8_t *memory;
    size_t count;
    struct chunk chunks[];
};

static void chunk_pool_destroy(struct chunk_pool *pool)
{
    munmap(pool->memory, pool->count * CHUNK_SIZE);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct chunk_pool *chunk_pool_new(size_t count)
{
    struct chunk_pool *pool;

    if (count == 0 || count > SIZE_MAX / 2 / CHUNK_SIZE)
        return NULL;
    pool = calloc(1, sizeof(*pool) + count * sizeof(pool->chunks[0]));
    if (!pool)
        return NULL;
    /* One mapping, so that pages no chunk has used yet cost nothing, and all go back at the end. */
    pool->memory =
        mmap(NULL, count * CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool->memory == MAP_FAILED) {
        free(pool);
        return NULL;
    }
    pool->count = count;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->returned, NULL);
    for (size_t i = count; i-- > 0;) {
        pool->chunks[i].data = pool->memory + i * CHUNK_SIZE;
        pool->chunks[i].pool = pool;
        pool->chunks[i].next_free = pool->free;
        pool->free = &pool->chunks[i];
    }
    return pool;
}

struct chunk_pool *chunk_pool_free(struct chunk_pool *pool)
{
    bool last;

    if (!pool)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    last = pool->outstanding == 0;
    pool->orphan = true;
    pthread_mutex_unlock(&pool->lock);
    if (last)
        chunk_pool_destroy(pool);
    return NULL;
}

void chunk_pool_close(struct chunk_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    pthread_cond_broadcast(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

struct chunk *chunk_take(struct chunk_pool *pool)
{
    struct chunk *chunk = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->waiting++;
    while (!pool->closed && !pool->free)
        stage_wait(&pool->returned, &pool->lock, &pool->waited);
    pool->waiting--;
    if (!pool->closed) {
        chunk = pool->free;
        pool->free = chunk->next_free;
        pool->outstanding++;
        chunk->next_free = NULL;
        chunk->length = 0;
        atomic_store_explicit(&chunk->references, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&pool->lock);
    return chunk;
}

uint64_t chunk_pool_waited(struct chunk_pool *pool)
{
    uint64_t waited;

    pthread_mutex_lock(&pool->lock);
    waited = pool->waited;
    pthread_mutex_unlock(&pool->lock);
    return waited;
}

bool chunk_pool_retire(struct chunk_pool *pool)
{
    struct chunk *chunk = chunk_take(pool);

    if (!chunk)
        return false;
    (void)madvise(chunk->data, CHUNK_SIZE, MADV_DONTNEED);
    pthread_mutex_lock(&pool->lock);
    pool->outstanding--; /* though it does not come back to FREE */
    pthread_mutex_unlock(&pool->lock);
    return true;
}

void chunk_ref(struct chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
}

void chunk_unref(struct chunk *chunk)
{
    struct chunk_pool *pool;
    bool last;

    /* Release: whatever this thread read of the chunk is read before the next owner writes. */
    if (!chunk || atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) != 1)
        return;
    pool = chunk->pool;
    pthread_mutex_lock(&pool->lock);
    chunk->next_free = pool->free;
    pool->free = chunk;
    pool->outstanding--;
    last = pool->orphan && pool->outstanding == 0;
    if (pool->waiting > 0)
        pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
    if (last)
        chunk_pool_destroy(pool);
}
