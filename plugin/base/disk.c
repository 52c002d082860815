/* SPDX-License-Identifier: Apache-2.0 */
#include "base/disk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

bool disk_is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

int disk_failure(struct reason *why, int error, const char *path, const char *format, ...)
{
    char tried[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(tried, sizeof(tried), format, arguments);
    va_end(arguments);
    if (disk_is_full(error))
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: the file system that holds %s is full (no space or no inodes left, or a "
                      "quota is used up); free some space there",
                      tried, path);
    return failure(why, error, "%s", tried);
}
