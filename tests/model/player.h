/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MODEL_PLAYER_H
#define COWSNAP_TESTS_MODEL_PLAYER_H

/*
 * Lets threads call the rules of snapshots at random, and notes the history.
 */

#include "model/history.h"
#include "unit/snapshot/rig.h"

#define PLAYER_THREADS 4
#define PLAYER_CALLS 6 /* of each thread */

struct player_options {
    uint64_t seed;
    uint64_t first_id;   /* player_next_id() */
    bool lists_in_parts; /* so many other snapshots are there that a List takes several reads */
    bool may_fail;       /* a fault is planned in the backend */
    bool restarts;       /* the daemon's part is ended and begun anew before the last look */
};

/* The number that the next volume gets. Nothing may fail yet. */
uint64_t player_next_id(struct rig *rig);

/* Plays one history on RIG, whose keys "k0", "k1", … are free, and frees them again. The last call
 * is a List when all threads are done. */
void player_play(struct rig *rig, const struct player_options *options, struct history *history);

#endif
