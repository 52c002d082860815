/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_RESERVE_H
#define COWSNAP_STORE_RESERVE_H

/*
 * Room on the store's disk for removals.
 *
 * LMDB never changes a page of a committed tree, so a removal, too, writes new ones. Where the disk
 * is full, and is so because of what is to be removed, nothing would ever get better. So the file
 * has blocks behind its last page, which nobody else can take, and what makes the store larger is
 * refused when they cannot be had.
 *
 * On btrfs also what overwrites a page takes room, and a root page (which LMDB does overwrite) that
 * finds none ends LMDB's work until a restart. So the file's pages are written in place there
 * (nodatacow), as on other file systems: at the price of btrfs's checksums of them.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define RESERVE_BYTES (UINT64_C(512) << 10)

struct reserve {
    uint64_t end;   /* the file has blocks up to here */
    bool is_absent; /* the file system gives none ahead */
};

/* Makes the file data.mdb in FOLDER where it is missing, for LMDB to fill. PATH is the folder's,
 * for messages. CONDITION_EXHAUSTED: the disk is full. */
int reserve_make_file(int folder, const char *path, struct reason *why);

/* Whether there are RESERVE_BYTES behind the first USED bytes of FILE, now or from earlier. */
bool reserve_keep(struct reserve *reserve, int file, uint64_t used);

#endif
