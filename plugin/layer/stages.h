/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_STAGES_H
#define COWSNAP_LAYER_STAGES_H

/*
 * Where the time of a layer goes, stage by stage, so that anyone sees which one holds the others
 * up.
 *
 * Off the hot path: a thread's processor time is read once, when it is done, and a wait for another
 * stage is timed only where the thread goes to sleep. What is neither, the thread spent in the
 * kernel waiting for the disk, or runnable without a processor.
 */

#include <pthread.h>
#include <stdint.h>

enum stage {
    STAGE_INFLATE, /* reads and inflates; waits for a free chunk. Bytes: of the blob */
    STAGE_HASH,    /* SHA-256; waits for chunks. Bytes: uncompressed */
    STAGE_PARSE,   /* reads the archive, makes all but files; waits for chunks. Bytes: as above */
    STAGE_HAND,    /* no thread: the parsing one's wait for writers. Bytes: none */
    STAGE_WRITE,   /* all writers together; wait for files. Bytes: of file data */
    STAGE_SYNC,    /* no thread: the parsing one's wait for the disk at the end. Bytes: none */
    STAGES,
};

struct stage_time {
    uint64_t processor; /* ns that its threads ran */
    uint64_t waited;    /* ns that they waited for others */
    uint64_t bytes;
};

struct stages {
    struct stage_time of[STAGES];
    uint64_t elapsed; /* ns from begin to end */
};

/* "inflate", "hash" and so on. */
const char *stage_name(enum stage stage);

/* Adds ONE to SUM. */
void stages_add(struct stages *sum, const struct stages *one);

/* ns of CLOCK_MONOTONIC. */
uint64_t stage_now(void);

/* ns that the calling thread ran; that THREAD, which has not ended, ran. 0 where the system does
 * not tell. */
uint64_t stage_processor(void);
uint64_t stage_processor_of(pthread_t thread);

/* pthread_cond_wait(), whose time is added to *WAITED. */
void stage_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t *waited);

#endif
