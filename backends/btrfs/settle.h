/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_SETTLE_H
#define COWSNAP_BACKENDS_BTRFS_SETTLE_H

/*
 * Waits until btrfs has given back the space of removed subvolumes, which its cleaner thread does
 * in its own time after the commit of the removal.
 */

#include "backends/btrfs/pool.h"

#include <stdatomic.h>

struct settle {
    unsigned patience_ms; /* how long the cleaner may end nothing before it is given up on */
    unsigned shared_ms;   /* how long it is waited for in all where others remove subvolumes, too */
    atomic_uint waiting;  /* calls that do */
};

void settle_init(struct settle *settle);

/* Waits for the subvolumes that are removed now, not for those to come. CONDITION_UNAVAILABLE when
 * the cleaner does not get on: a removed subvolume that is still in use is not cleaned. On a file
 * system that others use as well theirs cannot be told from ours: the wait is short there, and ends
 * with success.
 * CONDITION_CANCELLED soon after *CANCEL (which may be NULL) is set: a quarter of a second, or the
 * commit under way. */
int settle_wait(struct settle *settle, const struct pool *pool, const atomic_bool *cancel,
                struct reason *why);

#endif
