/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/flush.h"

#include <errno.h>
#include <string.h>
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

void flush_init(struct flush *flush)
{
    memset(flush, 0, sizeof(*flush));
    pthread_mutex_init(&flush->lock, NULL);
    pthread_cond_init(&flush->ended, NULL);
    flush->syncfs = flush_sync;
}

void flush_deinit(struct flush *flush)
{
    pthread_cond_destroy(&flush->ended);
    pthread_mutex_destroy(&flush->lock);
}

static bool flush_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

/* Runs one; called and left with the lock held. */
static void flush_run(struct flush *flush, int fd)
{
    flush->running = true;
    uint64_t number = ++flush->begun;
    pthread_mutex_unlock(&flush->lock);
    int error = flush->syncfs(fd) == 0 ? 0 : errno;
    pthread_mutex_lock(&flush->lock);

    flush->running = false;
    flush->done = number;
    if (error != 0) {
        flush->failed = number;
        flush->error = error;
    }
    /* read-only: it stays so for good, or it was remounted, and nothing is lost */
    if (error != 0 && error != EROFS)
        clock_gettime(CLOCK_REALTIME, &flush->failed_end);
    pthread_cond_broadcast(&flush->ended);
}

int flush_wait(struct flush *flush, int fd, struct timespec born)
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
    else if (flush->failed_end.tv_sec != 0 && flush_before(born, flush->failed_end))
        error = EIO;
    pthread_mutex_unlock(&flush->lock);
    return error;
}
