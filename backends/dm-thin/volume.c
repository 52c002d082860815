/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/volume.h"

#include "backends/dm-thin/activation.h"
#include "backends/dm-thin/claim.h"
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/mount_detached.h"
#include "backends/dm-thin/survey.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>

/* Discarded at a time. Then comes as much rest as that took: removals are in no hurry, so the pool
 * and the disk below are left to others for half of the time at least. A limit in bytes would be
 * too much for one disk and too little for another, and would count what is not mapped. */
#define DISCARD_STEP (UINT64_C(256) << 20)
#define DISCARD_REST_LEAST_NS 1000000 /* what is not mapped is passed over in less */
#define DISCARD_REST_MOST_NS 500000000

static int volume_no_such(const struct thin_pool *pool, uint64_t id, struct reason *why)
{
    return refuse(why, CONDITION_NOT_FOUND, "volume %" PRIu64 " of the pool %s", id, pool->name);
}

/* ---- making one ---- */

/* Sends MESSAGE, which makes ID of the volume whose device is ORIGIN (NULL: of one without), with
 * that device still meanwhile if somebody has it open: what is being written to it must not fall
 * between. What was written to one that is closed is in the pool already. One that is only read is
 * not frozen, since others may be about to mount it. */
static int volume_split(struct thin_pool *pool, uint64_t id, const char *message,
                        const char *origin)
{
    struct device_state state;
    char path[DEVICE_PATH];

    if (!origin)
        return thin_pool_message_for(pool, id, message);
    pthread_mutex_lock(&pool->origins);
    int error = device_look(origin, &state, NULL);
    if (error == 0 && state.opened == 0) { /* it was to rest, and was closed meanwhile */
        pthread_mutex_unlock(&pool->origins);
        return thin_pool_message_for(pool, id, message);
    }
    /* one that was left suspended cannot be read */
    bool freeze = state.suspended || activation_may_be_written(device_path(origin, path));
    if (error == 0)
        error = device_suspend(origin, freeze);
    STEP("dm-thin.origin-suspended");
    if (error == 0 || error == -ENXIO) /* as above, a moment later */
        error = thin_pool_message_for(pool, id, message);
    STEP("dm-thin.volume-split");
    int resumed = device_resume(origin);
    pthread_mutex_unlock(&pool->origins);
    return error || resumed == -ENXIO ? error : resumed;
}

/* Whether the thin id that a volume of this number would have is somebody else's. */
static bool volume_id_is_anothers(struct thin_pool *pool, uint64_t id)
{
    return thin_id(id) == THIN_ID_LABEL || thin_id(id) == THIN_ID_BASE ||
           inventory_is_taken(&pool->inventory, id);
}

/* Sees that the pool can have that number and that nothing is left of an older volume of it. */
static int volume_clear(struct thin_pool *pool, uint64_t id, struct reason *why)
{
    struct inventory_item old;

    if (volume_id_is_anothers(pool, id))
        return refuse(why, CONDITION_EXISTS,
                      "the thin id of volume %" PRIu64 " is another's in the pool %s", id,
                      pool->name);
    if (!inventory_find(&pool->inventory, id, &old))
        return 0;
    int result = volume_remove(pool, id, NULL, why);
    return result == 0 ? 0 : amend(why, result, "replace the left-over of volume %" PRIu64, id);
}

static int volume_make(struct thin_pool *pool, struct inventory_item item, uint32_t source,
                       const char *origin, struct reason *why)
{
    char message[64];

    /* first in the list: a volume the pool has must not be missing there */
    if (!inventory_put(&pool->inventory, item))
        return failure(why, ENOMEM, "make volume %" PRIu64, item.id);
    snprintf(message, sizeof(message), "create_snap %" PRIu32 " %" PRIu32, thin_id(item.id),
             source);
    int error = volume_split(pool, item.id, message, origin);
    STEP("dm-thin.volume-made");
    if (error == 0)
        return 0;
    inventory_drop(&pool->inventory, item.id);
    return thin_pool_failure(pool, why, -error, "make volume %" PRIu64, item.id);
}

