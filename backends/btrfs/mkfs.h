/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_MKFS_H
#define COWSNAP_BACKENDS_BTRFS_MKFS_H

#include "base/result.h"

/* Runs mkfs.btrfs on the open FILE and waits for its end. It has the file, not its name: one that
 * outlives its daemon cannot meddle with the file that the next makes. CONDITION_UNAVAILABLE when
 * it is not installed; a failure cites what it printed. */
int mkfs_btrfs(int file, struct reason *why);

#endif
