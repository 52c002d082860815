/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_INDEX_H
#define COWSNAP_STORE_INDEX_H

/* The three ways to a record other than its id: by key, by parent, by ref and parent. */

#include "store/table.h"

/* Room for a number as LMDB's key or value. */
struct packed_id {
    uint8_t bytes[8];
};

struct packed_id id_pack(uint64_t id);
/* False when VALUE is not a packed number. */
bool id_unpack(MDB_val value, uint64_t *id);

enum index_kind { INDEX_KEYS, INDEX_CHILDREN, INDEX_REFS, INDEXES };

#define INDEX_DIGEST 32u /* bytes of a SHA-256 */

/* A key of an index, the value being the record's id. Length 0: the record is not in that index. */
struct index_entry {
    uint8_t key[INDEX_DIGEST + sizeof(struct packed_id)];
    size_t length;
};

/* In words: "keys". */
const char *index_name(enum index_kind kind);
MDB_dbi index_table(const struct tables *tables, enum index_kind kind);
/* Where RECORD is in that index. The only failure is -ENOMEM. */
int index_entry_of(enum index_kind kind, const struct record *record, struct index_entry *entry,
                   struct reason *why);

/* Takes the record ID out of every index, wherever it is in them: for one that cannot be read any
 * more (index_check.c). */
int index_forget(struct store_txn *txn, uint64_t id, struct reason *why);

/* The id of the record that has KEY; CONDITION_NOT_FOUND with no sentence. */
int index_find_key(struct store_txn *txn, struct bytes key, uint64_t *id, struct reason *why);

/* Makes the indexes say NOW where they said BEFORE; either is NULL for no record. Both have the
 * same id. */
int index_follow(struct store_txn *txn, const struct record *before, const struct record *now,
                 struct reason *why);

#endif
