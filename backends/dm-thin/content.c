/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/content.h"

#include "base/bytes.h"
#include "base/scoped.h"

#include <blkid.h>
#include <errno.h>

static void probe_free(blkid_probe *probe)
{
    blkid_free_probe(*probe); /* NULL may be freed */
}

/* What the probe found first, in words of libblkid ("ext4", "gpt"). */
static const char *probe_name(blkid_probe probe)
{
    const char *name = NULL;

    if (blkid_probe_lookup_value(probe, "TYPE", &name, NULL) < 0 &&
        blkid_probe_lookup_value(probe, "PTTYPE", &name, NULL) < 0)
        name = "something of somebody's";
    return name;
}

int content_expect_none(const char *setting, const char *path, struct reason *why)
{
    scoped(probe_free) blkid_probe probe = blkid_new_probe_from_filename(path);

    if (!probe)
        return failure(why, errno, "look what is on %s", quoted(bytes_of(path)));
    blkid_probe_enable_partitions(probe, 1);
    /* 1: nothing; -2: several things at once; -1: it could not look */
    int found = blkid_do_safeprobe(probe);
    if (found == 1)
        return 0;
    if (found == -1)
        return failure(why, errno ? errno : EIO, "look what is on %s", quoted(bytes_of(path)));
    return refuse(why, CONDITION_INVALID,
                  "dm_thin.%s %s holds %s already: name another device, or, if that may be lost, "
                  "`wipefs --all %s`",
                  setting, quoted(bytes_of(path)),
                  found == 0 ? probe_name(probe) : "several things", path);
}