int volume_create(struct thin_pool *pool, uint64_t id, struct reason *why)
{
    struct inventory_item item = {
        .id = id,
        .mapped = pool->base_mapped,
        .born = pool->base_mapped,
        .inodes = INVENTORY_UNKNOWN,
        .born_inodes = INVENTORY_UNKNOWN,
    };

    int result = volume_clear(pool, id, why);

    return result == 0 ? volume_make(pool, item, THIN_ID_BASE, NULL, why) : result;
}

int volume_clone(struct thin_pool *pool, uint64_t id, uint64_t parent, struct reason *why)
{
    struct inventory_item origin;
    struct device_state state;
    char name[DEVICE_NAME];

    if (!inventory_find(&pool->inventory, parent, &origin))
        return amend(why, volume_no_such(pool, parent, why), "clone");
    int result = volume_clear(pool, id, why);
    if (result != 0)
        return result;
    name_volume(pool->name, parent, name);
    int error = activation_measure(pool, &origin, name, &state);
    if (error != 0)
        return thin_pool_failure(pool, why, -error, "look at volume %" PRIu64, parent);

    struct inventory_item item = {
        .id = id,
        .mapped = origin.mapped,
        .born = origin.mapped,
        .inodes = origin.clean ? origin.inodes : INVENTORY_UNKNOWN,
        .born_inodes = origin.clean ? origin.inodes : INVENTORY_UNKNOWN,
        .clean = origin.clean,
    };
    /* committed: who opens it now writes no more than a mount does, which a mount can take again */
    return volume_make(pool, item, thin_id(parent), state.live && state.opened > 0 ? name : NULL,
                       why);
}

/* ---- ending one ---- */

static void discard_rest(const struct timespec *began)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t took =
        (now.tv_sec - began->tv_sec) * INT64_C(1000000000) + now.tv_nsec - began->tv_nsec;
    const struct timespec rest = {
        .tv_nsec = took < DISCARD_REST_MOST_NS ? (long)took : DISCARD_REST_MOST_NS,
    };
    if (took >= DISCARD_REST_LEAST_NS)
        nanosleep(&rest, NULL);
}

/* Gives back the space of what the volume alone holds to whatever the pool lies on. Best effort:
 * the pool itself gets it back by the removal. False when it was cancelled. */
static bool volume_discard(const struct thin_pool *pool, const char *path,
                           const atomic_bool *cancel)
{
    scoped_fd int device = open(path, O_WRONLY | O_EXCL | O_CLOEXEC);
    uint64_t size = pool->label.volume_sectors * SECTOR;

    for (uint64_t at = 0; device >= 0 && at < size; at += DISCARD_STEP) {
        uint64_t range[2] = {at, size - at < DISCARD_STEP ? size - at : DISCARD_STEP};
        struct timespec began;
        if (cancel && atomic_load(cancel))
            return false;
        clock_gettime(CLOCK_MONOTONIC, &began);
        if (ioctl(device, BLKDISCARD, range) < 0)
            break;
        discard_rest(&began);
    }
    return true;
}

/* A pool whose metadata is used up takes no message at all; where that can grow, it does. */
static int volume_delete(struct thin_pool *pool, uint64_t id)
{
    int error = thin_pool_message(pool, "delete %" PRIu32, thin_id(id));

    if (error == -EOPNOTSUPP && grow_metadata(pool))
        error = thin_pool_message(pool, "delete %" PRIu32, thin_id(id));
    return error;
}

/* Whether the pool has it is asked of the pool alone: volume_each() lists also what was made by
 * others while the daemon ran. */
int volume_remove(struct thin_pool *pool, uint64_t id, const atomic_bool *cancel,
                  struct reason *why)
{
    struct inventory_item item = {.id = id}; /* of one that is not known: nothing to discard */
    struct device_state state;
    char name[DEVICE_NAME], path[DEVICE_PATH];
    bool cancelled = false;
    int error;

