/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_DEVICE_H
#define COWSNAP_BACKENDS_DM_THIN_DEVICE_H

/*
 * Devices of the kernel's device-mapper, by libdevmapper: a few ioctls each, never a child process.
 * Unless they say otherwise, functions return 0 or minus the kernel's errno and write no sentence:
 * what the errno means depends on the target. Any thread may call them; calls that concern one
 * device come one after the other by the caller's care.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_NAME 128 /* DM_NAME_LEN of linux/dm-ioctl.h */
#define DEVICE_UUID 129
#define DEVICE_PATH (DEVICE_NAME + 16)
#define DEVICE_LINE 512 /* room for a table or status line of the targets used here */

struct device_state {
    bool exists;
    bool live; /* has a table; one without was left by an activation that was interrupted */
    bool suspended;
    bool leaving;    /* goes away when the last who has it open closes it */
    unsigned opened; /* how many have it open, mounts included */
    unsigned major, minor;
};

/* Looks for device-mapper and its thin targets, which the kernel loads if it has them. To be called
 * before all else. CONDITION_UNAVAILABLE says what is missing and how to load it. */
int device_need(struct reason *why);

/* A device that is not there is a success with exists = false. UUID may be NULL. */
int device_look(const char *name, struct device_state *state, char uuid[DEVICE_UUID]);

/* device_look() for a device that is to have UUID: -EEXIST when one of that name has another, and
 * so is somebody else's. */
int device_look_ours(const char *name, const char *uuid, struct device_state *state);

/* Says so of the device NAME, which the pool cannot do without: CONDITION_INVALID. */
int device_refuse(const char *name, struct reason *why);

/* Makes the device with one target over SECTORS, and its node; returns when the node is there. */
int device_create(const char *name, const char *uuid, const char *target, uint64_t sectors,
                  const char *line);

/* For a device that was found, STATE as device_look() has it: makes its node where that is missing,
 * since whoever made the device may have been killed before he came to it. */
int device_take_over(const char *name, const struct device_state *state);

/* Gives a device another line of the same target and puts it into force. */
int device_reload(const char *name, const char *target, uint64_t sectors, const char *line);

/* -EBUSY when somebody has it open; with LATER it then goes away at the last close, and that is a
 * success. A device that is not there is a success. */
int device_remove(const char *name, bool later);

/* Takes away what a device left that went at its last close: its node, where udev does not run. */
void device_forget(const char *name);

/* Takes back a removal that waits for the last close. */
int device_stay(const char *name);

/* Waits for what is being written; who reads or writes from now on waits. With FREEZE the file
 * system on it, if any, first writes all it has, and mounting the device fails with EBUSY meanwhile
 * instead of waiting. Idempotent. */
int device_suspend(const char *name, bool freeze);
int device_resume(const char *name);

int device_message(const char *name, const char *message);

/* The status line of its first target into LINE, empty without one, and what device_look() tells
 * into *STATE and UUID, which may be NULL, by one ioctl. A pool does not write its metadata for
 * this. -ENXIO when there is no such device. */
int device_status(const char *name, char line[DEVICE_LINE], struct device_state *state,
                  char uuid[DEVICE_UUID]);

/* The table line of its first target into LINE, that target's name into TARGET, its length in
 * sectors into *SECTORS; TARGET and SECTORS may be NULL. -ENXIO when there is no such device. */
int device_table(const char *name, char line[DEVICE_LINE], char target[16], uint64_t *sectors);

/* Called with each device's name; a result other than 0 ends the walk and is returned. */
typedef int device_visit(void *context, const char *name);
int device_each(device_visit *visit, void *context);

/* "/dev/mapper/<name>". */
const char *device_path(const char *name, char path[DEVICE_PATH]);

/* "/dev/dm-3" for 253:3, of any block device; -ENODEV. */
int device_find(unsigned major, unsigned minor, char path[DEVICE_PATH]);

#endif
