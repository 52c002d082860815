/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MODEL_HISTORY_H
#define COWSNAP_TESTS_MODEL_HISTORY_H

/*
 * What several threads asked the rules of snapshots for, what they were answered, and when each
 * call began and ended. Keys and labels are few and small, so that calls meet.
 */

#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_KEYS 5
#define HISTORY_LABELS 2 /* "a", and the one that layers are shared by */
#define HISTORY_LABEL_REF 1
#define HISTORY_CALLS 64
#define HISTORY_IDS 1024u /* volumes that one history can make */

enum call_kind {
    CALL_PREPARE,
    CALL_VIEW,
    CALL_COMMIT,
    CALL_REMOVE,
    CALL_STAT,
    CALL_UPDATE,
    CALL_LIST, /* one that is answered by one read of the store */
    CALL_PART, /* what a List of several reads tells of one key: there, or not */
    CALL_MOUNTS,
    CALL_USAGE,
    CALL_CLEANUP,
    CALL_KINDS,
};

/* What an answer tells of a snapshot; kind 0: there is none. */
struct sight {
    uint64_t id;
    uint8_t kind; /* enum snapshot_kind */
    int8_t parent;
    uint8_t labels[HISTORY_LABELS];
};

struct call {
    enum call_kind kind;
    int thread;
    /* ---- the request; a key is its number, -1 for none ---- */
    int key;                        /* of Commit: the active snapshot */
    int parent;                     /* of Prepare, View, Commit */
    int name;                       /* of Commit */
    uint8_t labels[HISTORY_LABELS]; /* what they become; 0: has none */
    int mask;                       /* Update: the one label that is named; -1: all */
    /* ---- the answer ---- */
    int result;
    bool may_fail; /* a fault was planned: -EIO is an answer, too, and says that nothing happened */
    uint64_t id;   /* of the volume that mounts lead to, or that a usage is of */
    bool readonly; /* the mounts */
    struct sight seen[HISTORY_KEYS]; /* Stat, Update, Part: at KEY alone */
    uint8_t left[HISTORY_IDS / 8];   /* Cleanup: bits of volumes that were there after it */
    /* ---- moments, each with a number of its own ---- */
    unsigned began, ended;
};

struct history {
    struct call calls[HISTORY_CALLS];
    unsigned count;
    uint64_t first_id; /* that left[] begins at */
};

/* Whether a Cleanup found the volume still there. */
bool call_left(const struct history *history, const struct call *call, uint64_t id);

/* One line for each call, in the order they began. MARKED (bits; may be 0) are pointed at. */
void history_print(const struct history *history, uint64_t marked, FILE *stream);

#endif
