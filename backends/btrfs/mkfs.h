/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_MKFS_H
#define COWSNAP_BACKENDS_BTRFS_MKFS_H

#include "base/result.h"

/* Makes a btrfs in the open FILE. CONDITION_UNAVAILABLE when mkfs.btrfs is not installed; a failure
 * cites what it printed. */
int mkfs_btrfs(int file, struct reason *why);

#endif
