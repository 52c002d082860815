/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The btrfs backend on a pool of its own, without memory: a pool is made, opened, grown and looked
 * at, volumes are made, cloned, sealed, counted and ended. Of thin volumes, which need a kernel
 * with device-mapper, what is kept in memory.
 */

#include "backends/dm-thin/inventory.h"
#include "base/scoped.h"
#include "inject/turns.h"
#include "unit/btrfs/rig.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct backend_ops *const ops = &backend_btrfs;

static void must(int result, const struct reason *why)
{
    if (result)
        errx(2, "the state cannot be made: %s", why->text);
}

/* ---- volumes, on one pool for all turns ---- */

enum { LAYER = 1, CHILD = 2, NESTING = 3, LEFT_OVER = 4, NEW = 5 };

static struct rig *pool;

static void *begin_volumes(void)
{
    struct reason why = {0};

    must(ops->create(pool->backend, LAYER, &why), &why);
    scoped_fd int layer = rig_root(pool, LAYER);
    must(rig_write(layer, "file", 4096), &why);
    must(ops->clone(pool->backend, CHILD, LAYER, &why), &why);
    scoped_fd int child = rig_root(pool, CHILD);
    must(rig_write(child, "more", 8192), &why);
    must(ops->create(pool->backend, NESTING, &why), &why);
    scoped_fd int nesting = rig_root(pool, NESTING);
    rig_nest(nesting, "inner");
    rig_nest(nesting, "inner/deeper");
    must(ops->create(pool->backend, LEFT_OVER, &why), &why);
    scoped_fd int left = rig_root(pool, LEFT_OVER);
    must(rig_write(left, "old", 1), &why);
    return pool;
}

static int end_volume(void *context, uint64_t id, struct reason *why)
{
    struct rig *rig = context;

    return ops->remove(rig->backend, id, NULL, why);
}

static void end_volumes(void *state)
{
    struct rig *rig = state;
    struct reason why = {0};

    must(ops->each(rig->backend, end_volume, rig, &why), &why);
}

static int is_number(const struct dirent *entry)
{
    return entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
}

/* Every volume with its entries, and whether it is sealed, from the pool itself. */
static void describe_volumes(void *state, char *text, size_t room)
{
    struct rig *rig = state;
    size_t used = 0;

    text[0] = '\0';
    for (unsigned shard = 0; shard < 64; shard++) {
        struct dirent **found = NULL, **inside = NULL;
        char path[128], below[400];

        snprintf(path, sizeof(path), "%s/pool/%02x", rig->path, shard);
        int count = scandir(path, &found, is_number, alphasort);
        for (int i = 0; i < count; i++) {
            snprintf(below, sizeof(below), "%s/%s", path, found[i]->d_name);
            used += (size_t)snprintf(text + used, room - used, "%s%s(", found[i]->d_name,
                                     access(below, W_OK) == 0 ? "" : " sealed");
            int entries = scandir(below, &inside, NULL, alphasort);
            for (int j = 0; j < entries; j++) {
                used += (size_t)snprintf(text + used, room - used, "%s%s",
                                         inside[j]->d_name[0] == '.' ? "" : " ",
                                         inside[j]->d_name[0] == '.' ? "" : inside[j]->d_name);
                free(inside[j]);
            }
            free(inside);
            used += (size_t)snprintf(text + used, room - used, ") ");
            free(found[i]);
        }
        free(found);
    }
}

static int create(void *state, struct reason *why)
{
    (void)state;
    return ops->create(pool->backend, NEW, why);
}

static int create_over(void *state, struct reason *why)
{
    (void)state;
    return ops->create(pool->backend, LEFT_OVER, why);
}

static int clone_one(void *state, struct reason *why)
{
    (void)state;
    return ops->clone(pool->backend, NEW, LAYER, why);
}

static int clone_nesting(void *state, struct reason *why)
{
    (void)state;
    return ops->clone(pool->backend, NEW, NESTING, why);
}

static int remove_one(void *state, struct reason *why)
{
    (void)state;
    return ops->remove(pool->backend, CHILD, NULL, why);
}

static int remove_nesting(void *state, struct reason *why)
{
    (void)state;
    return ops->remove(pool->backend, NESTING, NULL, why);
}

