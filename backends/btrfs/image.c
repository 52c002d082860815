/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/image.h"

#include "backends/btrfs/mkfs.h"
#include "backends/embedded.h"
#include "backends/loop.h"
#include "base/bytes.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB UINT64_C(1048576)

/* Leaves a whole file system under the unfinished name, or nothing. */
static int image_make_unfinished(int root, const char *root_path, uint64_t size, struct reason *why)
{
    scoped_fd int file = -1;
    int result;

    if (unlinkat(root, IMAGE_NAME_UNFINISHED, 0) == 0)
        log_info("the first start was interrupted while it made the pool: making it anew");
    else if (errno != ENOENT)
        return failure(why, errno, "remove " IMAGE_NAME_UNFINISHED);

    file = openat(root, IMAGE_NAME_UNFINISHED, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return disk_failure(why, errno, root_path, "create " IMAGE_NAME_UNFINISHED);
    if (ftruncate(file, (off_t)size) < 0)
        result = errno == EFBIG || errno == EINVAL
                     ? refuse(why, CONDITION_INVALID,
                              "pool.size %" PRIu64 " is larger than a file can be here", size)
                     : failure(why, errno, "set the size of " IMAGE_NAME_UNFINISHED);
    else
        result = mkfs_btrfs(file, why);
    if (result == 0 && fsync(file) < 0)
        result = disk_failure(why, errno, root_path, "write " IMAGE_NAME_UNFINISHED " to disk");
    if (result != 0)
        unlinkat(root, IMAGE_NAME_UNFINISHED, 0);
    return result;
}

int image_make(int root, const char *root_path, uint64_t size, struct reason *why)
{
    int result =
        embedded_size(root, root_path, "btrfs", "name a folder on btrfs as pool.path", &size, why);

    if (result != 0)
        return result;
    result = image_make_unfinished(root, root_path, size, why);
    STEP("btrfs.image-formatted");
    if (result != 0)
        return amend(why, result, "make the embedded pool in %s", quoted(bytes_of(root_path)));
    if (renameat(root, IMAGE_NAME_UNFINISHED, root, IMAGE_NAME) < 0 || fsync(root) < 0) {
        int error = errno;

        unlinkat(root, IMAGE_NAME_UNFINISHED, 0);
        unlinkat(root, IMAGE_NAME, 0);
        return failure(why, error, "give %s/" IMAGE_NAME " its name", root_path);
    }
    STEP("btrfs.image-named");
    log_info("made the embedded pool %s/" IMAGE_NAME ": %" PRIu64 " MiB, sparse", root_path,
             size / MIB);
    return 0;
}

static int mount_failure(int error, const char *root_path, struct reason *why)
{
    switch (error) {
    case ENODEV:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the kernel has no btrfs: load its module btrfs, or use another backend");
    case EPERM:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "not allowed to mount the embedded pool: run as root (CAP_SYS_ADMIN)");
    case EEXIST:
        return refuse(why, CONDITION_INVALID,
                      "a file system with the id of %s/" IMAGE_NAME " is mounted already, of which "
                      "this is a copy: unmount it, or give the copy a new id by btrfstune -u",
                      root_path);
    default:
        return failure(why, error,
                       "mount %s/" IMAGE_NAME
                       " (the kernel's log says more; to start with an empty "
                       "pool, move the file away)",
                       root_path);
    }
}

int image_mount(int root, const char *root_path, int pool, struct reason *why)
{
    scoped_fd int file = -1, loop = -1;
    char device[32], target[32], label[LO_NAME_SIZE];
    int result;

    file = openat(root, IMAGE_NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return failure(why, errno, "open %s/" IMAGE_NAME, root_path);
    snprintf(label, sizeof(label), "%.40s/" IMAGE_NAME, root_path);
    result = loop_attach(file, label, "name a folder on btrfs as pool.path", &loop, device,
                         sizeof(device), why);
    if (result != 0)
        return result;
    STEP("btrfs.loop-attached");

    /* No nosuid or nodev: bind mounts of volumes inherit what is set here, and images need both.
     * noatime: reading a volume must not unshare its metadata from the parent's. discard: space of
     * removed volumes goes back to the disk below. */
    snprintf(target, sizeof(target), "/proc/self/fd/%d", pool);
    if (mount(device, target, "btrfs", MS_NOATIME, "discard=async") < 0)
        return mount_failure(errno, root_path, why);
    STEP("btrfs.pool-mounted");
    return 0;
}

bool image_is_behind(int root, const char *device)
{
    struct stat image;

    return fstatat(root, IMAGE_NAME, &image, AT_SYMLINK_NOFOLLOW) == 0 &&
           loop_is_on(device, &image);
}
