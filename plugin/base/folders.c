/* SPDX-License-Identifier: Apache-2.0 */
#include "base/folders.h"

#include "base/bytes.h"
#include "base/disk.h"
#include "base/scoped.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int make(const char *folder, mode_t mode)
{
    if (mkdir(folder, mode) < 0)
        return errno == EEXIST ? 0 : errno;
    return chmod(folder, mode) < 0 ? errno : 0;
}

int folders_make(const char *path, mode_t mode, const char *what, struct reason *why)
{
    scoped_free char *part = strdup(path);

    if (!part)
        return failure(why, ENOMEM, "make the folder %s", quoted(bytes_of(path)));
    for (char *at = part + 1;; at++) {
        char kept = *at;
        int error;

        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        error = make(part, kept == '\0' ? mode : 0755);
        if (error)
            return disk_failure(why, error, path, "cannot make the folder %s %s",
                                quoted(bytes_of(part)), what);
        *at = kept;
        if (kept == '\0')
            return 0;
    }
}
