/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one that polls has the turn. The other stands by: from the first thing that is begun it looks
 * once a tick, and takes the turn when it twice finds something under way, the same that lasts or
 * one of many; the first stands by in its place when it comes back. When nothing was begun for a
 * tick it sleeps until something is. So a look costs no call of the kernel but the first after a
 * pause, and an idle daemon wakes nobody.
 *
 * For as long as nobody stands by pollers_begin() begins nothing, so one of them polls always. What
 * was under way may end just as the turn is taken: then both poll until the first learns of it with
 * its next event, which is harmless.
 */

#include "rpc/pollers.h"

#include "base/log.h"
#include "rpc/call.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLLERS 2
#define TICK_NS 5000000

struct poller {
    struct pollers *pollers;
    pthread_t thread;
};

struct pollers {
    grpc_completion_queue *queue;
    _Atomic(struct poller *) turn;
    atomic_bool relief;      /* one stands by, and will take over */
    atomic_bool asleep;      /* it waits for *begins* */
    atomic_uint_fast64_t at; /* counts begins and ends: odd while something is under way */
    sem_t begins;
    atomic_bool closing; /* the queue has shut down */
    unsigned running;
    struct poller each[POLLERS];
};

/* False when the queue has shut down. */
static bool run_next(grpc_completion_queue *queue)
{
    grpc_event event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);

    if (event.type == GRPC_OP_COMPLETE) {
        struct tag *tag = tag_take(event.tag);

        tag->done(tag, event.success);
    }
    return event.type != GRPC_QUEUE_SHUTDOWN;
}

/* Wakes the one that stands by, if it sleeps. */
static void wake(struct pollers *pollers)
{
    if (atomic_load(&pollers->asleep) && atomic_exchange(&pollers->asleep, false))
        sem_post(&pollers->begins);
}

/* Until something is begun after AT, or the end. */
static void sleep_at(struct pollers *pollers, uint64_t at)
{
    atomic_store(&pollers->asleep, true);
    if (atomic_load(&pollers->at) != at || atomic_load(&pollers->closing))
        wake(pollers);
    while (sem_wait(&pollers->begins) < 0)
        ;
}

/* Returns when the other is held up by what it began, or at the end. */
static void stand_by(struct pollers *pollers, struct poller *self)
{
    const struct timespec tick = {.tv_nsec = TICK_NS};
    uint64_t last = 0;

    atomic_store(&pollers->relief, true);
    while (!atomic_load(&pollers->closing)) {
        uint64_t at = atomic_load(&pollers->at);

        if (at % 2 == 1 && last % 2 == 1)
            break;
        if (at == last)
            sleep_at(pollers, at);
        else
            nanosleep(&tick, NULL);
        last = at;
    }
    atomic_store(&pollers->relief, false);
    atomic_store(&pollers->turn, self);
}

static void *poller_main(void *context)
{
    struct poller *self = context;
    struct pollers *pollers = self->pollers;

    pthread_setname_np(pthread_self(), "cowsnap-poll");
    while (!atomic_load(&pollers->closing)) {
        if (atomic_load(&pollers->turn) != self)
            stand_by(pollers, self);
        else if (!run_next(pollers->queue)) {
            atomic_store(&pollers->closing, true);
            wake(pollers);
        }
    }
    return NULL;
}

int pollers_open(struct pollers **opened, grpc_completion_queue *queue, struct reason *why)
{
    struct pollers *pollers = calloc(1, sizeof(*pollers));
    int error = 0;

    if (!pollers)
        return failure(why, ENOMEM, "start the threads that poll");
    pollers->queue = queue;
    atomic_init(&pollers->turn, &pollers->each[0]);
    sem_init(&pollers->begins, 0, 0);
    for (unsigned i = 0; error == 0 && i < POLLERS; i++) {
        pollers->each[i].pollers = pollers;
        error = pthread_create(&pollers->each[i].thread, NULL, poller_main, &pollers->each[i]);
        pollers->running += error == 0;
    }
    /* what is begun before the second has come to its place is found there by it */
    atomic_store(&pollers->relief, pollers->running == POLLERS);
    if (pollers->running == 0) {
        sem_destroy(&pollers->begins);
        free(pollers);
        return failure(why, error, "start the threads that poll");
    }
    if (error) /* one alone polls as well, and begins nothing that may block */
        log_warn("rpc: a second thread that polls cannot be started: %s", strerrordesc_np(error));
    *opened = pollers;
    return 0;
}

bool pollers_begin(struct pollers *pollers)
{
    if (!atomic_load(&pollers->relief))
        return false;
    atomic_fetch_add(&pollers->at, 1);
    wake(pollers);
    return true;
}

void pollers_end(struct pollers *pollers)
{
    atomic_fetch_add(&pollers->at, 1);
}

struct pollers *pollers_close(struct pollers *pollers)
{
    if (!pollers)
        return NULL;
    for (unsigned i = 0; i < pollers->running; i++)
        pthread_join(pollers->each[i].thread, NULL);
    sem_destroy(&pollers->begins);
    free(pollers);
    return NULL;
}

void pollers_drain(grpc_completion_queue *queue)
{
    while (run_next(queue))
        ;
}
