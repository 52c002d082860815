/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_STORE_H
#define COWSNAP_STORE_STORE_H

/*
 * The metadata of all snapshots: LMDB, one writer thread, group commit.
 *
 * Writers hand a function to store_write(); the writer thread runs the functions of all callers
 * that wait, each in a nested transaction of its own, commits them with one fdatasync, and wakes
 * the callers. So a function sees everything decided before it, may refuse by returning a condition
 * (its changes alone are undone), and when store_write() has returned 0 its changes survive a loss
 * of power. Readers never wait for writers.
 *
 * Functions given to store_write() and store_read() run with a transaction open: they do nothing
 * but look and put. No backend call, no other I/O, no waiting.
 *
 * The store keeps what it is given; the rules of snapshots are plugin/snapshot's.
 */

#include "base/bytes.h"
#include "base/id_set.h"
#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_txn;

#define STORE_KEY_LIMIT 32768u /* bytes of a key; the limit of containerd's own database (bolt) */

enum snapshot_kind { /* numbers as on containerd's wire */
                     SNAPSHOT_VIEW = 1,
                     SNAPSHOT_ACTIVE = 2,
                     SNAPSHOT_COMMITTED = 3,
};

struct label {
    struct bytes key, value;
};

#define LABEL_REF "containerd.io/snapshot.ref" /* names a snapshot across stores; containerd's */

/* The value of KEY in LABELS, which are sorted by key; NULL when none has it. */
const struct bytes *label_value(const struct label *labels, size_t count, struct bytes key);

/* A snapshot as it is stored. Bytes are borrowed: from the caller when put, from the transaction
 * when got (valid until its function returns). */
struct record {
    uint64_t id;     /* of the record and of its volume; > 0, never used twice */
    uint64_t parent; /* id of the parent; 0 for none */
    struct bytes key;
    int64_t created, updated;   /* nanoseconds since the epoch */
    const struct label *labels; /* sorted by key, each key once */
    size_t label_count;
    uint64_t usage_bytes, usage_inodes;
    enum snapshot_kind kind;
    bool usage_known; /* counted by Apply or at Commit */
    bool synced;      /* its content is known to be durable */
    bool sealed;      /* its volume is read-only for good */
};

/* Something begun that must be settled after a crash. */
enum intent_kind {
    INTENT_CREATE = 1, /* a volume is being made for a record that is not there yet */
    INTENT_REMOVE = 2, /* the record is gone, its volume shall go: the reaper's list */
    INTENT_STOCK = 3,  /* a volume lies ready for a record to come */
};

#define STORE_FOLDER "meta" /* in root */

struct store_options {
    int root;              /* folder that holds the database's files; borrowed for store_open() */
    const char *root_path; /* the same, for LMDB and for messages */
    uint64_t map_size; /* first size of the map, bytes; 0 for the default. It grows by itself. */
};

/* Opens or makes the database. CONDITION_INVALID: it was written by a newer schema (the sentence
 * names both versions). A failure names the file. */
int store_open(struct store **store, const struct store_options *options, struct reason *why);
/* Finishes what waits, closes. NULL is allowed; returns NULL. */
struct store *store_close(struct store *store);

/* Runs FUNCTION in a write transaction; returns what it returned, or the failure of the commit. A
 * function may be run again from its start when the map had to grow: it must set its outputs anew
 * each time. CONDITION_UNAVAILABLE once the store is closing; CONDITION_EXHAUSTED when its disk is
 * full. */
typedef int store_function(struct store_txn *txn, void *context, struct reason *why);
int store_write(struct store *store, store_function *function, void *context, struct reason *why);

/* The same for what removes something, settles what was begun, or lets what is there be served:
 * it may use the room that is kept for that (store/reserve.h) when the disk is full. */
int store_write_reserved(struct store *store, store_function *function, void *context,
                         struct reason *why);

/* Runs FUNCTION on the latest committed state, on the calling thread. */
int store_read(struct store *store, store_function *function, void *context, struct reason *why);

/* ---- inside a transaction ---- */

