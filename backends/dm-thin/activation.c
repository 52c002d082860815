/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/activation.h"

#include "backends/dm-thin/mount_detached.h"
#include "backends/dm-thin/superblock.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACTIVATION_TRIES 200 /* a second */

int activation_measure(struct thin_pool *pool, struct inventory_item *item, const char *name,
                       struct device_state *state)
{
    char line[DEVICE_LINE], uuid[DEVICE_UUID], ours[DEVICE_UUID];
    uint64_t sectors;
    int error = device_status(name, line, state, uuid);

    name_volume_uuid(pool->name, item->id, ours);
    if (error == 0 && strcmp(uuid, ours) != 0) { /* somebody else's, of that name */
        *state = (struct device_state){0};
        return 0;
    }
    if (error == 0 && line_parse_thin_status(line, &sectors)) {
        item->mapped = sectors / pool->block_sectors;
        inventory_update(&pool->inventory, *item);
    }
    return error == -ENXIO ? 0 : error;
}

static int activation_read(const char *path, struct superblock *superblock)
{
    scoped_free uint8_t *block = aligned_alloc(SUPERBLOCK_SIZE, SUPERBLOCK_SIZE);
    scoped_fd int device = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    *superblock = (struct superblock){.fstype = "", .dirty = true}; /* unless it says otherwise */
    if (!block)
        return -ENOMEM;
    if (device < 0)
        return -errno;
    errno = EIO;
    if (pread(device, block, SUPERBLOCK_SIZE, 0) != SUPERBLOCK_SIZE)
        return -errno;
    return superblock_parse(block, superblock) ? 0 : -EUCLEAN;
}

bool activation_may_be_written(const char *path)
{
    struct superblock superblock;
    int error = activation_read(path, &superblock);

    if (error == -ENOENT || error == -ENXIO)
        return false;
    return error != 0 || superblock.dirty || strcmp(superblock.fstype, "ext4") != 0;
}

int activation_note(struct thin_pool *pool, struct inventory_item *item, const char *path)
{
    struct superblock superblock;
    int error = activation_read(path, &superblock);

    if (error != 0)
        return error;
    item->inodes = superblock.inodes;
    item->clean = !superblock.dirty;
    inventory_update(&pool->inventory, *item);
    return 0;
}

/*
 * A file system that was mounted when the power went has a journal to be replayed. Read-only mounts
 * are handed out without replay, since many views share one volume and none may write to it: they
 * would see what was on disk before. So it is replayed here, by a mount that is over at once. ext4
 * says in its superblock whether that is due; xfs does not, so each volume is taken whose device is
 * made anew, unless it is a clone that nobody had yet. In a pool that cannot be written such a
 * mount may fail, and with it a view that ext4 would have given.
 */
static int activation_replay(struct thin_pool *pool, struct inventory_item *item, const char *path)
{
    const char *fstype = pool->label.file_system;
    bool born_now = item->born != INVENTORY_UNKNOWN && item->born_inodes == INVENTORY_UNKNOWN;
    scoped_fd int root = -1;

    if (item->clean)
        return 0;
    int error = activation_note(pool, item, path);
    if (error != 0)
        return error;
    if (born_now) {
        item->born_inodes = item->inodes;
        inventory_update(&pool->inventory, *item);
    }
    if (item->clean && (born_now || strcmp(fstype, "xfs") != 0))
        return 0;
    item->clean = false; /* the next try has to replay it, too, if this one fails */
    inventory_update(&pool->inventory, *item);
    return mount_detached(path, fstype, MOUNT_WRITABLE, &root);
}

/* A clone may be under way for which the device has to stay suspended: what is so while there is
 * none was left. */
static int activation_resume(struct thin_pool *pool, const char *name)
{
    struct device_state state;

    pthread_mutex_lock(&pool->origins);
    int error = device_look(name, &state, NULL);
    if (error == 0 && state.suspended)
        error = device_resume(name);
    pthread_mutex_unlock(&pool->origins);
    return error;
}

/* How a volume's device came about. */
enum activation {
    /* Somebody has it: mounted, by which it was replayed, or as a virtual machine's disk, which
     * must not be mounted beside that. */
    ACTIVATION_FOUND_OPEN,
    ACTIVATION_FOUND,
    ACTIVATION_MADE,
};

/* An enum activation, or minus an errno. -EEXIST: the device of that name is somebody else's. */
static int activation_make(struct thin_pool *pool, uint64_t id, const char *name)
{
    struct device_state state;
    char uuid[DEVICE_UUID];
    int error;

    name_volume_uuid(pool->name, id, uuid);
    error = device_look_ours(name, uuid, &state);
    if (error == 0 && state.exists && !state.live) { /* an interrupted try */
        error = device_remove(name, false);
        state.exists = false;
    }
    if (error == 0 && state.leaving && device_stay(name) != 0)
        state.exists = false; /* it went just now */
    if (error == 0 && state.exists && state.suspended)
        error = activation_resume(pool, name);
    if (error != 0)
        return error;
    if (state.exists)
        return state.opened > 0 ? ACTIVATION_FOUND_OPEN : ACTIVATION_FOUND;
    error = thin_pool_activate(pool, name, uuid, thin_id(id), pool->label.volume_sectors);
    return error ? error : ACTIVATION_MADE;
}

