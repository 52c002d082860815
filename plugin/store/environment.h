/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_ENVIRONMENT_H
#define COWSNAP_STORE_ENVIRONMENT_H

/* LMDB's environment: the folder its files lie in, the map and its growth, and what LMDB's status
 * numbers mean to our callers. */

#include "base/result.h"
#include "store/reserve.h"
#include "store/store.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

struct environment {
    MDB_env *lmdb;
    char *path; /* of the folder, for messages */
    int folder; /* locked while the environment is open */
    /* Held for reading by every read transaction, for writing while the map is moved. Prefers the
     * writer, so a thread must not take it twice. */
    pthread_rwlock_t map_lock;
    atomic_size_t newest;   /* the last transaction that was committed here; 0: none yet */
    struct reserve reserve; /* of the writer's thread */
};

/* Opens root/meta, making it where it is missing. CONDITION_PRECONDITION: somebody has it open,
 * this process included. After anything but 0 there is nothing to close. */
int environment_open(struct environment *environment, const struct store_options *options,
                     struct reason *why);
/* No transaction may be open. */
void environment_close(struct environment *environment);

/* Makes the names of new files durable. */
int environment_sync_names(struct environment *environment, int root, struct reason *why);

/* Begins a read transaction, which sees what was committed last. Returns LMDB's status. */
int environment_begin_read(struct environment *environment, MDB_txn **txn);

/* The writer tells that its transaction of that number is committed, before it begins another. */
void environment_note_commit(struct environment *environment, size_t number);

/* Whether a commit came between the begin of the read transaction TXN and now. Right after that,
 * one that was not overtaken is sound; environment.c says what may be wrong with one that was. */
bool environment_was_overtaken(struct environment *environment, MDB_txn *txn);

/* Doubles the map; waits for read transactions to end. The caller has no transaction open.
 * CONDITION_EXHAUSTED when there is no address space for it; the environment works on as it was. */
int environment_grow(struct environment *environment, struct reason *why);

/* The result for a STATUS of LMDB other than 0: what was tried (FORMAT), and why it failed. A full
 * disk and a full table of readers are CONDITION_EXHAUSTED, an environment that LMDB gave up is
 * CONDITION_UNAVAILABLE, a damaged file is -EBADMSG, the rest minus the errno. */
int environment_failure(const struct environment *environment, int status, struct reason *why,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
int environment_vfailure(const struct environment *environment, int status, struct reason *why,
                         const char *format, va_list arguments);

/* Whether what makes the store larger may go on: there is room left behind it for removals. For
 * the writer, with no transaction open. */
bool environment_has_reserve(struct environment *environment);

/* Whether an EIO of a commit only means that the disk is full. LMDB reports a write that was cut
 * short, as the last one on a full disk is, as EIO; so this asks the file system for a little room.
 */
bool environment_is_full(const struct environment *environment);

#endif
