/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_WATCH_H
#define COWSNAP_BACKENDS_DM_THIN_WATCH_H

/*
 * A thread that learns how the pool stands while nobody calls: containers write without the daemon,
 * and a pool that fills up should be told of before it is full, not at the next Prepare. It logs
 * each change once, counts how often the pool became low, and makes the metadata of an embedded
 * pool larger when they get scarce. Nothing relies on it: each call looks at the pool for itself.
 */

#include "base/result.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct thin_pool;

struct watch {
    bool running;
    pthread_t thread;
    int stop; /* an eventfd: the thread is to end */
    atomic_uint_least64_t times_low;
    /* the thread's own */
    int events;          /* of event_open() */
    unsigned told;       /* enum thin_level: the worst in the log since the pool was well */
    int64_t stuck_until; /* ms (CLOCK_MONOTONIC): metadata could not grow; 0 for that it could */
};

int watch_start(struct thin_pool *pool, struct reason *why);

/* Ends the thread after what it is at. One that was never started is fine. */
void watch_stop(struct thin_pool *pool);

#endif