    if (!inventory_find(&pool->inventory, id, &item) && volume_id_is_anothers(pool, id))
        return 0;
    name_volume(pool->name, id, name);
    error = activation_measure(pool, &item, name, &state);
    if (error == 0 && state.opened > 0)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "volume %" PRIu64 " of the pool %s is still mounted or open", id, pool->name);
    if (error == 0 && item.mapped != item.born) {
        int made = activation_bare(pool, id);
        if (made == 0)
            cancelled = !volume_discard(pool, device_path(name, path), cancel);
        state.exists = made != -EEXIST; /* which is somebody else's; else it was made, perhaps */
    }
    if (error == 0 && state.exists)
        error = device_remove(name, false);
    else if (error == 0)
        device_forget(name);
    STEP("dm-thin.device-removed");
    if (error == 0 && cancelled)
        return refuse(why, CONDITION_CANCELLED, "the removal of volume %" PRIu64 " was cancelled",
                      id);
    if (error == 0)
        error = volume_delete(pool, id);
    STEP("dm-thin.volume-removed");
    if (error != 0 && error != -ENODATA)
        return thin_pool_failure(pool, why, -error, "remove volume %" PRIu64, id);
    inventory_drop(&pool->inventory, id);
    return 0;
}

int volume_rest(struct thin_pool *pool, uint64_t id, struct reason *why)
{
    struct inventory_item item;
    struct device_state state;
    char name[DEVICE_NAME];

    if (!inventory_find(&pool->inventory, id, &item))
        return volume_no_such(pool, id, why);
    name_volume(pool->name, id, name);
    int error = activation_measure(pool, &item, name, &state);
    if (error == 0 && state.exists)
        error = device_remove(name, true);
    STEP("dm-thin.volume-rested");
    return error ? thin_pool_failure(pool, why, -error, "deactivate volume %" PRIu64, id) : 0;
}

/* ---- using one ---- */

/* Its device, there to be opened. Whoever has it may write from now on. */
static int volume_begin(struct thin_pool *pool, uint64_t id, struct inventory_item *item,
                        struct volume *volume, struct reason *why)
{
    char name[DEVICE_NAME], path[DEVICE_PATH];

    if (!inventory_find(&pool->inventory, id, item))
        return volume_no_such(pool, id, why);
    name_volume(pool->name, id, name);
    *volume = (struct volume){.kind = VOLUME_DEVICE};
    snprintf(volume->path, sizeof(volume->path), "%s", device_path(name, path));
    snprintf(volume->fstype, sizeof(volume->fstype), "%s", pool->label.file_system);
    int result = activation_begin(pool, item, why);
    if (result != 0)
        return result;
    item->clean = false;
    inventory_update(&pool->inventory, *item);
    return 0;
}

int volume_locate(struct thin_pool *pool, uint64_t id, struct volume *volume, struct reason *why)
{
    struct inventory_item item;

    return volume_begin(pool, id, &item, volume, why);
}

static int volume_open(struct thin_pool *pool, uint64_t id, enum mount_use use,
                       enum mount_use otherwise, int *directory, struct reason *why)
{
    struct volume volume;
    int result = volume_locate(pool, id, &volume, why);

    if (result != 0)
        return result;
    int error = mount_detached(volume.path, volume.fstype, use, directory);
    if (error == -EBUSY && otherwise != use)
        error = mount_detached(volume.path, volume.fstype, otherwise, directory);
    return error ? thin_pool_failure(pool, why, -error, "mount volume %" PRIu64, id) : 0;
}

int volume_open_root(struct thin_pool *pool, uint64_t id, int *directory, struct reason *why)
{
    return volume_open(pool, id, MOUNT_WRITABLE, MOUNT_WRITABLE, directory, why);
}

int volume_open_read(struct thin_pool *pool, uint64_t id, int *directory, struct reason *why)
{
    return volume_open(pool, id, MOUNT_READ_ONLY, MOUNT_WRITABLE, directory, why);
}

