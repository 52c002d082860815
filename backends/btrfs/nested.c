/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/nested.h"

#include "backends/btrfs/subvol.h"
#include "backends/btrfs/tree.h"
#include "base/scoped.h"

#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/*
 * What a container nested in its volume was made by a stranger: subvolumes in subvolumes, as deep
 * and under paths as long as it liked, read-only or not, in folders it made immutable. So they are
 * found, cloned and ended by number, with no path: down through the ROOT_REF items of the root
 * tree, up again through ROOT_BACKREF, each removed from the folder that holds it, which is opened
 * by its inode number. (BTRFS_IOC_SNAP_DESTROY_V2 by number makes a path of it inside the kernel,
 * and fails when that gets too long.) Their end, which must not fail, needs no memory for depth or
 * number; clones are made of so many at most.
 */

#define NESTED_MOST 100 /* each takes a commit, and the caller waits */

#define FILEID_BTRFS_WITHOUT_PARENT 0x4d

/* Where a subvolume hangs, as its ROOT_BACKREF item says. */
struct nested_place {
    uint64_t parent;                   /* the subvolume that holds it */
    uint64_t folder;                   /* inode there */
    char name[BTRFS_VOL_NAME_MAX + 1]; /* in that folder */
};

/* The next subvolume right inside SUBVOLUME whose number is above AFTER: 1 and *CHILD, 0 for none,
 * or minus an errno. */
static int nested_child(int fd, uint64_t subvolume, uint64_t after, uint64_t *child)
{
    struct tree_key key = {0}, first = {subvolume, BTRFS_ROOT_REF_KEY, after + 1},
                    last = {subvolume, BTRFS_ROOT_REF_KEY, UINT64_MAX};
    int result = tree_find_first(fd, BTRFS_ROOT_TREE_OBJECTID, first, last, &key, NULL, 0);

    *child = key.offset;
    return result;
}

/* 0 or minus an errno. */
static int nested_find(int fd, uint64_t subvolume, struct nested_place *place)
{
    struct tree_key key, first = {subvolume, BTRFS_ROOT_BACKREF_KEY, 0},
                         last = {subvolume, BTRFS_ROOT_BACKREF_KEY, UINT64_MAX};
    struct {
        struct btrfs_root_ref reference;
        char name[BTRFS_VOL_NAME_MAX];
    } __attribute__((packed)) item = {0};
    int found =
        tree_find_first(fd, BTRFS_ROOT_TREE_OBJECTID, first, last, &key, &item, sizeof(item));

    if (found <= 0)
        return found < 0 ? found : -ENOENT;
    size_t length = le16toh(item.reference.name_len);
    if (length == 0 || length > BTRFS_VOL_NAME_MAX)
        return -EUCLEAN;
    place->parent = key.offset;
    place->folder = le64toh(item.reference.dirid);
    memcpy(place->name, item.name, length);
    place->name[length] = '\0';
    return 0;
}

/* Opens a folder of a subvolume, both by number, as the kernel's file handles allow: they are made
 * of inode, subvolume and the inode's generation (struct btrfs_fid of fs/btrfs/export.h). -1 with
 * errno when that fails. */
