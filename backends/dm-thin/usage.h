/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_USAGE_H
#define COWSNAP_BACKENDS_DM_THIN_USAGE_H

/*
 * How much a volume holds beyond its parent, by figures that are there already:
 *
 *   bytes   of the blocks it has mapped, less those that were mapped when it was cloned. A block of
 *           the parent's that was written again is the volume's own but mapped before, and so is
 *           not in it; blocks are 64 KiB, so many small writes far apart count as more.
 *   inodes  in use in its file system, less those when it was cloned. A file that was only changed
 *           is not in it.
 */

#include "backends/backend.h"
#include "backends/dm-thin/thin_pool.h"

int usage_of_volume(struct thin_pool *pool, uint64_t id, uint64_t parent, bool any_length,
                    struct volume_usage *usage, struct reason *why);

#endif
