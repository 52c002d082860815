/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/dm-thin/thin_pool.h"
#include "backends/size_text.h"
#include "base/bytes.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What is kept back of a pool: no new volume is begun on the last of it, so that those there are
 * can still be written, and removed. */
#define RESERVE_SHARE 32 /* of the data; at most RESERVE_MOST */
#define RESERVE_MOST (UINT64_C(1) << 30)
#define METADATA_RESERVE_SHARE 16

int thin_pool_look(const struct thin_pool *pool, struct line_pool_status *status,
                   struct reason *why)
{
    char line[DEVICE_LINE];
    int error = device_status(pool->name, false, line, NULL, NULL);

    if (error == -ENXIO)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the thin pool %s is not active any more: restart cowsnapd", pool->name);
    if (error != 0)
        return failure(why, -error, "status of the thin pool %s", pool->name);
    if (!line_parse_pool_status(line, status))
        return failure(why, EPROTO, "the kernel's status of the thin pool %s reads %s", pool->name,
                       quoted(bytes_of(line)));
    return 0;
}

static uint64_t thin_pool_reserve(const struct thin_pool *pool,
                                  const struct line_pool_status *status)
{
    uint64_t most = RESERVE_MOST / SECTOR / pool->block_sectors;
    uint64_t reserve = status->data_total / RESERVE_SHARE;

    return reserve < most ? reserve : most;
}

static int thin_pool_full(const struct thin_pool *pool, const struct line_pool_status *status,
                          const char *what, struct reason *why)
{
    uint64_t block = pool->block_sectors * SECTOR;
    char used[SIZE_TEXT], size[SIZE_TEXT];

    return refuse(
        why, CONDITION_EXHAUSTED,
        "the thin pool %s is out of %s: data %s of %s used, metadata %.0f %% used: remove "
        "images or containers (`cowsnap status` shows what is used), or make it larger "
        "(`cowsnap pool grow`)",
        pool->name, what, size_text(status->data_used * block, used),
        size_text(status->data_total * block, size),
        status->metadata_total
            ? 100.0 * (double)status->metadata_used / (double)status->metadata_total
            : 0.0);
}

static bool metadata_is_low(const struct line_pool_status *status)
{
    return status->metadata_total - status->metadata_used <
           status->metadata_total / METADATA_RESERVE_SHARE;
}

static int thin_pool_judge(const struct thin_pool *pool, const struct line_pool_status *status,
                           struct reason *why)
{
    if (status->mode == LINE_FAILED)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the thin pool %s has failed and serves nothing: see the kernel's log, then "
                      "deactivate it and run `cowsnap pool check`",
                      pool->name);
    if (status->needs_check)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the thin pool %s serves reads only until its metadata has been checked: "
                      "deactivate it and run `cowsnap pool check`, which says what to do",
                      pool->name);
    if (status->mode == LINE_OUT_OF_METADATA || metadata_is_low(status))
        return thin_pool_full(pool, status, "room for metadata", why);
    if (status->mode == LINE_READ_ONLY)
        return refuse(
            why, CONDITION_UNAVAILABLE,
            "the thin pool %s serves reads only: the kernel's log says since when and why",
            pool->name);
    if (status->mode == LINE_OUT_OF_DATA ||
        status->data_total - status->data_used <= thin_pool_reserve(pool, status))
        return thin_pool_full(pool, status, "room for data", why);
    return 0;
}

int thin_pool_ready(struct thin_pool *pool, struct reason *why)
{
    struct line_pool_status status;
    int result = thin_pool_look(pool, &status, why);

    if (result == 0 && status.mode <= LINE_OUT_OF_METADATA && metadata_is_low(&status) &&
        grow_metadata(pool))
        result = thin_pool_look(pool, &status, why);
    return result ? result : thin_pool_judge(pool, &status, why);
}

static const char *thin_pool_kind(enum thin_origin origin)
{
    return origin == THIN_EMBEDDED ? "embedded" : origin == THIN_DEVICES ? "devices" : "pool";
}

static void thin_pool_place(const struct thin_pool *pool, struct pool_status *status)
{
    bool files = pool->origin == THIN_EMBEDDED;

    snprintf(status->data_on, sizeof(status->data_on), "%s%s%s", files ? pool->label.root : "",
             files ? "/" : "", files ? POOL_FILES_DATA : pool->data);
    snprintf(status->metadata_on, sizeof(status->metadata_on), "%s%s%s",
             files ? pool->label.root : "", files ? "/" : "",
             files ? POOL_FILES_METADATA : pool->metadata);
    status->metadata_limit = POOL_METADATA_MOST;
}

