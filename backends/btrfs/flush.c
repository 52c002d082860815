/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/flush.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* syncfs(2) passes by a file system that is read-only, which btrfs also becomes when it could not
 * write a transaction: what was in that is lost. */
static int flush_sync(int fd)
{
    struct statvfs fs;

    if (syncfs(fd) < 0 || fstatvfs(fd, &fs) < 0)
        return -1;
    if (fs.f_flag & ST_RDONLY)
        errno = EROFS;
    return fs.f_flag & ST_RDONLY ? -1 : 0;
}

static uint64_t flush_transaction(int fd)
{
    struct btrfs_ioctl_fs_info_args fs = {.flags = BTRFS_FS_INFO_FLAG_GENERATION};

    return ioctl(fd, BTRFS_IOC_FS_INFO, &fs) == 0 && fs.flags & BTRFS_FS_INFO_FLAG_GENERATION
               ? fs.generation
               : UINT64_MAX;
}

void flush_init(struct flush *flush)
{
    memset(flush, 0, sizeof(*flush));
    pthread_mutex_init(&flush->lock, NULL);
    pthread_cond_init(&flush->ended, NULL);
    flush->syncfs = flush_sync;
    flush->transaction = flush_transaction;
}

void flush_deinit(struct flush *flush)
{
    pthread_cond_destroy(&flush->ended);
    pthread_mutex_destroy(&flush->lock);
}

/* Runs one; called and left with the lock held. */
static void flush_run(struct flush *flush, int fd)
{
    flush->running = true;
    uint64_t number = ++flush->begun;
    pthread_mutex_unlock(&flush->lock);
    int error = flush->syncfs(fd) == 0 ? 0 : errno;
    /* read-only: it stays so for good, or it was remounted, and nothing is lost */
    uint64_t lossy = error != 0 && error != EROFS ? flush->transaction(fd) : 0;
    pthread_mutex_lock(&flush->lock);

    flush->running = false;
    flush->done = number;
    if (error != 0) {
        flush->failed = number;
        flush->error = error;
    }
    if (lossy != 0)
        flush->lossy = lossy;
    pthread_cond_broadcast(&flush->ended);
}

int flush_wait(struct flush *flush, int fd, uint64_t born)
{
    int error = 0;

    pthread_mutex_lock(&flush->lock);
    /* one that runs already may have passed by what the caller wrote */
    uint64_t wanted = flush->begun + 1;
    while (flush->done < wanted)
        if (flush->running)
            pthread_cond_wait(&flush->ended, &flush->lock);
        else
            flush_run(flush, fd);
    if (flush->failed >= wanted)
        error = flush->error;
    else if (flush->lossy != 0 && born <= flush->lossy)
        error = EIO;
    pthread_mutex_unlock(&flush->lock);
    return error;
}
