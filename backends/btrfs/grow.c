/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/image.h"
#include "backends/btrfs/pool.h"
#include "backends/embedded.h"
#include "backends/loop.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/*
 * An embedded pool becomes larger while it is in use: pool.img is made longer, which takes no space
 * yet, then its loop device, then the file system. Each step is taken again whatever there is, so
 * that what a crash or a refusal left half done is made up for by the same command.
 */

/* To what btrfs resizes a device at least (linux: btrfs_ioctl_resize(), fs/btrfs/ioctl.c). */
#define RESIZE_LEAST (UINT64_C(256) << 20)

static int grow_is_not_ours(const struct pool *pool, struct reason *why)
{
    return refuse(why, CONDITION_PRECONDITION,
                  "the pool %s is a folder on a btrfs of yours, which you make larger: when %s has "
                  "grown, run `btrfs filesystem resize max %s`; or give it another device by "
                  "`btrfs device add DEVICE %s`",
                  pool->path, pool->device[0] ? pool->device : "one of its devices", pool->path,
                  pool->path);
}

/* The file system over all of its device. */
static int grow_file_system(const struct pool *pool, struct reason *why)
{
    struct btrfs_ioctl_vol_args arguments = {.name = "max"};
    int result = ioctl(pool->directory, BTRFS_IOC_RESIZE, &arguments);

    if (result < 0)
        return pool_failure(pool, why, errno, "resize the btrfs at %s", pool->path);
    if (result > 0) /* BTRFS_ERROR_DEV_EXCL_RUN_IN_PROGRESS */
        return refuse(why, CONDITION_UNAVAILABLE,
                      "a balance, or another change of its devices, runs in the pool %s: when that "
                      "is over, run this again",
                      pool->path);
    return 0;
}

static int grow_device(const struct pool *pool, struct reason *why)
{
    scoped_fd int loop = open(pool->device, O_RDWR | O_CLOEXEC);
    int error = loop < 0 ? -errno : loop_resize(loop);

    return error < 0 ? failure(why, -error, "make the loop device %s larger", pool->device) : 0;
}

/* How large the file system is on the image, which may be longer by a growth that was cut short,
 * and is not to become so by that twice. */
static int grow_now(const struct pool *pool, uint64_t *now, struct reason *why)
{
    struct btrfs_ioctl_dev_info_args device = {.devid = pool->device_id};

    *now = 0;
    if (ioctl(pool->directory, BTRFS_IOC_DEV_INFO, &device) < 0)
        return pool_failure(pool, why, errno, "look at the device of the btrfs at %s", pool->path);
    *now = device.total_bytes;
    return 0;
}

static int grow_image(const struct pool *pool, const struct pool_growth *growth, struct reason *why)
{
    char what[128];
    uint64_t now, size;
    int result = grow_now(pool, &now, why);

    if (result != 0)
        return result;
    snprintf(what, sizeof(what), "the pool %.100s", pool->path);
    result = embedded_target(growth, now, what, &size, why);
    if (result != 0)
        return result;
    if (size < RESIZE_LEAST)
        return refuse(why, CONDITION_INVALID, "%s can grow to 256 MiB or more, not to less", what);

    int grown = embedded_lengthen(pool->root, IMAGE_NAME, size);
    if (grown == -EFBIG)
        return refuse(why, CONDITION_INVALID,
                      "%s cannot grow to %s: no file can be so large on the disk below", what,
                      size_text(size));
    if (grown < 0)
        return disk_failure(why, -grown, pool->path, "make " IMAGE_NAME " of the pool %s larger",
                            pool->path);
    result = grow_device(pool, why);
    if (result == 0)
        result = grow_file_system(pool, why);
    if (result == 0 && grown)
        log_info("%s has grown to %s", what, size_text(size));
    return result;
}

int pool_grow(struct pool *pool, const struct pool_growth *growth, struct reason *why)
{
    int result;

    if (growth->metadata)
        return refuse(why, CONDITION_INVALID,
                      "btrfs takes data and metadata from the same room: leave --metadata out");
    if (pool->origin != POOL_EMBEDDED)
        return grow_is_not_ours(pool, why);
    pthread_mutex_lock(&pool->growth);
    result = grow_image(pool, growth, why);
    pthread_mutex_unlock(&pool->growth);
    return result;
}
