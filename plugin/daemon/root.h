/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DAEMON_ROOT_H
#define COWSNAP_DAEMON_ROOT_H

/* The daemon's root folder, and the lock that keeps a second daemon out of it. */

#include "base/result.h"

struct root {
    int directory; /* -1 when not open */
    int lock;      /* of ROOT/lock; the lock goes with it */
};

#define ROOT_CLOSED ((struct root){-1, -1})

/* Opens the folder at PATH (absolute), makes it (0711) and those above it (0755) when missing, and
 * takes the lock. CONDITION_UNAVAILABLE: another process holds it; the sentence names its pid.
 * CONDITION_PRECONDITION: somebody who is not trusted could change what is in it (base/owner.h). On
 * anything but 0 nothing is open. */
int root_open(struct root *root, const char *path, struct reason *why);

/* Gives the lock back. The file stays: removing it would let two daemons lock two files. */
void root_close(struct root *root);

#endif
