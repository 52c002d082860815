/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_MODEL_H
#define COWSNAP_TESTS_CRASH_MODEL_H

/*
 * What the daemon should hold, by what it answered.
 *
 * There is a fixed number of keys, each with a place here. A client marks those that its call is
 * about, so no two calls in flight change one key; parents are shared, and may be removed while a
 * child of theirs is made. Before a call the place says what the key may be after it; an answer
 * makes that the truth or drops it, and a daemon that dies without one leaves both for the check.
 */

#include "crash/tree.h"
#include "store/store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL_SLOTS 44
#define MODEL_GONE 100000 /* removed volumes that are kept in mind */

/* One snapshot, or none. */
struct shape {
    bool there;
    enum snapshot_kind kind;
    int parent;      /* a slot; -1 for none */
    uint32_t labels; /* the number that they are made of; 0: there are none */
    uint64_t id;     /* of its volume, a view's parent's; 0 when no answer told it yet */
    struct tree tree;
    bool torn;  /* a layer was begun and not answered: its content is open until it is removed */
    bool loose; /* something was written by hand and not committed: a loss of power may take it */
};

struct slot {
    struct shape now;
    struct shape maybe; /* what it is if the call that is under way has happened */
    bool open;          /* such a call is under way, or was when the daemon ended */
    int partner;        /* the slot that changed with this one, or did not; -1 for none */
    bool busy;          /* a client is at it */
    bool entered;       /* its tree is open, by mounts that the daemon gave */
    unsigned users;     /* calls that make a child of it */
    bool leaving;       /* it was tried to be removed since those began */
};

struct model {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t opened;
    bool closed; /* no new call may begin */
    struct slot slots[MODEL_SLOTS];
    uint32_t number; /* last given to labels or to a file written by hand */

    /* Volumes whose removal was answered. A Cleanup answers for those before CLEANED. */
    uint64_t gone[MODEL_GONE];
    unsigned gone_count, cleaned;
};

void model_init(struct model *model);

/* The key of a slot, and back; -1 for a key that is none. */
void model_key(int slot, char key[16]);
int model_slot(struct bytes key);

/* With the lock held: whether another slot counts on this one as its parent, for sure or perhaps.
 */
bool model_has_child(const struct model *model, int slot);

/* Ends a call, with the lock held: it HAPPENED, or did not. */
void model_close(struct model *model, int slot, bool happened);

/* Lets no new call begin, and copies what holds at this moment into COPY. */
void model_freeze(struct model *model, struct model *copy);
/* Begins again from COPY, after the loss of power at its moment, when no call is under way. */
void model_restore(struct model *model, const struct model *copy);

/* The two labels that a number is written as; TEXT keeps their bytes. None for 0. */
struct model_labels {
    char text[2][16];
    struct label list[2];
    size_t count;
};
void model_label(uint32_t number, struct model_labels *labels);

#endif
