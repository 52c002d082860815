/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/embedded.h"

#include "base/bytes.h"
#include "base/scoped.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define MIB UINT64_C(1048576)

static int default_size(int root, const char *root_path, const char *kind, const char *instead,
                        uint64_t *size, struct reason *why)
{
    struct statfs disk;

    if (fstatfs(root, &disk) < 0)
        return failure(why, errno, "free space of %s", quoted(bytes_of(root_path)));
    uint64_t available = (uint64_t)disk.f_bavail * (uint64_t)disk.f_bsize;

    *size = available / 5 * 4;
    if (*size > EMBEDDED_SIZE_DEFAULT)
        *size = EMBEDDED_SIZE_DEFAULT;
    if (*size < EMBEDDED_SIZE_LEAST)
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s has only %" PRIu64
                      " MiB free, too little for an embedded %s pool: free some, or %s",
                      quoted(bytes_of(root_path)), available / MIB, kind, instead);
    return 0;
}

int embedded_size(int root, const char *root_path, const char *kind, const char *instead,
                  uint64_t *size, struct reason *why)
{
    int result = 0;

    if (*size == 0)
        result = default_size(root, root_path, kind, instead, size, why);
    if (result != 0)
        return result;
    if (*size < EMBEDDED_SIZE_LEAST)
        return refuse(why, CONDITION_INVALID,
                      "pool.size %" PRIu64 " is too small for a %s pool: give at least %" PRIu64,
                      *size, kind, EMBEDDED_SIZE_LEAST);
    *size -= *size % MIB;
    return 0;
}

int embedded_target(const struct pool_growth *growth, uint64_t now, const char *what,
                    uint64_t *size, struct reason *why)
{
    if (growth->more && growth->size < MIB)
        return refuse(why, CONDITION_INVALID, "%s grows by whole MiB: give +1MiB or more", what);
    *size = growth->size;
    if (growth->more && __builtin_add_overflow(now, growth->size, size))
        *size = UINT64_MAX;
    *size -= *size % MIB;
    if (*size > INT64_MAX)
        return refuse(why, CONDITION_INVALID, "%s cannot become larger than any file", what);
    if (*size < now)
        return refuse(why, CONDITION_INVALID,
                      "%s is %s already and only grows: give more than that, or +SIZE", what,
                      size_text(now));
    return 0;
}

int embedded_lengthen(int root, const char *name, uint64_t size)
{
    scoped_fd int file = openat(root, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat now;

    if (file < 0 || fstat(file, &now) < 0)
        return -errno;
    if ((uint64_t)now.st_size >= size)
        return 0;
    if (ftruncate(file, (off_t)size) < 0)
        return errno == EINVAL ? -EFBIG : -errno;
    return fsync(file) < 0 ? -errno : 1;
}
