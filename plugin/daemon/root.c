/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/root.h"

#include "base/bytes.h"
#include "base/disk.h"
#include "base/folders.h"
#include "base/owner.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_MODE 0711 /* containers of user namespaces pass through it, nobody lists it */
#define LOCK_NAME "lock"

/* Who holds the lock, as it wrote down itself; 0 when it has not yet. */
static long holder_of(int lock)
{
    char text[24] = {0};

    if (pread(lock, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return strtol(text, NULL, 10);
}

/* Notes who holds the lock, for the message to whoever comes next: in place, since a block given
 * away on a full disk may be lost, and that keeps nobody from serving. */
static int sign(int lock, const char *path, struct reason *why)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    bool written = pwrite(lock, text, (size_t)length, 0) == length;

    if (!written && !disk_is_full(errno))
        return failure(why, errno, "cannot write the lock file %s/" LOCK_NAME, path);
    if (ftruncate(lock, written ? length : 0) < 0)
        return failure(why, errno, "cannot shorten the lock file %s/" LOCK_NAME, path);
    return 0;
}

/* An OFD lock belongs to the open file, not to the process: no close() of another descriptor of
 * the file gives it up, and it ends with the process however that ends. */
static int take_lock(int directory, const char *path, int *lock, struct reason *why)
{
    scoped_fd int fd =
        openat(directory, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;

    if (fd < 0)
        return disk_failure(why, errno, path,
                            "cannot open the lock file %s/" LOCK_NAME "; run cowsnapd as "
                            "root, on a file system that is writable",
                            path);
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        long pid = holder_of(fd);

        if (errno != EAGAIN && errno != EACCES)
            return failure(why, errno, "cannot lock %s/" LOCK_NAME, path);
        if (pid > 0)
            return refuse(
                why, CONDITION_UNAVAILABLE,
                "root %s is in use by cowsnapd or a `cowsnap pool` command, process %ld; stop it "
                "first, or choose another folder with --root",
                path, pid);
        return refuse(why, CONDITION_UNAVAILABLE,
                      "root %s is in use by another cowsnapd or a `cowsnap pool` command; stop it "
                      "first, or choose another folder with --root",
                      path);
    }
    result = sign(fd, path, why);
    if (result)
        return result;
    *lock = take_fd(&fd);
    return 0;
}

int root_open(struct root *root, const char *path, struct reason *why)
{
    scoped_fd int directory = -1;
    struct stat status;
    int lock = -1;
    int result;

    *root = ROOT_CLOSED;
    result = folders_make(path, ROOT_MODE, "for root; make it, or choose another with --root", why);
    if (result)
        return result;
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return failure(why, errno, "cannot open root %s; it must be a folder",
                       quoted(bytes_of(path)));
    result = fstat(directory, &status) < 0
                 ? failure(why, errno, "look at root %s", quoted(bytes_of(path)))
                 : owner_check(&status, path, why);
    if (result)
        return result;
    result = take_lock(directory, path, &lock, why);
    if (result)
        return result;
    *root = (struct root){take_fd(&directory), lock};
    return 0;
}

void root_close(struct root *root)
{
    if (root->lock >= 0)
        close(root->lock);
    if (root->directory >= 0)
        close(root->directory);
    *root = ROOT_CLOSED;
}
