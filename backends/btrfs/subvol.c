/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/subvol.h"

#include "backends/btrfs/nested.h"
#include "base/id_set.h"
#include "base/scoped.h"
#include "base/step.h"

#include <btrfsutil.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs_tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void subvol_name(uint64_t id, char name[SUBVOL_NAME])
{
    snprintf(name, SUBVOL_NAME, "%" PRIu64, id);
}

/* The number that NAME is, as subvol_name() writes it; 0 for any other name. */
static uint64_t subvol_number(const char *name)
{
    char again[SUBVOL_NAME];
    uint64_t id;

    if (name[0] < '1' || name[0] > '9')
        return 0;
    errno = 0;
    id = strtoull(name, NULL, 10);
    if (errno != 0)
        return 0;
    subvol_name(id, again);
    return strcmp(name, again) == 0 ? id : 0;
}

static int subvol_no_such(const struct pool *pool, uint64_t id, struct reason *why)
{
    return refuse(why, CONDITION_NOT_FOUND, "volume %" PRIu64 " of the pool %s", id, pool->path);
}

int subvol_open(const struct pool *pool, uint64_t id, int *fd, struct reason *why)
{
    char name[SUBVOL_NAME];
    struct stat root;

    subvol_name(id, name);
    scoped_fd int opened =
        openat(pool_shard(pool, id), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT)
        return subvol_no_such(pool, id, why);
    if (opened < 0 || fstat(opened, &root) < 0)
        return pool_failure(pool, why, errno, "open volume %" PRIu64, id);
    if (root.st_ino != BTRFS_FIRST_FREE_OBJECTID)
        return failure(why, ENOTDIR, "%s/%02x/%s is no subvolume: move it away", pool->path,
                       (unsigned)(id % POOL_SHARDS), name);
    *fd = take_fd(&opened);
    return 0;
}

/* ---- making one ---- */

/* The daemon's umask and what the shard folder hands down have no say. */
static int subvol_set_root(const struct pool *pool, uint64_t id, struct reason *why)
{
    scoped_fd int fd = -1;
    int result = subvol_open(pool, id, &fd, why);

    if (result != 0)
        return result;
    if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
        return pool_failure(pool, why, errno, "set owner and mode of volume %" PRIu64, id);
    return 0;
}

/* One try; SOURCE is -1 for an empty subvolume. 0 or a positive errno. */
static int subvol_try(const struct pool *pool, uint64_t id, int source)
{
    char name[SUBVOL_NAME];
    enum btrfs_util_error error;

    subvol_name(id, name);
    if (source < 0)
        error = btrfs_util_create_subvolume_fd(pool_shard(pool, id), name, 0, NULL, NULL);
    else
        error = btrfs_util_create_snapshot_fd2(source, pool_shard(pool, id), name, 0, NULL, NULL);
    return error == BTRFS_UTIL_OK ? 0 : errno;
}

static int subvol_make(const struct pool *pool, uint64_t id, int source, struct reason *why)
{
    int error = id == 0 ? EINVAL : subvol_try(pool, id, source);

    if (error == EEXIST) {
        int result = subvol_remove(pool, id, NULL, why);
        if (result != 0)
            return amend(why, result, "replace the left-over of volume %" PRIu64, id);
        error = subvol_try(pool, id, source);
    }
    if (error != 0)
        return pool_failure(pool, why, error, "make volume %" PRIu64, id);
    return 0;
}

int subvol_create(const struct pool *pool, uint64_t id, struct reason *why)
{
    int result = subvol_make(pool, id, -1, why);

    STEP("btrfs.subvolume-made");
    if (result == 0) {
        result = subvol_set_root(pool, id, why);
        STEP("btrfs.root-set");
        if (result != 0)
            subvol_remove(pool, id, NULL, NULL);
    }
    return result;
}

int subvol_clone(const struct pool *pool, uint64_t id, uint64_t parent, struct reason *why)
{
    scoped(nested_list_clear) struct nested_list nested = {0};
    scoped_fd int source = -1;
    int result = subvol_open(pool, parent, &source, why);

    if (result != 0)
        return amend(why, result, "clone");
    result = nested_list_make(&nested, pool, source, why);
    if (result != 0)
        return amend(why, result, "clone volume %" PRIu64, parent);
    result = subvol_make(pool, id, source, why);
    STEP("btrfs.clone-made");
    if (result != 0)
        return result;
    result = nested_clone(pool, &nested, id, why);
    STEP("btrfs.nested-cloned");
    if (result == 0)
        return 0;
    subvol_remove(pool, id, NULL, NULL);
    return amend(why, result, "clone volume %" PRIu64, parent);
}

/* ---- ending one ---- */

int subvol_remove(const struct pool *pool, uint64_t id, const atomic_bool *cancel,
                  struct reason *why)
{
    scoped_fd int fd = -1;
    char name[SUBVOL_NAME];
    int result;

    subvol_name(id, name);
    if (btrfs_util_delete_subvolume_fd(pool_shard(pool, id), name, 0) == BTRFS_UTIL_OK ||
        errno == ENOENT) {
        STEP("btrfs.subvolume-removed");
        return 0;
    }
    if (errno != ENOTEMPTY && errno != EPERM && errno != EINVAL && errno != ENOTDIR)
        return pool_failure(pool, why, errno, "remove volume %" PRIu64, id);

