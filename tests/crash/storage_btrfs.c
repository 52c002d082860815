/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/storage.h"

#include "backends/btrfs/pool.h"
#include "base/scoped.h"
#include "crash/machine.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The pool is at root/pool: the embedded one, a file below the root that is mounted there, or,
 * where the root is on btrfs, a folder. It has a folder for each volume. */

static void volume_path(const struct daemon *daemon, uint64_t id, char path[512])
{
    snprintf(path, 512, "%s/pool/%02x/%llu", daemon->root, (unsigned)(id % POOL_SHARDS),
             (unsigned long long)id);
}

static bool is_number(const char *name)
{
    return name[0] && strspn(name, "0123456789") == strlen(name);
}

static uint64_t *btrfs_volumes(const struct daemon *daemon, size_t *count)
{
    uint64_t *ids = NULL;

    *count = 0;
    for (unsigned shard = 0; shard < POOL_SHARDS; shard++) {
        char path[512];
        struct dirent *entry;

        snprintf(path, sizeof(path), "%s/pool/%02x", daemon->root, shard);
        DIR *folder = opendir(path);
        while (folder && (entry = readdir(folder)) != NULL) {
            if (!is_number(entry->d_name))
                continue;
            ids = reallocarray(ids, *count + 1, sizeof(*ids));
            if (!ids)
                err(1, "memory");
            ids[(*count)++] = strtoull(entry->d_name, NULL, 10);
        }
        if (folder)
            closedir(folder);
    }
    return ids;
}

static bool btrfs_is_sealed(const struct daemon *daemon, uint64_t id)
{
    char path[512];
    uint64_t flags = 0;

    volume_path(daemon, id, path);
    scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) == 0 &&
           flags & BTRFS_SUBVOL_RDONLY;
}

static bool btrfs_enter(const struct daemon *daemon, int slot, uint64_t id,
                        const struct mounts *mounts, char path[512])
{
    (void)slot;
    (void)mounts;
    volume_path(daemon, id, path);
    return true;
}

static void btrfs_leave(const struct daemon *daemon, int slot)
{
    (void)daemon;
    (void)slot;
}

static bool is_embedded(const struct daemon *daemon)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/pool.img", daemon->root);
    return access(path, F_OK) == 0;
}

static unsigned btrfs_strays(const struct daemon *daemon, const uint64_t *ids, size_t count)
{
    unsigned mounts = machine_mounts(daemon->root), loops = machine_loops(daemon->root);
    unsigned wanted = is_embedded(daemon);

    (void)ids;
    (void)count;
    if (mounts == wanted && loops == wanted)
        return 0;
    printf("ORPHAN: %u mounts and %u loop devices, not just the pool's\n", mounts, loops);
    return 1;
}

static void btrfs_detach(const struct daemon *daemon)
{
    char path[512];

    if (!is_embedded(daemon))
        return;
    snprintf(path, sizeof(path), "%s/pool", daemon->root);
    machine_unmount(path);
    machine_wait_for_loops(daemon->root);
}

const struct storage storage_btrfs = {
    .name = "btrfs",
    .settings = "",
    .unfinished = "pool.img.new",
    .crowd = 30,
    .volumes = btrfs_volumes,
    .is_sealed = btrfs_is_sealed,
    .enter = btrfs_enter,
    .leave = btrfs_leave,
    .strays = btrfs_strays,
    .detach = btrfs_detach,
};
