/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/disk.h"

#include "base/scoped.h"
#include "crash/machine.h"

#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HOST_SIZE ((int64_t)16 << 30)

static void in(const struct disk *disk, const char *name, char path[400])
{
    snprintf(path, 400, "%s/%s", disk->folder, name);
}

static void cloned_make(struct disk *disk)
{
    char image[400], file[400];

    snprintf(image, sizeof(image), "%s.img", disk->folder);
    in(disk, "disk", file);
    disk_make_file(image, HOST_SIZE);
    disk_format("btrfs", image);
    disk_mount_file(image, "btrfs", disk->folder);
    disk_make_file(file, DISK_SIZE);
    disk_format(disk->type, file);
    disk_mount_file(file, disk->type, disk->mount);
}

static void cloned_cut(struct disk *disk)
{
    char path[400], cut[400];

    in(disk, "disk", path);
    in(disk, "cut", cut);
    scoped_fd int from = open(path, O_RDONLY | O_CLOEXEC);
    scoped_fd int to = open(cut, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0 || ioctl(to, FICLONE, from) < 0)
        err(1, "clone %s", path);
}

static void cloned_fall_back(struct disk *disk)
{
    char path[400], cut[400];

    in(disk, "disk", path);
    in(disk, "cut", cut);
    machine_unmount(disk->mount);
    if (rename(cut, path) < 0)
        err(1, "rename %s", cut);
    disk_mount_file(path, disk->type, disk->mount);
}

const struct disk_kind disk_cloned = {
    .make = cloned_make,
    .cut = cloned_cut,
    .fall_back = cloned_fall_back,
};
