/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/subvol.h"
#include "backends/btrfs/tree.h"
#include "base/scoped.h"

#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/*
 * What a container nested in its volume was made by a stranger: subvolumes in subvolumes, as deep
 * and under paths as long as it liked, read-only or not. So they are found and ended by number,
 * with no path: children through the ROOT_REF items of the root tree, the way back up through
 * ROOT_BACKREF. Neither depth nor number needs memory here.
 */

#define FILEID_BTRFS_WITHOUT_PARENT 0x4d

/* A subvolume right inside SUBVOLUME: 1 and *CHILD, 0 for none, or minus an errno. */
static int nested_child(int fd, uint64_t subvolume, uint64_t *child)
{
    struct tree_key key, first = {subvolume, BTRFS_ROOT_REF_KEY, 0},
                         last = {subvolume, BTRFS_ROOT_REF_KEY, UINT64_MAX};
    int result = tree_find_first(fd, BTRFS_ROOT_TREE_OBJECTID, first, last, &key, NULL, 0);

    *child = key.offset;
    return result;
}

static int nested_parent(int fd, uint64_t subvolume, uint64_t *parent)
{
    struct tree_key key, first = {subvolume, BTRFS_ROOT_BACKREF_KEY, 0},
                         last = {subvolume, BTRFS_ROOT_BACKREF_KEY, UINT64_MAX};
    int result = tree_find_first(fd, BTRFS_ROOT_TREE_OBJECTID, first, last, &key, NULL, 0);

    *parent = key.offset;
    return result;
}

/* Opens the root of a subvolume by its number, as the kernel's file handles allow: they are made of
 * inode, subvolume and the inode's generation (struct btrfs_fid of fs/btrfs/export.h). */
static int nested_open(const struct pool *pool, uint64_t subvolume)
{
    struct btrfs_fid {
        uint64_t objectid;
        uint64_t root;
        uint32_t generation;
    } __attribute__((packed)) fid = {.objectid = BTRFS_FIRST_FREE_OBJECTID, .root = subvolume};
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + sizeof(fid)];
    } file = {.handle = {.handle_bytes = sizeof(fid), .handle_type = FILEID_BTRFS_WITHOUT_PARENT}};
    struct tree_key key, at = {BTRFS_FIRST_FREE_OBJECTID, BTRFS_INODE_ITEM_KEY, 0};
    struct btrfs_inode_item inode = {0};
    int found = tree_find_first(pool->directory, subvolume, at, at, &key, &inode, sizeof(inode));

    if (found <= 0) {
        errno = found < 0 ? -found : ENOENT;
        return -1;
    }
    fid.generation = (uint32_t)le64toh(inode.generation);
    memcpy(file.handle.f_handle, &fid, sizeof(fid));
    return open_by_handle_at(pool->directory, &file.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Makes the subvolume that holds another writable, or that could not be ended. */
static int nested_unseal(const struct pool *pool, uint64_t subvolume, struct reason *why)
{
    scoped_fd int fd = nested_open(pool, subvolume);

    if (fd < 0)
        return pool_failure(pool, why, errno, "open the subvolume %" PRIu64, subvolume);
    if (btrfs_util_set_subvolume_read_only_fd(fd, false) != BTRFS_UTIL_OK)
        return pool_failure(pool, why, errno, "make the subvolume %" PRIu64 " writable", subvolume);
    return 0;
}

static int nested_end(const struct pool *pool, uint64_t subvolume, uint64_t parent,
                      struct reason *why)
{
    enum btrfs_util_error error = btrfs_util_delete_subvolume_by_id_fd(pool->directory, subvolume);

    if (error != BTRFS_UTIL_OK && errno == EROFS) {
        int result = nested_unseal(pool, parent, why);
        if (result != 0)
            return result;
        error = btrfs_util_delete_subvolume_by_id_fd(pool->directory, subvolume);
    }
    if (error != BTRFS_UTIL_OK && errno != ENOENT)
        return pool_failure(pool, why, errno, "remove the nested subvolume %" PRIu64, subvolume);
    return 0;
}

int nested_remove(const struct pool *pool, int fd, struct reason *why)
{
    uint64_t top, current, child, parent;

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
        if (found == 0)
            found = nested_parent(pool->directory, current, &parent);
        if (found <= 0)
            return pool_failure(pool, why, found < 0 ? -found : ENOENT,
                                "look up the nested subvolume %" PRIu64, current);

        int result = nested_end(pool, current, parent, why);
        if (result != 0)
            return result;
        current = parent;
    }
}
