/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_SETTLE_H
#define COWSNAP_BACKENDS_BTRFS_SETTLE_H

/*
 * Waits until btrfs has given back the space of removed subvolumes, which its cleaner thread does
 * in its own time after the commit of the removal.
 */

#include "backends/btrfs/pool.h"

#include <pthread.h>
#include <stdbool.h>

struct settle {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    unsigned waiting;
    bool stopping;
    unsigned patience_ms; /* how long the cleaner may end nothing before it is given up on */
};

void settle_init(struct settle *settle);

/* Ends the waits that run and returns when they are gone. */
void settle_deinit(struct settle *settle);

/* Waits for the subvolumes that are removed now, not for those to come. CONDITION_UNAVAILABLE when
 * the cleaner does not get on (a removed subvolume that is still in use is not cleaned), or when
 * settle_deinit() was called. */
int settle_wait(struct settle *settle, const struct pool *pool, struct reason *why);

#endif
