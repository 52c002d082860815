/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_USAGE_H
#define COWSNAP_BACKENDS_BTRFS_USAGE_H

/*
 * How much a volume holds, read from its tree. btrfs marks each tree node, extent and inode with
 * the transaction that wrote it; all that a clone shares with its parent is not newer than the
 * transaction that made the clone, so the search skips it unseen, whatever the size of the parent.
 *
 *   bytes   of the file extents written since the clone, as `du` counts them, but of compressed
 *           ones their share of the space on disk, and of a small file whose data lies in the tree
 *           just its length. Holes and blocks of the tree itself do not count.
 *   inodes  made or changed since the clone (as overlayfs counts what it copies up), without the
 *           root. A folder in which something was made is a changed inode.
 *
 * Data appears here when it is written back (30 s, or a sync). What is nested in the volume as a
 * subvolume of its own is not in it.
 */

#include "backends/backend.h"

#include <pthread.h>

#define USAGE_SLOTS 4096

/* The last count of a volume. */
struct usage_slot {
    uint64_t id;
    uint64_t subvolume, generation; /* what was counted: the same again needs no counting */
    uint64_t bytes, inodes;
    bool exact;
};

struct usage_cache {
    pthread_mutex_t lock;                 /* of the slots; never held during a system call */
    struct usage_slot slots[USAGE_SLOTS]; /* by id: a neighbour far away may take the place */
};

void usage_init(struct usage_cache *cache);
void usage_deinit(struct usage_cache *cache);

/* Counts volume ID, whose root is FD; a clone (CLONED) against its parent, or all of it. Unless
 * ANY_LENGTH, it stops at a bound of about a millisecond, and the last known figure comes back with
 * exact = false (or what was counted until there, when none is known). 0 or minus an errno. */
int usage_of(struct usage_cache *cache, uint64_t id, int fd, bool cloned, bool any_length,
             struct volume_usage *usage);

void usage_forget(struct usage_cache *cache, uint64_t id);

#endif