static int nested_open(const struct pool *pool, uint64_t subvolume, uint64_t folder)
{
    struct btrfs_fid {
        uint64_t objectid;
        uint64_t root;
        uint32_t generation;
    } __attribute__((packed)) fid = {.objectid = folder, .root = subvolume};
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + sizeof(fid)];
    } file = {.handle = {.handle_bytes = sizeof(fid), .handle_type = FILEID_BTRFS_WITHOUT_PARENT}};
    struct tree_key key, at = {folder, BTRFS_INODE_ITEM_KEY, 0};
    struct btrfs_inode_item inode = {0};
    int found = tree_find_first(pool->directory, subvolume, at, at, &key, &inode, sizeof(inode));

    if (found <= 0) {
        errno = found < 0 ? -found : ENOENT;
        return -1;
    }
    fid.generation = (uint32_t)le64toh(inode.generation);
    memcpy(file.room + offsetof(struct file_handle, f_handle), &fid, sizeof(fid));
    return open_by_handle_at(pool->directory, &file.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void nested_thaw(int fd)
{
    int flags;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
        return;
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 && errno == EROFS &&
        btrfs_util_set_subvolume_read_only_fd(fd, false) == BTRFS_UTIL_OK)
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* ---- cloning ---- */

struct nested_pair {
    uint64_t original, clone;
    size_t holder; /* the pair that it is right inside of */
};

static int nested_survey(const struct pool *pool, struct nested_list *list, struct reason *why)
{
    for (size_t i = 0; i < list->count; i++) {
        uint64_t child = 0;
        int found;

        while ((found = nested_child(pool->directory, list->pairs[i].original, child, &child)) >
               0) {
            if (list->count > NESTED_MOST)
                return refuse(
                    why, CONDITION_PRECONDITION,
                    "more than %d subvolumes were made inside it: remove some, and commit "
                    "it anew",
                    NESTED_MOST);
            list->pairs[list->count++] = (struct nested_pair){.original = child, .holder = i};
        }
        if (found < 0)
            return pool_failure(pool, why, -found, "look for nested subvolumes");
    }
    return 0;
}

int nested_list_make(struct nested_list *list, const struct pool *pool, int fd, struct reason *why)
{
    uint64_t top, child;

    *list = (struct nested_list){0};
    if (btrfs_util_subvolume_id_fd(fd, &top) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "number of the subvolume");
    int found = nested_child(pool->directory, top, 0, &child);
    if (found < 0)
        return pool_failure(pool, why, -found, "look for nested subvolumes");
    if (found == 0)
        return 0;
    list->pairs = calloc(NESTED_MOST + 1, sizeof(*list->pairs));
    if (!list->pairs)
        return failure(why, ENOMEM, "list nested subvolumes");
    list->pairs[0].original = top;
    list->count = 1;
    return nested_survey(pool, list, why);
}

void nested_list_clear(struct nested_list *list)
{
    free(list->pairs);
    *list = (struct nested_list){0};
}

/* Puts a clone of the subvolume ORIGINAL, opened as ITSELF, in the place of the empty folder NAME;
 * what that changes of FOLDER is set back. 0 or minus an errno. */
static int nested_replace(int itself, int folder, const char *name)
{
    struct stat before;
    int flags = 0, error = 0;

    if (fstat(folder, &before) < 0)
        return -errno;
    bool marked = ioctl(folder, FS_IOC_GETFLAGS, &flags) == 0 &&
                  (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0;
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    if (marked)
        nested_thaw(folder);
    if (unlinkat(folder, name, AT_REMOVEDIR) < 0 ||
        btrfs_util_create_snapshot_fd2(itself, folder, name, 0, NULL, NULL) != BTRFS_UTIL_OK ||
        futimens(folder, times) < 0)
        error = -errno;
    if (marked && ioctl(folder, FS_IOC_SETFLAGS, &flags) < 0 && error == 0)
        error = -errno;
    return error;
}

static int nested_copy(const struct pool *pool, struct nested_pair *pair, uint64_t holder)
{
    struct nested_place place;
    int error = nested_find(pool->directory, pair->original, &place);

    if (error != 0)
        return error;
    scoped_fd int folder = nested_open(pool, holder, place.folder);
    if (folder < 0)
        return -errno;
    scoped_fd int itself = nested_open(pool, pair->original, BTRFS_FIRST_FREE_OBJECTID);
    if (itself < 0)
        return -errno;
    error = nested_replace(itself, folder, place.name);
    if (error != 0)
        return error;
    scoped_fd int made =
        openat(folder, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return made < 0 || btrfs_util_subvolume_id_fd(made, &pair->clone) != BTRFS_UTIL_OK ? -errno : 0;
}

/* Once all is in it. */
static int nested_copy_flag(const struct pool *pool, const struct nested_pair *pair)
{
    bool read_only;
    scoped_fd int original = nested_open(pool, pair->original, BTRFS_FIRST_FREE_OBJECTID);

    if (original < 0 ||
        btrfs_util_get_subvolume_read_only_fd(original, &read_only) != BTRFS_UTIL_OK)
        return -errno;
    if (!read_only)
        return 0;
    scoped_fd int clone = nested_open(pool, pair->clone, BTRFS_FIRST_FREE_OBJECTID);
    return clone < 0 || btrfs_util_set_subvolume_read_only_fd(clone, true) != BTRFS_UTIL_OK ? -errno
                                                                                            : 0;
}

int nested_clone(const struct pool *pool, struct nested_list *list, uint64_t id, struct reason *why)
{
    struct nested_pair *pairs = list->pairs;
    scoped_fd int clone = -1;
    int error = 0;

    if (list->count == 0)
        return 0;
    int result = subvol_open(pool, id, &clone, why);
    if (result != 0)
        return result;
    if (btrfs_util_subvolume_id_fd(clone, &pairs[0].clone) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "number of the clone");
    for (size_t i = 1; error == 0 && i < list->count; i++)
        error = nested_copy(pool, &pairs[i], pairs[pairs[i].holder].clone);
    for (size_t i = 1; error == 0 && i < list->count; i++)
        error = nested_copy_flag(pool, &pairs[i]);
    if (error == 0 && btrfs_util_sync_fd(clone) != BTRFS_UTIL_OK) /* the times and the flags */
        error = -errno;
    return error ? pool_failure(pool, why, -error, "clone the subvolumes nested in it") : 0;
}

/* ---- ending ---- */

/* Takes away what kept SUBVOLUME from being removed: that what holds it is read-only, or that
 * something on the way is immutable. */
static int nested_unlock(const struct pool *pool, uint64_t subvolume,
                         const struct nested_place *place, int folder)
{
    scoped_fd int holder = nested_open(pool, place->parent, BTRFS_FIRST_FREE_OBJECTID);
    scoped_fd int itself = nested_open(pool, subvolume, BTRFS_FIRST_FREE_OBJECTID);
    bool sealed = false;

    if (holder < 0 || itself < 0 ||
        btrfs_util_get_subvolume_read_only_fd(holder, &sealed) != BTRFS_UTIL_OK ||
        (sealed && btrfs_util_set_subvolume_read_only_fd(holder, false) != BTRFS_UTIL_OK))
        return -errno;
    nested_thaw(folder);
    nested_thaw(itself);
    return 0;
}

static int nested_end(const struct pool *pool, uint64_t subvolume, const struct nested_place *place)
{
    scoped_fd int folder = nested_open(pool, place->parent, place->folder);

    if (folder < 0)
        return -errno;
    if (btrfs_util_delete_subvolume_fd(folder, place->name, 0) == BTRFS_UTIL_OK || errno == ENOENT)
        return 0;
    if (errno != EROFS && errno != EPERM)
        return -errno;
    int result = nested_unlock(pool, subvolume, place, folder);
    if (result == 0 && btrfs_util_delete_subvolume_fd(folder, place->name, 0) != BTRFS_UTIL_OK &&
        errno != ENOENT)
        result = -errno;
    return result;
}

int nested_remove(const struct pool *pool, int fd, const atomic_bool *cancel, struct reason *why)
{
    struct nested_place place;
    uint64_t top, current, child;

    if (btrfs_util_subvolume_id_fd(fd, &top) != BTRFS_UTIL_OK)
        return failure(why, errno, "number of the subvolume");
    for (current = top;;) {
        if (cancel && atomic_load(cancel))
            return refuse(why, CONDITION_CANCELLED, "the removal was cancelled");
        int found = nested_child(pool->directory, current, 0, &child);
        if (found > 0) {
            current = child;
            continue;
        }
        if (found == 0 && current == top)
            return 0;

        int error = found < 0 ? found : nested_find(pool->directory, current, &place);
        if (error == 0)
            error = nested_end(pool, current, &place);
        if (error == -EPERM)
            error = -EBUSY; /* being sent, holding a swap file, or the default subvolume */
        if (error != 0)
            return pool_failure(pool, why, -error, "remove the nested subvolume %" PRIu64, current);
        current = place.parent;
    }
}
