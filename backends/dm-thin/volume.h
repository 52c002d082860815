/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_VOLUME_H
#define COWSNAP_BACKENDS_DM_THIN_VOLUME_H

/*
 * Volumes as thin devices of a pool. Results of the functions are those of backend_ops.
 */

#include "backends/backend.h"
#include "backends/dm-thin/thin_pool.h"

int volume_create(struct thin_pool *pool, uint64_t id, struct reason *why);
int volume_clone(struct thin_pool *pool, uint64_t id, uint64_t parent, struct reason *why);
int volume_remove(struct thin_pool *pool, uint64_t id, const atomic_bool *cancel,
                  struct reason *why);

/* With the device made and its file system whole: a journal that a crash left is replayed. */
int volume_locate(struct thin_pool *pool, uint64_t id, struct volume *volume, struct reason *why);

int volume_open_root(struct thin_pool *pool, uint64_t id, int *directory, struct reason *why);
int volume_open_read(struct thin_pool *pool, uint64_t id, int *directory, struct reason *why);
int volume_confirm(struct thin_pool *pool, uint64_t id, struct reason *why);
int volume_sync(struct thin_pool *pool, uint64_t id, struct reason *why);

/* Ends the device, now or when the last who has it open closes it. */
int volume_rest(struct thin_pool *pool, uint64_t id, struct reason *why);

int volume_each(struct thin_pool *pool, backend_visit *visit, void *context, struct reason *why);

#endif
