/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/storage.h"

#include "backends/dm-thin/device.h"
#include "backends/dm-thin/inventory.h"
#include "backends/dm-thin/line.h"
#include "backends/dm-thin/name.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/dm-thin/survey.h"
#include "base/scoped.h"
#include "crash/machine.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * The embedded pool: two files below the root, by loop devices. Which volumes there are is read
 * from the pool's metadata, not asked of the daemon. Their trees are had as containerd has them: a
 * committed one by a view of it, mounted without replay of its journal.
 */

#define LOOK_KEY "snapshot-look" /* of the view by which a check reads a committed snapshot */
#define POOL_LOOPS 2

/* ---- the pool and its devices ---- */

static char forsaken[2][NAME_POOL]; /* names of pools that were in use: the run's, and the one of
                                       the last first start */

static void remember(const char *pool)
{
    if (strcmp(forsaken[0], pool) == 0)
        return;
    strcpy(forsaken[forsaken[0][0] != '\0'], pool);
}

static void need_device_mapper(void)
{
    static bool asked;
    struct reason why;

    if (!asked && device_need(&why) != 0)
        errx(1, "%s", why.text);
    asked = true;
}

/* False while there is none. */
static bool pool_name(const struct daemon *daemon, char name[NAME_POOL])
{
    scoped_fd int root = open(daemon->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct reason why;

    need_device_mapper();
    if (root < 0)
        err(1, "open %s", daemon->root);
    int result = pool_files_name(root, name, &why);
    if (result != 0 && result != CONDITION_NOT_FOUND)
        errx(1, "%s", why.text);
    if (result == 0)
        remember(name);
    return result == 0;
}

static void metadata_of(const char *pool, char path[DEVICE_PATH])
{
    char line[DEVICE_LINE];
    struct line_pool_table table;
    int error = device_table(pool, line, NULL, NULL);

    if (error != 0 || !line_parse_pool_table(line, &table) ||
        device_find(table.metadata_major, table.metadata_minor, path) != 0)
        errx(1, "the pool %s is not active (%s)", pool, strerror(-error));
}

struct listing {
    uint64_t *ids;
    size_t count;
};

static int list_device(void *context, const struct metadata_device *device, struct reason *why)
{
    struct listing *listing = context;

    (void)why;
    if (device->id == THIN_ID_LABEL || device->id == THIN_ID_BASE)
        return 0;
    listing->ids = reallocarray(listing->ids, listing->count + 1, sizeof(*listing->ids));
    if (!listing->ids)
        err(1, "memory");
    listing->ids[listing->count++] = device->id; /* too few are made for a second epoch */
    return 0;
}

static uint64_t *thin_volumes(const struct daemon *daemon, size_t *count)
{
    struct listing listing = {0};
    char pool[NAME_POOL], metadata[DEVICE_PATH];
    struct reason why;

    if (!pool_name(daemon, pool))
        errx(1, "%s has no pool", daemon->root);
    metadata_of(pool, metadata);
    if (survey_pool(pool, metadata, NULL, list_device, &listing, &why) != 0)
        errx(1, "%s", why.text);
    *count = listing.count;
    return listing.ids;
}

/* ---- trees ---- */

static int thin_ask(struct client *client, int slot, enum snapshot_kind kind,
                    struct client_mounts *mounts, struct reason *why)
{
    char key[16];

    model_key(slot, key);
    return kind == SNAPSHOT_COMMITTED ? snapshots_client_view(client, bytes_of(LOOK_KEY),
                                                              bytes_of(key), NULL, 0, mounts, why)
                                      : snapshots_client_mounts(client, bytes_of(key), mounts, why);
}

/* Whatever the answer is: a daemon that is gone is seen at the next call, and a view that was not
 * there, or is left, at the next check. */
static void thin_give_back(struct client *client)
{
    struct reason why;

    snapshots_client_remove(client, bytes_of(LOOK_KEY), &why);
}

static void point_of(const struct daemon *daemon, int slot, char path[512])
{
    snprintf(path, 512, "%s/%d", daemon->mounts, slot);
}

static bool is_mounted(const char *path, const struct daemon *daemon)
{
    struct stat folder, above;

    return stat(path, &folder) == 0 && stat(daemon->mounts, &above) == 0 &&
           folder.st_dev != above.st_dev;
}

static bool thin_enter(const struct daemon *daemon, int slot, uint64_t id,
                       const struct mounts *mounts, char path[512])
{
    (void)id;
    point_of(daemon, slot, path);
    if (is_mounted(path, daemon))
        return true;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        err(1, "make %s", path);
    return machine_mount(mounts, path);
}

static void thin_leave(const struct daemon *daemon, int slot)
{
    char path[512];

    point_of(daemon, slot, path);
    machine_unmount(path);
}

/* ---- what is left ---- */

struct devices {
    const char *pool;
    char (*names)[DEVICE_NAME]; /* the walk holds the kernel's list: nothing is changed during it */
    size_t count;
};

static int note_device(void *context, const char *name)
{
    struct devices *devices = context;
    size_t length = strlen(devices->pool);

    if (strncmp(name, devices->pool, length) != 0 || name[length] != '-')
        return 0;
    devices->names = reallocarray(devices->names, devices->count + 1, DEVICE_NAME);
    if (!devices->names)
        err(1, "memory");
    snprintf(devices->names[devices->count++], DEVICE_NAME, "%s", name);
    return 0;
}

/* All of the pool's but its own; the names are the caller's. */
static void find_devices(struct devices *devices, const char *pool)
{
    *devices = (struct devices){.pool = pool};
    int error = device_each(note_device, devices);
    if (error != 0)
        warnx("list the devices of the pool %s: %s", pool, strerror(-error));
}

static bool belongs(const char *pool, const char *name, const uint64_t *ids, size_t count)
{
    uint64_t id = name_parse_volume(pool, name);
    char label[DEVICE_NAME];

    name_part(pool, "label", label);
    for (size_t i = 0; id && i < count; i++)
        if (ids[i] == id)
            return true;
    return strcmp(name, label) == 0;
}

static unsigned thin_strays(const struct daemon *daemon, const uint64_t *ids, size_t count)
{
    unsigned mounts = machine_mounts(daemon->root), loops = machine_loops(daemon->root), strays = 0;
    struct devices devices;
    char pool[NAME_POOL];

    if (mounts != 0 || loops != POOL_LOOPS) {
        printf("ORPHAN: %u mounts and %u loop devices, not just the pool's two\n", mounts, loops);
        strays++;
    }
    if (!pool_name(daemon, pool))
        errx(1, "%s has no pool", daemon->root);
    find_devices(&devices, pool);
    for (size_t i = 0; i < devices.count; i++)
        if (!belongs(pool, devices.names[i], ids, count)) {
            printf("ORPHAN: no volume has the device %s\n", devices.names[i]);
            strays++;
        }
    free(devices.names);
    return strays;
}

/* A parent that was suspended for its clone: mounts of it wait. */
static void thin_release(const struct daemon *daemon)
{
    struct device_state state;
    struct devices devices;
    char pool[NAME_POOL];

    if (!pool_name(daemon, pool))
        return;
    find_devices(&devices, pool);
    for (size_t i = 0; i < devices.count; i++)
        if (device_look(devices.names[i], &state, NULL) == 0 && state.live && state.suspended)
            device_resume(devices.names[i]);
    free(devices.names);
}

static void end_device(const char *name)
{
    int64_t until = machine_now_ms() + MACHINE_MOST_MS;
    struct device_state state;
    int error;

    while ((error = device_look(name, &state, NULL)) == 0 && state.exists) {
        error = device_remove(name, false);
        if (error == 0)
            return;
        if (error != -EBUSY || machine_now_ms() > until)
            break;
        machine_pause();
    }
    if (error != 0)
        errx(1, "end the device %s: %s", name, strerror(-error));
}

static void thin_detach(const struct daemon *daemon)
{
    struct devices devices;
    char pool[NAME_POOL];

    thin_release(daemon);
    for (int slot = 0; slot <= STORAGE_SLOT_LOOK; slot++)
        thin_leave(daemon, slot);
    if (!pool_name(daemon, pool))
        return;
    find_devices(&devices, pool);
    for (size_t i = 0; i < devices.count; i++)
        end_device(devices.names[i]);
    free(devices.names);
    end_device(pool);
    machine_wait_for_loops(daemon->root);
}

/* The kernel ends each when the last who has it open is gone, and this program is about to be. */
static void thin_forsake(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct devices devices;

        if (forsaken[i][0] == '\0')
            continue;
        find_devices(&devices, forsaken[i]);
        for (size_t k = 0; k < devices.count; k++) {
            device_resume(devices.names[k]);
            device_remove(devices.names[k], true);
        }
        device_remove(forsaken[i], true);
        free(devices.names);
    }
}

const struct storage storage_thin = {
    .name = "dm-thin",
    .settings = "[dm_thin]\nvolume_size = \"1GiB\"\n",
    .unfinished = POOL_FILES ".new",
    .crowd = 10,
    .volumes = thin_volumes,
    .ask = thin_ask,
    .give_back = thin_give_back,
    .enter = thin_enter,
    .leave = thin_leave,
    .strays = thin_strays,
    .release = thin_release,
    .detach = thin_detach,
    .forsake = thin_forsake,
};
