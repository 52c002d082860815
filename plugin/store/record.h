/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_RECORD_H
#define COWSNAP_STORE_RECORD_H

/* A record as it lies in the store: the message Record of proto/cowsnap/record.proto. The id is the
 * key it lies under and not part of the message. */

#include "base/arena.h"
#include "store/store.h"

/* What makes RECORD one that the store does not take (its id, parent, kind, the length of its key,
 * the order of its labels), in words; NULL when nothing does. */
const char *record_flaw(const struct record *record);

/* Packs RECORD, which must be without flaw, into memory of ARENA. The only failure is -ENOMEM. */
int record_pack(const struct record *record, struct arena *arena, struct bytes *packed,
                struct reason *why);

/* Unpacks any bytes. The record's key and labels are memory of ARENA and do not point into PACKED.
 * -EBADMSG with a sentence that names ID when the bytes are no record without flaw; -ENOMEM. The
 * record's id is set in either case. */
int record_unpack(struct bytes packed, uint64_t id, struct arena *arena, struct record *record,
                  struct reason *why);

#endif
