/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_WORKER_H
#define COWSNAP_SNAPSHOT_WORKER_H

/*
 * A background thread that sleeps until it is nudged or its own alarm rings. It costs nothing while
 * there is nothing to do.
 */

#include "base/result.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running;
    atomic_bool stopping; /* the thread is to end soon: long work looks at it between steps */
    bool nudged;
    bool alarm_set;
    bool is_put_off;               /* not beyond LATEST */
    struct timespec alarm, latest; /* on the monotonic clock */
    void (*work)(void *context);
    void *context;
};

/* Starts the thread (NAME: at most 15 bytes, for ps). It runs WORK(CONTEXT) after each nudge. */
int worker_start(struct worker *worker, const char *name, void (*work)(void *), void *context,
                 struct reason *why);

/* Asks for a run of WORK soon; a nudge during a run leads to one more. Any thread. */
void worker_nudge(struct worker *worker);

/* Run WORK after that time even if nobody nudges; replaces an alarm set before. Any thread. */
void worker_alarm(struct worker *worker, unsigned milliseconds);

/* The same for work that waits for quiet: put off again and again, it comes when MOST milliseconds
 * have gone by since the first time. */
void worker_put_off(struct worker *worker, unsigned milliseconds, unsigned most);

/* The same, but an alarm that rings earlier stays: for work that gains by being gathered. */
void worker_within(struct worker *worker, unsigned milliseconds);

/* Sets STOPPING, and waits for nothing. Any thread, once the worker was started. */
void worker_tell_stop(struct worker *worker);

/* Ends the thread after the step under way. One that was never started is fine. */
void worker_stop(struct worker *worker);

#endif
