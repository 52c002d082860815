/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifests.h"

#include "base/id_set.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFESTS_NAME 24 /* bytes of a number as text */

static const char *name_of(uint64_t id, char name[static MANIFESTS_NAME])
{
    snprintf(name, MANIFESTS_NAME, "%" PRIu64, id);
    return name;
}

/* What was cut or removed must not come back by a loss of power: it would accuse sound files. */
static void keep(int fd, uint64_t id)
{
    if (fsync(fd))
        log_warn("the note of what is in snapshot #%" PRIu64
                 " may come back after a loss of power: sync manifests: %s",
                 id, strerrordesc_np(errno));
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
        keep(fd, id);
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

/* Whether there was one. */
static bool drop(struct snapshots *snapshots, uint64_t id)
{
    int folder = snapshots->options.manifests;
    char name[MANIFESTS_NAME];

    if (folder <= 0)
        return false;
    if (unlinkat(folder, name_of(id, name), 0) == 0)
        return true;
    if (errno != ENOENT)
        log_warn("remove manifests/%s: %s", name, strerrordesc_np(errno));
    return false;
}

void manifests_drop(struct snapshots *snapshots, uint64_t id)
{
    drop(snapshots, id);
}

void manifests_forget(struct snapshots *snapshots, uint64_t id)
{
    if (drop(snapshots, id))
        keep(snapshots->options.manifests, id);
}

/* ---- at the start ---- */

/* The numbers that files are called by. What is called otherwise is nobody's here, and stays. */
static bool list_files(int folder, struct id_set *ids)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool complete = stream != NULL;

    if (!stream && fd >= 0)
        close(fd);
    while (complete && (entry = readdir(stream))) {
        char name[MANIFESTS_NAME];
        uint64_t id = strtoull(entry->d_name, NULL, 10);

        if (id && strcmp(entry->d_name, name_of(id, name)) == 0)
            complete = id_set_add(ids, id);
    }
    if (stream)
        closedir(stream);
    return complete;
}

/* Takes those out of the set CONTEXT that a snapshot has. */
static int keep_unknown(struct store_txn *txn, void *context, struct reason *why)
{
    struct id_set *ids = context;
    size_t kept = 0;

    for (size_t i = 0; i < ids->count; i++) {
        bool known;
        int result = volume_is_known(txn, ids->ids[i], &known, why);

        if (result)
            return result;
        if (!known)
            ids->ids[kept++] = ids->ids[i];
    }
    ids->count = kept;
    return 0;
}

void manifests_sweep(struct snapshots *snapshots)
{
    struct id_set ids = {0};
    struct reason why = {0};

    if (snapshots->options.manifests > 0 && list_files(snapshots->options.manifests, &ids) &&
        store_read(snapshots->options.store, keep_unknown, &ids, &why) == 0)
        for (size_t i = 0; i < ids.count; i++)
            drop(snapshots, ids.ids[i]);
    id_set_clear(&ids);
}
