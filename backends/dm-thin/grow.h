/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_GROW_H
#define COWSNAP_BACKENDS_DM_THIN_GROW_H

/*
 * An embedded pool becomes larger while it is in use: its files are made longer, which takes no
 * space yet, then their loop devices, then the pool. Each step can be taken again; what a crash
 * leaves is made up for by the next start. Pools of the operator's are left as they are.
 */

#include "backends/dm-thin/thin_pool.h"

/* To DATA bytes, with metadata to match, where it is smaller. A success when nothing is to be done.
 */
int grow_pool(struct thin_pool *pool, uint64_t data, struct reason *why);

/* Twice the metadata, up to what a pool can use. True when it has grown. */
bool grow_metadata(struct thin_pool *pool);

#endif
