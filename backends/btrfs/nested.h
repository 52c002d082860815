/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_NESTED_H
#define COWSNAP_BACKENDS_BTRFS_NESTED_H

/* Subvolumes that a container made inside its volume. */

#include "backends/btrfs/pool.h"

#include <stdatomic.h>
#include <stdint.h>

/* Clones what is nested in the volume whose root is SOURCE into its clone, volume ID: btrfs leaves
 * an empty folder there in which nothing can be made. What is read-only is so in the clone. Costs
 * two searches where there is nothing, and a commit for each subvolume. CONDITION_PRECONDITION: too
 * many. On another result than 0 a part of them is there. */
int nested_clone(const struct pool *pool, int source, uint64_t id, struct reason *why);

/* Ends all subvolumes nested in the one whose root is FD, however deep. There may be very many:
 * CONDITION_CANCELLED soon after *CANCEL (which may be NULL) is set. */
int nested_remove(const struct pool *pool, int fd, const atomic_bool *cancel, struct reason *why);

/* Takes the immutable and append-only marks off a file; best effort. */
void nested_thaw(int fd);

#endif
