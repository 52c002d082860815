/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_NESTED_H
#define COWSNAP_BACKENDS_BTRFS_NESTED_H

/* Subvolumes that a container made inside its volume. */

#include "backends/btrfs/pool.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What is nested in a volume; no pairs when nothing is, as nearly always. */
struct nested_list {
    struct nested_pair *pairs; /* the volume itself, then each after the one that holds it */
    size_t count;
};

/* Lists what is nested in the volume whose root is FD, at the cost of two searches where nothing
 * is. CONDITION_PRECONDITION: too many to be cloned. Cleared by nested_list_clear(), whatever the
 * result. */
int nested_list_make(struct nested_list *list, const struct pool *pool, int fd, struct reason *why);
void nested_list_clear(struct nested_list *list);

/* Clones what is in LIST into volume ID, a clone of the volume it was made of: btrfs leaves an
 * empty folder in the place of each, in which nothing can be made. What is read-only is so in the
 * clone. Takes a commit for each. On another result than 0 a part of them is there. */
int nested_clone(const struct pool *pool, struct nested_list *list, uint64_t id,
                 struct reason *why);

/* Ends all subvolumes nested in the one whose root is FD, however deep. There may be very many:
 * CONDITION_CANCELLED soon after *CANCEL (which may be NULL) is set. */
int nested_remove(const struct pool *pool, int fd, const atomic_bool *cancel, struct reason *why);

/* Takes the immutable and append-only marks off a file; best effort. */
void nested_thaw(int fd);

#endif
