/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct workers {
    char name[16];
    unsigned count;
    unsigned limit;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct job *first, **last;
    unsigned queued; /* jobs in the list */
    unsigned busy;   /* threads that run one; the others will take the next of the list */
    bool closing;

    pthread_t threads[];
};

static void *worker_main(void *context)
{
    struct workers *workers = context;

    pthread_setname_np(pthread_self(), workers->name);
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct job *job;

        while (!workers->first && !workers->closing)
            pthread_cond_wait(&workers->changed, &workers->lock);
        job = workers->first;
        if (!job)
            break;
        workers->first = job->next;
        if (!workers->first)
            workers->last = &workers->first;
        workers->queued--;
        workers->busy++;
        pthread_mutex_unlock(&workers->lock);
        job->run(job);
        pthread_mutex_lock(&workers->lock);
        workers->busy--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

int workers_open(struct workers **opened, const char *name, unsigned threads, unsigned waiting,
                 struct reason *why)
{
    struct workers *workers;

    if (threads == 0)
        threads = 1;
    workers = calloc(1, sizeof(*workers) + threads * sizeof(workers->threads[0]));
    if (!workers)
        return failure(why, ENOMEM, "start %u worker threads", threads);
    snprintf(workers->name, sizeof(workers->name), "%s", name);
    workers->limit = waiting;
    workers->last = &workers->first;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    for (; workers->count < threads; workers->count++) {
        int error = pthread_create(&workers->threads[workers->count], NULL, worker_main, workers);

        if (error) {
            int result = failure(why, error,
                                 "start worker thread %u of %u (raise the limit of "
                                 "tasks, or lower the number of workers)",
                                 workers->count + 1, threads);
            workers_close(workers);
            return result;
        }
    }
    *opened = workers;
    return 0;
}

int workers_submit(struct workers *workers, struct job *job, struct reason *why)
{
    bool full;

    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    full = workers->busy + workers->queued >= workers->count + workers->limit;
    if (!full) {
        *workers->last = job;
        workers->last = &job->next;
        workers->queued++;
        pthread_cond_signal(&workers->changed);
    }
    pthread_mutex_unlock(&workers->lock);
    if (full)
        return refuse(why, CONDITION_EXHAUSTED,
                      "the daemon is busy: %u requests wait already; try again later",
                      workers->limit);
    return 0;
}

struct workers *workers_close(struct workers *workers)
{
    if (!workers)
        return NULL;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    return NULL;
}
