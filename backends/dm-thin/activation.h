/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_ACTIVATION_H
#define COWSNAP_BACKENDS_DM_THIN_ACTIVATION_H

/*
 * Devices of volumes: a thin device can be mounted only while the kernel has a device for it, which
 * lasts until it is ended or the machine stops, whatever becomes of the daemon.
 */

#include "backends/dm-thin/thin_pool.h"

/* Makes the device of a volume that is in the inventory, or finds it, and takes back a removal that
 * waits. On the way a journal left open by a crash is replayed, and *ITEM's figures are noted. */
int activation_begin(struct thin_pool *pool, struct inventory_item *item, struct reason *why);

/* After whoever had the volume's device let go of it: replays the journal that an unmount left
 * which could not write, or a virtual machine that was ended. Nothing while somebody has it open;
 * of xfs, whose superblock does not tell, nothing either. */
int activation_settle(struct thin_pool *pool, struct inventory_item *item, struct reason *why);

/* The device alone, for who reads no file system on it. 0 or minus an errno. */
int activation_bare(struct thin_pool *pool, uint64_t id);

/* device_look() at the device NAME of a volume; when it is there, brings item->mapped up to date
 * (and notes it) on the way. One of that name that is somebody else's is not there. 0 or minus an
 * errno. */
int activation_measure(struct thin_pool *pool, struct inventory_item *item, const char *name,
                       struct device_state *state);

/* Reads from the device at PATH, which is not mounted, what its file system tells of itself, and
 * notes it in *ITEM and the inventory: inodes, and whether its journal is empty, which xfs's
 * superblock does not tell (it then counts as empty). 0 or minus an errno. */
int activation_note(struct thin_pool *pool, struct inventory_item *item, const char *path);

/* Whether the file system on the device at PATH may be mounted writable: not, when ext4 says so, or
 * the device has gone. */
bool activation_may_be_written(const char *path);

/* After a start: mends what an interrupted call left at our devices (one suspended, one without a
 * table), and ends those whose volume is gone. Devices of others are not touched. */
int activation_tidy(struct thin_pool *pool, struct reason *why);

#endif
