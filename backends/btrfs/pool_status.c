/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/image.h"
#include "backends/btrfs/pool.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Space for KIND (BTRFS_BLOCK_GROUP_DATA or _METADATA) as btrfs has laid it out so far: more may
 * become that later. */
static int pool_space(const struct pool *pool, uint64_t kind, uint64_t *size, uint64_t *used)
{
    struct btrfs_ioctl_space_args count = {0};

    *size = *used = 0;
    if (ioctl(pool->directory, BTRFS_IOC_SPACE_INFO, &count) < 0)
        return -errno;
    scoped_free struct btrfs_ioctl_space_args *list =
        calloc(1, sizeof(*list) + count.total_spaces * sizeof(*list->spaces));
    if (!list)
        return -ENOMEM;
    list->space_slots = count.total_spaces;
    if (ioctl(pool->directory, BTRFS_IOC_SPACE_INFO, list) < 0)
        return -errno;
    for (uint64_t i = 0; i < list->total_spaces && i < list->space_slots; i++) {
        /* data and metadata may share ("mixed"); the global reserve is a part of the metadata */
        if (!(list->spaces[i].flags & kind) || list->spaces[i].flags & BTRFS_SPACE_INFO_GLOBAL_RSV)
            continue;
        *size += list->spaces[i].total_bytes;
        *used += list->spaces[i].used_bytes;
    }
    return 0;
}

/* What is kept back before the pool counts as low: as the other backend keeps it. */
#define LOW_SHARE 32
#define LOW_MOST (UINT64_C(1) << 30)
/* What data must have left for a full pool to be one of metadata. */
#define LACKS_METADATA (UINT64_C(1) << 20)

static void pool_judge(const struct pool *pool, struct pool_status *status)
{
    status->reserve = status->size / LOW_SHARE < LOW_MOST ? status->size / LOW_SHARE : LOW_MOST;
    if (!status->writable) {
        status->state = POOL_STATE_READ_ONLY;
        refuse(&status->advice, CONDITION_UNAVAILABLE,
               "the pool %s serves reads only: the kernel's log says since when and why; `cowsnap "
               "pool check` examines it",
               pool->path);
    } else if (status->available <= status->reserve) {
        status->state = POOL_STATE_LOW;
        refuse(&status->advice, CONDITION_EXHAUSTED,
               "the pool %s has only %s left: remove images or containers, or make it larger "
               "(`cowsnap pool grow`)",
               pool->path, size_text(status->available));
    }
}

/* Where the bytes lie. */
static void pool_place(const struct pool *pool, struct pool_status *status)
{
    const char *slash = strrchr(pool->path, '/');

    if (pool->origin == POOL_EMBEDDED)
        snprintf(status->data_on, sizeof(status->data_on), "%.*s/" IMAGE_NAME,
                 slash ? (int)(slash - pool->path) : 0, pool->path);
    else
        snprintf(status->data_on, sizeof(status->data_on), "%s", pool->device);
}

static void pool_describe(const struct pool *pool, struct pool_status *status)
{
    const char *device = pool->device[0] ? pool->device : "several devices";
    const char *size = size_text(status->size);
    struct statvfs disk;
    struct stat image;

    switch (pool->origin) {
    case POOL_GIVEN:
        snprintf(status->description, sizeof(status->description),
                 "folder %.300s on the operator's btrfs (%.60s, %s)", pool->path, device, size);
        return;
    case POOL_ROOT:
        snprintf(status->description, sizeof(status->description),
                 "folder %.300s on btrfs (%.60s, %s)", pool->path, device, size);
        return;
    case POOL_EMBEDDED:
        break;
    }
    if (fstatat(pool->root, IMAGE_NAME, &image, 0) < 0 || fstatvfs(pool->root, &disk) < 0) {
        snprintf(status->description, sizeof(status->description),
                 "embedded pool of %s at %.300s, whose file " IMAGE_NAME " is gone", size,
                 pool->path);
        return;
    }
    uint64_t allocated = (uint64_t)image.st_blocks * 512;
    uint64_t disk_left = (uint64_t)disk.f_bavail * disk.f_frsize;
    snprintf(status->description, sizeof(status->description),
             "embedded pool at %.300s: " IMAGE_NAME
             " of %s, sparse, %s of it on disk, where %s are "
             "free (%.40s)",
             pool->path, size, size_text(allocated), size_text(disk_left), device);

    /* A sparse file promises what the disk below may not have. */
    uint64_t spare = allocated > status->used ? allocated - status->used : 0;
    status->backing = allocated + disk_left;
    if (status->available > disk_left + spare)
        status->available = disk_left + spare;
}

