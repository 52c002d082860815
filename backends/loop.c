/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/loop.h"

#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* The block of the file systems above, so that nothing below has to read before it writes. */
#define LOOP_BLOCK 4096

/* A free loop device may be taken by another program before we configure it. */
#define LOOP_TRIES 32

static int loop_unavailable(struct reason *why, int error, const char *instead)
{
    return refuse(
        why, CONDITION_UNAVAILABLE,
        "no loop device to be had (%s): load the kernel's module loop, run as root, or %s",
        strerrordesc_np(error), instead);
}

/* Puts FILE behind loop device DEVICE; 0 or a positive errno. */
static int loop_configure(int device, int file, const char *label)
{
    struct loop_config config = {
        .fd = (__u32)file,
        .block_size = LOOP_BLOCK,
        .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
    };

    snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", label);
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    /* a file system below without direct I/O, or blocks of another size */
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    config.block_size = 0;
    return ioctl(device, LOOP_CONFIGURE, &config) == 0 ? 0 : errno;
}

int loop_attach(int file, const char *label, const char *instead, int *loop, char *path,
                size_t room, struct reason *why)
{
    scoped_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (control < 0)
        return loop_unavailable(why, errno, instead);
    for (int i = 0; i < LOOP_TRIES; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return loop_unavailable(why, errno, instead);
        snprintf(path, room, "/dev/loop%d", number);

        scoped_fd int device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0)
            return loop_unavailable(why, errno, instead);
        int error = loop_configure(device, file, label);
        if (error == 0) {
            *loop = take_fd(&device);
            return 0;
        }
        if (error != EBUSY)
            return failure(why, error, "attach %s to %s", label, path);
    }
    return refuse(why, CONDITION_UNAVAILABLE,
                  "every free loop device was taken by another program first: start again");
}

int loop_resize(int loop)
{
    return ioctl(loop, LOOP_SET_CAPACITY, 0) == 0 ? 0 : -errno;
}

bool loop_is_on(const char *device, const struct stat *file)
{
    scoped_fd int loop = -1;
    struct loop_info64 info;

    if (strncmp(device, "/dev/loop", 9) != 0)
        return false;
    loop = open(device, O_RDONLY | O_CLOEXEC);
    return loop >= 0 && ioctl(loop, LOOP_GET_STATUS64, &info) == 0 &&
           info.lo_inode == file->st_ino && info.lo_device == file->st_dev;
}
