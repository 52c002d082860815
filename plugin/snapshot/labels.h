/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_LABELS_H
#define COWSNAP_SNAPSHOT_LABELS_H

/*
 * Labels as containerd's metadata store keeps them: a map, in which an empty value is no entry.
 */

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"
#include "store/store.h"

#include <stddef.h>

#define LABEL_LIMIT                                                                                \
    4096u /* bytes of a key and its value together (containerd, labels/validate.go) */
#define LABELS_LIMIT (1u << 20) /* bytes of all of a snapshot's; ours */

/* Sorted, one of each key, empty values left out. What is in *CLEAN borrows
 * the bytes of LABELS; the array is the arena's. CONDITION_INVALID for a label over the limit, and
 * for all together over theirs. */
int labels_clean(struct arena *arena, const struct label *labels, size_t count,
                 const struct label **clean, size_t *clean_count, struct reason *why);

/* What the labels OLD become when an update with NEWER and the mask PATHS is applied
 * (see snapshots_update()), in a time that grows little faster than what there is to read.
 * CONDITION_INVALID for a path that is no label. */
int labels_update(struct arena *arena, const struct label *old, size_t old_count,
                  const struct label *newer, size_t newer_count, const struct bytes *paths,
                  size_t path_count, const struct label **result, size_t *result_count,
                  struct reason *why);

#endif
