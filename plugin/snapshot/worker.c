/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/worker.h"
#include "base/thread.h"

#include <errno.h>
#include <time.h>

static bool is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* Waits for a nudge, the alarm or the end; false at the end. Called and left with the lock held. */
static bool wait_for_work(struct worker *worker)
{
    while (!worker->nudged && !worker->stopping) {
        if (!worker->alarm_set)
            pthread_cond_wait(&worker->wake, &worker->lock);
        else if (pthread_cond_timedwait(&worker->wake, &worker->lock, &worker->alarm) == ETIMEDOUT)
            break;
    }
    worker->nudged = false;
    worker->alarm_set = worker->is_put_off = false;
    return !worker->stopping;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;

    pthread_mutex_lock(&worker->lock);
    while (wait_for_work(worker)) {
        pthread_mutex_unlock(&worker->lock);
        worker->work(worker->context);
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

int worker_start(struct worker *worker, const char *name, void (*work)(void *), void *context,
                 struct reason *why)
{
    pthread_condattr_t attributes;
    int error;

    *worker = (struct worker){.work = work, .context = context};
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attributes);
    pthread_condattr_destroy(&attributes);

    error = thread_start(&worker->thread, name, worker_main, worker);
    if (error) {
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->lock);
        return failure(why, error, "start the thread %s", name);
    }
    worker->running = true;
    return 0;
}

void worker_nudge(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->nudged = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void worker_alarm(struct worker *worker, unsigned milliseconds)
{
    pthread_mutex_lock(&worker->lock);
    worker->alarm = thread_deadline(milliseconds);
    worker->alarm_set = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void worker_put_off(struct worker *worker, unsigned milliseconds, unsigned most)
{
    pthread_mutex_lock(&worker->lock);
    if (!worker->is_put_off)
        worker->latest = thread_deadline(most);
    worker->alarm = thread_deadline(milliseconds);
    if (is_before(worker->latest, worker->alarm))
        worker->alarm = worker->latest;
    worker->alarm_set = worker->is_put_off = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void worker_within(struct worker *worker, unsigned milliseconds)
{
    struct timespec alarm = thread_deadline(milliseconds);

    pthread_mutex_lock(&worker->lock);
    if (!worker->alarm_set || is_before(alarm, worker->alarm)) {
        worker->alarm = alarm;
        worker->alarm_set = true;
        pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&worker->lock);
}

void worker_tell_stop(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void worker_stop(struct worker *worker)
{
    if (!worker->running)
        return;
    worker_tell_stop(worker);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
    worker->running = false;
}
