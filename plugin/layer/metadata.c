/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/metadata.h"

#include "base/bytes.h"
#include "layer/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool time_before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* Within 64 bits of nanoseconds since 1970, or 1970. */
static struct timespec time_bounded(struct timespec time)
{
    const struct timespec last = {INT64_MAX / 1000000000, INT64_MAX % 1000000000};

    if (time.tv_sec < 0 || time_before(last, time))
        return (struct timespec){0};
    return time;
}

struct metadata metadata_of(const struct entry *entry)
{
    struct timespec latest = entry->mtime;

    if (entry->atime.tv_nsec != UTIME_OMIT && time_before(latest, entry->atime))
        latest = entry->atime;
    return (struct metadata){
        .mode = entry->mode & 07777,
        .uid = entry->uid,
        .gid = entry->gid,
        .times = {time_bounded(latest), time_bounded(entry->mtime)},
        .xattrs = entry->xattrs,
        .xattr_count = entry->xattr_count,
    };
}

/* After a failed call for the attribute: whether to go on without it. */
static int metadata_xattr_failed(int error, const char *name, const char *attribute, bool special,
                                 struct reason *why)
{
    if (error == EOPNOTSUPP)
        return 0;
    if (error == EPERM && special && strncmp(attribute, "user.", 5) == 0)
        return 0;
    if (error == ENOSPC)
        return refuse(
            why, CONDITION_EXHAUSTED,
            "cannot set the attribute %s of %s: no space for it; the attributes of a file "
            "are limited, or the pool is full",
            quoted(bytes_of(attribute)), quoted(bytes_of(name)));
    if (error == ERANGE || error == E2BIG || error == EINVAL)
        return refuse(why, CONDITION_INVALID,
                      "cannot set the attribute %s of %s: its name or value is none that the "
                      "kernel takes; the layer must be built anew",
                      quoted(bytes_of(attribute)), quoted(bytes_of(name)));
    return amend(why, io_error(why, error, "set an attribute of", name), "attribute %s",
                 quoted(bytes_of(attribute)));
}

static bool metadata_xattr_left_out(const struct entry_xattr *xattr)
{
    return strncmp(xattr->name, "trusted.", 8) == 0;
}

int metadata_put(int fd, const char *name, const struct metadata *metadata, struct reason *why)
{
    if (!metadata->plain_owner && fchown(fd, metadata->uid, metadata->gid) < 0)
        return io_error(why, errno, "set the owner of", name);
    for (size_t i = 0; i < metadata->xattr_count; i++) {
        const struct entry_xattr *xattr = &metadata->xattrs[i];
        int result;

        if (metadata_xattr_left_out(xattr))
            continue;
        if (fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0) == 0)
            continue;
        result = metadata_xattr_failed(errno, name, xattr->name, false, why);
        if (result)
            return result;
    }
    if (!metadata->plain_mode && fchmod(fd, metadata->mode) < 0)
        return io_error(why, errno, "set the mode of", name);
    if (futimens(fd, metadata->times) < 0)
        return io_error(why, errno, "set the times of", name);
    return 0;
}

int metadata_put_at(int folder, const char *name, enum entry_type type,
                    const struct metadata *metadata, struct reason *why)
{
    bool special = type != ENTRY_FILE && type != ENTRY_DIRECTORY;
    /* There is no setxattrat(2) before Linux 6.13. The folder's descriptor is followed, NAME not.
     */
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(int) + NAME_MAX + 2];

    if (!metadata->plain_owner &&
        fchownat(folder, name, metadata->uid, metadata->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return io_error(why, errno, "set the owner of", name);
    for (size_t i = 0; i < metadata->xattr_count; i++) {
        const struct entry_xattr *xattr = &metadata->xattrs[i];
        int result;

        if (metadata_xattr_left_out(xattr))
            continue;
        if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder, name) >= (int)sizeof(path))
            return io_error(why, ENAMETOOLONG, "set an attribute of", name);
        if (lsetxattr(path, xattr->name, xattr->value, xattr->length, 0) == 0)
            continue;
        result = metadata_xattr_failed(errno, name, xattr->name, special, why);
        if (result)
            return result;
    }
    /* A hard link may be one to a symlink, for which the answer is EOPNOTSUPP. */
    if (!metadata->plain_mode && type != ENTRY_SYMLINK &&
        fchmodat(folder, name, metadata->mode, AT_SYMLINK_NOFOLLOW) < 0 && errno != EOPNOTSUPP)
        return io_error(why, errno, "set the mode of", name);
    return metadata_put_times_at(folder, name, metadata->times, why);
}

int metadata_put_times_at(int folder, const char *name, const struct timespec times[static 2],
                          struct reason *why)
{
    if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return io_error(why, errno, "set the times of", name);
    return 0;
}
