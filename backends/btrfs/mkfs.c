/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/mkfs.h"

#include "base/bytes.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

/*
 * Why these settings (docs/btrfs.md has the figures):
 *   -n 4096        small nodes: unpacking is 15 to 20 % faster; attributes are limited to 3.9 KiB
 *   -m single      the file lies on one disk: a second copy of the metadata beside the first would
 *                  cost every commit and save little, and images can be pulled again
 *   --csum xxhash  about 10 % faster than crc32c here, and 64 bits wide
 *   -K             a fresh sparse file has nothing to discard
 */
static char *const mkfs_arguments[] = {
    "mkfs.btrfs", "-q",     "-K",     "-L", "cowsnap",         "-n", "4096", "-m", "single", "-d",
    "single",     "--csum", "xxhash", "--", "/proc/self/fd/3", NULL,
};
#define MKFS_FILE 3

/* A service's PATH often lacks the last three. */
static const char *const mkfs_places[] = {"mkfs.btrfs", "/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs",
                                          "/usr/local/sbin/mkfs.btrfs"};

/* Starts it with its output going to OUTPUT; a positive errno, ENOENT when it is nowhere. */
static int mkfs_spawn(int file, int output, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }

    /* the daemon blocks and ignores signals that its child should know as usual */
    sigemptyset(&none);
    sigfillset(&all);
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(&attributes, &all);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, file, MKFS_FILE);

    if (error == 0)
        error = ENOENT;
    for (size_t i = 0; error == ENOENT && i < sizeof(mkfs_places) / sizeof(*mkfs_places); i++)
        error = posix_spawnp(child, mkfs_places[i], &actions, &attributes, mkfs_arguments, environ);

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Keeps the end of what comes from PIPE until it is closed; returns its length. */
static size_t mkfs_listen(int pipe, char *tail, size_t room)
{
    char part[512];
    size_t length = 0;

    for (;;) {
        ssize_t got = read(pipe, part, sizeof(part));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return length;

        size_t fresh = (size_t)got < room ? (size_t)got : room;
        size_t kept = length + fresh <= room ? length : room - fresh;
        memmove(tail, tail + (length - kept), kept);
        memcpy(tail + kept, part + ((size_t)got - fresh), fresh);
        length = kept + fresh;
    }
}

int mkfs_btrfs(int file, struct reason *why)
{
    int ends[2], status;
    char tail[300], shown[QUOTE_ROOM(96)];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return failure(why, errno, "pipe to mkfs.btrfs");
    scoped_fd int reading = ends[0], writing = ends[1];

    int error = mkfs_spawn(file, writing, &child);
    if (error == ENOENT)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "mkfs.btrfs is not installed: install btrfs-progs, or name a folder on btrfs "
                      "as pool_path");
    if (error != 0)
        return failure(why, error, "start mkfs.btrfs");
    close(take_fd(&writing));
    size_t length = mkfs_listen(reading, tail, sizeof(tail));

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return failure(why, errno, "wait for mkfs.btrfs");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;

    while (length > 0 && tail[length - 1] == '\n')
        length--;
    const char *line = memrchr(tail, '\n', length);
    size_t start = line ? (size_t)(line - tail) + 1 : 0;
    return failure(why, EIO, "mkfs.btrfs ended with %s %d, its last words: %s",
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                   bytes_quote(bytes_from(tail + start, length - start), shown, sizeof(shown)));
}
