/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_INFO_H
#define COWSNAP_SNAPSHOT_INFO_H

/* From a record of the store to what callers see. */

#include "base/arena.h"
#include "snapshot/snapshots.h"
#include "store/store.h"

/* Copies RECORD into ARENA, its parent's key looked up. */
int info_of_record(struct store_txn *txn, const struct record *record, struct arena *arena,
                   struct snapshot_info *info, struct reason *why);

/* A filter_field over a struct snapshot_info. */
bool info_field(const void *info, const struct bytes *path, size_t parts, struct bytes *value);

/* Wall-clock time, in nanoseconds since the epoch. */
int64_t info_now(void);

#endif
