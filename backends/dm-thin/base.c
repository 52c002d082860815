/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/base.h"

#include "backends/dm-thin/mount_detached.h"
#include "backends/tool.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/*
 * Why these settings:
 *   assume_storage_prezeroed,  a fresh thin volume reads as zeros: nothing has to be written for
 *   lazy_journal_init          that, neither now nor by a thread in every clone later
 *   nodiscard, -K              nothing is there to discard
 *   ^resize_inode              volumes keep their size: no blocks kept for more group descriptors
 *   -m 0                       no share kept back for root, who is who writes in containers
 *   size=32                    MiB of journal: each clone's becomes its own when it is written, so
 *                              it is what a volume costs beyond its files
 */
static char *const ext4_arguments[] = {
    "mkfs.ext4",
    "-q",
    "-F",
    "-m",
    "0",
    "-L",
    "cowsnap",
    "-J",
    "size=32",
    "-O",
    "^resize_inode",
    "-E",
    "nodiscard,assume_storage_prezeroed=1,lazy_journal_init=1",
    "--",
    TOOL_FILE,
    NULL,
};
static char *const xfs_arguments[] = {
    "mkfs.xfs", "-q", "-f", "-K", "-L", "cowsnap", "--", TOOL_FILE, NULL,
};

/* An empty tree as containerd wants it: nothing in it, its root 0755 and root's. */
static int base_tidy(struct thin_pool *pool, const char *device, struct reason *why)
{
    scoped_fd int root = -1;
    struct statvfs fs;
    int error = mount_detached(device, pool->label.file_system, MOUNT_WRITABLE, &root);

    if (error == -ENODEV)
        return refuse(
            why, CONDITION_UNAVAILABLE,
            "the kernel has no %s: load its module, or choose another dm_thin.file_system",
            pool->label.file_system);
    if (error != 0)
        return failure(why, -error, "mount the base volume %s", device);
    if (unlinkat(root, "lost+found", AT_REMOVEDIR) < 0 && errno != ENOENT)
        return failure(why, errno, "remove lost+found of the base volume");
    if (fchown(root, 0, 0) < 0 || fchmod(root, 0755) < 0)
        return failure(why, errno, "set owner and mode of the base volume's root");
    if (fstatvfs(root, &fs) < 0)
        return failure(why, errno, "look at the base volume");
    pool->label.base_inodes = fs.f_files - fs.f_ffree;
    return syncfs(root) < 0 ? failure(why, errno, "write the base volume to disk") : 0;
}

static int base_fill(struct thin_pool *pool, const char *name, struct reason *why)
{
    bool xfs = strcmp(pool->label.file_system, "xfs") == 0;
    char path[DEVICE_PATH], line[DEVICE_LINE];
    scoped_fd int device = open(device_path(name, path), O_RDWR | O_CLOEXEC);
    int result;

    if (device < 0)
        return failure(why, errno, "open the base volume %s", path);
    result = tool_run(xfs ? xfs_arguments : ext4_arguments, device,
                      xfs ? "install xfsprogs, or choose another dm_thin.file_system"
                          : "install e2fsprogs, or choose another dm_thin.file_system",
                      why);
    if (result == 0)
        result = base_tidy(pool, path, why);
    if (result != 0)
        return result;
    if (fsync(device) < 0)
        return thin_pool_failure(pool, why, errno, "write the base volume to disk");
    int error = thin_pool_confirm(pool);
    if (error != 0)
        return thin_pool_failure(pool, why, -error, "write the base volume to disk");
    error = device_status(name, line, NULL, NULL);
    if (error != 0 || !line_parse_thin_status(line, &pool->base_mapped))
        return failure(why, -error, "size of the base volume");
    pool->base_mapped /= pool->block_sectors;
    return 0;
}

int base_make(struct thin_pool *pool, bool replace, struct reason *why)
{
    char name[DEVICE_NAME], uuid[DEVICE_UUID];
    struct device_state state;
    int error, result;

    name_part(pool->name, "base", name);
    name_part_uuid(pool->name, "base", uuid);
    error = device_look_ours(name, uuid, &state);
    if (error == -EEXIST)
        return device_refuse(name, why);
    if (error == 0 && state.exists)
        error = device_remove(name, false);
    if (error == 0 && replace)
        error = thin_pool_message(pool, "delete %u", THIN_ID_BASE);
    if (error == 0)
        error = thin_pool_message(pool, "create_thin %u", THIN_ID_BASE);
    STEP("dm-thin.base-made");
    if (error == 0)
        error = thin_pool_activate(pool, name, uuid, THIN_ID_BASE, pool->label.volume_sectors);
    if (error != 0)
        return thin_pool_failure(pool, why, -error, "make the base volume of the pool %s",
                                 pool->name);
    result = base_fill(pool, name, why);
    STEP("dm-thin.base-filled");
    error = device_remove(name, false);
    if (result == 0 && error != 0)
        result = failure(why, -error, "deactivate the base volume");
    if (result == 0)
        log_info("made the base volume of the thin pool %s: %s", pool->name,
                 pool->label.file_system);
    return amend(why, result, "make the base volume of the pool %s", pool->name);
}
