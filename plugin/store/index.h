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

/* The id of the record that has KEY; CONDITION_NOT_FOUND with no sentence. */
int index_find_key(struct store_txn *txn, struct bytes key, uint64_t *id, struct reason *why);

/* Makes the indexes say NOW where they said BEFORE; either is NULL for no record. Both have the
 * same id. */
int index_follow(struct store_txn *txn, const struct record *before, const struct record *now,
                 struct reason *why);

#endif
