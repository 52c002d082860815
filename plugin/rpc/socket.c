/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the file comes to its place. A socket file outlives the process that bound it, so a daemon
 * that was killed leaves one behind, and bind(2) refuses a name that is taken. Removing the old
 * file first would open two windows: a client finds nothing, and of two daemons that start together
 * the second removes what the first has just made.
 *
 * So the new socket is bound and made to listen under a temporary name, and only then put in its
 * place: by link(2), which fails when the name is taken, and where a file is there that nobody
 * answers on, by exchanging the two names in one step. What came out of the exchange is tried once
 * more: if somebody listens on it after all, who was quicker, the names are exchanged back. Whoever
 * connects finds a socket at any time, and of two daemons that start together one gets the place.
 * (Of three in the same microseconds none might; two on one root cannot run anyway, by its lock.)
 */
#include "rpc/socket.h"

#include "base/bytes.h"
#include "base/folders.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define TEMPORARY_LENGTH 10 /* of ".s" and eight digits */

static int address_of(struct sockaddr_un *address, const char *path, struct reason *why)
{
    size_t length = strlen(path);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length == 0 || length >= sizeof(address->sun_path))
        return refuse(why, CONDITION_INVALID,
                      "socket %s has a path of %zu bytes; unix sockets take 1 to %zu", path, length,
                      sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, length);
    return 0;
}

int socket_connect(int *connected, const char *path, struct reason *why)
{
    struct sockaddr_un address;
    scoped_fd int fd = -1;
    int result = address_of(&address, path, why);

    if (result)
        return result;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure(why, errno, "make a socket");
    /* a process that stands still takes connections until its queue is full */
    const struct timeval most = {.tv_sec = SOCKET_PATIENCE};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
    while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        if (errno == EINTR)
            continue;
        if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
            return refuse(why, CONDITION_UNAVAILABLE, "nobody listens on %s", path);
        if (errno == EAGAIN)
            return refuse(why, CONDITION_DEADLINE,
                          "what listens on %s takes no connection: does it stand still?", path);
        return failure(why, errno, "connect to %s", path);
    }
    *connected = take_fd(&fd);
    return 0;
}

/* Whether somebody listens on PATH. Only a refused connection proves that nobody does. */
static bool socket_is_live(const char *path)
{
    struct sockaddr_un address;
    scoped_fd int fd = -1;

    if (address_of(&address, path, NULL))
        return true;
    /* non-blocking: a listener with a full backlog answers EAGAIN at once */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
           (errno != ECONNREFUSED && errno != ENOENT);
}

/* Binds and listens at TEMPORARY with mode 0600, and notes which file that is. */
static int listen_at(struct socket_file *file, const char *temporary, struct reason *why)
{
    struct sockaddr_un address;
    struct stat made;
    scoped_fd int fd = -1;
    int result = address_of(&address, temporary, why);

    if (result)
        return result;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return failure(why, errno, "make a socket");
    /* bind() gives the file the mode of the socket, less the umask: it is never wider than this */
    if (fchmod(fd, 0600))
        return failure(why, errno, "set the mode of a socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return failure(why, errno, "bind socket %s", temporary);
    if (chmod(temporary, 0600) || lstat(temporary, &made) || listen(fd, BACKLOG)) {
        result = failure(why, errno, "listen on socket %s", temporary);
        unlink(temporary);
        return result;
    }
    file->device = made.st_dev;
    file->inode = made.st_ino;
    file->listener = take_fd(&fd);
    return 0;
}

static int refuse_live(const char *path, struct reason *why)
{
    return refuse(why, CONDITION_UNAVAILABLE,
                  "socket %s is in use: another daemon listens on it; stop that one, or choose "
                  "another --address",
                  path);
}

/* Puts TEMPORARY, which listens, in the place of PATH, where something is. */
static int replace(const char *temporary, const char *path, struct reason *why)
{
    struct stat there;

    if (lstat(path, &there))
        return failure(why, errno, "look at %s", path);
    if (!S_ISSOCK(there.st_mode))
        return refuse(why, CONDITION_EXISTS,
                      "%s is there and is no socket; remove it, or choose another --address", path);
    if (socket_is_live(path))
        return refuse_live(path, why);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE)) {
        if (errno != EINVAL && errno != ENOSYS)
            return failure(why, errno, "replace the stale socket %s", path);
        /* a file system that cannot exchange: the second look is lost, not the first */
        if (rename(temporary, path))
            return failure(why, errno, "replace the stale socket %s", path);
        return 0;
    }
    if (socket_is_live(temporary)) {
        (void)renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE);
        return refuse_live(path, why);
    }
    unlink(temporary);
    return 0;
}

static int place(const char *temporary, const char *path, struct reason *why)
{
    for (;;) {
        int result;

        if (link(temporary, path) == 0) {
            unlink(temporary);
            return 0;
        }
        if (errno != EEXIST)
            return failure(why, errno, "make socket %s", path);
        result = replace(temporary, path, why);
        if (result == -ENOENT)
            continue; /* what was there has gone meanwhile */
        return result;
    }
}

int socket_listen(struct socket_file *file, const char *path, struct reason *why)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    scoped_free char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    scoped_free char *temporary = NULL;
    struct sockaddr_un address;
    uint32_t number = 0;
    int result = address_of(&address, path, why);

    *file = (struct socket_file){.listener = -1, .folder = -1};
    if (result)
        return result;
    if (!*name)
        return refuse(why, CONDITION_INVALID, "socket %s is the name of a folder", path);
    if (!folder || getrandom(&number, sizeof(number), 0) < 0 ||
        asprintf(&temporary, "%s/.s%08x", folder, number) < 0)
        return failure(why, ENOMEM, "make socket %s", path);
    if (strlen(temporary) >= sizeof(address.sun_path))
        return refuse(why, CONDITION_INVALID,
                      "socket %s has a folder of %zu bytes; at most %zu leave room for a name",
                      path, strlen(folder), sizeof(address.sun_path) - TEMPORARY_LENGTH - 2);
    if (*folder) {
        result = folders_make(folder, 0711,
                              "for the socket; make it, or choose another with --address", why);
        if (result)
            return result;
    }
    file->name = strdup(name);
    if (!file->name)
        return failure(why, ENOMEM, "make socket %s", path);
    file->folder = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0) {
        result = failure(why, errno, "open folder %s of the socket", folder);
        socket_close(file);
        return result;
    }
    result = listen_at(file, temporary, why);
    if (result == 0) {
        result = place(temporary, path, why);
        if (result)
            unlink(temporary);
    }
    if (result)
        socket_close(file);
    return result;
}

void socket_close(struct socket_file *file)
{
    struct stat there;

    if (file->listener >= 0) {
        /* while it still listens: nobody takes the file for a stale one and puts his own there */
        if (fstatat(file->folder, file->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            there.st_dev == file->device && there.st_ino == file->inode)
            unlinkat(file->folder, file->name, 0);
        close(file->listener);
    }
    if (file->folder >= 0)
        close(file->folder);
    free(file->name);
    *file = (struct socket_file){.listener = -1, .folder = -1};
}
