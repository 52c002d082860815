/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifests.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MANIFESTS_NAME 24 /* bytes of a number as text */

static const char *name_of(uint64_t id, char name[static MANIFESTS_NAME])
{
    snprintf(name, MANIFESTS_NAME, "%" PRIu64, id);
    return name;
}

int manifests_make(struct snapshots *snapshots, uint64_t id, bool record)
{
    int folder = snapshots->options.manifests, fd;
    char name[MANIFESTS_NAME];

    if (folder <= 0)
        return -1;
    name_of(id, name);
    /* one that is there is of an earlier layer, or of a try that failed: both may be in the tree */
    fd = openat(folder, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return -1;
    }
    if (errno == ENOENT && !record)
        return -1;
    if (errno == ENOENT)
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    log_warn("the content of snapshot #%" PRIu64 " is not recorded: open manifests/%s: %s", id,
             name, strerrordesc_np(errno));
    return -1;
}

int manifests_open(struct snapshots *snapshots, uint64_t id)
{
    char name[MANIFESTS_NAME];

    if (snapshots->options.manifests <= 0)
        return -1;
    return openat(snapshots->options.manifests, name_of(id, name), O_RDONLY | O_CLOEXEC);
}

void manifests_drop(struct snapshots *snapshots, uint64_t id)
{
    char name[MANIFESTS_NAME];

    if (snapshots->options.manifests > 0 &&
        unlinkat(snapshots->options.manifests, name_of(id, name), 0) < 0 && errno != ENOENT)
        log_warn("remove manifests/%s: %s", name, strerrordesc_np(errno));
}
