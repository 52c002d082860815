/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_INVENTORY_H
#define COWSNAP_BACKENDS_DM_THIN_INVENTORY_H

/*
 * What the pool holds, in memory: read from its metadata at the start (survey.h), kept up to date
 * by volume.c. The pool is the only place where it lasts.
 *
 * Numbers. A volume's number has 64 bits and is never used twice; a thin device's id has 24. The id
 * is the low 24 bits of the number, and the rest, the number's epoch, is the pool's transaction id
 * at the time the device was made, which the pool keeps with each device. So a thin device tells
 * which volume it is, without a record anywhere else; and after 16 million volumes ids come again
 * without being taken for what they once were. Ids 0 and 0xffffff are the pool's own.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THIN_ID_BITS 24
#define THIN_ID_LABEL 0
#define THIN_ID_BASE 0xffffff

static inline uint32_t thin_id(uint64_t id)
{
    return (uint32_t)(id & ((1 << THIN_ID_BITS) - 1));
}

static inline uint64_t thin_epoch(uint64_t id)
{
    return id >> THIN_ID_BITS;
}

#define INVENTORY_UNKNOWN UINT64_MAX

struct inventory_item {
    uint64_t id;
    uint64_t mapped;      /* blocks when last looked at */
    uint64_t born;        /* blocks shared with the parent at the time of the clone; or unknown */
    uint64_t inodes;      /* in use in its file system when last looked at; or unknown */
    uint64_t born_inodes; /* the same when it was cloned; or unknown */
    bool clean;           /* its journal is known to be empty: nobody could write since it was */
    bool whole;           /* replayed since its device was made, or not due: inventory_mark() */
};

#define INVENTORY_BUCKETS 4096

struct inventory {
    pthread_mutex_t lock; /* of all below; never held during a system call */
    struct inventory_node *buckets[INVENTORY_BUCKETS]; /* by thin id */
    size_t count;
};

void inventory_init(struct inventory *inventory);
void inventory_deinit(struct inventory *inventory);

/* Puts ITEM in, or in the place of the one with its number. False when memory is out. */
bool inventory_put(struct inventory *inventory, struct inventory_item item);

/* Puts ITEM in the place of the one with its number, but for WHOLE; one that was dropped meanwhile
 * stays so. */
void inventory_update(struct inventory *inventory, struct inventory_item item);

/* Sets WHOLE of the one with that number. */
void inventory_mark(struct inventory *inventory, uint64_t id, bool whole);

bool inventory_find(struct inventory *inventory, uint64_t id, struct inventory_item *item);

/* Whether another volume has the thin id that ID would take. */
bool inventory_is_taken(struct inventory *inventory, uint64_t id);

void inventory_drop(struct inventory *inventory, uint64_t id);

/* The numbers of all that are in it, for the caller to free; NULL when memory is out. */
uint64_t *inventory_list(struct inventory *inventory, size_t *count);

#endif
