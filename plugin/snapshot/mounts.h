/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_MOUNTS_H
#define COWSNAP_SNAPSHOT_MOUNTS_H

/*
 * How a volume is handed out: the one place that knows. Today a bind mount of a folder, a btrfs
 * mount by subvolume, or a file system on a device; later perhaps an overlay over it.
 */

#include "backends/backend.h"
#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mount_style {
    MOUNT_STYLE_BIND,  /* type=bind, for every volume that is a folder */
    MOUNT_STYLE_BTRFS, /* type=btrfs, subvolid=: for runtimes that want a device */
};

/* One mount(2), in containerd's words. All strings are NUL-terminated and freed with the mount. */
struct mount {
    char *type;
    char *source;
    char *target; /* below the mount point; "" for the point itself */
    char **options;
    size_t option_count;
};

/* To be mounted in order over one point. */
struct mounts {
    struct mount *items;
    size_t count;
};

/* Describes VOLUME. MOUNTS is filled and is the caller's to mounts_clear(). CONDITION_UNIMPLEMENTED
 * when STYLE cannot be had for this volume. */
int mounts_of_volume(struct mounts *mounts, const struct volume *volume, enum mount_style style,
                     bool readonly, struct reason *why);

/* What a single mount of a kind that mounts_of_volume() makes may be of: the volume whose id ends
 * its source, or, when it is mounted by subvolume, the volume that is that one. 0 each when there
 * is none. The caller compares the rest. */
struct mounts_candidate {
    uint64_t id, subvolume;
};
struct mounts_candidate mounts_candidate(const struct mounts *mounts);

/* Whether both say the same, the order of options apart. */
bool mounts_equal(const struct mounts *a, const struct mounts *b);

/* Room for COUNT mounts, zeroed; false when memory is out. */
bool mounts_make(struct mounts *mounts, size_t count);
/* Fills one: copies of the strings, no options yet. */
bool mount_set(struct mount *mount, const char *type, const char *source, const char *target);
bool mount_add_option(struct mount *mount, const char *option);

/* Frees all; MOUNTS is empty afterwards. */
void mounts_clear(struct mounts *mounts);

#endif