    /* seldom: something nested in it, marked immutable, or no subvolume at all */
    result = subvol_open(pool, id, &fd, why);
    if (result != 0)
        return result == CONDITION_NOT_FOUND ? 0 : result;
    nested_thaw(fd); /* a privileged container may have marked its root immutable */
    result = nested_remove(pool, fd, cancel, why);
    if (result != 0)
        return amend(why, result, "remove volume %" PRIu64, id);
    if (btrfs_util_delete_subvolume_fd(pool_shard(pool, id), name, 0) == BTRFS_UTIL_OK ||
        errno == ENOENT)
        return 0;
    if (errno == EPERM || errno == ENOTEMPTY)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "volume %" PRIu64 " of the pool %s cannot be removed now: it is being sent, "
                      "holds a swap file in use, is the default subvolume, or something is still "
                      "made in it",
                      id, pool->path);
    return pool_failure(pool, why, errno, "remove volume %" PRIu64, id);
}

/* ---- the rest ---- */

int subvol_seal(const struct pool *pool, uint64_t id, struct reason *why)
{
    scoped_fd int fd = -1;
    bool sealed = false;
    int result = subvol_open(pool, id, &fd, why);

    if (result != 0)
        return result;
    /* setting the flag again would cost a commit */
    if (btrfs_util_get_subvolume_read_only_fd(fd, &sealed) == BTRFS_UTIL_OK && sealed)
        return 0;
    if (btrfs_util_set_subvolume_read_only_fd(fd, true) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "seal volume %" PRIu64, id);
    STEP("btrfs.subvolume-sealed");
    return 0;
}

int subvol_locate(const struct pool *pool, uint64_t id, struct volume *volume, struct reason *why)
{
    scoped_fd int fd = -1;
    int result;

    volume->kind = VOLUME_DIRECTORY;
    strcpy(volume->fstype, "btrfs");
    snprintf(volume->path, sizeof(volume->path), "%s/%02x/%" PRIu64, pool->path,
             (unsigned)(id % POOL_SHARDS), id);
    result = subvol_open(pool, id, &fd, why);
    if (result != 0)
        return result;
    snprintf(volume->device, sizeof(volume->device), "%s", pool->device);
    if (btrfs_util_subvolume_id_fd(fd, &volume->subvolume) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "number of volume %" PRIu64, id);
    return 0;
}

int subvol_find(const struct pool *pool, uint64_t subvolume, uint64_t *id, struct reason *why)
{
    scoped_free char *path = NULL; /* from the top of the file system, whatever is mounted of it */
    struct volume volume;
    enum btrfs_util_error error = btrfs_util_subvolume_path_fd(pool->directory, subvolume, &path);

    if (error == BTRFS_UTIL_ERROR_SUBVOLUME_NOT_FOUND ||
        (error != BTRFS_UTIL_OK && errno == ENOENT))
        return refuse(why, CONDITION_NOT_FOUND, "subvolume %" PRIu64 " of the pool %s", subvolume,
                      pool->path);
    if (error != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "find subvolume %" PRIu64, subvolume);

    const char *slash = strrchr(path, '/');
    uint64_t number = subvol_number(slash ? slash + 1 : path);
    int result = number ? subvol_locate(pool, number, &volume, why) : CONDITION_NOT_FOUND;

    /* what bears such a name elsewhere on this file system is not ours */
    if (result < 0)
        return result;
    if (result || volume.subvolume != subvolume)
        return refuse(why, CONDITION_NOT_FOUND, "subvolume %" PRIu64 " is no volume of the pool %s",
                      subvolume, pool->path);
    *id = number;
    return 0;
}

/* Adds the volumes of one shard folder; 0 or a positive errno. */
static int subvol_list_shard(int shard, unsigned number, struct id_set *list)
{
    int fd = openat(shard, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int error = 0;

    if (!directory) {
        error = errno;
        scoped_close_(&fd);
        return error;
    }
    while (error == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
        struct stat root;
        uint64_t id = subvol_number(entry->d_name);
        if (id == 0 || id % POOL_SHARDS != number ||
            fstatat(shard, entry->d_name, &root, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(root.st_mode) || root.st_ino != BTRFS_FIRST_FREE_OBJECTID)
            continue; /* not one of ours, or gone since */
        if (!id_set_add(list, id))
            error = ENOMEM;
    }
    if (error == 0)
        error = errno;
    closedir(directory);
    return error;
}

int subvol_each(const struct pool *pool, backend_visit *visit, void *context, struct reason *why)
{
    struct id_set list = {0};
    int result = 0;

    /* a list first: the visitor may remove what it sees */
    for (unsigned i = 0; result == 0 && i < POOL_SHARDS; i++) {
        int error = subvol_list_shard(pool->shards[i], i, &list);
        if (error != 0)
            result = pool_failure(pool, why, error, "list the volumes of the pool %s", pool->path);
    }
    for (size_t i = 0; result == 0 && i < list.count; i++)
        result = visit(context, list.ids[i], why);
    id_set_clear(&list);
    return result;
}
