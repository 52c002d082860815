/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/image.h"
#include "backends/btrfs/pool.h"
#include "backends/btrfs/tree.h"
#include "backends/tool.h"
#include "backends/verdict.h"
#include "base/bytes.h"
#include "base/scoped.h"
#include "base/size.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

/*
 * What is examined, and why that:
 *
 *   mounted, embedded     a scrub that changes nothing: the kernel reads all data and metadata and
 *                         compares every checksum, while the pool is in use. `btrfs check` may not
 *                         look at a mounted file system: it would see one that changes.
 *   mounted, a folder     the counters of errors that the kernel keeps with each device. A scrub
 *                         would read the whole file system, the operator's own files as well: that
 *                         is for him to start.
 *   not mounted           `btrfs check --readonly`: the structure, of which the kernel sees only
 *                         what it needs; and no data.
 *
 * A scrub goes one extent of the device at a time (a gigabyte at most), so that it can be given up.
 */

/* ---- the counters of errors ---- */

static int check_count(const struct pool *pool, uint64_t *errors, struct reason *why)
{
    struct btrfs_ioctl_fs_info_args fs = {0};

    *errors = 0;
    if (ioctl(pool->directory, BTRFS_IOC_FS_INFO, &fs) < 0)
        return failure(why, errno, "look for the devices of the pool %s", pool->path);
    for (uint64_t id = 1; id <= fs.max_id; id++) {
        struct btrfs_ioctl_get_dev_stats stats = {.devid = id,
                                                  .nr_items = BTRFS_DEV_STAT_VALUES_MAX};

        if (ioctl(pool->directory, BTRFS_IOC_GET_DEV_STATS, &stats) < 0) {
            if (errno == ENODEV) /* numbers of devices that were removed stay unused */
                continue;
            return failure(why, errno, "read the counters of errors of the pool %s", pool->path);
        }
        for (unsigned i = 0; i < stats.nr_items && i < BTRFS_DEV_STAT_VALUES_MAX; i++)
            *errors += stats.values[i];
    }
    return 0;
}

/* ---- a scrub ---- */

struct scrub {
    uint64_t bytes;  /* read */
    uint64_t wrong;  /* blocks that are not what was written */
    uint64_t unread; /* blocks that could not be read */
    bool metadata;   /* among either is metadata */
    bool missing;    /* a device is not there */
};

/* What of the file system's chunks lies in the chunk at the address OFFSET. */
static uint64_t chunk_type(const struct pool *pool, uint64_t offset)
{
    const struct tree_key key = {BTRFS_FIRST_CHUNK_TREE_OBJECTID, BTRFS_CHUNK_ITEM_KEY, offset};
    struct tree_key found;
    struct btrfs_chunk chunk;

    if (tree_find_first(pool->directory, BTRFS_CHUNK_TREE_OBJECTID, key, key, &found, &chunk,
                        sizeof(chunk)) != 1)
        return 0;
    return le64toh(chunk.type);
}

static int scrub_extent(const struct pool *pool, uint64_t device, uint64_t start,
                        const struct btrfs_dev_extent *extent, struct scrub *scrub,
                        struct reason *why)
{
    struct btrfs_ioctl_scrub_args arguments = {.devid = device,
                                               .start = start,
                                               .end = start + le64toh(extent->length),
                                               .flags = BTRFS_SCRUB_READONLY};
    const struct btrfs_scrub_progress *progress = &arguments.progress;

    if (ioctl(pool->directory, BTRFS_IOC_SCRUB, &arguments) < 0) {
        if (errno == ENODEV) { /* mounted degraded, by the operator */
            scrub->missing = true;
            return 0;
        }
        if (errno == EINPROGRESS)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "a scrub of the pool %s runs already: `btrfs scrub status %s` shows it",
                          pool->path, pool->path);
        return failure(why, errno, "scrub the pool %s", pool->path);
    }
    uint64_t wrong = progress->csum_errors + progress->verify_errors + progress->super_errors;
    scrub->bytes += progress->data_bytes_scrubbed + progress->tree_bytes_scrubbed;
    scrub->wrong += wrong;
    scrub->unread += progress->read_errors;
    if (wrong + progress->read_errors > 0 &&
        !(chunk_type(pool, le64toh(extent->chunk_offset)) & BTRFS_BLOCK_GROUP_DATA))
        scrub->metadata = true;
    return 0;
}

