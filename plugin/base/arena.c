/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdlib.h>

#define BLOCK_SIZE (16u * 1024)

struct arena_block {
    struct arena_block *older;
    size_t size; /* bytes of DATA */
    _Alignas(max_align_t) unsigned char data[];
};

static struct arena_block *block_new(struct arena_block *older, size_t size)
{
    struct arena_block *block;

    if (size > SIZE_MAX - sizeof(*block))
        return NULL;
    block = malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    block->older = older;
    block->size = size;
    return block;
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t align = _Alignof(max_align_t);
    void *taken;

    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) / align * align;
    if (!arena->newest || arena->newest->size - arena->used < size) {
        struct arena_block *block = block_new(arena->newest, size > BLOCK_SIZE ? size : BLOCK_SIZE);

        if (!block)
            return NULL;
        arena->newest = block;
        arena->used = 0;
    }
    taken = arena->newest->data + arena->used;
    arena->used += size;
    return taken;
}

bool arena_copy(struct arena *arena, struct bytes source, struct bytes *copy)
{
    uint8_t *taken;

    if (source.length == 0) {
        *copy = (struct bytes){0};
        return true;
    }
    taken = arena_take(arena, source.length);
    if (!taken)
        return false;
    memcpy(taken, source.data, source.length);
    *copy = bytes_from(taken, source.length);
    return true;
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *older = block->older;

        free(block);
        block = older;
    }
}

void arena_reset(struct arena *arena)
{
    if (arena->newest) {
        free_blocks(arena->newest->older);
        arena->newest->older = NULL;
    }
    arena->used = 0;
}

void arena_clear(struct arena *arena)
{
    free_blocks(arena->newest);
    *arena = ARENA_EMPTY;
}
