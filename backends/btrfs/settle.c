/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/settle.h"

#include "base/scoped.h"
#include "base/step.h"

#include <btrfsutil.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define SETTLE_PATIENCE_MS 30000
#define SETTLE_SHARED_MS 5000 /* in all, where subvolumes of others may be among the removed */
/* The list is read again after a pause that doubles between these. */
#define SETTLE_PAUSE_LEAST_MS 2
#define SETTLE_PAUSE_MOST_MS 250
/* The cleaner is woken again when it has ended nothing for so long. A subvolume becomes its work
 * when its last inode is let go, which may be after the commit that first woke it (a file was still
 * open, or being written back), and by itself it looks again only after btrfs's next commit. */
#define SETTLE_WAKE_MS 1000

void settle_init(struct settle *settle)
{
    *settle = (struct settle){.patience_ms = SETTLE_PATIENCE_MS, .shared_ms = SETTLE_SHARED_MS};
}

static void settle_pause(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

struct settle_list {
    uint64_t *ids;
    size_t count;
};

static void settle_list_free(struct settle_list *list)
{
    free(list->ids);
}

/* How many of OLD are still listed; all listed when OLD is NULL. */
static int settle_look(const struct pool *pool, const struct settle_list *old,
                       struct settle_list *list, size_t *left, struct reason *why)
{
    if (btrfs_util_deleted_subvolumes_fd(pool->directory, &list->ids, &list->count) !=
        BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "list the removed subvolumes of %s", pool->path);
    *left = old ? 0 : list->count;
    /* both lists are in the order of the tree, which is that of the numbers */
    for (size_t i = 0, j = 0; old && i < old->count && j < list->count;) {
        if (old->ids[i] == list->ids[j]) {
            ++*left;
            i++;
            j++;
        } else if (old->ids[i] < list->ids[j]) {
            i++;
        } else {
            j++;
        }
    }
    return 0;
}

static int settle_commit(const struct pool *pool)
{
    uint64_t transaction;

    if (btrfs_util_start_sync_fd(pool->directory, &transaction) != BTRFS_UTIL_OK ||
        btrfs_util_wait_sync_fd(pool->directory, transaction) != BTRFS_UTIL_OK)
        return -errno;
    return 0;
}

/* Commits, which also wakes the cleaner. */
static int settle_wake(const struct pool *pool, struct reason *why)
{
    if (btrfs_util_sync_fd(pool->directory) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "commit the removals in %s", pool->path);
    return 0;
}

static int settle_poll(const struct settle *settle, const struct pool *pool,
                       const struct settle_list *removed, size_t left, const atomic_bool *cancel,
                       struct reason *why)
{
    unsigned pause = SETTLE_PAUSE_LEAST_MS, waited = 0, woken = 0, all = 0;
    bool shared = pool->origin != POOL_EMBEDDED;

    while (left > 0) {
        if (shared && all >= settle->shared_ms)
            return 0;
        if (waited >= settle->patience_ms)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "%zu removed volumes of the pool %s still hold their space, perhaps "
                          "because something uses them: try again later",
                          left, pool->path);
        if (cancel && atomic_load(cancel))
            return refuse(why, CONDITION_CANCELLED,
                          "%zu removed volumes of the pool %s still hold their space", left,
                          pool->path);
        settle_pause(pause);
        waited += pause;
        all += pause;
        pause = pause * 2 < SETTLE_PAUSE_MOST_MS ? pause * 2 : SETTLE_PAUSE_MOST_MS;

        scoped(settle_list_free) struct settle_list now = {0};
        size_t before = left;
        int result = settle_look(pool, removed, &now, &left, why);
        if (!result && left == before && waited - woken >= SETTLE_WAKE_MS) {
            result = settle_wake(pool, why);
            woken = waited;
        }
        if (result)
            return result;
        if (left < before)
            waited = woken = 0;
    }
    return 0;
}

int settle_wait(struct settle *settle, const struct pool *pool, const atomic_bool *cancel,
                struct reason *why)
{
    scoped(settle_list_free) struct settle_list removed = {0};
    size_t left = 0;
    int result = settle_look(pool, NULL, &removed, &left, why);

    if (result || left == 0)
        return result;
    result = settle_wake(pool, why);
    STEP("btrfs.removals-committed");
    if (result)
        return result;

    settle->waiting++;
    result = settle_poll(settle, pool, &removed, left, cancel, why);
    settle->waiting--;
    if (result != 0)
        return result;

    /* what the cleaner freed can be used again after the commit of its own transaction */
    result = settle_commit(pool);
    if (result < 0)
        return pool_failure(pool, why, -result, "commit the removals in %s", pool->path);
    return 0;
}
