/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_SOCKET_H
#define COWSNAP_RPC_SOCKET_H

/*
 * The unix socket as a file: made with the right mode, never stolen from a live daemon, never left
 * behind.
 */

#include "base/result.h"

#include <sys/types.h>

struct socket_file {
    int listener; /* non-blocking, listening */
    int folder;
    char *name; /* in FOLDER */
    dev_t device;
    ino_t inode;
};

/* Listens at PATH (absolute or not), mode 0600 whatever the umask. Missing folders are made, the
 * last 0711. A socket that nobody listens on is replaced. CONDITION_UNAVAILABLE: someone listens on
 * it; CONDITION_EXISTS: something there is no socket, and is left alone; CONDITION_INVALID: the
 * path cannot be that of a socket. */
int socket_listen(struct socket_file *file, const char *path, struct reason *why);

/* Stops listening, and removes the file if it is still the one that was made. */
void socket_close(struct socket_file *file);

#define SOCKET_PATIENCE 30 /* seconds */

/* Connects to PATH; *FD is the caller's, blocking. CONDITION_UNAVAILABLE: nobody listens there;
 * CONDITION_DEADLINE: who does has taken no connection for SOCKET_PATIENCE. */
int socket_connect(int *fd, const char *path, struct reason *why);

#endif
