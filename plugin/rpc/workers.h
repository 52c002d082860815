/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_WORKERS_H
#define COWSNAP_RPC_WORKERS_H

/*
 * A pool of a fixed number of threads with a bounded queue. Jobs begin in the order they came. Idle
 * threads sleep until one comes.
 */

#include "base/result.h"

struct workers;

/* Part of whatever shall be done. Belongs to the pool from workers_submit() until RUN is called,
 * which may free it. */
struct job {
    struct job *next; /* the pool's own */
    void (*run)(struct job *job);
};

/* THREADS threads, at least one, called NAME (at most 15 bytes); at most WAITING jobs for which no
 * thread is free. */
int workers_open(struct workers **workers, const char *name, unsigned threads, unsigned waiting,
                 struct reason *why);

/* Any thread. CONDITION_EXHAUSTED when the queue is full; JOB is then still the caller's. */
int workers_submit(struct workers *workers, struct job *job, struct reason *why);

/* Runs what was submitted to its end, then stops. No workers_submit() may come any more. NULL is
 * allowed; returns NULL. */
struct workers *workers_close(struct workers *workers);

#endif
