/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/storage/pool_rig.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

void rig_check_(int result, const struct reason *why, const char *call, const char *file, int line)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s:%d: %s is %d: %s\n", file, line, call, result, why->text);
    _fail(file, line);
}

int rig_write(int directory, const char *name, size_t size)
{
    scoped_fd int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char part[4096];

    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < size;) {
        size_t length = size - done < sizeof(part) ? size - done : sizeof(part);
        for (size_t filled = 0; filled < length;) {
            ssize_t got = getrandom(part + filled, length - filled, 0);
            assert_true(got > 0);
            filled += (size_t)got;
        }
        ssize_t written = write(fd, part, length);
        if (written < 0)
            return -errno;
        done += (size_t)written;
    }
    return 0;
}

double rig_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
