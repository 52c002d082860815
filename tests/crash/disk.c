/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/disk.h"

#include "backends/loop.h"
#include "base/scoped.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void disk_make_file(const char *path, int64_t size)
{
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, size) < 0)
        err(1, "make %s", path);
}

void disk_format(const char *type, const char *path)
{
    char program[32];
    pid_t child;
    int status = 0;

    snprintf(program, sizeof(program), "mkfs.%s", type);
    child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        dup2(nowhere, STDOUT_FILENO); /* advice; what goes wrong is told on the other */
        execlp(program, program, "-q", path, NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        errx(1, "%s cannot format %s (status 0x%x)", program, path, status);
}

int disk_attach(const char *path, char device[32])
{
    scoped_fd int file = open(path, O_RDWR | O_CLOEXEC);
    struct reason why;
    int loop;

    if (file < 0)
        err(1, "open %s", path);
    if (loop_attach(file, "crash", "do without this test", &loop, device, 32, &why))
        errx(1, "%s", why.text);
    return loop;
}

void disk_mount(const char *device, const char *type, const char *point)
{
    if (mount(device, point, type, MS_NOATIME, NULL) < 0)
        err(1, "mount %s, with %s, at %s", device, type, point);
}

void disk_mount_file(const char *path, const char *type, const char *point)
{
    char device[32];
    scoped_fd int loop = disk_attach(path, device);

    disk_mount(device, type, point);
}

void disk_make(struct disk *disk, const struct disk_kind *kind, const char *type,
               const char *folder, uint64_t seed)
{
    *disk = (struct disk){.kind = kind, .type = type, .chance = seed};
    snprintf(disk->folder, sizeof(disk->folder), "%s/below", folder);
    snprintf(disk->mount, sizeof(disk->mount), "%s/disk", folder);
    if (mkdir(disk->folder, 0755) < 0 || mkdir(disk->mount, 0755) < 0)
        err(1, "make %s", disk->folder);
    kind->make(disk);
}

void disk_sync(const struct disk *disk)
{
    scoped_fd int fd = open(disk->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        err(1, "sync %s", disk->mount);
}

void disk_cut(struct disk *disk)
{
    disk->kind->cut(disk);
}

void disk_fall_back(struct disk *disk)
{
    disk->kind->fall_back(disk);
}
