/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_STOCK_H
#define COWSNAP_SNAPSHOT_STOCK_H

/*
 * Ready clones of parents that are in demand, and how many there should be of each.
 *
 * A clone makes its caller wait for the pool (btrfs commits a transaction for it); one that lies
 * ready costs a Prepare nothing but its record. A parent is in demand from its second Prepare
 * within a while: the layers of an image that is being unpacked are cloned once each and never get
 * here, the top layer that containers start from does. A parent whose clones run out gets twice as
 * many, up to half of the stock; one that is not asked for any more loses them.
 *
 * This file decides; filler.c makes the clones and ends those that are not wanted any more. A ready
 * clone has an intent (INTENT_STOCK) and no record, so nobody but this daemon ever sees it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STOCK_MOST 512u           /* clones that one stock can be told to hold */
#define STOCK_PARENTS 32u         /* parents whose demand is known */
#define STOCK_LEAST 4u            /* clones of a parent in demand, before it is first doubled */
#define STOCK_WINDOW_MS 60000     /* two Prepares within this time are demand */
#define STOCK_LIFE_MS (5 * 60000) /* without a Prepare, after which the clones go */

struct stock_clone {
    uint64_t id;
    uint64_t parent; /* 0: not wanted any more */
};

struct stock_demand {
    uint64_t parent; /* 0: free */
    unsigned wanted; /* clones that should lie ready; 0: not in demand */
    int64_t last;    /* milliseconds, when it was asked for */
};

struct stock {
    pthread_mutex_t lock; /* of all below; taken alone */
    unsigned limit;       /* clones at most; 0: no stock is kept */
    struct stock_clone clones[STOCK_MOST];
    unsigned count;
    struct stock_demand demands[STOCK_PARENTS];
};

void stock_init(struct stock *stock, unsigned limit);
void stock_deinit(struct stock *stock);

/* Milliseconds of the monotonic clock, as NOW below. */
int64_t stock_now(void);

/* A ready clone of PARENT, the caller's from now on; 0 when none is there. Either way PARENT was
 * asked for; *LOW is set when less than a quarter of what is wanted is there: clones are cheaper
 * made together, and a burst shall not have the filler beside it. */
uint64_t stock_take(struct stock *stock, uint64_t parent, int64_t now, bool *low);

/* Lays down a clone that was made. If PARENT is not in demand any more, it is one of those to be
 * sorted out. False when there is no place: the caller keeps it. */
bool stock_put(struct stock *stock, uint64_t id, uint64_t parent);

/* Nobody can ask for PARENT any more. True when clones of it are to be ended. */
bool stock_forget(struct stock *stock, uint64_t parent);
/* Empties the stock and forgets all demand. */
void stock_forget_all(struct stock *stock);

/* How many clones of which parent are to be made next; 0 when none. */
unsigned stock_lacks(struct stock *stock, uint64_t *parent);

/* Takes up to ROOM clones that are not wanted any more off the list, those that have got too old
 * by NOW included; returns how many. */
size_t stock_sort_out(struct stock *stock, int64_t now, uint64_t *ids, size_t room);

/* Ready clones. */
unsigned stock_count(struct stock *stock);

#endif