/* CONDITION_NOT_FOUND with no sentence written when there is none: the caller knows what it was
 * looking for. RECORD's labels point into memory of the transaction. */
int store_get(struct store_txn *txn, struct bytes key, struct record *record, struct reason *why);
int store_get_id(struct store_txn *txn, uint64_t id, struct record *record, struct reason *why);
/* The first record with an id of at least FROM; CONDITION_NOT_FOUND past the last. When that record
 * cannot be read (-EBADMSG), RECORD's id is set all the same, so that a walk can go on behind it;
 * it is 0 when it is the store itself that fails. */
int store_next(struct store_txn *txn, uint64_t from, struct record *record, struct reason *why);
/* A committed record with that parent whose label LABEL_REF is REF; the lowest id that is not in
 * BUT. */
int store_find_ref(struct store_txn *txn, struct bytes ref, uint64_t parent,
                   const struct id_set *but, struct record *record, struct reason *why);
/* Whether any record has ID for its parent: 0 when one has, CONDITION_NOT_FOUND when none. */
int store_has_child(struct store_txn *txn, uint64_t id, struct reason *why);

/* The child of PARENT with the least id that is at least FROM; CONDITION_NOT_FOUND when none. */
int store_next_child(struct store_txn *txn, uint64_t parent, uint64_t from, struct record *record,
                     struct reason *why);

/* A number never given before, also not to a caller whose transaction was undone by a crash after
 * its volume was made (numbers only grow, and a committed intent keeps them). */
int store_new_id(struct store_txn *txn, uint64_t *id, struct reason *why);
/* Writes a record, new or replacing the one with the same id; all indexes follow. CONDITION_EXISTS
 * (no sentence) when another record has the key. */
int store_put(struct store_txn *txn, const struct record *record, struct reason *why);
/* CONDITION_NOT_FOUND when it is not there. */
int store_delete(struct store_txn *txn, uint64_t id, struct reason *why);

int store_put_intent(struct store_txn *txn, uint64_t id, enum intent_kind kind, struct reason *why);
/* Of an intent that is not there: a success. */
int store_drop_intent(struct store_txn *txn, uint64_t id, struct reason *why);
/* The first intent with an id of at least FROM; CONDITION_NOT_FOUND past the last. When that intent
 * cannot be read (-EBADMSG), *ID is set all the same, as store_next() does; else it is 0. */
int store_next_intent(struct store_txn *txn, uint64_t from, uint64_t *id, enum intent_kind *kind,
                      struct reason *why);

/* ---- for a check of what is there ---- */

/* A place where an index of the store and its records disagree. */
struct store_flaw {
    const char *index; /* "keys", "children" or "refs" */
    uint64_t id;       /* of the record */
    struct bytes key;  /* of the record, valid during the call; empty when STALE */
    bool stale;        /* the index leads to a record that is gone or is another; else it does not
                        * lead to one that is there */
    bool mended;
};
typedef int store_flaw_visit(void *context, const struct store_flaw *flaw, struct reason *why);

/* Calls VISIT for every flaw of the indexes. MEND, in a write transaction only, mends what can be:
 * all but the way to a record whose key another record has. What belongs to a record that cannot be
 * read is passed over. A result of VISIT other than 0 ends it and is returned. */
int store_check_indexes(struct store_txn *txn, bool mend, store_flaw_visit *visit, void *context,
                        struct reason *why);

/* Deletes a record that cannot be read, and all that leads to it. CONDITION_NOT_FOUND (no sentence)
 * when there is none, or it can be read. */
int store_drop_unreadable(struct store_txn *txn, uint64_t id, struct reason *why);

/* ---- for status ---- */

struct store_figures {
    uint64_t snapshots, committed, active, views;
    uint64_t intents;
    uint64_t given;   /* ids, ever */
    uint64_t commits; /* transactions written since the start: each costs the disk one fdatasync and
                       * one O_DSYNC write of a page */
    uint64_t requests;           /* functions run by them */
    uint64_t map_size, map_used; /* bytes */
    unsigned schema;
};

int store_figures(struct store *store, struct store_figures *figures, struct reason *why);

#endif
