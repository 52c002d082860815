/* SPDX-License-Identifier: Apache-2.0 */
#include "store/readers.h"

#include "base/disk.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define READERS_NAME "lock.mdb" /* as LMDB calls it */
/* Above what a start has open, so that the link of the last one mostly leads to the right place:
 * a new link takes an inode, which a full disk may not have. */
#define READERS_FD 100

static bool is_link_to(int folder, const char *target)
{
    char now[64];
    ssize_t length = readlinkat(folder, READERS_NAME, now, sizeof(now));

    return length >= 0 && (size_t)length == strlen(target) &&
           memcmp(now, target, (size_t)length) == 0;
}

int readers_place(int folder, const char *path, int *table, struct reason *why)
{
    scoped_fd int made = memfd_create("cowsnap-" READERS_NAME, MFD_CLOEXEC);
    scoped_fd int high = made < 0 ? -1 : fcntl(made, F_DUPFD_CLOEXEC, READERS_FD);
    char target[32];

    if (high < 0)
        return failure(why, errno, "making the table of readers of the store %s", path);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", high);
    if (!is_link_to(folder, target)) {
        if (unlinkat(folder, READERS_NAME, 0) && errno != ENOENT)
            return failure(why, errno, "removing %s/" READERS_NAME, path);
        if (symlinkat(target, folder, READERS_NAME))
            return disk_failure(why, errno, path, "making %s/" READERS_NAME, path);
    }
    *table = take_fd(&high);
    return 0;
}
