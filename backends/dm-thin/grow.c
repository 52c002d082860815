/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/grow.h"

#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/embedded.h"
#include "backends/loop.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* The size of the block device PATH in bytes; a loop device becomes as large as its file first. 0
 * or minus an errno. */
static int grow_device(const struct thin_pool *pool, const char *path, uint64_t *size)
{
    bool loop = pool->origin == THIN_EMBEDDED;
    scoped_fd int device = open(path, (loop ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    int error = device < 0 ? -errno : 0;

    if (error == 0 && loop)
        error = loop_resize(device);
    if (error == 0 && ioctl(device, BLKGETSIZE64, size) < 0)
        error = -errno;
    return error;
}

/* 1 when the pool lacks something of what its devices have, 0, or minus an errno. The kernel looks
 * at the metadata device's size by itself, whenever the pool gets a table. */
static int grow_is_due(const struct thin_pool *pool, uint64_t sectors, uint64_t data,
                       uint64_t metadata)
{
    struct line_pool_status status;

    if (metadata > POOL_METADATA_MOST)
        metadata = POOL_METADATA_MOST;
    if (thin_pool_look(pool, &status, NULL) != 0)
        return -EIO;
    return sectors < data || status.metadata_total < metadata / METADATA_BLOCK;
}

/* The table line LINE of a pool of SECTORS, in its place: with the low water that goes with them.
 */
static int grow_line(const struct thin_pool *pool, char line[DEVICE_LINE], uint64_t sectors)
{
    struct line_pool_table table;
    char data[32], metadata[32];

    if (!line_parse_pool_table(line, &table))
        return -EPROTO;
    snprintf(data, sizeof(data), "%u:%u", table.data_major, table.data_minor);
    snprintf(metadata, sizeof(metadata), "%u:%u", table.metadata_major, table.metadata_minor);
    line_pool_table(line, DEVICE_LINE, metadata, data, pool->block_sectors,
                    thin_pool_low_water(sectors / pool->block_sectors, pool->block_sectors));
    return 0;
}

/* A line that the kernel refuses when it is to come into force leaves the pool suspended, and with
 * it all that is written to any volume. */
static void grow_go_on(const struct thin_pool *pool)
{
    struct device_state state;

    if (device_look(pool->name, &state, NULL) == 0 && state.suspended &&
        device_resume(pool->name) != 0)
        log_error("the thin pool %s could not grow and cannot be resumed, so its volumes stand "
                  "still: see the kernel's log (`dmesg`), mend what it lies on and run `dmsetup "
                  "resume %s`",
                  pool->name, pool->name);
}

/* The pool, which the daemon made, as large as its devices. 1 when it has grown, 0, or minus an
 * errno. */
static int grow_table(struct thin_pool *pool)
{
    uint64_t data = 0, metadata = 0, sectors = 0;
    char line[DEVICE_LINE];
    int error = grow_device(pool, pool->data, &data);

    if (error == 0)
        error = grow_device(pool, pool->metadata, &metadata);
    if (error == 0)
        error = device_table(pool->name, line, NULL, &sectors);
    if (error != 0)
        return error;
    data = data / SECTOR / pool->block_sectors * pool->block_sectors;
    int due = grow_is_due(pool, sectors, data, metadata);
    if (due != 1)
        return due;
    error = grow_line(pool, line, data);
    if (error != 0)
        return error;
    pthread_rwlock_wrlock(&pool->still);
    error = device_reload(pool->name, "thin-pool", data, line);
    if (error != 0)
        grow_go_on(pool);
    pthread_rwlock_unlock(&pool->still);
    return error ? error : 1;
}

/* 0 when the pool takes a change of its size at all, minus an errno. */
static int grow_is_possible(const struct thin_pool *pool)
{
    struct line_pool_status status;

    if (thin_pool_look(pool, &status, NULL) != 0)
        return -EIO;
    return status.mode > LINE_OUT_OF_METADATA || status.needs_check ? -EROFS : 0;
}

/* An embedded pool, to DATA and METADATA bytes at least. Results as grow_table(); pool->growth is
 * held. */
static int grow_files(struct thin_pool *pool, uint64_t data, uint64_t metadata)
{
    int grown = grow_is_possible(pool);

    /* the metadata first: for them the disk may have no room, and data never become shorter again
     */
    if (grown >= 0)
        grown = pool_files_lengthen_metadata(pool->root, metadata);
    if (grown >= 0)
        grown = embedded_lengthen(pool->root, POOL_FILES_DATA, data);
    return grown < 0 ? grown : grow_table(pool);
}

int grow_pool(struct thin_pool *pool, uint64_t data, struct reason *why)
{
    if (pool->origin != THIN_EMBEDDED || data == 0)
        return 0;
    pthread_mutex_lock(&pool->growth);
    int grown = grow_files(pool, data, pool_files_metadata_size(data));
    pthread_mutex_unlock(&pool->growth);
    if (grown == -EROFS) {
        log_warn("the thin pool %s cannot grow to %s now: it serves reads only", pool->name,
                 size_text(data));
        return 0;
    }
    if (grown < 0)
        return failure(why, -grown, "grow the thin pool %s to %s", pool->name, size_text(data));
    if (grown)
        log_info("the thin pool %s has grown to %s", pool->name, size_text(data));
    return 0;
}

/* The size of one of the pool's files, 0 when it is gone. */
static uint64_t grow_file_size(const struct thin_pool *pool, const char *name)
{
    struct stat file;

    return fstatat(pool->root, name, &file, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)file.st_size : 0;
}

/* Results as grow_table(); 1 with *WANTED = 0 when another thread has seen to it meanwhile. */
static int grow_metadata_held(struct thin_pool *pool, uint64_t *wanted)
{
    struct line_pool_status status;

    if (thin_pool_look(pool, &status, NULL) != 0)
        return -EIO;
    if (status.mode > LINE_OUT_OF_METADATA || status.needs_check)
        return 0;
    if (!thin_pool_metadata_scarce(&status))
        return 1;
    /* of what the pool has: a file that is longer is of a growth that was cut short */
    *wanted = status.metadata_total * METADATA_BLOCK * 2;
    if (*wanted > POOL_METADATA_MOST)
        *wanted = POOL_METADATA_MOST;
    return grow_files(pool, 0, *wanted);
}

bool grow_metadata(struct thin_pool *pool)
{
    uint64_t wanted = 0;

    if (pool->origin != THIN_EMBEDDED)
        return false;
    pthread_mutex_lock(&pool->growth);
    int grown = grow_metadata_held(pool, &wanted);
    pthread_mutex_unlock(&pool->growth);
    if (grown < 0 && !atomic_exchange(&pool->growth_told, true))
        log_warn("the metadata of the thin pool %s are scarce and cannot grow (it is tried again): "
                 "%s",
                 pool->name, strerrordesc_np(-grown));
    if (grown > 0)
        atomic_store(&pool->growth_told, false);
    if (grown > 0 && wanted > 0)
        log_info("the metadata of the thin pool %s has grown to %s", pool->name, size_text(wanted));
    return grown > 0;
}

/* ---- as the operator wants it ---- */

static int grow_refuse_limit(const char *what, struct reason *why)
{
    return refuse(why, CONDITION_INVALID, "%s cannot become larger than %s: a pool uses no more",
                  what, size_text(POOL_METADATA_MOST));
}

/* Names what GROWTH is of, and looks how large that is. */
static int grow_now(const struct thin_pool *pool, const struct pool_growth *growth, char *what,
                    size_t room, uint64_t *now, struct reason *why)
{
    const char *name = growth->metadata ? POOL_FILES_METADATA : POOL_FILES_DATA;
    struct line_pool_status status;
    int result = 0;

    snprintf(what, room, "the %sthin pool %.100s", growth->metadata ? "metadata of the " : "",
             pool->name);
    *now = 0;
    /* the file may be longer, by a growth that was cut short: +SIZE is not to count twice then */
    if (pool->origin == THIN_EMBEDDED && !growth->more)
        *now = grow_file_size(pool, name);
    if (*now == 0)
        result = thin_pool_look(pool, &status, why);
    if (*now == 0 && result == 0)
        *now = growth->metadata ? status.metadata_total * METADATA_BLOCK
                                : status.data_total * pool->block_sectors * SECTOR;
    return result;
}

static int grow_wanted_files(struct thin_pool *pool, const struct pool_growth *growth,
                             const char *what, uint64_t size, struct reason *why)
{
    uint64_t metadata = growth->metadata ? size : pool_files_metadata_size(size);
    int grown = grow_files(pool, growth->metadata ? 0 : size, metadata);

    if (grown == -EFBIG)
        return refuse(why, CONDITION_INVALID,
                      "%s cannot grow to %s: no file can be so large on the disk below", what,
                      size_text(size));
    if (grown == -ENOSPC)
        return refuse(
            why, CONDITION_EXHAUSTED,
            "%s cannot grow to %s: the disk below has no room for its metadata, which are "
            "to have %s: free some there, or grow by less",
            what, size_text(size), size_text(metadata));
    if (grown < 0)
        return thin_pool_failure(pool, why, -grown, "grow %s to %s", what, size_text(size));
    if (grown > 0)
        log_info("%s has grown to %s", what, size_text(size));
    return 0;
}

/* A device must have grown first; then the pool takes all there is of it. */
static int grow_wanted_devices(struct thin_pool *pool, const struct pool_growth *growth,
                               const char *what, uint64_t size, struct reason *why)
{
    const char *path = growth->metadata ? pool->metadata : pool->data;
    uint64_t has = 0;
    int grown = grow_device(pool, path, &has);

    if (grown == 0 && has < size)
        return refuse(why, CONDITION_PRECONDITION,
                      "%s lies on %s, which is yours and has only %" PRIu64
                      " bytes: make it larger first (`lvextend -L %" PRIu64
                      "b` for a volume of LVM), then run this again",
                      what, path, has, size);
    if (grown == 0)
        grown = grow_is_possible(pool);
    if (grown == 0)
        grown = grow_table(pool);
    if (grown < 0)
        return thin_pool_failure(pool, why, -grown, "grow %s to %s", what, size_text(size));
    if (grown > 0)
        log_info("%s has grown to what %s has", what, path);
    return 0;
}

static int grow_held(struct thin_pool *pool, const struct pool_growth *growth, struct reason *why)
{
    char what[128];
    uint64_t now, size;
    int result = grow_now(pool, growth, what, sizeof(what), &now, why);

    if (result == 0)
        result = embedded_target(growth, now, what, &size, why);
    if (result != 0)
        return result;
    if (growth->metadata && size > POOL_METADATA_MOST)
        return grow_refuse_limit(what, why);
    return pool->origin == THIN_EMBEDDED ? grow_wanted_files(pool, growth, what, size, why)
                                         : grow_wanted_devices(pool, growth, what, size, why);
}

int grow_wanted(struct thin_pool *pool, const struct pool_growth *growth, struct reason *why)
{
    int result;

    if (pool->origin == THIN_GIVEN)
        return refuse(why, CONDITION_PRECONDITION,
                      "the thin pool %s is yours, and made larger by what made it: for one of LVM "
                      "`lvextend -L +SIZE VG/POOL`, or `lvextend --poolmetadatasize +SIZE VG/POOL` "
                      "for its metadata; cowsnapd sees it at the next call",
                      pool->name);
    pthread_mutex_lock(&pool->growth);
    result = grow_held(pool, growth, why);
    pthread_mutex_unlock(&pool->growth);
    return result;
}
