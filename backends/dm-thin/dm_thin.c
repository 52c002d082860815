/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/backend.h"

#include "backends/dm-thin/activation.h"
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/thin_pool.h"
#include "backends/dm-thin/usage.h"
#include "backends/dm-thin/volume.h"
#include "base/scoped.h"

#include <errno.h>

struct backend {
    struct thin_pool pool;
};

static int dm_thin_open(struct backend **backend, const struct backend_options *options,
                        struct reason *why)
{
    scoped_free struct backend *made = malloc(sizeof(*made));
    int result;

    if (!made)
        return failure(why, ENOMEM, "open the pool");
    result = thin_pool_open(&made->pool, options, why);
    if (result != 0)
        return result;
    result = activation_tidy(&made->pool, why);
    if (result != 0) {
        thin_pool_close(&made->pool);
        return result;
    }
    *backend = take_pointer(made);
    return 0;
}

static void dm_thin_close(struct backend *backend)
{
    if (!backend)
        return;
    thin_pool_close(&backend->pool);
    free(backend);
}

static int dm_thin_admit(struct backend *backend, struct reason *why)
{
    return thin_pool_ready(&backend->pool, why);
}

static int dm_thin_create(struct backend *backend, uint64_t id, struct reason *why)
{
    return volume_create(&backend->pool, id, why);
}

static int dm_thin_clone(struct backend *backend, uint64_t id, uint64_t parent, struct reason *why)
{
    return volume_clone(&backend->pool, id, parent, why);
}

static int dm_thin_remove(struct backend *backend, uint64_t id, const atomic_bool *cancel,
                          struct reason *why)
{
    return volume_remove(&backend->pool, id, cancel, why);
}

static int dm_thin_locate(struct backend *backend, uint64_t id, struct volume *volume,
                          struct reason *why)
{
    return volume_locate(&backend->pool, id, volume, why);
}

static int dm_thin_open_root(struct backend *backend, uint64_t id, int *directory,
                             struct reason *why)
{
    return volume_open_root(&backend->pool, id, directory, why);
}

static int dm_thin_open_read(struct backend *backend, uint64_t id, int *directory,
                             struct reason *why)
{
    return volume_open_read(&backend->pool, id, directory, why);
}

static int dm_thin_confirm(struct backend *backend, uint64_t id, struct reason *why)
{
    return volume_confirm(&backend->pool, id, why);
}

static int dm_thin_sync(struct backend *backend, uint64_t id, struct reason *why)
{
    return volume_sync(&backend->pool, id, why);
}

static int dm_thin_rest(struct backend *backend, uint64_t id, struct reason *why)
{
    return volume_rest(&backend->pool, id, why);
}

static int dm_thin_usage(struct backend *backend, uint64_t id, uint64_t parent, bool any_length,
                         struct volume_usage *usage, struct reason *why)
{
    return usage_of_volume(&backend->pool, id, parent, any_length, usage, why);
}

static int dm_thin_each(struct backend *backend, backend_visit *visit, void *context,
                        struct reason *why)
{
    return volume_each(&backend->pool, visit, context, why);
}

static int dm_thin_status(struct backend *backend, struct pool_status *status, struct reason *why)
{
    return thin_pool_status(&backend->pool, status, why);
}

static int dm_thin_grow(struct backend *backend, const struct pool_growth *growth,
                        struct reason *why)
{
    return grow_wanted(&backend->pool, growth, why);
}

static int dm_thin_check(struct backend *backend, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why)
{
    return thin_pool_check(&backend->pool, cancel, verdict, why);
}

const struct backend_ops backend_dm_thin = {
    .name = "dm-thin",
    .open = dm_thin_open,
    .close = dm_thin_close,
    .admit = dm_thin_admit,
    .create = dm_thin_create,
    .clone = dm_thin_clone,
    .remove = dm_thin_remove,
    .locate = dm_thin_locate,
    .open_root = dm_thin_open_root,
    .open_read = dm_thin_open_read,
    .confirm = dm_thin_confirm,
    .sync = dm_thin_sync,
    .rest = dm_thin_rest,
    .usage = dm_thin_usage,
    .each = dm_thin_each,
    .status = dm_thin_status,
    .grow = dm_thin_grow,
    .check = dm_thin_check,
    .check_idle = thin_pool_check_idle,
};
