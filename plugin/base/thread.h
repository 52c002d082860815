/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_THREAD_H
#define COWSNAP_BASE_THREAD_H

#include <pthread.h>
#include <time.h>

/* Starts a thread that takes no signals: they are the main thread's. NAME is for ps, at most 15
 * bytes. 0 or a positive errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* The time on the monotonic clock when so many milliseconds have gone by. */
struct timespec thread_deadline(unsigned milliseconds);

#endif
