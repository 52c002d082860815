/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_MOUNT_DETACHED_H
#define COWSNAP_BACKENDS_DM_THIN_MOUNT_DETACHED_H

/* A file system mounted nowhere: in no mount table, gone with the last descriptor in it. */

#include <stdbool.h>

/* Whether the file system of type FSTYPE (ext4 or xfs) on DEVICE is mounted by anybody, in whatever
 * mount namespace. A device that is merely open may be about to be mounted read-only, or be a
 * virtual machine's: a mount of ours would be in the way of the one, and spoil the other. Told by
 * the folder that the kernel has for each in /sys/fs; where that is hidden, true. */
bool mount_is_anywhere(const char *device, const char *fstype);

enum mount_use {
    MOUNT_WRITABLE,  /* a journal left open by a crash is replayed */
    MOUNT_READ_ONLY, /* nothing is written, no journal replayed; as views are mounted */
};

/* Opens the root folder of the file system of type FSTYPE on DEVICE into *DIRECTORY, for the caller
 * to close; closing it unmounts. When the device is mounted already, it is that same file system. 0
 * or minus an errno; -EBUSY when it is mounted elsewhere for the other use. */
int mount_detached(const char *device, const char *fstype, enum mount_use use, int *directory);

#endif
