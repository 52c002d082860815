/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_POOL_FILES_H
#define COWSNAP_BACKENDS_DM_THIN_POOL_FILES_H

/*
 * What the daemon keeps under its root for a pool it made: the folder thin-pool with the pool's
 * name and, when the pool is embedded, the two sparse files it lies on.
 */

#include "backends/dm-thin/name.h"
#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define POOL_FILES "thin-pool"
#define POOL_FILES_DATA POOL_FILES "/data"
#define POOL_FILES_METADATA POOL_FILES "/metadata"

#define POOL_METADATA_MOST (UINT64_C(16192) << 20) /* THIN_METADATA_MAX_SECTORS of the kernel */

/* The pool's name into NAME; CONDITION_NOT_FOUND when there is no folder yet. */
int pool_files_name(int root, char name[NAME_POOL], struct reason *why);

/* Makes the folder, with a name that no other pool has, and EMBEDDED: with data of SIZE bytes (0:
 * as embedded_size() chooses) and metadata to match. It gets its own name last: a folder thin-pool
 * is always whole. CONDITION_INVALID: SIZE is too small; CONDITION_EXHAUSTED: no room. */
int pool_files_make(int root, const char *root_path, bool embedded, uint64_t size,
                    struct reason *why);

void pool_files_remove(int root);

/* Whether the folder has the files of an embedded pool. */
bool pool_files_are_embedded(int root);

/* A pool on devices notes in the folder that it was in use: its metadata are never blank again. */
bool pool_files_in_use(int root);
int pool_files_note_use(int root, struct reason *why);

/* How large the metadata for that much data is made first; it grows by itself (grow.h). */
uint64_t pool_files_metadata_size(uint64_t data);

/* Makes the metadata SIZE bytes long, if it is shorter, and gives it all the space on the disk that
 * its length promises: metadata that cannot be written makes the pool need a check, and everything
 * in it read-only. 1 when it became longer, 0, or minus an errno, and then it is as long as it was:
 * -ENOSPC. Where files cannot be given space (-EOPNOTSUPP) it becomes longer all the same. */
int pool_files_lengthen_metadata(int root, uint64_t size);

/* Puts the file NAME (POOL_FILES_DATA, …) behind a loop device, to be closed by the caller once the
 * pool holds it. Its path goes to PATH. */
int pool_files_attach(int root, const char *root_path, const char *name, int *loop,
                      char path[DEVICE_PATH], struct reason *why);

#endif
