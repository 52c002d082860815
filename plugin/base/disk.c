/* SPDX-License-Identifier: Apache-2.0 */
#include "base/disk.h"

#include <errno.h>
#include <stdio.h>

bool disk_is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

int disk_vfailure(struct reason *why, int error, const char *path, const char *format,
                  va_list arguments)
{
    char tried[512];

    (void)vsnprintf(tried, sizeof(tried), format, arguments);
    if (disk_is_full(error))
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: the file system that holds %s is full (no space or no inodes left, or a "
                      "quota is used up); free some space there",
                      tried, path);
    return failure(why, error, "%s", tried);
}

int disk_failure(struct reason *why, int error, const char *path, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int result = disk_vfailure(why, error, path, format, arguments);
    va_end(arguments);
    return result;
}
