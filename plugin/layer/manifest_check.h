/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_MANIFEST_CHECK_H
#define COWSNAP_LAYER_MANIFEST_CHECK_H

/*
 * Compares a tree with the manifest of the layer that was applied to it last: each name that the
 * layer put there or took away, and, in folders that it made, names that it did not put there. What
 * only lower layers wrote is theirs to compare, in their own trees. Times and extended attributes
 * are not in a manifest.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Called with the tree name of what differs, and how: "its bytes are others". */
typedef int manifest_visit(void *context, struct bytes name, const char *what, struct reason *why);

/* MANIFEST and TREE (a folder opened for reading) are borrowed. *COMPLETE is false, and nothing is
 * compared, when the manifest has no good end. Reads every file of the layer; memory: the manifest,
 * and 4 bytes a record. CONDITION_CANCELLED soon after *CANCEL is set, CONDITION_NOT_FOUND soon
 * after *GONE is, since the tree is to be removed; NULL for either is fine. */
int manifest_check(int manifest, int tree, const atomic_bool *cancel, const atomic_bool *gone,
                   bool *complete, manifest_visit *visit, void *context, struct reason *why);

#endif
