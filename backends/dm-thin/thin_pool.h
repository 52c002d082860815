/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_THIN_POOL_H
#define COWSNAP_BACKENDS_DM_THIN_THIN_POOL_H

/*
 * The thin pool that holds the volumes, and which one it is:
 *
 *   given     dm_thin.pool of the options: an active pool that the operator made and looks after;
 *   devices   dm_thin.data_device and .metadata_device: two block devices of the operator's, on
 *             which the daemon makes a pool, and activates it after a reboot;
 *   embedded  two sparse files under root, by loop devices (pool_files.h).
 *
 * What the pool needs to know of itself lies in the pool: claim.h.
 */

#include "backends/backend.h"
#include "backends/dm-thin/device.h"
#include "backends/dm-thin/inventory.h"
#include "backends/dm-thin/label.h"
#include "backends/dm-thin/line.h"
#include "backends/dm-thin/name.h"
#include "backends/dm-thin/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum thin_origin { THIN_EMBEDDED, THIN_DEVICES, THIN_GIVEN };

/* How a pool stands, the worst last. */
enum thin_level {
    THIN_OK,
    THIN_LOW,  /* soon full: time to tell somebody */
    THIN_FULL, /* no new volumes; what is kept back is for those there are, and for removals */
    THIN_READ_ONLY,
    THIN_NEEDS_CHECK, /* reads only, too */
    THIN_FAILED,
};

#define THIN_ACTIVATIONS 32

/* Locks, in the order they are taken: checks, growth, activations, origins, still, messages,
 * inventory.lock. */
struct thin_pool {
    enum thin_origin origin;
    int root;               /* duplicate of the options' */
    char name[NAME_POOL];   /* of its device */
    unsigned major, minor;  /* of its device */
    char data[DEVICE_PATH]; /* what it lies on */
    char metadata[DEVICE_PATH];
    uint64_t block_sectors;
    int owner; /* the label volume, held: no second daemon in this pool */
    struct label label;
    uint64_t base_mapped; /* blocks of the base volume */
    struct inventory inventory;
    atomic_bool surveyed; /* the inventory is what the pool has: nobody listed volumes since open */
    pthread_mutex_t checks;  /* a pool keeps one metadata snapshot at a time */
    pthread_mutex_t growth;  /* of the pool's files */
    atomic_bool growth_told; /* that the metadata could not grow; until they can */
    /* Between looking for a volume's device and making it, by its number: the kernel lets several
     * devices be made at once, and each waits for tens of milliseconds. */
    pthread_mutex_t activations[THIN_ACTIVATIONS];
    pthread_mutex_t origins; /* a volume in use is suspended while it is cloned */
    /* Held by who makes a volume's device, shared, and alone by who suspends the pool: the kernel
     * refuses the one during the other. */
    pthread_rwlock_t still;
    /* Of transaction, and while a message relies on it; so that who looks at the pool afterwards
     * sees whether one failed. */
    pthread_mutex_t messages;
    uint64_t transaction; /* the pool's, as the kernel knows it */
    struct watch watch;
};

/* Finds, makes and activates the pool, makes it ours, and takes stock; thin_pool_close() ends it.
 * What was made is taken back on failure. Results as backend_ops.open. */
int thin_pool_open(struct thin_pool *pool, const struct backend_options *options,
                   struct reason *why);

/* Devices stay. */
void thin_pool_close(struct thin_pool *pool);

/* Sends "CREATE SOURCE…" or the like as printf() makes it. 0 when the pool has committed it, or
 * minus an errno. */
int thin_pool_message(struct thin_pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a message that makes the volume ID: with the pool's transaction id as the number
 * wants it (inventory.h). */
int thin_pool_message_for(struct thin_pool *pool, uint64_t id, const char *message);

/*
 * To be asked after a flush of a volume: 0 when it holds, or -EROFS. A pool that cannot commit its
 * metadata takes back what changed since, also what was written to volumes, and stays read-only. A
 * flush is answered with an error only if the volume had changes that no commit had tried to write
 * yet (issue() of dm-thin.c; __write_changed_details() of dm-thin-metadata.c): where the commit
 * that failed was the pool's own, of every second, or a message's, the flush after it succeeds.
 */
int thin_pool_confirm(struct thin_pool *pool);

/* Makes a device of the pool's thin volume THIN_ID, which is SECTORS long. */
int thin_pool_activate(struct thin_pool *pool, const char *name, const char *uuid, uint32_t id,
                       uint64_t sectors);

/* ---- check.c: as the functions of backend_ops ---- */

int thin_pool_check(struct thin_pool *pool, const atomic_bool *cancel, struct pool_verdict *verdict,
                    struct reason *why);
int thin_pool_check_idle(const struct backend_options *options, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why);

/* ---- thin_status.c ---- */

/* The kernel's own figures. */
int thin_pool_look(const struct thin_pool *pool, struct line_pool_status *status,
                   struct reason *why);

/* How many blocks of the data are left, of BLOCKS in all, when the pool becomes low and the kernel
 * is to raise its event. */
uint64_t thin_pool_low_water(uint64_t blocks, uint64_t block_sectors);

/* Whether metadata that can grow should now. */
bool thin_pool_metadata_scarce(const struct line_pool_status *status);

/* How many bytes more the pool of that status can be written before the disk is full that its files
 * lie on; UINT64_MAX where it lies on none, or that cannot be told. */
uint64_t thin_pool_below(const struct thin_pool *pool, const struct line_pool_status *status);

/* How a pool of that status stands, whose disk has so much room BELOW; what that means and what to
 * do in WHY, unless it is THIN_OK. */
enum thin_level thin_pool_level(const struct thin_pool *pool, const struct line_pool_status *status,
                                uint64_t below, struct reason *why);

/* Whether the pool can take another volume; metadata that can grow does. CONDITION_EXHAUSTED before
 * data or metadata are used up, CONDITION_UNAVAILABLE when it is not written any more; both say how
 * it stands and what to do. */
int thin_pool_ready(struct thin_pool *pool, struct reason *why);

int thin_pool_status(const struct thin_pool *pool, struct pool_status *status, struct reason *why);

/* The result for ERROR (a positive errno) of an operation on the pool, with "<what was tried>: "
 * before the sentence: what thin_pool_ready() says where that is the cause; CONDITION_UNAVAILABLE
 * for EBUSY, and for EIO of a pool that is well itself; else a failure. */
int thin_pool_failure(const struct thin_pool *pool, struct reason *why, int error,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
