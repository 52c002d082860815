/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_POOL_H
#define COWSNAP_BACKENDS_BTRFS_POOL_H

/*
 * The folder on btrfs that holds the volumes, and which one it is:
 *
 *   given     pool_path of the options: a folder that the operator made on a btrfs of his own;
 *   root      root/pool, where that is on btrfs already, as part of root's file system or as a file
 *             system the operator mounted there;
 *   embedded  root/pool, on which root/pool.img is mounted by loop (image.h).
 *
 * Inside, a volume is the subvolume <id % 64, two hex digits>/<id, decimal>. Creations in one
 * folder wait for its lock, hence the 64. The shard folders are 0700: nobody but root reaches a
 * volume by its path, so no set-user-id program of an old image can be run from the host; a bind
 * mount of a volume does not pass through them.
 */

#include "backends/backend.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define POOL_SHARDS 64

enum pool_origin { POOL_GIVEN, POOL_ROOT, POOL_EMBEDDED };

struct pool {
    enum pool_origin origin;
    int root;                /* duplicate of the options' */
    int directory;           /* of the pool folder */
    int owner;               /* the locked owner file: no second daemon in this pool */
    int shards[POOL_SHARDS]; /* readable, so that they take ioctls */
    char path[4064];         /* of the folder, absolute and without symbolic links */
    char device[1024];       /* what is mounted; "" when it is several devices */
    uint64_t device_id;      /* its number in the file system; 0 then */
    pthread_mutex_t growth;  /* of pool.img, which must not be made shorter on the way */
    pthread_mutex_t checks;  /* one at a time: btrfs refuses a second scrub */
};

/* Finds, makes and mounts the pool; pool_close() ends it. What was made is taken back on failure.
 * Results as backend_ops.open. */
int pool_open(struct pool *pool, const struct backend_options *options, struct reason *why);

/* Mounts stay. */
void pool_close(struct pool *pool);

/* Whether root/pool of the folder ROOT has something mounted on it, and whether pool.img is there.
 */
bool pool_has_mount(int root);
bool pool_has_image(int root);

/* The open shard folder of volume ID; borrowed. */
static inline int pool_shard(const struct pool *pool, uint64_t id)
{
    return pool->shards[id % POOL_SHARDS];
}

/* ---- grow.c, check.c: as the functions of backend_ops ---- */

int pool_grow(struct pool *pool, const struct pool_growth *growth, struct reason *why);
int pool_check(struct pool *pool, const atomic_bool *cancel, struct pool_verdict *verdict,
               struct reason *why);
int pool_check_idle(const struct backend_options *options, const atomic_bool *cancel,
                    struct pool_verdict *verdict, struct reason *why);

/* ---- pool_status.c ---- */

int pool_status(const struct pool *pool, struct pool_status *status, struct reason *why);

/* The result for ERROR (an errno) of an operation inside the pool, with "<what was tried>: " before
 * the sentence: CONDITION_EXHAUSTED for ENOSPC and EDQUOT, saying which pool, how full, and what to
 * do; CONDITION_UNAVAILABLE for EROFS and EBUSY; else a failure. */
int pool_failure(const struct pool *pool, struct reason *why, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
