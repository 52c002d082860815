/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_MOUNTED_H
#define COWSNAP_TESTS_CRASH_MOUNTED_H

/* Trees of snapshots, used as containers use them: by mounts that the daemon handed out. Whoever
 * calls has claimed the slot. */

#include "crash/load.h"
#include "snapshot/mounts.h"

/* The volume that the mounts are of; 0 when there are none. */
uint64_t mounted_volume(const struct mounts *mounts);

/* Opens the tree of a slot at PATH; false when that does not work, which is told and counted. */
bool mounted_enter(struct load *load, int slot, const struct mounts *mounts, char path[512]);
/* Ends it; one that is not open is left alone. */
void mounted_leave(struct load *load, int slot);

/* With no client left: of ALL, or of all but those that a container can go on with while the daemon
 * is gone, the views. */
void mounted_leave_many(struct load *load, bool all);

#endif
