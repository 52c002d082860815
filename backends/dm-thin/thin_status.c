/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/dm-thin/survey.h"
#include "backends/dm-thin/thin_pool.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/size.h"

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

/* Where the kernel raises its event of metadata that get low (calc_metadata_threshold() of
 * drivers/md/dm-thin.c): a quarter left, or so many blocks. */
#define METADATA_EVENT_SHARE 4
#define METADATA_EVENT_MOST 1024

int thin_pool_look(const struct thin_pool *pool, struct line_pool_status *status,
                   struct reason *why)
{
    return survey_status(pool->name, status, why);
}

static uint64_t thin_pool_reserve(uint64_t blocks, uint64_t block_sectors)
{
    uint64_t most = RESERVE_MOST / SECTOR / block_sectors;
    uint64_t reserve = blocks / RESERVE_SHARE;

    return reserve < most ? reserve : most;
}

uint64_t thin_pool_low_water(uint64_t blocks, uint64_t block_sectors)
{
    return 2 * thin_pool_reserve(blocks, block_sectors);
}

/* The files of an embedded pool, as the disk below has them. */
struct files {
    uint64_t allocated; /* bytes of the data */
    uint64_t disk_left;
};

static bool files_look(const struct thin_pool *pool, struct files *files)
{
    struct statvfs disk;
    struct stat file;

    if (fstatat(pool->root, POOL_FILES_DATA, &file, 0) < 0 || fstatvfs(pool->root, &disk) < 0)
        return false;
    files->allocated = (uint64_t)file.st_blocks * 512;
    files->disk_left = (uint64_t)disk.f_bavail * disk.f_frsize;
    return true;
}

/* What the file has and the pool does not use any more counts, too. */
static uint64_t files_room(const struct files *files, uint64_t used)
{
    return files->disk_left + (files->allocated > used ? files->allocated - used : 0);
}

uint64_t thin_pool_below(const struct thin_pool *pool, const struct line_pool_status *status)
{
    struct files files;

    return pool->origin == THIN_EMBEDDED && files_look(pool, &files)
               ? files_room(&files, status->data_used * pool->block_sectors * SECTOR)
               : UINT64_MAX;
}

/* A sparse file promises what the disk below may not have. */
static int thin_pool_sunk(const struct thin_pool *pool, uint64_t below, struct reason *why)
{
    return refuse(why, CONDITION_EXHAUSTED,
                  "the disk that the files of the thin pool %s lie on has room for %s more, less "
                  "than the pool promises: free some there, or remove images or containers",
                  pool->name, size_text(below));
}

/* IS: "is out of room for data" or the like. */
static int thin_pool_full(const struct thin_pool *pool, const struct line_pool_status *status,
                          const char *is, struct reason *why)
{
    uint64_t block = pool->block_sectors * SECTOR;

    return refuse(
        why, CONDITION_EXHAUSTED,
        "the thin pool %s %s: data %s of %s used, metadata %.0f %% used: remove images or "
        "containers (`cowsnap status` shows what is used), or make it larger (`cowsnap pool "
        "grow`)",
        pool->name, is, size_text(status->data_used * block), size_text(status->data_total * block),
        status->metadata_total
            ? 100.0 * (double)status->metadata_used / (double)status->metadata_total
            : 0.0);
}

static bool metadata_is_low(const struct line_pool_status *status)
{
    return status->metadata_total - status->metadata_used <
           status->metadata_total / METADATA_RESERVE_SHARE;
}

bool thin_pool_metadata_scarce(const struct line_pool_status *status)
{
    uint64_t least = status->metadata_total / METADATA_EVENT_SHARE;
    uint64_t soon = 2 * (status->metadata_total / METADATA_RESERVE_SHARE);

    if (least > METADATA_EVENT_MOST)
        least = METADATA_EVENT_MOST;
    return status->metadata_total - status->metadata_used < (least > soon ? least : soon);
}

/* Where the metadata of a pool lie that is not active, only who made it knows. */
static const char *examined_by(const struct thin_pool *pool)
{
    return pool->origin == THIN_GIVEN ? "run `thin_check` on its metadata device"
                                      : "run `cowsnap pool check`, which says what to do";
}

