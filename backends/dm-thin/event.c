/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/event.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>

int event_open(void)
{
    int events = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

    return events < 0 ? -errno : events;
}

int event_arm(int events)
{
    /* the oldest version: the kernel takes any of its own major number that is not newer */
    struct dm_ioctl request = {
        .version = {4, 0, 0},
        .data_size = sizeof(request),
        .data_start = sizeof(request),
    };

    return ioctl(events, DM_DEV_ARM_POLL, &request) < 0 ? -errno : 0;
}
