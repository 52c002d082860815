/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/usage.h"

#include "backends/dm-thin/activation.h"
#include "backends/dm-thin/mount_detached.h"
#include "base/scoped.h"

#include <inttypes.h>
#include <sys/statvfs.h>

/* The file system's own count, while it is mounted: by a mount that only finds the one there is. */
static void usage_ask_mounted(struct thin_pool *pool, struct inventory_item *item, const char *path)
{
    scoped_fd int root = -1;
    struct statvfs fs;

    if (mount_detached(path, pool->label.file_system, MOUNT_WRITABLE, &root) != 0 ||
        fstatvfs(root, &fs) < 0)
        return;
    item->inodes = fs.f_files - fs.f_ffree;
    inventory_update(&pool->inventory, *item);
}

/* Brings the figures of a volume up to date, when it has a device; one that has none has not
 * changed since they were noted. MAKE: one is made when they were never noted. */
static int usage_refresh(struct thin_pool *pool, struct inventory_item *item, bool make,
                         struct reason *why)
{
    char name[DEVICE_NAME], path[DEVICE_PATH];
    struct device_state state;

    name_volume(pool->name, item->id, name);
    device_path(name, path);
    if (activation_measure(pool, item, name, &state) != 0)
        return 0;
    if (state.live && state.opened > 0 && mount_is_anywhere(path, pool->label.file_system))
        usage_ask_mounted(pool, item, path);
    else if (state.live)
        (void)activation_note(pool, item, path);
    else if (make && item->inodes == INVENTORY_UNKNOWN)
        return activation_begin(pool, item, why);
    return 0;
}

/* What was shared at birth, when this daemon was not there: the parent, which changes no more,
 * still has it. Noted only as a whole: the one without the other is the mark of a clone that nobody
 * had yet (activation.c). */
static int usage_recall_birth(struct thin_pool *pool, struct inventory_item *item, uint64_t parent,
                              bool any_length, struct reason *why)
{
    struct inventory_item origin = {.mapped = pool->base_mapped, .inodes = pool->label.base_inodes};
    int result = 0;

    if (parent != 0 && !inventory_find(&pool->inventory, parent, &origin))
        return 0;
    if (parent != 0 && origin.inodes == INVENTORY_UNKNOWN)
        result = usage_refresh(pool, &origin, any_length, why);
    item->born = origin.mapped;
    item->born_inodes = origin.inodes;
    if (item->born_inodes != INVENTORY_UNKNOWN)
        inventory_update(&pool->inventory, *item);
    return result;
}

static uint64_t beyond(uint64_t now, uint64_t before)
{
    return now == INVENTORY_UNKNOWN || before == INVENTORY_UNKNOWN || now < before ? 0
                                                                                   : now - before;
}

int usage_of_volume(struct thin_pool *pool, uint64_t id, uint64_t parent, bool any_length,
                    struct volume_usage *usage, struct reason *why)
{
    struct inventory_item item;
    int result;

    if (!inventory_find(&pool->inventory, id, &item))
        return refuse(why, CONDITION_NOT_FOUND, "volume %" PRIu64 " of the pool %s", id,
                      pool->name);
    result = usage_refresh(pool, &item, any_length, why);
    if (!result && (item.born == INVENTORY_UNKNOWN || item.born_inodes == INVENTORY_UNKNOWN))
        result = usage_recall_birth(pool, &item, parent, any_length, why);
    if (result)
        return result;
    *usage = (struct volume_usage){
        .bytes = beyond(item.mapped, item.born) * pool->block_sectors * SECTOR,
        .inodes = beyond(item.inodes, item.born_inodes),
        .exact = item.inodes != INVENTORY_UNKNOWN && item.born_inodes != INVENTORY_UNKNOWN,
    };
    return 0;
}
