/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/disk.h"

#include "backends/dm-thin/device.h"
#include "base/scoped.h"
#include "crash/machine.h"
#include "crash/replay.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Two files hold the disk: "now", which is written through dm-log-writes, and "then", as it was
 * when the log began. The replay makes of the latter what the cut left, and "now" is brought to the
 * same where the log says that they may differ, so that a round costs what was written in it.
 */

#define LOG_SIZE ((int64_t)4 << 30) /* of one round */
#define SECTOR_SIZE 512

static char logged_name[DEVICE_NAME]; /* of the device */

static void in(const struct disk *disk, const char *name, char path[400])
{
    snprintf(path, 400, "%s/%s", disk->folder, name);
}

static int open_file(const struct disk *disk, const char *name)
{
    char path[400];

    in(disk, name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        err(1, "open %s", path);
    return fd;
}

/* Makes the device of "now" with an empty log, and mounts it. */
static void begin(const struct disk *disk)
{
    char now[32], log[32], file[400], line[DEVICE_LINE], path[DEVICE_PATH];

    in(disk, "now", file);
    scoped_fd int now_loop = disk_attach(file, now);
    in(disk, "log", file);
    disk_make_file(file, LOG_SIZE);
    scoped_fd int log_loop = disk_attach(file, log);
    snprintf(line, sizeof(line), "%s %s", now, log);
    int error =
        device_create(logged_name, logged_name, "log-writes", DISK_SIZE / SECTOR_SIZE, line);
    if (error != 0)
        errx(1, "a device of dm-log-writes: %s (modprobe dm_log_writes)", strerror(-error));
    disk_mount(device_path(logged_name, path), disk->type, disk->mount);
}

static void logged_make(struct disk *disk)
{
    struct reason why;
    char path[400];

    if (device_need(&why) != 0)
        errx(1, "%s", why.text);
    snprintf(logged_name, sizeof(logged_name), "cowsnap-crash-%d", getpid());
    in(disk, "then", path);
    disk_make_file(path, DISK_SIZE);
    disk_format(disk->type, path);
    in(disk, "now", path);
    disk_make_file(path, DISK_SIZE);
    scoped_fd int now = open_file(disk, "now"), then = open_file(disk, "then");
    replay_copy_file(then, now);
    begin(disk);
}

static void mark(const char *what)
{
    char message[32];

    snprintf(message, sizeof(message), "mark %s", what);
    int error = device_message(logged_name, message);
    if (error != 0)
        errx(1, "mark the log of writes: %s", strerror(-error));
}

static void logged_cut(struct disk *disk)
{
    (void)disk;
    mark(REPLAY_CUT);
}

static void logged_fall_back(struct disk *disk)
{
    char path[400];

    mark(REPLAY_END);
    machine_unmount(disk->mount);
    int error = device_remove(logged_name, false);
    if (error != 0)
        errx(1, "end the device of dm-log-writes: %s", strerror(-error));
    machine_wait_for_loops(disk->folder);
    {
        scoped_fd int now = open_file(disk, "now"), then = open_file(disk, "then");
        scoped_fd int log = open_file(disk, "log");
        replay(log, then, now, &disk->chance);
    }
    in(disk, "log", path);
    if (unlink(path) < 0)
        err(1, "remove %s", path);
    begin(disk);
}

static void logged_forsake(void)
{
    if (logged_name[0])
        device_remove(logged_name, true);
}

const struct disk_kind disk_logged = {
    .make = logged_make,
    .cut = logged_cut,
    .fall_back = logged_fall_back,
    .forsake = logged_forsake,
};
