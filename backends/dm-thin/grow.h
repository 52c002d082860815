/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_GROW_H
#define COWSNAP_BACKENDS_DM_THIN_GROW_H

/*
 * A pool becomes larger while it is in use. An embedded one's files are made longer, which takes no
 * space yet, then their loop devices, then the pool; on devices of the operator's, which he makes
 * larger, only the pool. Each step is taken again whatever there is, so that what a crash leaves
 * half done is made up for by the next start, or the same command.
 */

#include "backends/dm-thin/thin_pool.h"

/* At the start: to DATA bytes, with metadata to match, where it is smaller. A success when nothing
 * is to be done, or a pool that serves reads only has to wait for it. */
int grow_pool(struct thin_pool *pool, uint64_t data, struct reason *why);

/* As backend_ops.grow. */
int grow_wanted(struct thin_pool *pool, const struct pool_growth *growth, struct reason *why);

/* Twice an embedded pool's metadata when they are scarce, up to what a pool can use. True when they
 * have grown, by this call or another at the same time. */
bool grow_metadata(struct thin_pool *pool);

#endif
