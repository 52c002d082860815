/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_READERS_H
#define COWSNAP_STORE_READERS_H

/*
 * LMDB's table of readers, kept in memory.
 *
 * LMDB maps lock.mdb and writes to it with every read transaction. On a full disk such a write ends
 * the process by SIGBUS: when it is the first to a page of the file, and on a copy-on-write file
 * system with every page that was written back. The table is of no use to another process, since
 * one at a time has the store, nor after its end. So lock.mdb is a symbolic link to a file in the
 * memory of this process.
 */

#include "base/result.h"

/* Lets lock.mdb in FOLDER, whose path PATH is for messages, lead to *TABLE, which must stay open
 * until LMDB has opened the environment. The caller closes it. */
int readers_place(int folder, const char *path, int *table, struct reason *why);

#endif
