/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/lower.h"

#include "base/bytes.h"
#include "base/scoped.h"
#include "layer/io_error.h"
#include "layer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The folder that NAME is beneath LOWER, open; -1 in *FD if it has none there. *HIDDEN tells that
 * it has something else. */
static int lower_open(const char *lower, const char *name, uint64_t *steps, int *fd, bool *hidden,
                      struct reason *why)
{
    scoped_fd int base = open(lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char rooted[PATH_ROOM + 1]; /* as containerd looks it up: see path_resolve() */
    char resolved[PATH_ROOM];
    struct path_root root;
    int result;

    *fd = -1;
    *hidden = false;
    if (base < 0)
        return failure(why, errno, "cannot open the lower folder %s", quoted(bytes_of(lower)));
    path_root_init(&root, base);
    root.steps = steps;
    snprintf(rooted, sizeof(rooted), "/%s", name);
    result = path_resolve(&root, rooted, resolved, why);
    if (result == CONDITION_INVALID && !(steps && *steps == 0)) {
        *hidden = true;
        return 0;
    }
    if (result)
        return result;
    *fd = path_open(&root, resolved, O_RDONLY | O_DIRECTORY);
    if (*fd >= 0)
        return 0;
    result = -*fd;
    *fd = -1;
    if (result == ENOENT)
        return 0;
    *hidden = result == ENOTDIR || result == ELOOP;
    return *hidden ? 0 : io_error(why, result, "open in a lower folder", name);
}

/* One attribute called KEY. */
static int lower_copy_xattr(int from, int to, const char *name, const char *key, struct reason *why)
{
    scoped_free uint8_t *value = NULL;
    ssize_t length;

    if (strncmp(key, "trusted.", 8) == 0)
        return 0;
    value = malloc(XATTR_SIZE_MAX);
    if (!value)
        return failure(why, ENOMEM, "cannot copy the attributes of %s", quoted(bytes_of(name)));
    length = fgetxattr(from, key, value, XATTR_SIZE_MAX);
    if (length < 0)
        return errno == ENODATA || errno == EOPNOTSUPP
                   ? 0
                   : io_error(why, errno, "read an attribute of the lower", name);
    if (fsetxattr(to, key, value, (size_t)length, XATTR_CREATE) < 0 && errno != EEXIST &&
        errno != ENODATA && errno != EOPNOTSUPP)
        return io_error(why, errno, "copy an attribute to", name);
    return 0;
}

static int lower_copy_xattrs(int from, int to, const char *name, struct reason *why)
{
    scoped_free char *keys = malloc(XATTR_LIST_MAX);
    ssize_t length;
    int result = 0;

    if (!keys)
        return failure(why, ENOMEM, "cannot copy the attributes of %s", quoted(bytes_of(name)));
    length = flistxattr(from, keys, XATTR_LIST_MAX);
    if (length < 0)
        return errno == EOPNOTSUPP ? 0 : io_error(why, errno, "list the attributes of", name);
    for (const char *key = keys; !result && key < keys + length; key += strlen(key) + 1)
        result = lower_copy_xattr(from, to, name, key, why);
    return result;
}

static int lower_copy_from(int from, int to, const char *name, struct reason *why)
{
    struct stat status;
    struct timespec times[2];

    if (fstat(from, &status) < 0)
        return io_error(why, errno, "look up", name);
    if (fchown(to, status.st_uid, status.st_gid) < 0)
        return io_error(why, errno, "set the owner of", name);
    if (fchmod(to, status.st_mode & 07777) < 0)
        return io_error(why, errno, "set the mode of", name);
    times[0] = status.st_atim;
    times[1] = status.st_mtim;
    if (futimens(to, times) < 0)
        return io_error(why, errno, "set the times of", name);
    return lower_copy_xattrs(from, to, name, why);
}

int lower_copy_up(int fd, const char *name, const char *const *lowers, uint64_t *steps,
                  struct reason *why)
{
    for (; lowers && *lowers; lowers++) {
        scoped_fd int from = -1;
        bool hidden;
        int result = lower_open(*lowers, name, steps, &from, &hidden, why);

        if (result || hidden)
            return result;
        if (from >= 0)
            return lower_copy_from(from, fd, name, why);
    }
    return 0;
}
