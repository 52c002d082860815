/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_DISK_H
#define COWSNAP_BASE_DISK_H

/* What a failed call on a file means, where the disk below it may be full. */

#include "base/result.h"

#include <stdbool.h>

/* Whether ERROR (a positive errno) says that there is no space, no inode, or that a quota is used
 * up. */
bool disk_is_full(int error);

/* The result for ERROR (a positive errno) of what FORMAT says was tried on something that lies with
 * PATH: CONDITION_EXHAUSTED and what to do when the disk is full, failure() else. */
int disk_failure(struct reason *why, int error, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
