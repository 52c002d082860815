/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/claim.h"

#include "backends/dm-thin/base.h"
#include "backends/dm-thin/survey.h"
#include "backends/presence.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Recovery ends every volume that the store does not know. So a pool belongs to one root, and says
 * so itself: thin device 0 is its label, 0xffffff its base volume, all others are snapshots. A pool
 * with thin devices but without our label is somebody else's, and is refused instead of emptied.
 * The label's device is held exclusively while a daemon runs; the kernel lets go of it however the
 * daemon ends.
 *
 * The order, and what a crash leaves after each step:
 *   1. an empty pool           nothing of ours: begin
 *   2. device 0 made           a blank label, alone in the pool: go on with 3
 *   3. label "unfinished"      the pool is ours; a base volume may be there in part: made anew
 *   4. base volume made, formatted, tidied, on disk
 *   5. label "ready"           no volume exists before this
 */

#define VOLUME_SIZE_DEFAULT (UINT64_C(100) << 30)

struct stock {
    struct metadata_device *devices;
    size_t count, room;
    bool label, base;
    uint64_t label_mapped; /* blocks */
};

static void stock_free(struct stock *stock)
{
    free(stock->devices);
}

static int stock_add(void *context, const struct metadata_device *device, struct reason *why)
{
    struct stock *stock = context;

    if (stock->count == stock->room) {
        size_t room = stock->room ? stock->room * 2 : 256;
        struct metadata_device *grown = reallocarray(stock->devices, room, sizeof(*grown));
        if (!grown)
            return failure(why, ENOMEM, "take stock of the pool");
        stock->devices = grown;
        stock->room = room;
    }
    stock->devices[stock->count++] = *device;
    stock->label |= device->id == THIN_ID_LABEL;
    if (device->id == THIN_ID_LABEL)
        stock->label_mapped = device->mapped;
    stock->base |= device->id == THIN_ID_BASE;
    return 0;
}

/* Makes the label's device, or only FINDs one that is there, and holds it. */
static int claim_hold(struct thin_pool *pool, bool find, struct reason *why)
{
    char name[DEVICE_NAME], uuid[DEVICE_UUID], path[DEVICE_PATH];
    struct device_state state;

    name_part(pool->name, "label", name);
    name_part_uuid(pool->name, "label", uuid);
    int error = device_look_ours(name, uuid, &state);
    if (error == -EEXIST)
        return device_refuse(name, why);
    if (error == 0 && find && !state.live)
        return 0;
    if (error == 0 && state.exists && !state.live) /* left by a start that was interrupted */
        error = device_remove(name, false);
    if (error == 0)
        error = state.live
                    ? device_take_over(name, &state)
                    : thin_pool_activate(pool, name, uuid, THIN_ID_LABEL, pool->block_sectors);
    if (error != 0)
        return thin_pool_failure(pool, why, -error, "activate the label of the pool %s",
                                 pool->name);
    pool->owner = open(device_path(name, path), O_RDWR | O_EXCL | O_DIRECT | O_CLOEXEC);
    if (pool->owner < 0 && errno == EBUSY)
        return refuse(
            why, CONDITION_UNAVAILABLE,
            "another daemon uses the pool %s: stop it, or give this one a pool of its own",
            pool->name);
    return pool->owner < 0 ? failure(why, errno, "open %s", path) : 0;
}

static int claim_write(struct thin_pool *pool, char *block, struct reason *why)
{
    if (!label_format(&pool->label, block))
        return refuse(why, CONDITION_INVALID,
                      "the path of the root folder does not fit into the label of the pool %s: "
                      "choose one of less than %d bytes",
                      pool->name, LABEL_ROOT - 1);
    int error = pwrite(pool->owner, block, LABEL_BLOCK, 0) != LABEL_BLOCK || fsync(pool->owner) < 0
                    ? -errno
                    : thin_pool_confirm(pool);
    return error
               ? thin_pool_failure(pool, why, -error, "write the label of the pool %s", pool->name)
               : 0;
}

/* The label of a pool that has none yet. */
static int claim_begin(struct thin_pool *pool, const struct backend_options *options, char *block,
                       struct reason *why)
{
    const char *file_system = options->file_system ? options->file_system : "ext4";
    uint64_t size = options->volume_size ? options->volume_size : VOLUME_SIZE_DEFAULT;

    pool->label = (struct label){
        .volume_sectors = size / SECTOR / pool->block_sectors * pool->block_sectors,
        .transaction = pool->transaction,
    };
    if (strlen(options->root_path) >= sizeof(pool->label.root))
        return refuse(why, CONDITION_INVALID,
                      "the path of the root folder does not fit into the label of the pool %s: "
                      "choose one of less than %d bytes",
                      pool->name, LABEL_ROOT - 1);
    strcpy(pool->label.root, options->root_path);
    strcpy(pool->label.file_system, strcmp(file_system, "xfs") == 0 ? "xfs" : "ext4");
    return claim_write(pool, block, why);
}

/* By whatever name. The files of an embedded pool are below the root that has it
 * (thin_pool_check_ground()), however that came to its name. */
