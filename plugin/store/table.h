/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_TABLE_H
#define COWSNAP_STORE_TABLE_H

/* The tables inside LMDB, and what can be done to them in a transaction: the functions of store.h
 * that take a struct store_txn are table.c's and index.c's. */

#include "base/arena.h"
#include "base/scoped.h"
#include "store/environment.h"
#include "store/store.h"

#define STORE_SCHEMA 1u

/* Handles of LMDB's named databases. Numbers are big-endian, so that they sort. */
struct tables {
    MDB_dbi meta;      /* name of a number → the number, 8 bytes */
    MDB_dbi snapshots; /* id → message Record */
    MDB_dbi by_key;    /* SHA-256 of the key → id (LMDB's own keys end at 511 bytes) */
    MDB_dbi children;  /* id of the parent → ids, many */
    MDB_dbi by_ref;    /* SHA-256 of the ref, id of the parent → ids, many */
    MDB_dbi intents;   /* id → enum intent_kind, 1 byte */
};

struct store_txn {
    const struct environment *environment;
    const struct tables *tables;
    MDB_txn *mdb;
    struct arena *arena; /* what records got in this transaction point into */
    int fault;           /* the first status of LMDB that spoiled the transaction */
};

/* store_get_id(), whose memory is ARENA's, for who looks at many records. */
int table_record(struct store_txn *txn, uint64_t id, struct arena *arena, struct record *record,
                 struct reason *why);

/* A cursor is closed before its transaction ends. */
static inline void cursor_close_(MDB_cursor **cursor)
{
    if (*cursor)
        mdb_cursor_close(*cursor);
}
#define scoped_cursor scoped(cursor_close_)

/* Opens the tables in TXN, making them and writing the schema's version where the store is new.
 * CONDITION_INVALID: the store is of a newer schema; nothing was changed. */
int tables_open(struct store_txn *txn, struct tables *tables, struct reason *why);

/* Fills in the counts of FIGURES and the schema. */
int tables_count(struct store_txn *txn, struct store_figures *figures, struct reason *why);

/* environment_failure() that also takes down STATUS as the transaction's fault, whatever the
 * caller makes of it. */
int txn_failure(struct store_txn *txn, int status, struct reason *why, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
