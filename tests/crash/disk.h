/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_DISK_H
#define COWSNAP_TESTS_CRASH_DISK_H

/*
 * A disk whose power can be cut.
 *
 * It is a file behind a loop device, with ext4 on it for the daemon's root: the store, and the file
 * of the pool. The file lies on a btrfs of this program's, where a clone of it (FICLONE) is what
 * has reached the disk at one moment, every write that came before and none that came after. What
 * the kernel still held in memory is not in it, as after a loss of power. A real disk may also lose
 * or reorder the writes since its last flush; that is not shown here.
 */

struct disk {
    char host[300];  /* the btrfs with the file */
    char mount[300]; /* the ext4 on it */
};

/* Makes it in FOLDER, mounted at FOLDER/disk. What goes wrong ends the program, here and below. */
void disk_make(struct disk *disk, const char *folder);

/* Writes everything to it. */
void disk_sync(const struct disk *disk);

/* Keeps what has reached the disk now. */
void disk_cut(const struct disk *disk);

/* Unmounts it, with nothing open in it, and mounts what disk_cut() kept instead. */
void disk_fall_back(const struct disk *disk);

#endif