static bool claim_is_of_root(const struct thin_pool *pool, const struct backend_options *options)
{
    struct stat one, other;

    return pool->origin == THIN_EMBEDDED || strcmp(pool->label.root, options->root_path) == 0 ||
           (stat(pool->label.root, &one) == 0 && fstat(pool->root, &other) == 0 &&
            one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

static int claim_check(const struct thin_pool *pool, const struct backend_options *options,
                       struct reason *why)
{
    const struct label *label = &pool->label;

    if (!claim_is_of_root(pool, options))
        return refuse(why, CONDITION_INVALID,
                      "the pool %s belongs to the daemon whose root is %s, and this one's is %s: "
                      "give each a pool of its own; if that folder was only moved, let its old "
                      "name lead to it (`ln -s`)",
                      pool->name, quoted(bytes_of(label->root)),
                      quoted(bytes_of(options->root_path)));
    if (options->file_system && strcmp(label->file_system, options->file_system) != 0)
        return refuse(why, CONDITION_INVALID,
                      "the volumes of the pool %s hold %s, and dm_thin.file_system says %s: leave "
                      "the setting out, or begin with a new pool",
                      pool->name, label->file_system, options->file_system);
    return 0;
}

static int claim_label(struct thin_pool *pool, const struct backend_options *options,
                       const struct stock *stock, struct reason *why)
{
    scoped_free char *block = aligned_alloc(LABEL_BLOCK, LABEL_BLOCK);
    int result = 0;

    if (!block)
        return failure(why, ENOMEM, "read the label of the pool");
    if (pread(pool->owner, block, LABEL_BLOCK, 0) != LABEL_BLOCK)
        return failure(why, errno, "read the label of the pool %s", pool->name);
    if (label_is_blank(block) && stock->count <= 1 && stock->label_mapped <= 1)
        result = claim_begin(pool, options, block, why);
    else if (!label_parse(block, &pool->label))
        result = refuse(why, CONDITION_INVALID,
                        "thin device 0 of the pool %s is no label of cowsnap's: the pool is in use "
                        "by something else; give cowsnap one of its own",
                        pool->name);
    if (result == 0)
        result = claim_check(pool, options, why);
    if (result == 0) /* it is, perhaps by another name; for messages from now on, not on the disk */
        snprintf(pool->label.root, sizeof(pool->label.root), "%s", options->root_path);
    if (result != 0 || pool->label.ready)
        return result;
    STEP("dm-thin.label-begun");

    result = base_make(pool, stock->base, why);
    if (result != 0)
        return result;
    pool->label.ready = true;
    result = claim_write(pool, block, why);
    STEP("dm-thin.label-ready");
    return result;
}

uint64_t claim_number(const struct thin_pool *pool, const struct metadata_device *device)
{
    return (device->transaction - pool->label.transaction) << THIN_ID_BITS | device->id;
}

static int claim_take_stock(struct thin_pool *pool, const struct stock *stock, struct reason *why)
{
    for (size_t i = 0; i < stock->count; i++) {
        const struct metadata_device *device = &stock->devices[i];
        struct inventory_item item = {
            .id = claim_number(pool, device),
            .mapped = device->mapped,
            .born = INVENTORY_UNKNOWN,
            .inodes = INVENTORY_UNKNOWN,
            .born_inodes = INVENTORY_UNKNOWN,
        };
        if (device->id == THIN_ID_LABEL)
            continue;
        if (device->id == THIN_ID_BASE)
            pool->base_mapped = device->mapped;
        else if (!inventory_put(&pool->inventory, item))
            return failure(why, ENOMEM, "take stock of the pool");
    }
    atomic_store(&pool->surveyed, true);
    return 0;
}

int claim_pool(struct thin_pool *pool, const struct backend_options *options, struct reason *why)
{
    scoped(stock_free) struct stock stock = {0};
    struct line_pool_status status;
    int result = thin_pool_look(pool, &status, why);

    /* another daemon's pool is not even looked at: it may be at a check, for which it keeps the
     * metadata snapshot that we would take for one that was left */
    if (result == 0)
        result = claim_hold(pool, true, why);
    if (result == 0)
        result = survey_pool(pool->name, pool->metadata, &pool->messages, stock_add, &stock, why);
    if (result != 0)
        return result;
    pool->transaction = status.transaction;
    if (!stock.label && stock.count > 0)
        return refuse(why, CONDITION_INVALID,
                      "the thin pool %s holds %zu volumes that are not cowsnap's: give cowsnap a "
                      "pool of its own",
                      pool->name, stock.count);
    result = presence_expect(options->presence, stock.label, pool->name, why);
    if (result != 0)
        return result;
    if (!stock.label) {
        int error = thin_pool_message(pool, "create_thin %u", THIN_ID_LABEL);
        STEP("dm-thin.label-made");
        if (error != 0)
            return thin_pool_failure(pool, why, -error, "make the label of the pool %s",
                                     pool->name);
    }
    if (pool->owner < 0)
        result = claim_hold(pool, false, why);
    if (result == 0)
        result = claim_label(pool, options, &stock, why);
    return result ? result : claim_take_stock(pool, &stock, why);
}