static enum pool_state thin_pool_state(const struct line_pool_status *look, int judged)
{
    if (look->mode == LINE_FAILED)
        return POOL_STATE_FAILED;
    if (look->needs_check)
        return POOL_STATE_NEEDS_CHECK;
    if (judged == CONDITION_UNAVAILABLE)
        return POOL_STATE_READ_ONLY;
    return judged == 0 ? POOL_STATE_OK : POOL_STATE_LOW;
}

static void thin_pool_describe(const struct thin_pool *pool, struct pool_status *status)
{
    char size[SIZE_TEXT], held[SIZE_TEXT], left[SIZE_TEXT];
    struct statvfs disk;
    struct stat file;

    size_text(status->size, size);
    switch (pool->origin) {
    case THIN_GIVEN:
        snprintf(status->description, sizeof(status->description),
                 "the operator's thin pool %s (%s, %s volumes)", pool->name, size,
                 pool->label.file_system);
        return;
    case THIN_DEVICES:
        snprintf(status->description, sizeof(status->description),
                 "thin pool %s on %s, metadata on %s (%s, %s volumes)", pool->name, pool->data,
                 pool->metadata, size, pool->label.file_system);
        return;
    case THIN_EMBEDDED:
        break;
    }
    if (fstatat(pool->root, POOL_FILES_DATA, &file, 0) < 0 || fstatvfs(pool->root, &disk) < 0) {
        snprintf(status->description, sizeof(status->description),
                 "embedded thin pool %s of %s, whose file " POOL_FILES_DATA " is gone", pool->name,
                 size);
        return;
    }
    uint64_t allocated = (uint64_t)file.st_blocks * 512;
    uint64_t disk_left = (uint64_t)disk.f_bavail * disk.f_frsize;
    snprintf(status->description, sizeof(status->description),
             "embedded thin pool %s: " POOL_FILES_DATA
             " of %s, sparse, %s of it on disk, where %s are free (%s, %s volumes)",
             pool->name, size, size_text(allocated, held), size_text(disk_left, left), pool->data,
             pool->label.file_system);

    /* A sparse file promises what the disk below may not have. */
    uint64_t spare = allocated > status->used ? allocated - status->used : 0;
    status->backing = allocated + disk_left;
    if (status->available > disk_left + spare)
        status->available = disk_left + spare;
}

int thin_pool_status(const struct thin_pool *pool, struct pool_status *status, struct reason *why)
{
    struct line_pool_status look;
    uint64_t block = pool->block_sectors * SECTOR;
    char path[DEVICE_PATH];
    int result = thin_pool_look(pool, &look, why);

    *status = (struct pool_status){.embedded = pool->origin == THIN_EMBEDDED,
                                   .kind = thin_pool_kind(pool->origin)};
    if (result != 0)
        return result;
    snprintf(status->path, sizeof(status->path), "%s", device_path(pool->name, path));
    status->size = look.data_total * block;
    status->used = look.data_used * block;
    status->available = status->size - status->used;
    status->reserve = thin_pool_reserve(pool, &look) * block;
    status->metadata_size = look.metadata_total * METADATA_BLOCK;
    status->metadata_used = look.metadata_used * METADATA_BLOCK;
    status->writable = look.mode <= LINE_OUT_OF_DATA && !look.needs_check;
    status->state = thin_pool_state(&look, thin_pool_judge(pool, &look, &status->advice));
    thin_pool_describe(pool, status);
    thin_pool_place(pool, status);
    return 0;
}

int thin_pool_failure(const struct thin_pool *pool, struct reason *why, int error,
                      const char *format, ...)
{
    char what[256];
    va_list arguments;
    struct line_pool_status status;
    int result;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);

    if (error == EBUSY)
        return refuse(why, CONDITION_UNAVAILABLE, "%s: busy, try again", what);
    /* a pool that cannot go on answers with several of these */
    if ((error == ENOSPC || error == EIO || error == EROFS || error == EOPNOTSUPP ||
         error == EINVAL || error == ENXIO) &&
        thin_pool_look(pool, &status, NULL) == 0) {
        result = thin_pool_judge(pool, &status, why);
        if (result == 0 && error == ENOSPC)
            result = thin_pool_full(pool, &status, "room", why);
        if (result != 0)
            return amend(why, result, "%s", what);
    }
    return failure(why, error, "%s", what);
}