enum thin_level thin_pool_level(const struct thin_pool *pool, const struct line_pool_status *status,
                                uint64_t below, struct reason *why)
{
    uint64_t left = status->data_total - status->data_used;
    uint64_t reserve = thin_pool_reserve(status->data_total, pool->block_sectors);
    uint64_t low = thin_pool_low_water(status->data_total, pool->block_sectors);
    uint64_t below_blocks = below / SECTOR / pool->block_sectors;

    if (status->mode == LINE_FAILED) {
        refuse(why, CONDITION_UNAVAILABLE,
               "the thin pool %s has failed and serves nothing: see the kernel's log (`dmesg`) and "
               "mend what it lies on; then stop the containers and cowsnapd, deactivate it "
               "(`dmsetup remove` its volumes, then the pool) and %s",
               pool->name, examined_by(pool));
        return THIN_FAILED;
    }
    if (status->needs_check) {
        refuse(why, CONDITION_UNAVAILABLE,
               "the thin pool %s serves reads only until its metadata have been checked: see the "
               "kernel's log (`dmesg`) and mend what it lies on; then stop the containers and "
               "cowsnapd, deactivate it (`dmsetup remove` its volumes, then the pool) and %s",
               pool->name, examined_by(pool));
        return THIN_NEEDS_CHECK;
    }
    if (status->mode == LINE_OUT_OF_METADATA || metadata_is_low(status)) {
        thin_pool_full(pool, status, "is out of room for metadata", why);
        return THIN_FULL;
    }
    if (status->mode == LINE_READ_ONLY) {
        refuse(why, CONDITION_UNAVAILABLE,
               "the thin pool %s serves reads only: the kernel's log (`dmesg`) says why; mend "
               "that, then stop the containers and cowsnapd, deactivate it (`dmsetup remove` its "
               "volumes, then the pool) and start cowsnapd again",
               pool->name);
        return THIN_READ_ONLY;
    }
    if (status->mode == LINE_OUT_OF_DATA || left <= reserve) {
        thin_pool_full(pool, status, "is out of room for data", why);
        return THIN_FULL;
    }
    if (below_blocks <= reserve) {
        thin_pool_sunk(pool, below, why);
        return THIN_FULL;
    }
    if (thin_pool_metadata_scarce(status)) {
        thin_pool_full(pool, status, "is nearly out of room for metadata", why);
        return THIN_LOW;
    }
    if (left <= low) {
        thin_pool_full(pool, status, "is nearly out of room for data", why);
        return THIN_LOW;
    }
    if (below_blocks <= low) {
        thin_pool_sunk(pool, below, why);
        return THIN_LOW;
    }
    return THIN_OK;
}

/* 0 when the pool can be written, with all that this takes. */
static int thin_pool_judge(const struct thin_pool *pool, const struct line_pool_status *status,
                           struct reason *why)
{
    struct reason advice;
    enum thin_level level = thin_pool_level(pool, status, thin_pool_below(pool, status), &advice);

    if (level < THIN_FULL)
        return 0;
    return refuse(why, level == THIN_FULL ? CONDITION_EXHAUSTED : CONDITION_UNAVAILABLE, "%s",
                  advice.text);
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

static enum pool_state thin_pool_state(enum thin_level level)
{
    static const enum pool_state states[] = {
        [THIN_OK] = POOL_STATE_OK,
        [THIN_LOW] = POOL_STATE_LOW,
        [THIN_FULL] = POOL_STATE_LOW,
        [THIN_READ_ONLY] = POOL_STATE_READ_ONLY,
        [THIN_NEEDS_CHECK] = POOL_STATE_NEEDS_CHECK,
        [THIN_FAILED] = POOL_STATE_FAILED,
    };

    return states[level];
}

static void thin_pool_describe(const struct thin_pool *pool, struct pool_status *status)
{
    const char *size = size_text(status->size);
    struct files files;

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
    if (!files_look(pool, &files)) {
        snprintf(status->description, sizeof(status->description),
                 "embedded thin pool %s of %s, whose file " POOL_FILES_DATA " is gone", pool->name,
                 size);
        return;
    }
    snprintf(status->description, sizeof(status->description),
             "embedded thin pool %s: " POOL_FILES_DATA
             " of %s, sparse, %s of it on disk, where %s are free (%s, %s volumes)",
             pool->name, size, size_text(files.allocated), size_text(files.disk_left), pool->data,
             pool->label.file_system);
    status->backing = files.allocated + files.disk_left;
    if (status->available > files_room(&files, status->used))
        status->available = files_room(&files, status->used);
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
    status->reserve = thin_pool_reserve(look.data_total, pool->block_sectors) * block;
    status->block = block;
    status->metadata_size = look.metadata_total * METADATA_BLOCK;
    status->metadata_used = look.metadata_used * METADATA_BLOCK;
    status->writable = look.mode <= LINE_OUT_OF_DATA && !look.needs_check;
    status->state = thin_pool_state(
        thin_pool_level(pool, &look, thin_pool_below(pool, &look), &status->advice));
    status->times_low = atomic_load(&pool->watch.times_low);
    thin_pool_describe(pool, status);
    thin_pool_place(pool, status);
    return 0;
}

/* Whether a pool that cannot go on answers with that. The message that meets a disk which cannot be
 * written any more is answered with success, and then undone (process_create_snap_mesg() and
 * commit() of dm-thin.c): its volume is missing, or reads as zeros. */
static bool is_of_pool(int error)
{
    static const int errors[] = {ENOSPC, EIO, EROFS, EOPNOTSUPP, EINVAL, ENXIO, ENODATA, EUCLEAN};

    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
        if (errors[i] == error)
            return true;
    return false;
}

/* Errors of the data device alone leave the pool in the best of states. */
static int thin_pool_broken(const struct thin_pool *pool, struct reason *why)
{
    return refuse(why, CONDITION_UNAVAILABLE,
                  "the kernel cannot read or write what the thin pool %s lies on (data %s, "
                  "metadata %s): its log (`dmesg`) says which; mend or replace that",
                  pool->name, pool->data, pool->metadata);
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
    if (is_of_pool(error)) {
        result = thin_pool_look(pool, &status, why);
        if (result == 0)
            result = thin_pool_judge(pool, &status, why);
        if (result == 0 && error == ENOSPC)
            result = thin_pool_full(pool, &status, "is out of room", why);
        if (result == 0 && error == EIO)
            result = thin_pool_broken(pool, why);
        if (result > 0)
            return amend(why, result, "%s", what);
    }
    return failure(why, error, "%s", what);
}
