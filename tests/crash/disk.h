/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_DISK_H
#define COWSNAP_TESTS_CRASH_DISK_H

/*
 * A disk whose power can be cut, with ext4 on it, or btrfs, for the daemon's root: the store, and
 * the files of the pool, or the pool's folders. So all that the daemon keeps is cut at one moment.
 * What the kernel still held in memory then is lost, as it should be; what a disk does with the
 * writes that were issued is one of two kinds:
 *
 *   cloned   every write that came before the cut is there, and none that came after. The disk is a
 *            file on a btrfs of this program's, where a clone of it (FICLONE) is its state at one
 *            moment.
 *   logged   as a disk with a cache does: what was written since its last flush may be there or
 *            not, each 4 KiB by itself, in any order; what came before is there. All writes and
 *            flushes pass through dm-log-writes, and a replay of its log (replay.h) makes the
 * state.
 *
 * What goes wrong ends the program.
 */

#include <stdint.h>

struct disk;

struct disk_kind {
    void (*make)(struct disk *disk);
    void (*cut)(struct disk *disk);
    void (*fall_back)(struct disk *disk);
    void (*forsake)(void); /* may be absent: at the end of this program, whatever is open still */
};

extern const struct disk_kind disk_cloned;
extern const struct disk_kind disk_logged;

struct disk {
    const struct disk_kind *kind;
    const char *type; /* of its file system */
    char folder[300]; /* the kind's own */
    char mount[300];  /* where it is mounted */
    uint64_t chance;
};

/* Makes it in FOLDER, mounted at FOLDER/disk, with a file system of TYPE. SEED chooses what is
 * lost. */
void disk_make(struct disk *disk, const struct disk_kind *kind, const char *type,
               const char *folder, uint64_t seed);

/* Writes everything to it. */
void disk_sync(const struct disk *disk);

/* The power goes. What is written from now on, until disk_fall_back(), is written in vain; a logged
 * disk may take the moment for a little later. */
void disk_cut(struct disk *disk);

/* Unmounts it, with nothing open in it, and mounts what the cut left. */
void disk_fall_back(struct disk *disk);

/* ---- for the kinds ---- */

#define DISK_SIZE ((int64_t)6 << 30) /* sparse, as all files here */

void disk_make_file(const char *path, int64_t size);
void disk_format(const char *type, const char *path);
/* A loop device on the file; it ends with the last who has it open. */
int disk_attach(const char *path, char device[32]);
void disk_mount(const char *device, const char *type, const char *point);
void disk_mount_file(const char *path, const char *type, const char *point);

#endif