/* All that lies on the pool's devices: one, unless the operator has added some. */
static int scrub_pool(const struct pool *pool, const atomic_bool *cancel, struct scrub *scrub,
                      struct reason *why)
{
    const struct tree_key first = {.objectid = 1, .type = BTRFS_DEV_EXTENT_KEY};
    const struct tree_key last = {
        .objectid = UINT64_MAX, .type = BTRFS_DEV_EXTENT_KEY, .offset = UINT64_MAX};
    scoped(tree_close) struct tree_cursor cursor;
    struct tree_item item;
    int found,
        result = 0,
        error = tree_open(&cursor, pool->directory, BTRFS_DEV_TREE_OBJECTID, first, last, 0, 0);

    if (error < 0)
        return failure(why, -error, "scrub the pool %s", pool->path);
    while (result == 0 && (found = tree_next(&cursor, &item)) == 1) {
        struct btrfs_dev_extent extent;

        if (item.key.type != BTRFS_DEV_EXTENT_KEY || item.length < sizeof(extent))
            continue;
        if (cancel && atomic_load(cancel))
            return refuse(why, CONDITION_CANCELLED, "nobody waits for the check any more");
        memcpy(&extent, item.data, sizeof(extent));
        result = scrub_extent(pool, item.key.objectid, item.key.offset, &extent, scrub, why);
    }
    if (result == 0 && found < 0)
        return failure(why, -found, "scrub the pool %s", pool->path);
    if (result == 0 && scrub->bytes == 0)
        return failure(why, ENODATA, "scrub the pool %s: nothing of it was read", pool->path);
    return result;
}

/* ---- mounted ---- */

static int judge_scrub(const struct pool *pool, const struct scrub *scrub, uint64_t errors,
                       struct pool_verdict *verdict)
{
    const char *read = size_text(scrub->bytes);
    char past[200] = "";

    if (errors > 0)
        snprintf(past, sizeof(past),
                 " Its counters tell of %" PRIu64
                 " errors in the past; `btrfs device stats --reset` forgets them.",
                 errors);
    if (scrub->wrong + scrub->unread == 0 && scrub->missing)
        return verdict_give(verdict, false,
                            "a device of the pool %s is missing: `btrfs filesystem show %s` names "
                            "it. A scrub of the others read %s, and every checksum is right.",
                            pool->path, pool->path, read);
    if (scrub->wrong + scrub->unread == 0)
        return verdict_give(
            verdict, true,
            "a scrub of the pool %s read %s of data and metadata, and every checksum is right.%s",
            pool->path, read, past);
    if (scrub->metadata)
        return verdict_give(
            verdict, false,
            "a scrub of the pool %s found damaged metadata (%" PRIu64 " wrong, %" PRIu64
            " unreadable, of %s): stop the containers and cowsnapd, unmount it, and run `cowsnap "
            "pool check` again; images can be pulled again into a new pool.",
            pool->path, scrub->wrong, scrub->unread, read);
    return verdict_give(
        verdict, false,
        "a scrub of the pool %s found damaged data (%" PRIu64 " blocks wrong, %" PRIu64
        " unreadable, of %s): `dmesg | grep BTRFS` names the files; remove those containers "
        "and images (volume N is the snapshot #N of `cowsnap ls`) and pull them again.",
        pool->path, scrub->wrong, scrub->unread, read);
}

