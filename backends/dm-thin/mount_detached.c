/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/mount_detached.h"

#include "base/log.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What the kernel has to say about it; best effort. */
static void mount_tell(int context, const char *device)
{
    char text[256];
    ssize_t length;

    while ((length = read(context, text, sizeof(text) - 1)) > 0) {
        text[length] = '\0';
        log_debug("mounting %s: %s", device, text);
    }
}

static int mount_configure(int context, const char *device, const char *fstype, enum mount_use use)
{
    const char *no_replay = strcmp(fstype, "xfs") == 0 ? "norecovery" : "noload";

    if (fsconfig(context, FSCONFIG_SET_STRING, "source", device, 0) < 0)
        return -errno;
    if (use == MOUNT_READ_ONLY && (fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
                                   fsconfig(context, FSCONFIG_SET_FLAG, no_replay, NULL, 0) < 0))
        return -errno;
    /* every clone bears the id of what it was cloned from */
    if (strcmp(fstype, "xfs") == 0 && fsconfig(context, FSCONFIG_SET_FLAG, "nouuid", NULL, 0) < 0)
        return -errno;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    return 0;
}

bool mount_is_anywhere(const char *device, const char *fstype)
{
    char entry[64];
    struct stat node;

    if (stat(device, &node) < 0)
        return false;
    snprintf(entry, sizeof(entry), "/sys/fs/%s/dm-%u", fstype, minor(node.st_rdev));
    if (access(entry, F_OK) == 0)
        return true;
    *strrchr(entry, '/') = '\0';
    return access(entry, F_OK) < 0;
}

int mount_detached(const char *device, const char *fstype, enum mount_use use, int *directory)
{
    scoped_fd int context = fsopen(fstype, FSOPEN_CLOEXEC);

    if (context < 0)
        return -errno;
    int result = mount_configure(context, device, fstype, use);
    if (result < 0) {
        mount_tell(context, device);
        return result;
    }
    scoped_fd int mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOATIME);
    if (mount < 0)
        return -errno;
    /* the descriptor of fsmount() only names the place; this one keeps the mount when that ends */
    *directory = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory < 0 ? -errno : 0;
}
