/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/grow.h"

#include "backends/dm-thin/pool_files.h"
#include "backends/loop.h"
#include "backends/size_text.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* The loop device as large as its file; its size in bytes into *SIZE. 0 or minus an errno. */
static int grow_loop(const char *path, uint64_t *size)
{
    scoped_fd int loop = open(path, O_RDWR | O_CLOEXEC);

    if (loop < 0)
        return -errno;
    int error = loop_resize(loop);
    if (error == 0 && ioctl(loop, BLKGETSIZE64, size) < 0)
        error = -errno;
    return error;
}

/* The pool as large as its devices: with the table it has, over the new length. The kernel looks at
 * the metadata device's size by itself. */
static int grow_table(const struct thin_pool *pool, uint64_t data)
{
    char line[DEVICE_LINE];
    int error = device_table(pool->name, line, NULL, NULL);

    if (error == 0)
        error = device_reload(pool->name, "thin-pool",
                              data / SECTOR / pool->block_sectors * pool->block_sectors, line);
    return error;
}

/* 1 when it has grown, 0, or minus an errno. */
static int grow_files(struct thin_pool *pool, uint64_t data, uint64_t metadata)
{
    uint64_t data_size = 0, metadata_size = 0;
    int grown, error;

    pthread_mutex_lock(&pool->growth);
    error = pool_files_grow(pool->root, POOL_FILES_DATA, data);
    grown = error == 1;
    if (error >= 0)
        error = pool_files_grow(pool->root, POOL_FILES_METADATA, metadata);
    grown |= error == 1;
    if (error >= 0 && grown) {
        error = grow_loop(pool->data, &data_size);
        if (error == 0)
            error = grow_loop(pool->metadata, &metadata_size);
        if (error == 0)
            error = grow_table(pool, data_size);
    }
    pthread_mutex_unlock(&pool->growth);
    return error < 0 ? error : grown;
}

int grow_pool(struct thin_pool *pool, uint64_t data, struct reason *why)
{
    char size[SIZE_TEXT];

    if (pool->origin != THIN_EMBEDDED || data == 0)
        return 0;
    int grown = grow_files(pool, data, pool_files_metadata_size(data));
    if (grown < 0)
        return failure(why, -grown, "grow the thin pool %s to %s", pool->name,
                       size_text(data, size));
    if (grown)
        log_info("the thin pool %s has grown to %s", pool->name, size_text(data, size));
    return 0;
}

bool grow_metadata(struct thin_pool *pool)
{
    struct stat file;
    char size[SIZE_TEXT];

    if (pool->origin != THIN_EMBEDDED ||
        fstatat(pool->root, POOL_FILES_METADATA, &file, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    uint64_t wanted = (uint64_t)file.st_size * 2;
    if (wanted > POOL_METADATA_MOST)
        wanted = POOL_METADATA_MOST;
    int grown = grow_files(pool, 0, wanted);
    if (grown < 0)
        log_warn("grow the metadata of the thin pool %s: %s", pool->name, strerrordesc_np(-grown));
    if (grown > 0)
        log_info("the metadata of the thin pool %s has grown to %s", pool->name,
                 size_text(wanted, size));
    return grown > 0;
}