static int locate(void *state, struct reason *why)
{
    struct volume volume;
    uint64_t id = 0;

    (void)state;
    int result = ops->locate(pool->backend, CHILD, &volume, why);
    if (!result)
        result = ops->find(pool->backend, volume.subvolume, &id, why);
    if (!result && id != CHILD)
        errx(1, "subvolume %llu is found as %llu", (unsigned long long)volume.subvolume,
             (unsigned long long)id);
    return result;
}

static int open_root(void *state, struct reason *why)
{
    scoped_fd int fd = -1;

    (void)state;
    return ops->open_root(pool->backend, CHILD, &fd, why);
}

static int sync_one(void *state, struct reason *why)
{
    (void)state;
    return ops->sync(pool->backend, CHILD, why);
}

static int seal(void *state, struct reason *why)
{
    (void)state;
    return ops->seal(pool->backend, LAYER, why);
}

static int usage(void *state, struct reason *why)
{
    struct volume_usage usage = {0};

    (void)state;
    int result = ops->usage(pool->backend, CHILD, LAYER, true, &usage, why);
    if (!result && (usage.bytes != 8192 || usage.inodes != 1))
        errx(1, "the usage is %llu bytes of %llu files", (unsigned long long)usage.bytes,
             (unsigned long long)usage.inodes);
    return result;
}

static int count_one(void *context, uint64_t id, struct reason *why)
{
    (void)id;
    (void)why;
    ++*(unsigned *)context;
    return 0;
}

static int each(void *state, struct reason *why)
{
    unsigned count = 0;

    (void)state;
    int result = ops->each(pool->backend, count_one, &count, why);
    if (!result && count != 4)
        errx(1, "%u volumes are told, and 4 are there", count);
    return result;
}

static int remove_and_settle(void *state, struct reason *why)
{
    (void)state;
    int result = ops->remove(pool->backend, CHILD, NULL, why);
    return result ? result : ops->settle(pool->backend, NULL, why);
}

static int status(void *state, struct reason *why)
{
    struct pool_status status;

    (void)state;
    return ops->status(pool->backend, &status, why);
}

static int check(void *state, struct reason *why)
{
    struct pool_verdict verdict;

    (void)state;
    int result = ops->check(pool->backend, NULL, &verdict, why);
    if (!result && !verdict.sound)
        errx(1, "the pool is said to be damaged: %s", verdict.finding.text);
    return result;
}

#define VOLUMES(name, act)                                                                         \
    {                                                                                              \
        name, begin_volumes, act, describe_volumes, end_volumes, false, false                      \
    }

/* ---- pools, one for each turn ---- */

static void *begin_bare(void)
{
    void *rig;

    rig_bare(&rig);
    return rig;
}

static void *begin_made(void)
{
    void *rig;

    rig_open(&rig);
    rig_stop(rig);
    return rig;
}

static void *begin_unmounted(void)
{
    struct rig *rig = begin_made();

    rig_unmount(rig);
    return rig;
}

/* A pool to be, in a folder of the operator's: on the btrfs of another pool. */
static void *begin_given(void)
{
    struct rig *rig = begin_made();
    char path[80];

    snprintf(path, sizeof(path), "%s/pool/theirs", rig->path);
    if (mkdir(path, 0711))
        err(2, "%s", path);
    rig->options.pool_path = strdup(path);
    return rig;
}

static void *begin_open(void)
{
    void *rig;

    rig_open(&rig);
    return rig;
}

static void end_pool(void *state)
{
    struct rig *rig = state;
    void *closed = rig;

    free((char *)rig->options.pool_path);
    rig_close(&closed);
}

/* What lies in root, how large the image is, and whether it is mounted. What a start has made in
 * the operator's folder may stay there. */
