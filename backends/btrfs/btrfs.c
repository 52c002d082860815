/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/backend.h"

#include "backends/btrfs/flush.h"
#include "backends/btrfs/pool.h"
#include "backends/btrfs/settle.h"
#include "backends/btrfs/subvol.h"
#include "backends/btrfs/usage.h"
#include "base/scoped.h"
#include "base/step.h"

#include <btrfsutil.h>
#include <errno.h>
#include <inttypes.h>

/* Locks, none of which is taken while another is held: pool.checks, pool.growth, usage.lock,
 * flush.lock. */
struct backend {
    struct pool pool;
    struct usage_cache usage;
    struct flush flush;
    struct settle settle;
};

static int btrfs_open(struct backend **backend, const struct backend_options *options,
                      struct reason *why)
{
    scoped_free struct backend *made = malloc(sizeof(*made));
    int result;

    if (!made)
        return failure(why, ENOMEM, "open the pool");
    result = pool_open(&made->pool, options, why);
    if (result != 0)
        return result;
    usage_init(&made->usage);
    flush_init(&made->flush);
    settle_init(&made->settle);
    *backend = take_pointer(made);
    return 0;
}

static void btrfs_close(struct backend *backend)
{
    if (!backend)
        return;
    flush_deinit(&backend->flush);
    usage_deinit(&backend->usage);
    pool_close(&backend->pool);
    free(backend);
}

static int btrfs_clone(struct backend *backend, uint64_t id, uint64_t parent, struct reason *why)
{
    return subvol_clone(&backend->pool, id, parent, why);
}

static int btrfs_remove(struct backend *backend, uint64_t id, const atomic_bool *cancel,
                        struct reason *why)
{
    usage_forget(&backend->usage, id);
    return subvol_remove(&backend->pool, id, cancel, why);
}

static int btrfs_locate(struct backend *backend, uint64_t id, struct volume *volume,
                        struct reason *why)
{
    return subvol_locate(&backend->pool, id, volume, why);
}

static int btrfs_find(struct backend *backend, uint64_t subvolume, uint64_t *id, struct reason *why)
{
    return subvol_find(&backend->pool, subvolume, id, why);
}

static int btrfs_open_root(struct backend *backend, uint64_t id, int *directory, struct reason *why)
{
    return subvol_open(&backend->pool, id, directory, why);
}

static int btrfs_sync(struct backend *backend, uint64_t id, struct reason *why)
{
    struct btrfs_util_subvolume_info info;
    scoped_fd int fd = -1;
    int result = subvol_open(&backend->pool, id, &fd, why);

    if (result != 0)
        return result;
    if (btrfs_util_subvolume_info_fd(fd, 0, &info) != BTRFS_UTIL_OK)
        return pool_failure(&backend->pool, why, errno, "look at volume %" PRIu64, id);
    int error = flush_wait(&backend->flush, backend->pool.directory, info.otransid);
    STEP("btrfs.volume-synced");
    if (error == EIO)
        return failure(why, EIO,
                       "write volume %" PRIu64 " to disk (the pool %s could not write some data "
                       "since this volume was made, which may be incomplete: see the kernel's "
                       "log, remove the snapshot and pull again)",
                       id, backend->pool.path);
    if (error != 0)
        return pool_failure(&backend->pool, why, error, "write volume %" PRIu64 " to disk", id);
    return 0;
}

/* btrfs commits the making of a clone before it answers, that of an empty subvolume when it likes:
 * until then a loss of power would take it away from a record that is durable. Not by
 * BTRFS_IOC_START_SYNC, though that would leave others' data alone: it has the kernel's thread for
 * commits do it, and with it runs were seen to stand still, beyond the reach of a kill, until the
 * next periodic commit half a minute later. */
static int btrfs_create(struct backend *backend, uint64_t id, struct reason *why)
{
    int result = subvol_create(&backend->pool, id, why);

    if (result != 0)
        return result;
    result = btrfs_sync(backend, id, why);
    if (result != 0)
        subvol_remove(&backend->pool, id, NULL, NULL);
    return result;
}

static int btrfs_seal(struct backend *backend, uint64_t id, struct reason *why)
{
    return subvol_seal(&backend->pool, id, why);
}

static int btrfs_usage(struct backend *backend, uint64_t id, uint64_t parent, bool any_length,
                       struct volume_usage *usage, struct reason *why)
{
    scoped_fd int fd = -1;
    int result = subvol_open(&backend->pool, id, &fd, why);

    if (result != 0)
        return result;
    result = usage_of(&backend->usage, id, fd, parent != 0, any_length, usage);
    if (result < 0)
        return pool_failure(&backend->pool, why, -result, "usage of volume %" PRIu64, id);
    return 0;
}

static int btrfs_each(struct backend *backend, backend_visit *visit, void *context,
                      struct reason *why)
{
    return subvol_each(&backend->pool, visit, context, why);
}

static int btrfs_settle(struct backend *backend, const atomic_bool *cancel, struct reason *why)
{
    return settle_wait(&backend->settle, &backend->pool, cancel, why);
}

static int btrfs_status(struct backend *backend, struct pool_status *status, struct reason *why)
{
    return pool_status(&backend->pool, status, why);
}

static int btrfs_grow(struct backend *backend, const struct pool_growth *growth, struct reason *why)
{
    return pool_grow(&backend->pool, growth, why);
}

static int btrfs_check(struct backend *backend, const atomic_bool *cancel,
                       struct pool_verdict *verdict, struct reason *why)
{
    return pool_check(&backend->pool, cancel, verdict, why);
}

const struct backend_ops backend_btrfs = {
    .name = "btrfs",
    .looks_are_short = true,
    .open = btrfs_open,
    .close = btrfs_close,
    .create = btrfs_create,
    .clone = btrfs_clone,
    .remove = btrfs_remove,
    .locate = btrfs_locate,
    .find = btrfs_find,
    .open_root = btrfs_open_root,
    .sync = btrfs_sync,
    .seal = btrfs_seal,
    .usage = btrfs_usage,
    .each = btrfs_each,
    .settle = btrfs_settle,
    .status = btrfs_status,
    .grow = btrfs_grow,
    .check = btrfs_check,
    .check_idle = pool_check_idle,
};
