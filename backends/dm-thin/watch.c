/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/watch.h"

#include "backends/dm-thin/event.h"
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/thin_pool.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*
 * What wakes it, and what does not:
 *   - the pool raises an event when its metadata get scarce, and at each change of its mode (out of
 *     data, reads only, failed);
 *   - at the low water of its data it does so once, and not again before it was resumed (which a
 *     growth does), however often it was emptied in between; and of a pool of the operator's, whose
 *     low water may be none, not at all. So there is the clock, too;
 *   - each device that is made or ended wakes it as well, since the kernel tells events of all
 *     devices as one. A look costs one ioctl, and is taken ten times a second at most.
 */
#define WATCH_PAUSE_MS 100
#define WATCH_CLOCK_MS 15000

static void watch_tell(struct thin_pool *pool, enum thin_level level, const struct reason *why)
{
    struct watch *watch = &pool->watch;
    bool was_low = watch->told == THIN_LOW || watch->told == THIN_FULL;

    /* what gets a little better is not told before it is well: a pool at a bound would fill the log
     */
    if (level == watch->told || (level < watch->told && level != THIN_OK))
        return;
    if (level == THIN_OK)
        log_info("the thin pool %s %s", pool->name, was_low ? "has room again" : "is well again");
    else if (level < THIN_READ_ONLY)
        log_warn("%s", why->text);
    else
        log_error("%s", why->text);
    if ((level == THIN_LOW || level == THIN_FULL) && !was_low)
        atomic_fetch_add(&watch->times_low, 1);
    watch->told = level;
}

static int64_t watch_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Where growth did not help (no disk, as large as can be) it is tried by the clock, and not again
 * at each event: there may be room by then. */
static void watch_grow(struct thin_pool *pool, struct line_pool_status *status)
{
    struct watch *watch = &pool->watch;

    if (status->mode > LINE_OUT_OF_METADATA || !thin_pool_metadata_scarce(status) ||
        watch_now_ms() < watch->stuck_until)
        return;
    if (grow_metadata(pool))
        (void)thin_pool_look(pool, status, NULL);
    else
        watch->stuck_until = watch_now_ms() + WATCH_CLOCK_MS - WATCH_PAUSE_MS;
}

static void watch_look(struct thin_pool *pool)
{
    struct line_pool_status status;
    struct reason why = {0};

    if (thin_pool_look(pool, &status, &why) != 0) {
        watch_tell(pool, THIN_FAILED, &why);
        return;
    }
    watch_grow(pool, &status);
    watch_tell(pool, thin_pool_level(pool, &status, thin_pool_below(pool, &status), &why), &why);
}

static void *watch_main(void *argument)
{
    struct thin_pool *pool = argument;
    struct pollfd waits[] = {{.fd = pool->watch.stop, .events = POLLIN},
                             {.fd = pool->watch.events, .events = POLLIN}};

    do {
        /* armed before the look: what happens from now on is not missed */
        if (event_arm(pool->watch.events) != 0)
            waits[1].fd = -1; /* an old kernel: by the clock alone */
        watch_look(pool);
        if (poll(waits, 1, WATCH_PAUSE_MS) == 0)
            poll(waits, 2, WATCH_CLOCK_MS);
    } while (!(waits[0].revents & POLLIN));
    return NULL;
}

int watch_start(struct thin_pool *pool, struct reason *why)
{
    struct watch *watch = &pool->watch;
    int error;

    watch->stop = eventfd(0, EFD_CLOEXEC);
    if (watch->stop < 0)
        return failure(why, errno, "watch the thin pool %s", pool->name);
    watch->events = event_open();
    error = watch->events < 0 ? -watch->events
                              : thread_start(&watch->thread, "pool-watch", watch_main, pool);
    if (error == 0) {
        watch->running = true;
        return 0;
    }
    if (watch->events >= 0)
        close(watch->events);
    close(watch->stop);
    return failure(why, error, "watch the thin pool %s", pool->name);
}

void watch_stop(struct thin_pool *pool)
{
    struct watch *watch = &pool->watch;

    if (!watch->running)
        return;
    eventfd_write(watch->stop, 1);
    pthread_join(watch->thread, NULL);
    close(watch->events);
    close(watch->stop);
    watch->running = false;
}