static void describe_pool(void *state, char *text, size_t room)
{
    struct rig *rig = state;
    struct dirent **found = NULL;
    struct stat outside, inside, image = {0};
    char path[128];
    size_t used = 0;
    int count = scandir(rig->path, &found, NULL, alphasort);

    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (found[i]->d_name[0] != '.')
            used += (size_t)snprintf(text + used, room - used, "%s ", found[i]->d_name);
        free(found[i]);
    }
    free(found);
    snprintf(path, sizeof(path), "%s/pool.img", rig->path);
    (void)stat(path, &image);
    snprintf(path, sizeof(path), "%s/pool", rig->path);
    bool mounted = stat(rig->path, &outside) == 0 && stat(path, &inside) == 0 &&
                   outside.st_dev != inside.st_dev;
    snprintf(text + used, room - used, "%lld bytes%s, %s", (long long)image.st_size,
             mounted ? ", mounted" : "", rig->backend ? "open" : "closed");
}

static int open_pool(void *state, struct reason *why)
{
    struct rig *rig = state;

    return ops->open(&rig->backend, &rig->options, why);
}

/* To a size, not by one: made again after a part of it was done, it ends at the same. */
static int grow(void *state, struct reason *why)
{
    struct rig *rig = state;
    const struct pool_growth growth = {.size = RIG_POOL_SIZE + (UINT64_C(64) << 20)};

    return ops->grow(rig->backend, &growth, why);
}

static int check_idle(void *state, struct reason *why)
{
    struct rig *rig = state;
    struct pool_verdict verdict;

    int result = ops->check_idle(&rig->options, NULL, &verdict, why);
    if (!result && !verdict.sound)
        errx(1, "the pool is said to be damaged: %s", verdict.finding.text);
    return result;
}

/* ---- the volumes of a thin pool, as they are kept in memory ---- */

static void *begin_inventory(void)
{
    struct inventory *inventory = calloc(1, sizeof(*inventory));

    if (!inventory)
        errx(2, "memory is out");
    inventory_init(inventory);
    if (!inventory_put(inventory, (struct inventory_item){.id = 7}))
        errx(2, "memory is out");
    return inventory;
}

static void end_inventory(void *state)
{
    inventory_deinit(state);
    free(state);
}

static void describe_inventory(void *state, char *text, size_t room)
{
    struct inventory *inventory = state;

    snprintf(text, room, "%zu volumes, %s among them", inventory->count,
             inventory_find(inventory, 8, &(struct inventory_item){0}) ? "8" : "no 8");
}

static int put(void *state, struct reason *why)
{
    return inventory_put(state, (struct inventory_item){.id = 8}) ? 0
                                                                  : failure(why, ENOMEM, "put one");
}

int main(void)
{
    static const struct turn_call volumes[] = {
        VOLUMES("create", create),
        VOLUMES("create over a left-over", create_over),
        VOLUMES("clone", clone_one),
        VOLUMES("clone with nested ones", clone_nesting),
        VOLUMES("remove", remove_one),
        {"remove with nested ones", begin_volumes, remove_nesting, describe_volumes, end_volumes,
         .goes_on = true},
        VOLUMES("locate and find", locate),
        VOLUMES("open_root", open_root),
        VOLUMES("sync", sync_one),
        VOLUMES("seal", seal),
        VOLUMES("usage", usage),
        VOLUMES("each", each),
        VOLUMES("remove and settle", remove_and_settle),
        VOLUMES("status", status),
        VOLUMES("check", check),
    };
    static const struct turn_call others[] = {
        {"open of a new pool", begin_bare, open_pool, describe_pool, end_pool, false, false},
        {"open of a pool", begin_made, open_pool, describe_pool, end_pool, false, false},
        {"open after a reboot", begin_unmounted, open_pool, describe_pool, end_pool, false, false},
        {"open of a folder", begin_given, open_pool, describe_pool, end_pool, false, false},
        {"grow", begin_open, grow, describe_pool, end_pool, false, false},
        {"check at rest", begin_unmounted, check_idle, describe_pool, end_pool, false, false},
        {"put into the inventory", begin_inventory, put, describe_inventory, end_inventory, false,
         false},
    };
    struct turns turns = {0};

    if (!rig_can_run())
        return 77;
    pool = begin_open();
    for (size_t i = 0; i < sizeof(volumes) / sizeof(volumes[0]); i++)
        turns_take(&turns, &volumes[i], SHIM_MEMORY, 0);
    end_pool(pool);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        turns_take(&turns, &others[i], SHIM_MEMORY, 0);
    return turns_end(&turns, "allocations of the backends");
}