/* How many inodes are in use in the mounted file system of ROOT. */
static uint64_t inodes_of(int root)
{
    struct statvfs fs;

    return fstatvfs(root, &fs) == 0 ? fs.f_files - fs.f_ffree : INVENTORY_UNKNOWN;
}

/* A mount reaches the file system whoever has it mounted, in whatever mount namespace, and so what
 * it still has in memory. syncfs(2) passes by one that is read-only, which ext4 also becomes when
 * it could not write its journal; fsync(2) tells that from one that was mounted so. */
static int volume_sync_mounted(struct thin_pool *pool, struct inventory_item *item,
                               const struct volume *volume)
{
    scoped_fd int root = -1;
    int error = mount_detached(volume->path, volume->fstype, MOUNT_WRITABLE, &root);

    if (error == -EBUSY) /* it is read-only */
        error = mount_detached(volume->path, volume->fstype, MOUNT_READ_ONLY, &root);
    if (error != 0)
        return error;
    if (syncfs(root) < 0 || fsync(root) < 0)
        return -errno;
    item->inodes = inodes_of(root);
    inventory_update(&pool->inventory, *item);
    return 0;
}

/* A read-only mount without replay (plugin/snapshot/mounts.c) needs an empty journal. If the file
 * system is mounted, the mount beside it does not end it, and the journal is replayed when the next
 * device is made of it. If not, its last unmount left the journal empty, or it is replayed now. */
int volume_sync(struct thin_pool *pool, uint64_t id, struct reason *why)
{
    struct inventory_item item;
    struct volume volume;
    scoped_fd int device = -1;
    int result = volume_begin(pool, id, &item, &volume, why);

    if (result != 0)
        return result;
    int error = 0;
    if (mount_is_anywhere(volume.path, volume.fstype))
        error = volume_sync_mounted(pool, &item, &volume);
    else
        result = activation_settle(pool, &item, why);
    if (result != 0)
        return result;
    if (error == 0) {
        /* the device's own flush makes the pool commit */
        device = open(volume.path, O_RDWR | O_CLOEXEC);
        error = device < 0 || fsync(device) < 0 ? -errno : thin_pool_confirm(pool);
    }
    STEP("dm-thin.volume-synced");
    return error ? thin_pool_failure(pool, why, -error, "write volume %" PRIu64 " to disk", id) : 0;
}

struct volume_walk {
    const struct thin_pool *pool;
    backend_visit *visit;
    void *context;
};

static int volume_visit(void *context, const struct metadata_device *device, struct reason *why)
{
    const struct volume_walk *walk = context;

    if (device->id == THIN_ID_LABEL || device->id == THIN_ID_BASE)
        return 0;
    return walk->visit(walk->context, claim_number(walk->pool, device), why);
}

int volume_confirm(struct thin_pool *pool, uint64_t id, struct reason *why)
{
    int error = thin_pool_confirm(pool);

    return error ? thin_pool_failure(pool, why, -error, "write volume %" PRIu64 " to disk", id) : 0;
}

static int volume_each_known(struct thin_pool *pool, backend_visit *visit, void *context,
                             struct reason *why)
{
    size_t count;
    scoped_free uint64_t *ids = inventory_list(&pool->inventory, &count);
    int result = ids ? 0 : failure(why, ENOMEM, "list the volumes of the pool %s", pool->name);

    for (size_t i = 0; result == 0 && i < count; i++)
        result = visit(context, ids[i], why);
    return result;
}

/* The first time, which is the daemon's recovery, from what open() has just read. */
int volume_each(struct thin_pool *pool, backend_visit *visit, void *context, struct reason *why)
{
    struct volume_walk walk = {.pool = pool, .visit = visit, .context = context};

    if (atomic_exchange(&pool->surveyed, false))
        return volume_each_known(pool, visit, context, why);
    if (pthread_mutex_trylock(&pool->checks) != 0)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "a check of the thin pool %s runs: list its volumes when it is over",
                      pool->name);
    int result = survey_pool(pool->name, pool->metadata, &pool->messages, volume_visit, &walk, why);
    pthread_mutex_unlock(&pool->checks);
    return result;
}