/* A device that ends as its last user leaves keeps its name for a moment longer. A pool of the
 * operator's, who suspends it to make it larger, takes no device meanwhile. */
static int activation_make_soon(struct thin_pool *pool, uint64_t id, const char *name)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    int result = activation_make(pool, id, name);

    for (unsigned i = 0; (result == -EBUSY || (result == -EINVAL && pool->origin == THIN_GIVEN)) &&
                         i < ACTIVATION_TRIES;
         i++) {
        nanosleep(&moment, NULL);
        result = activation_make(pool, id, name);
    }
    return result;
}

int activation_bare(struct thin_pool *pool, uint64_t id)
{
    pthread_mutex_t *lock = &pool->activations[id % THIN_ACTIVATIONS];
    char name[DEVICE_NAME];

    name_volume(pool->name, id, name);
    pthread_mutex_lock(lock);
    int made = activation_make_soon(pool, id, name);
    pthread_mutex_unlock(lock);
    return made < 0 ? made : 0;
}

/* A device that is there was perhaps left by a try that could not replay, or was killed before. */
static int activation_make_whole(struct thin_pool *pool, struct inventory_item *item,
                                 const char *name)
{
    char path[DEVICE_PATH];
    int made = activation_make_soon(pool, item->id, name);
    struct inventory_item now = {.whole = false};

    STEP("dm-thin.volume-activated");
    (void)inventory_find(&pool->inventory, item->id, &now);
    if (made < 0 || made == ACTIVATION_FOUND_OPEN || (made == ACTIVATION_FOUND && now.whole))
        return made;
    int error = activation_replay(pool, item, device_path(name, path));
    inventory_mark(&pool->inventory, item->id, error == 0);
    return error;
}

int activation_settle(struct thin_pool *pool, struct inventory_item *item, struct reason *why)
{
    struct superblock superblock;
    struct device_state state;
    char name[DEVICE_NAME], path[DEVICE_PATH];

    name_volume(pool->name, item->id, name);
    if (device_look(name, &state, NULL) != 0 || state.opened > 0 ||
        activation_read(device_path(name, path), &superblock) != 0 || !superblock.dirty)
        return 0;
    inventory_mark(&pool->inventory, item->id, false);
    return activation_begin(pool, item, why);
}

int activation_begin(struct thin_pool *pool, struct inventory_item *item, struct reason *why)
{
    pthread_mutex_t *lock = &pool->activations[item->id % THIN_ACTIVATIONS];
    char name[DEVICE_NAME];

    name_volume(pool->name, item->id, name);
    pthread_mutex_lock(lock);
    int made = activation_make_whole(pool, item, name);
    pthread_mutex_unlock(lock);
    if (made >= 0)
        return 0;
    if (made == -EEXIST)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the device %s is not cowsnap's, though it has the name of volume %" PRIu64
                      ": give it another (`dmsetup rename`)",
                      name, item->id);
    int result = thin_pool_failure(pool, why, -made, "activate volume %" PRIu64, item->id);
    return result == -ENODATA ? refuse(why, CONDITION_NOT_FOUND,
                                       "volume %" PRIu64 " of the pool %s", item->id, pool->name)
                              : result;
}

/* ---- after a start ---- */

struct tidying {
    struct thin_pool *pool;
    char (*names)[DEVICE_NAME]; /* the walk holds the kernel's list: nothing is changed during it */
    size_t count, room;
};

static int tidy_note(void *context, const char *name)
{
    struct tidying *tidying = context;

    if (name_parse_volume(tidying->pool->name, name) == 0)
        return 0;
    if (tidying->count == tidying->room) {
        size_t room = tidying->room ? tidying->room * 2 : 64;
        void *grown = reallocarray(tidying->names, room, DEVICE_NAME);
        if (!grown)
            return -ENOMEM;
        tidying->names = grown;
        tidying->room = room;
    }
    strncpy(tidying->names[tidying->count], name, DEVICE_NAME - 1);
    tidying->names[tidying->count++][DEVICE_NAME - 1] = '\0';
    return 0;
}

static void tidy_device(struct thin_pool *pool, const char *name)
{
    uint64_t id = name_parse_volume(pool->name, name);
    char uuid[DEVICE_UUID], ours[DEVICE_UUID];
    struct inventory_item item;
    struct device_state state;
    int error = device_look(name, &state, uuid);

    name_volume_uuid(pool->name, id, ours);
    if (error != 0 || !state.exists || strcmp(uuid, ours) != 0)
        return;
    if (!state.live || !inventory_find(&pool->inventory, id, &item)) {
        log_info("ending the stray device %s", name);
        error = device_remove(name, true);
    } else {
        error = device_take_over(name, &state);
        if (error == 0 && state.suspended)
            error = device_resume(name);
    }
    if (error != 0)
        log_warn("mend the device %s: %s", name, strerrordesc_np(-error));
}

int activation_tidy(struct thin_pool *pool, struct reason *why)
{
    struct tidying tidying = {.pool = pool};
    int error = device_each(tidy_note, &tidying);

    for (size_t i = 0; error == 0 && i < tidying.count; i++)
        tidy_device(pool, tidying.names[i]);
    free(tidying.names);
    return error ? failure(why, -error, "list the devices of the pool %s", pool->name) : 0;
}
