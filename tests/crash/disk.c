/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/disk.h"

#include "backends/loop.h"
#include "base/scoped.h"
#include "crash/daemon.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST_SIZE ((off_t)16 << 30) /* sparse, as all of them */
#define DISK_SIZE ((off_t)6 << 30)

static void make_file(const char *path, off_t size)
{
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, size) < 0)
        err(1, "make %s", path);
}

static void format(const char *program, const char *path)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        dup2(nowhere, STDOUT_FILENO); /* advice; what goes wrong is told on the other */
        execlp(program, program, "-q", path, NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        errx(1, "%s cannot format %s (status 0x%x)", program, path, status);
}

static void mount_file(const char *path, const char *type, const char *point)
{
    scoped_fd int file = open(path, O_RDWR | O_CLOEXEC), loop = -1;
    struct reason why;
    char device[32];

    if (file < 0)
        err(1, "open %s", path);
    if (loop_attach(file, "crash", "do without this test", &loop, device, sizeof(device), &why))
        errx(1, "%s", why.text);
    if (mount(device, point, type, MS_NOATIME, NULL) < 0)
        err(1, "mount %s, a file with %s", path, type);
}

static void in(const struct disk *disk, const char *name, char path[400])
{
    snprintf(path, 400, "%s/%s", disk->host, name);
}

void disk_make(struct disk *disk, const char *folder)
{
    char image[400], file[400];

    snprintf(disk->host, sizeof(disk->host), "%s/host", folder);
    snprintf(disk->mount, sizeof(disk->mount), "%s/disk", folder);
    snprintf(image, sizeof(image), "%s/host.img", folder);
    in(disk, "disk", file);
    if (mkdir(disk->host, 0755) < 0 || mkdir(disk->mount, 0755) < 0)
        err(1, "make %s", disk->host);
    make_file(image, HOST_SIZE);
    format("mkfs.btrfs", image);
    mount_file(image, "btrfs", disk->host);
    make_file(file, DISK_SIZE);
    format("mkfs.ext4", file);
    mount_file(file, "ext4", disk->mount);
}

void disk_sync(const struct disk *disk)
{
    scoped_fd int fd = open(disk->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        err(1, "sync %s", disk->mount);
}

void disk_cut(const struct disk *disk)
{
    char path[400], cut[400];

    in(disk, "disk", path);
    in(disk, "cut", cut);
    scoped_fd int from = open(path, O_RDONLY | O_CLOEXEC);
    scoped_fd int to = open(cut, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0 || ioctl(to, FICLONE, from) < 0)
        err(1, "clone %s", path);
}

void disk_fall_back(const struct disk *disk)
{
    char path[400], cut[400];

    in(disk, "disk", path);
    in(disk, "cut", cut);
    daemon_unmount(disk->mount);
    if (rename(cut, path) < 0)
        err(1, "rename %s", cut);
    mount_file(path, "ext4", disk->mount);
}
