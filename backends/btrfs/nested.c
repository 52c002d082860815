/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/subvol.h"
#include "backends/btrfs/tree.h"
#include "base/scoped.h"

#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * What a container nested in its volume was made by a stranger: subvolumes in subvolumes, as deep
 * and under paths as long as it liked, read-only or not, in folders it made immutable. So they are
 * found and ended by number, with no path: down through the ROOT_REF items of the root tree, up
 * again through ROOT_BACKREF, each removed from the folder that holds it, which is opened by its
 * inode number. (BTRFS_IOC_SNAP_DESTROY_V2 by number makes a path of it inside the kernel, and
 * fails when that gets too long.) Neither depth nor number needs memory here.
 */

#define FILEID_BTRFS_WITHOUT_PARENT 0x4d

/* Where a subvolume hangs, as its ROOT_BACKREF item says. */
struct nested_place {
    uint64_t parent;                   /* the subvolume that holds it */
    uint64_t folder;                   /* inode there */
    char name[BTRFS_VOL_NAME_MAX + 1]; /* in that folder */
};

/* A subvolume right inside SUBVOLUME: 1 and *CHILD, 0 for none, or minus an errno. */
static int nested_child(int fd, uint64_t subvolume, uint64_t *child)
{
    struct tree_key key = {0}, first = {subvolume, BTRFS_ROOT_REF_KEY, 0},
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

int nested_remove(const struct pool *pool, int fd, struct reason *why)
{
    struct nested_place place;
    uint64_t top, current, child;

    if (btrfs_util_subvolume_id_fd(fd, &top) != BTRFS_UTIL_OK)
        return failure(why, errno, "number of the subvolume");
    for (current = top;;) {
        int found = nested_child(pool->directory, current, &child);
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
