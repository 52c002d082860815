/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_MANIFESTS_H
#define COWSNAP_SNAPSHOT_MANIFESTS_H

/*
 * The files in which it is noted what layers wrote (layer/manifest.h): one for each snapshot that
 * has exactly one layer, and nothing else written into it, called by its number. An empty file
 * stands for a snapshot of which that cannot be said any more. Nothing else relies on them: what
 * goes wrong with one is logged, and leaves a snapshot whose content cannot be checked.
 */

#include "snapshot/service.h"

/* As snapshots_manifest(). */
int manifests_make(struct snapshots *snapshots, uint64_t id, bool record);

/* The file of the volume ID, to be read; -1 when there is none. */
int manifests_open(struct snapshots *snapshots, uint64_t id);

/* Of a volume that goes. A file that a loss of power brings back goes at the next start. */
void manifests_drop(struct snapshots *snapshots, uint64_t id);

/* Of a snapshot that stays, and may hold other things by now: after a loss of power its file must
 * not be there again. */
void manifests_forget(struct snapshots *snapshots, uint64_t id);

/* Removes the files of numbers that no snapshot has; at the start. */
void manifests_sweep(struct snapshots *snapshots);

#endif
