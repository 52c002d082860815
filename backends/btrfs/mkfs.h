/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_MKFS_H
#define COWSNAP_BACKENDS_BTRFS_MKFS_H

#include "base/result.h"

/* Runs mkfs.btrfs on the file NAME in DIRECTORY and waits for its end. CONDITION_UNAVAILABLE when
 * it is not installed; a failure cites what it printed. */
int mkfs_btrfs(int directory, const char *name, struct reason *why);

#endif
