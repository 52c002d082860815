/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_SERVICE_H
#define COWSNAP_SNAPSHOT_SERVICE_H

/*
 * What the files of plugin/snapshot share, and nobody else sees.
 *
 * Each of worker.lock, pins.lock and stock.lock is taken with none of the others held, and none is
 * held across a call to the store or to the backend.
 */

#include "base/id_set.h"
#include "snapshot/pins.h"
#include "snapshot/snapshots.h"
#include "snapshot/stock.h"
#include "snapshot/worker.h"

struct snapshots {
    struct snapshots_options options;
    struct pins pins;
    struct worker reaper;     /* reaper.c: ends the volumes of removed snapshots */
    struct worker keeper;     /* keeper.c: counts and seals committed ones, when it is quiet */
    struct stock stock;       /* clones that lie ready */
    struct worker filler;     /* filler.c: makes and ends them */
    atomic_bool rest_due;     /* some volume was in use when it should have been put to rest */
    _Atomic uint64_t damaged; /* counted by recover(), and anew by each check */
    struct id_set lost;       /* records that had no volume at the start; not changed after it */
    _Atomic uint64_t block;   /* snapshots_block(); 0: not asked for yet */
    _Atomic uint64_t refused; /* removals that could not be carried out in the last round */
};

/* The volume that a record's files are in: a view with a parent has none of its own. */
static inline uint64_t record_volume(const struct record *record)
{
    return record->kind == SNAPSHOT_VIEW && record->parent ? record->parent : record->id;
}

/* known.c: whether the volume ID is one that a record has, or an intent, be they readable or not.
 * What is neither is a stray, and may be ended. */
int volume_is_known(struct store_txn *txn, uint64_t id, bool *known, struct reason *why);

/* snapshots.c: notes in a transaction that somebody may write into the active snapshot whose id
 * CONTEXT points to: it is not known to be durable, nor how large it is. */
int snapshots_forget_usage(struct store_txn *txn, void *context, struct reason *why);

/* What a round had to leave. */
struct reaper_tally {
    uint64_t in_use, refused;
    uint64_t first;    /* of those refused */
    struct reason why; /* its reason */
};

/* reaper.c: one round over all that waits for removal. What others are just done with, another
 * round of this for one, is waited for if PATIENT is set. CONDITION_CANCELLED: *CANCEL was set, or
 * with NULL for it, the reaper's own thread is to end. */
int reaper_round(struct snapshots *snapshots, bool patient, const atomic_bool *cancel,
                 struct reaper_tally *tally, struct reason *why);
void reaper_work(void *snapshots);
/* Something waits for removal: the reaper will come within a moment, and takes along what else is
 * there by then. */
void reaper_call(struct snapshots *snapshots);

/* keeper.c */
void keeper_work(void *snapshots);
/* Asks the keeper to look for work. */
void keeper_nudge(struct snapshots *snapshots);

/* filler.c */
void filler_work(void *snapshots);

/* create.c: whether the pool takes another volume (backend.h); a number that no intent bears. */
int create_admit(struct snapshots *snapshots, struct reason *why);
int create_take_id(struct store_txn *txn, uint64_t *id, struct reason *why);

/* rest.c: puts the volume of a committed snapshot to rest unless a view of it is there. The caller
 * has it pinned alone, where it says so; the other leaves a volume that somebody is at work on to
 * the keeper. */
int rest_pinned(struct snapshots *snapshots, uint64_t id, struct reason *why);
void rest_if_idle(struct snapshots *snapshots, uint64_t id);

/* recover.c: settles what a crash left, before any call is served. */
int recover(struct snapshots *snapshots, struct reason *why);

#endif
