/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_STORAGE_H
#define COWSNAP_TESTS_CRASH_STORAGE_H

/*
 * The storage under test: what is different between backends, for whom looks at the daemon's pool
 * from outside and uses its trees as containers do. What goes wrong ends the program, unless a
 * function says what it answers then.
 */

#include "crash/daemon.h"
#include "crash/model.h"
#include "rpc/snapshots_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For the checks' own use, beside the slots of the model. */
#define STORAGE_SLOT_LOOK MODEL_SLOTS

struct storage {
    const char *name;       /* as --backend takes it; its steps' names begin with it and a dot */
    const char *settings;   /* of the daemon, as in its configuration */
    const char *unfinished; /* below the root, what an interrupted first start may leave */
    unsigned crowd;         /* snapshots from which on clients rather remove: what a check can read
                               in little time */

    /* The volumes there are, as the pool itself tells; the pool is mounted or active. Memory is the
     * caller's. */
    uint64_t *(*volumes)(const struct daemon *daemon, size_t *count);

    /* May be absent, where volumes are not sealed. Whether nobody can write into the volume. */
    bool (*is_sealed)(const struct daemon *daemon, uint64_t id);

    /* May be absent, where a tree can be reached by its number alone. Gets mounts of the snapshot
     * SLOT from the daemon; a result as of the client's calls. */
    int (*ask)(struct client *client, int slot, enum snapshot_kind kind,
               struct client_mounts *mounts, struct reason *why);
    /* Goes with ask(): done with what it got. */
    void (*give_back)(struct client *client);

    /* Opens the tree of a volume at PATH, of which MOUNTS came from the daemon, for one use of it
     * named by SLOT; false when that does not work. One that is open stays so. */
    bool (*enter)(const struct daemon *daemon, int slot, uint64_t id, const struct mounts *mounts,
                  char path[512]);
    /* Ends it; none that is open is a success. */
    void (*leave)(const struct daemon *daemon, int slot);

    /* Tells, and counts, what of the pool is left in the kernel and belongs to none of the COUNT
     * volumes IDS. The daemon is at rest. */
    unsigned (*strays)(const struct daemon *daemon, const uint64_t *ids, size_t count);

    /* May be absent. Lets go on who waits for what a dead daemon has left half done, and would wait
     * until the next one mends it. */
    void (*release)(const struct daemon *daemon);

    /* Takes the pool out of the kernel, as a reboot does, with no daemon. */
    void (*detach)(const struct daemon *daemon);
    /* May be absent. The same at the end of this program, whatever is open still. */
    void (*forsake)(void);
};

extern const struct storage storage_btrfs;
extern const struct storage storage_thin;

/* The one of the backend NAME; NULL when there is none. */
const struct storage *storage_find(const char *name);

#endif
