/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_LOOP_H
#define COWSNAP_BACKENDS_LOOP_H

/*
 * Files as block devices, for the backends' embedded pools.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Opens a free loop device on FILE; its path goes to PATH (ROOM bytes, 32 are enough), LABEL is
 * what losetup(8) shows. It goes away by itself when nobody has it open any more: close *LOOP once
 * something else holds it. INSTEAD ends the advice when no loop device is to be had: "load the
 * kernel's module loop, run as root, or <INSTEAD>". CONDITION_UNAVAILABLE then. */
int loop_attach(int file, const char *label, const char *instead, int *loop, char *path,
                size_t room, struct reason *why);

/* Makes the device LOOP as large as its file has become. 0 or minus an errno. */
int loop_resize(int loop);

/* Whether the block device called DEVICE is a loop device on the file that FILE describes. */
bool loop_is_on(const char *device, const struct stat *file);

#endif