static int judge_counters(const struct pool *pool, uint64_t errors, struct pool_verdict *verdict)
{
    if (errors == 0)
        return verdict_give(
            verdict, true,
            "the kernel has counted no error on the devices of the pool %s. `btrfs scrub start "
            "-B %s` reads the whole file system, which is yours, and compares every checksum.",
            pool->path, pool->path);
    return verdict_give(
        verdict, false,
        "the kernel has counted %" PRIu64 " errors on the devices of the pool %s: `btrfs "
        "device stats %s` shows which; run `btrfs scrub start -B %s`, and when that finds "
        "nothing, `btrfs device stats --reset %s`.",
        errors, pool->path, pool->path, pool->path, pool->path);
}

/* False, with a finding, when the kernel has stopped writing to the pool. */
static bool check_is_written(const struct pool *pool, struct pool_verdict *verdict)
{
    struct statvfs fs;

    if (fstatvfs(pool->directory, &fs) == 0 && !(fs.f_flag & ST_RDONLY))
        return true;
    verdict_give(
        verdict, false,
        "the pool %s serves reads only: `dmesg | grep BTRFS` says since when and why. Stop the "
        "containers and cowsnapd, unmount it, and examine it by `btrfs check --readonly %s`.",
        pool->path, pool->origin == POOL_EMBEDDED ? IMAGE_NAME : pool->device);
    return false;
}

int pool_check(struct pool *pool, const atomic_bool *cancel, struct pool_verdict *verdict,
               struct reason *why)
{
    struct scrub scrub = {0};
    uint64_t errors;
    int result;

    if (!check_is_written(pool, verdict))
        return 0;
    if (pthread_mutex_trylock(&pool->checks) != 0)
        return refuse(why, CONDITION_UNAVAILABLE, "a check of the pool %s runs already",
                      pool->path);
    result = check_count(pool, &errors, why);
    if (result == 0 && pool->origin == POOL_EMBEDDED)
        result = scrub_pool(pool, cancel, &scrub, why);
    pthread_mutex_unlock(&pool->checks);
    if (result != 0)
        return result;
    return pool->origin == POOL_EMBEDDED ? judge_scrub(pool, &scrub, errors, verdict)
                                         : judge_counters(pool, errors, verdict);
}

/* ---- not mounted ---- */

static char *const check_arguments[] = {"btrfs", "check", "--readonly", "--", TOOL_FILE, NULL};

static int check_image(const struct backend_options *options, const atomic_bool *cancel,
                       struct pool_verdict *verdict, struct reason *why)
{
    scoped_fd int image = openat(options->root, IMAGE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct tool_end end;
    int result;

    if (image < 0)
        return failure(why, errno, "open %s/" IMAGE_NAME, options->root_path);
    result = tool_ask(check_arguments, image, "install btrfs-progs", cancel, &end, why);
    if (result != 0)
        return result;
    if (end.status < 0)
        return refuse(why, CONDITION_UNAVAILABLE, "btrfs check was ended by signal %d",
                      -end.status);
    if (end.status == 0)
        return verdict_give(
            verdict, true,
            "`btrfs check --readonly` finds nothing wrong with the structure of %s/" IMAGE_NAME
            ". Its data were not read: run this again while cowsnapd runs.",
            options->root_path);
    return verdict_give(
        verdict, false,
        "`btrfs check --readonly %s/" IMAGE_NAME "` finds damage; run it to see all of it "
        "(last words: %s). Images can be pulled again: move the file and the folder meta beside it "
        "away, start cowsnapd, which makes an empty pool, have containerd remove all images of "
        "this snapshotter, and pull them.",
        options->root_path, end.words);
}

int pool_check_idle(const struct backend_options *options, const atomic_bool *cancel,
                    struct pool_verdict *verdict, struct reason *why)
{
    bool image = !options->pool_path && pool_has_image(options->root);

    if (image && !pool_has_mount(options->root))
        return check_image(options, cancel, verdict, why);
    return refuse(why, CONDITION_PRECONDITION,
                  "the pool of %s is no unmounted " IMAGE_NAME ": it is examined while it is "
                  "mounted",
                  options->root_path);
}
