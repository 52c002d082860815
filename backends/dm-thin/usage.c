/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/usage.h"

#include "backends/dm-thin/activation.h"
#include "backends/dm-thin/mount_detached.h"
#include "base/scoped.h"

#include <inttypes.h>
#include <sys/statvfs.h>

/* Of a volume whose device is there and in use by somebody: the file system's own count, by a mount
 * that costs no more than finding the one there is. */
static void usage_count_inodes(struct thin_pool *pool, struct inventory_item *item,
                               const char *name)
{
    char path[DEVICE_PATH];
    scoped_fd int root = -1;
    struct statvfs fs;

    if (mount_detached(device_path(name, path), pool->label.file_system, &root) != 0 ||
        fstatvfs(root, &fs) < 0)
        return;
    item->inodes = fs.f_files - fs.f_ffree;
    inventory_put(&pool->inventory, *item);
}

/* What was shared at birth, when this daemon was not there: the parent, which changes no more,
 * still has it. */
static void usage_recall_birth(struct thin_pool *pool, struct inventory_item *item, uint64_t parent,
                               bool any_length)
{
    struct inventory_item origin = {.mapped = pool->base_mapped, .inodes = pool->label.base_inodes};

    if (parent != 0 && !inventory_find(&pool->inventory, parent, &origin))
        return;
    if (parent != 0 && origin.inodes == INVENTORY_UNKNOWN && any_length)
        (void)activation_begin(pool, &origin, NULL);
    item->born = origin.mapped;
    item->born_inodes = origin.inodes;
    inventory_put(&pool->inventory, *item);
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
    struct device_state state;
    char name[DEVICE_NAME];

    if (!inventory_find(&pool->inventory, id, &item))
        return refuse(why, CONDITION_NOT_FOUND, "volume %" PRIu64 " of the pool %s", id,
                      pool->name);
    name_volume(pool->name, id, name);
    if (device_look(name, &state, NULL) == 0 && state.live) {
        activation_measure(pool, &item, name);
        if (state.opened > 0)
            usage_count_inodes(pool, &item, name);
    }
    if (item.born == INVENTORY_UNKNOWN || item.born_inodes == INVENTORY_UNKNOWN)
        usage_recall_birth(pool, &item, parent, any_length);
    *usage = (struct volume_usage){
        .bytes = beyond(item.mapped, item.born) * pool->block_sectors * SECTOR,
        .inodes = beyond(item.inodes, item.born_inodes),
        .exact = item.inodes != INVENTORY_UNKNOWN && item.born_inodes != INVENTORY_UNKNOWN,
    };
    return 0;
}
