/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_FLUSH_H
#define COWSNAP_BACKENDS_BTRFS_FLUSH_H

/*
 * Makes written data durable. btrfs has no way to do so for one subvolume: syncfs(2) writes back
 * all data of the file system and commits its transaction. (BTRFS_IOC_START_SYNC commits, but
 * leaves data that was not written back behind.) So callers that come while one flush runs share
 * the next.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct flush {
    pthread_mutex_t lock; /* of all below; not held during syncfs */
    pthread_cond_t ended;
    uint64_t begun, done; /* flushes, counted */
    uint64_t failed;      /* the last that failed; 0 for none */
    int error;            /* its errno */
    uint64_t lossy;       /* transaction in which a write-back was last known to fail; 0: none */
    bool running;
    int (*syncfs)(int fd);           /* syncfs(2); tests put their own in, also in the next */
    uint64_t (*transaction)(int fd); /* the file system's last; UINT64_MAX when it does not say */
};

void flush_init(struct flush *flush);
void flush_deinit(struct flush *flush);

/* Returns when all that was written to FD's file system before the call is on disk: 0, or a
 * positive errno. BORN is the transaction in which the volume was made (otransid of its subvolume):
 * a clock may be set. FD must be the same for every call and have been opened before anything was
 * written: the kernel reports an error of write-back once to each descriptor.
 *
 * A failed write-back may have hit any volume, and is reported to whoever flushes next. So from
 * then on, as long as this structure lives, flushes for a volume that is not younger than the
 * failure fail too: EIO. */
int flush_wait(struct flush *flush, int fd, uint64_t born);

#endif
