/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DIFF_TARGET_H
#define COWSNAP_DIFF_TARGET_H

/*
 * Where a layer is to be written: a snapshot of our own, held without any mount, or a folder that
 * another snapshotter of containerd handed out as a bind or overlay mount.
 */

#include "layer/layer.h"
#include "snapshot/snapshots.h"

struct target {
    int directory; /* to write into */
    enum whiteout_style whiteouts;
    char **lowers; /* of an overlay, nearest first, NULL at the end; NULL else */
    bool ours;
    struct snapshot_hold hold; /* of ours */
};

/* Finds what MOUNTS mean. CONDITION_UNIMPLEMENTED for mounts that are neither ours nor of a kind
 * that is served; CONDITION_INVALID for a folder that cannot be written. *CANCEL is set when a
 * snapshot of ours is removed meanwhile. TARGET must stay where it is until closed. */
int target_open(struct target *target, struct snapshots *snapshots, const struct mounts *mounts,
                atomic_bool *cancel, struct reason *why);

/* Ends it; WRITTEN, when the layer is complete, becomes the usage of a snapshot of ours. */
int target_close(struct target *target, struct snapshots *snapshots,
                 const struct volume_usage *written, bool synced, struct reason *why);

#endif
