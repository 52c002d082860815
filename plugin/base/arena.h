/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_ARENA_H
#define COWSNAP_BASE_ARENA_H

/*
 * Memory for many small things that end together. Not for use by several threads at once.
 */

#include "base/bytes.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *newest;
    size_t used; /* bytes of NEWEST that are given out */
};

#define ARENA_EMPTY ((struct arena){0})

/* SIZE bytes, aligned for anything, not cleared; NULL when memory is out. */
void *arena_take(struct arena *arena, size_t size);

/* A copy that lives as long as the arena. False when memory is out. */
bool arena_copy(struct arena *arena, struct bytes source, struct bytes *copy);

/* Frees everything but one block, to be used anew. */
void arena_reset(struct arena *arena);

/* Frees everything. An arena that was never used is fine; fit for scoped(). */
void arena_clear(struct arena *arena);

#endif
