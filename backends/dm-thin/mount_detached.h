/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_MOUNT_DETACHED_H
#define COWSNAP_BACKENDS_DM_THIN_MOUNT_DETACHED_H

/* A file system mounted nowhere: in no mount table, gone with the last descriptor in it. */

/* Opens the root folder of the file system of type FSTYPE on DEVICE, writable, into *DIRECTORY, for
 * the caller to close; closing it unmounts. When the device is mounted already, it is that same
 * file system. A journal left open by a crash is replayed. 0 or minus an errno; -EBUSY when it is
 * mounted read-only elsewhere. */
int mount_detached(const char *device, const char *fstype, int *directory);

#endif
