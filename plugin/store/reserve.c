/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reserve.h"

#include "base/disk.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define RESERVE_NAME "data.mdb" /* as LMDB calls it */

int reserve_make_file(int folder, const char *path, struct reason *why)
{
    scoped_fd int file =
        openat(folder, RESERVE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat status;
    int flags;

    if (file < 0 || fstat(file, &status))
        return disk_failure(why, errno, path, "opening the store %s/" RESERVE_NAME, path);
    /* btrfs takes the flag for an empty file only; others do without it */
    if (status.st_size == 0 && ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)ioctl(file, FS_IOC_SETFLAGS, &flags);
    }
    return 0;
}

static int allot(int file, uint64_t end)
{
    int status;

    do
        status = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, (off_t)end);
    while (status && errno == EINTR);
    return status ? errno : 0;
}

bool reserve_keep(struct reserve *reserve, int file, uint64_t used)
{
    uint64_t least = used + RESERVE_BYTES, end = least + RESERVE_BYTES;
    int error;

    if (reserve->is_absent || least <= reserve->end)
        return true;
    error = allot(file, end);
    if (disk_is_full(error))
        error = allot(file, end = least);
    if (error == 0)
        reserve->end = end;
    reserve->is_absent = error == EOPNOTSUPP || error == ENOSYS;
    return !disk_is_full(error); /* of anything else the commit will tell */
}
