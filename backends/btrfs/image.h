/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_IMAGE_H
#define COWSNAP_BACKENDS_BTRFS_IMAGE_H

/*
 * The embedded pool's file system: the sparse file pool.img under the daemon's root.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_NAME "pool.img"
#define IMAGE_NAME_UNFINISHED "pool.img.new"

/* Makes pool.img in the folder ROOT (whose path ROOT_PATH is only for messages), SIZE bytes long;
 * 0: as embedded_size() chooses. Until mkfs.btrfs has finished and all is on disk the file has
 * another name, so that a pool.img is always whole; the left-over of an interrupted try is
 * replaced. CONDITION_INVALID: SIZE is too small; CONDITION_UNAVAILABLE: no mkfs.btrfs;
 * CONDITION_EXHAUSTED: no room. */
int image_make(int root, const char *root_path, uint64_t size, struct reason *why);

/* Mounts pool.img of ROOT on its folder POOL by a loop device that goes away by itself with the
 * mount. CONDITION_UNAVAILABLE: no loop device, no btrfs, no privilege. */
int image_mount(int root, const char *root_path, int pool, struct reason *why);

/* Whether the block device called DEVICE is a loop device on pool.img of ROOT. */
bool image_is_behind(int root, const char *device);

#endif
