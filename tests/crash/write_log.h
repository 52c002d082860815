/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_WRITE_LOG_H
#define COWSNAP_TESTS_CRASH_WRITE_LOG_H

/* The log of dm-log-writes, read. It is of the kernel's own making: what does not fit ends the
 * program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct write_entry {
    uint64_t at, length; /* on the disk, bytes */
    uint64_t data;       /* where in the log its bytes are; none of a discard */
    bool flush;          /* the disk was told to flush, before anything else */
    bool through;        /* it has passed the cache (FUA) */
    bool discard;
    char mark[16]; /* "" when it is none */
};

/* All entries, in their order, in memory that is the caller's. */
struct write_entry *write_log_read(int log, size_t *count);

#endif
