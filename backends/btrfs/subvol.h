/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_SUBVOL_H
#define COWSNAP_BACKENDS_BTRFS_SUBVOL_H

/*
 * Volumes as subvolumes of a pool: <shard>/<id>. Results of the functions are those of backend_ops.
 */

#include "backends/backend.h"
#include "backends/btrfs/pool.h"

#include <stdint.h>

/* Room for a volume's name below its shard folder. */
#define SUBVOL_NAME 21

/* A readable fd of the volume's root for the caller to close. CONDITION_NOT_FOUND. */
int subvol_open(const struct pool *pool, uint64_t id, int *fd, struct reason *why);

int subvol_create(const struct pool *pool, uint64_t id, struct reason *why);

/* With all subvolumes nested in it. Survives a loss of power when it returns. */
int subvol_clone(const struct pool *pool, uint64_t id, uint64_t parent, struct reason *why);

/* With all subvolumes nested in it, also where it or they are read-only. What it holds the kernel
 * gives back in the background. Does not wait for a commit: after a loss of power the volume may be
 * back, and is then to be removed again. */
int subvol_remove(const struct pool *pool, uint64_t id, const atomic_bool *cancel,
                  struct reason *why);

int subvol_seal(const struct pool *pool, uint64_t id, struct reason *why);

int subvol_locate(const struct pool *pool, uint64_t id, struct volume *volume, struct reason *why);

int subvol_find(const struct pool *pool, uint64_t subvolume, uint64_t *id, struct reason *why);

int subvol_each(const struct pool *pool, backend_visit *visit, void *context, struct reason *why);

#endif
