/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_LOAD_H
#define COWSNAP_TESTS_CRASH_LOAD_H

/*
 * Clients that make random calls, each over a connection of its own, until the daemon is gone. What
 * is answered goes into the model.
 */

#include "crash/daemon.h"
#include "crash/model.h"
#include "crash/tree.h"

#include <stdatomic.h>

#define LOAD_CLIENTS 16

struct load {
    struct model *model;
    const struct daemon *daemon;
    const struct tree_layer *layers;
    /* From this time on nothing is committed, and nothing committed is removed, so that the keeper
     * gets its turn and finds something to do; 0: never. */
    int64_t quiet_from;

    atomic_bool over;      /* the daemon is gone: also for those who find nothing to call about */
    atomic_uint calls;     /* that were answered */
    atomic_uint left;      /* clients that have seen the daemon go */
    atomic_uint surprises; /* answers that nothing explains; each was told */
    unsigned clients;
    pthread_t threads[LOAD_CLIENTS];
};

/* Starts so many clients. The other members are set. */
void load_start(struct load *load, unsigned clients, uint64_t seed);
/* Waits for all of them; the daemon is gone. */
void load_join(struct load *load);

#endif