int pool_status(const struct pool *pool, struct pool_status *status, struct reason *why)
{
    struct statvfs fs;

    *status = (struct pool_status){.embedded = pool->origin == POOL_EMBEDDED,
                                   .kind = pool->origin == POOL_EMBEDDED ? "embedded" : "folder"};
    if (fstatvfs(pool->directory, &fs) < 0)
        return failure(why, errno, "size of the pool %s", pool->path);
    memcpy(status->path, pool->path, strlen(pool->path) + 1);
    status->size = (uint64_t)fs.f_blocks * fs.f_frsize;
    status->used = status->size - (uint64_t)fs.f_bfree * fs.f_frsize;
    status->available = (uint64_t)fs.f_bavail * fs.f_frsize;
    status->block = fs.f_bsize;
    status->writable = !(fs.f_flag & ST_RDONLY);

    int error = pool_space(pool, BTRFS_BLOCK_GROUP_METADATA, &status->metadata_size,
                           &status->metadata_used);
    if (error < 0)
        return failure(why, -error, "metadata of the pool %s", pool->path);
    pool_describe(pool, status);
    pool_place(pool, status);
    pool_judge(pool, status);
    return 0;
}

/* Whether it is metadata that there is no room for, while data have some: *LEFT bytes. */
static bool pool_lacks_metadata(const struct pool *pool, const struct pool_status *status,
                                uint64_t *left)
{
    uint64_t size, used;

    if (status->available > 0 || pool_space(pool, BTRFS_BLOCK_GROUP_DATA, &size, &used) != 0)
        return false;
    *left = size - used;
    return *left >= LACKS_METADATA;
}

static int pool_full(const struct pool *pool, const char *what, int error, struct reason *why)
{
    scoped_free struct pool_status *status = malloc(sizeof(*status));
    uint64_t data;

    if (error == EDQUOT)
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: a quota of the pool %s is used up: raise it, or remove images or "
                      "containers",
                      what, pool->path);
    if (!status || pool_status(pool, status, NULL) != 0)
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: the pool %s is full: remove images or containers, or make it larger",
                      what, pool->path);
    if (pool_lacks_metadata(pool, status, &data))
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: the pool %s is full: nothing is left for metadata (names, small files, "
                      "snapshots), of which there are %s, though %s are for data: remove images or "
                      "containers (`cowsnap status` shows what is used), or make it larger "
                      "(`cowsnap pool grow`)",
                      what, pool->path, size_text(status->metadata_used), size_text(data));
    return refuse(why, CONDITION_EXHAUSTED,
                  "%s: the pool %s is full: %s of %s used, %s left for data, metadata %.0f %% "
                  "used: remove images or containers (`cowsnap status` shows what is used), or "
                  "make it larger (`cowsnap pool grow`)",
                  what, pool->path, size_text(status->used), size_text(status->size),
                  size_text(status->available),
                  status->metadata_size
                      ? 100.0 * (double)status->metadata_used / (double)status->metadata_size
                      : 0.0);
}

int pool_failure(const struct pool *pool, struct reason *why, int error, const char *format, ...)
{
    char what[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);

    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return pool_full(pool, what, error, why);
    case EROFS:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "%s: the pool %s serves reads only: the kernel's log says since when and why",
                      what, pool->path);
    case EBUSY:
        return refuse(why, CONDITION_UNAVAILABLE, "%s: busy, try again", what);
    default:
        return failure(why, error, "%s", what);
    }
}
