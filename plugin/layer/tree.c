/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tree.h"

#include "base/bytes.h"
#include "base/scoped.h"
#include "layer/io_error.h"
#include "layer/lower.h"
#include "layer/manifest.h"
#include "layer/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#define TREE_OPAQUE_DEPTH 256u /* levels of folders, each with a descriptor */

/* The process's umask, without changing it even for a moment (it is shared by all threads). */
static bool tree_no_umask(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];
    unsigned mask = 1;

    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "Umask: %o", &mask) == 1)
            break;
    if (status)
        (void)fclose(status);
    return mask == 0;
}

static int tree_relief(void *context, struct reason *why)
{
    return tree_settle_all(context, why);
}

int tree_init(struct tree *tree, const struct layer_request *request, unsigned writers,
              struct reason *why)
{
    int result;

    memset(tree, 0, sizeof(*tree));
    tree->lowers = request->lowers;
    tree->cancel = request->cancel;
    tree->steps = TREE_STEPS_MOST;
    tree->kept = TREE_KEPT_FIRST;
    tree->manifest = request->manifest;
    tree->fd = openat(request->target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree->fd < 0)
        return failure(why, errno, "cannot open the folder to unpack into");
    path_root_init(&tree->root, tree->fd);
    tree->root.steps = &tree->steps;
    result = name_set_new(&tree->names, tree->fd, NAME_SET_MEMORY, why);
    if (!result)
        result = directory_cache_new(&tree->cache, &tree->root, TREE_FOLDERS_OPEN, tree_no_umask(),
                                     tree_relief, tree, why);
    if (!result)
        result = writer_pool_new(&tree->writers, request->engine, writers, request->cancel, why);
    if (result)
        tree_deinit(tree);
    return result;
}

int tree_cancelled(const struct tree *tree, struct reason *why)
{
    if (tree->cancel && atomic_load_explicit(tree->cancel, memory_order_relaxed))
        return refuse(why, CONDITION_CANCELLED, "unpacking the layer was cancelled");
    return 0;
}

int tree_begin_entry(struct tree *tree, struct reason *why)
{
    tree->steps += TREE_STEPS_ENTRY;
    if (tree->steps > TREE_STEPS_MOST)
        tree->steps = TREE_STEPS_MOST;
    tree->kept += TREE_KEPT_ENTRY;
    return tree_cancelled(tree, why);
}

void tree_deinit(struct tree *tree)
{
    tree->writers = writer_pool_free(tree->writers);
    directory_unref(tree->last);
    tree->last = NULL;
    tree->cache = directory_cache_free(tree->cache);
    tree->names = name_set_free(tree->names);
    close(tree->fd);
}

int tree_settle(struct tree *tree, struct directory *directory, struct reason *why)
{
    uint64_t writers = directory->busy | directory_cache_forgotten(tree->cache);
    int result;

    if (!writers)
        return 0;
    result = writer_pool_wait(tree->writers, writers, why);
    if (result)
        return result;
    directory->busy = 0;
    directory_cache_settled(tree->cache, writers);
    return 0;
}

int tree_settle_all(struct tree *tree, struct reason *why)
{
    uint64_t all = writer_pool_all(tree->writers);
    int result = writer_pool_wait(tree->writers, all, why);

    if (!result)
        directory_cache_settled(tree->cache, all);
    return result;
}

/* syncfs(2) alone has one thread of the kernel write back file after file. btrfs has a request of
 * its own that lets several do it, of which syncfs then finds little left. And syncfs passes by a
 * file system that became read-only because it could not write: btrfs's request tells of it, and
 * elsewhere fsync(2), which finds nothing left to write. */
int tree_sync(const struct tree *tree, struct reason *why)
{
    struct statfs fs;
    bool btrfs = fstatfs(tree->fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
    int error = 0;

    if ((btrfs && ioctl(tree->fd, BTRFS_IOC_SYNC) < 0) || syncfs(tree->fd) < 0 ||
        (!btrfs && fsync(tree->fd) < 0 && errno != EINVAL)) /* which folders lack there */
        error = errno;
    return error ? io_error(why, error, "write to the disk", "/") : 0;
}

int tree_join(const struct directory *parent, const char *base, char name[static PATH_ROOM],
              struct reason *why)
{
    int length =
        snprintf(name, PATH_ROOM, "%s%s%s", parent->name, parent->name[0] ? "/" : "", base);

    if (length < 0 || length >= PATH_ROOM || strlen(base) > NAME_MAX)
        return io_error(why, ENAMETOOLONG, "make", base);
    return 0;
}

int tree_note(struct tree *tree, const struct directory *parent, const char *base,
              enum name_note note, struct reason *why)
{
    return name_set_add(tree->names, parent->name, base, note, why);
}

/* Whether the layer has put something at BASE in the folder FOLDER. */
static int tree_knows(struct tree *tree, const char *folder, const char *base, bool *known,
                      struct reason *why)
{
    int result = name_set_has(tree->names, folder, base, NAME_UNPACKED, known, why);

    if (!result && !*known)
        result = name_set_has(tree->names, folder, base, NAME_IMPLIED, known, why);
    return result;
}

int tree_look(struct tree *tree, struct directory *parent, const char *base, bool *there,
              struct stat *status, struct reason *why)
{
    bool known;
    int result = tree_knows(tree, parent->name, base, &known, why);

    *there = false;
    if (result)
        return result;
    if (!known && parent->ours)
        return 0;
    if (known)
        result = tree_settle(tree, parent, why);
    if (result)
        return result;
    if (fstatat(parent->fd, base, status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : io_error(why, errno, "look up", base);
    *there = true;
    return 0;
}

/* A removal's watch: counts, and notes. */
static int tree_removes(void *context, int folder, const char *folder_name, const char *name,
                        bool directory, struct reason *why)
{
    struct tree *tree = context;
    struct stat status;
    bool ours = false;
    int result = tree_cancelled(tree, why);

    if (result)
        return result;
    result = directory ? name_set_has(tree->names, folder_name, name, NAME_OUR_FOLDER, &ours, why)
                       : tree_knows(tree, folder_name, name, &ours, why);

    if (result)
        return result;
    manifest_gone(tree->manifest, folder_name, name);
    if (!ours)
        tree->removed = true;
    else if (tree->inodes > 0 &&
             (directory ||
              (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_nlink == 1)))
        tree->inodes--;
    return 0;
}

/* A folder or a symlink was removed: what was known of ways through the tree may be wrong. */
static void tree_forget(struct tree *tree)
{
    tree->moved = true;
    directory_unref(tree->last);
    tree->last = NULL;
    directory_cache_flush(tree->cache);
}

int tree_remove(struct tree *tree, struct directory *parent, const char *base,
                const struct stat *status, struct reason *why)
{
    bool directory = S_ISDIR(status->st_mode);
    int result = 0;

    if (directory) /* files may be under way anywhere below */
        result = tree_settle_all(tree, why);
    if (!result)
        result = remove_all(parent->fd, parent->name, base, tree_removes, tree, why);
    if (result)
        return result;
    if (directory || S_ISLNK(status->st_mode))
        tree_forget(tree);
    return 0;
}

/* What BASE in the folder FOLDER, which lies open, is to an opaque mark: entries stay, and *ENTER
 * tells that one is a folder. */
static int tree_remove_other(struct tree *tree, int folder, const char *folder_name,
                             const char *base, bool *enter, struct reason *why)
{
    struct stat status;
    int result = name_set_has(tree->names, folder_name, base, NAME_UNPACKED, enter, why);

    if (result)
        return result;
    if (!*enter)
        return remove_all(folder, folder_name, base, tree_removes, tree, why);
    if (tree->kept-- == 0) {
        tree->kept = 0;
        return refuse(why, CONDITION_INVALID,
                      "opaque folders lie within each other, and pass over too much of the layer, "
                      "%s the last of it; the layer must be built anew",
                      quoted(bytes_of(base)));
    }
    if (fstatat(folder, base, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return io_error(why, errno, "look up", base);
    *enter = S_ISDIR(status.st_mode);
    return 0;
}

/* One level of tree_remove_others(): the folder NAME in PARENT, called FOLDER_NAME as a whole. */
static int tree_remove_level(struct tree *tree, int parent, const char *name,
                             const char *folder_name, unsigned depth, struct reason *why)
{
    scoped_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    int result = 0;

    if (!listing)
        return io_error(why, errno, "list the folder", folder_name);
    if (depth > TREE_OPAQUE_DEPTH)
        result = refuse(why, CONDITION_INVALID,
                        "an opaque folder has folders more than %u deep in it; the layer must be "
                        "built anew",
                        TREE_OPAQUE_DEPTH);
    while (!result) {
        scoped_free char *child = NULL;
        struct dirent *entry;
        bool enter;

        errno = 0;
        entry = readdir(listing);
        if (!entry) {
            if (errno)
                result = io_error(why, errno, "list the folder", folder_name);
            break;
        }
        result = tree_cancelled(tree, why);
        if (result || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        result = tree_remove_other(tree, fd, folder_name, entry->d_name, &enter, why);
        if (result || !enter)
            continue;
        if (asprintf(&child, "%s%s%s", folder_name, *folder_name ? "/" : "", entry->d_name) < 0) {
            child = NULL;
            result = failure(why, ENOMEM, "cannot go into %s", quoted(bytes_of(entry->d_name)));
            break;
        }
        result = tree_remove_level(tree, fd, entry->d_name, child, depth + 1, why);
    }
    (void)take_fd(&fd);
    closedir(listing);
    return result;
}

int tree_remove_others(struct tree *tree, struct directory *directory, struct reason *why)
{
    int result = tree_settle_all(tree, why);

    if (!result)
        result = tree_remove_level(tree, directory->fd, ".", directory->name, 0, why);
    tree_forget(tree);
    return result;
}

/* Makes the missing folder BASE in PARENT, opened with a reference. It is 0755, or takes after the
 * folder of the same name in the lower folders. */
static int tree_imply(struct tree *tree, struct directory *parent, const char *base,
                      struct directory **directory, struct reason *why)
{
    char name[PATH_ROOM];
    int result = tree_join(parent, base, name, why);

    if (result)
        return result;
    result = path_pass_folders(&tree->root, TREE_STEPS_MAKE, name, why);
    if (result)
        return result;
    if (mkdirat(parent->fd, base, 0755) < 0)
        return io_error(why, errno, "make the missing folder", name);
    tree->inodes++;
    manifest_imply(tree->manifest, parent->name, base);
    result = tree_note(tree, parent, base, NAME_IMPLIED, why);
    if (!result)
        result = tree_note(tree, parent, base, NAME_OUR_FOLDER, why);
    if (!result)
        result = directory_open_made(tree->cache, parent, base, name, directory, why);
    if (!result && !parent->plain && fchmod((*directory)->fd, 0755) < 0)
        result = io_error(why, errno, "set the mode of", name);
    if (!result && tree->lowers)
        result = lower_copy_up((*directory)->fd, name, tree->lowers, &tree->steps, why);
    if (!result)
        directory_look(tree->cache, *directory);
    return result;
}

/* The folder BASE in PARENT. It is *DIRECTORY NULL when nothing is there. */
static int tree_step(struct tree *tree, struct directory *parent, const char *base,
                     struct directory **directory, struct reason *why)
{
    char name[PATH_ROOM];
    struct stat status;
    bool ours, there;
    int error;
    int result = tree_join(parent, base, name, why);

    *directory = NULL;
    if (!result)
        result = path_pass_folders(&tree->root, 1 + strlen(name) / TREE_STEPS_BYTES, name, why);
    if (!result)
        result = name_set_has(tree->names, name, "", NAME_OUR_FOLDER, &ours, why);
    if (!result)
        result = directory_open_in(tree->cache, parent, base, name, ours, directory, &error, why);
    if (result || *directory)
        return result;
    if (error == ENOENT) { /* or is it a file that is under way? */
        result = tree_look(tree, parent, base, &there, &status, why);
        if (result || !there)
            return result;
        error = ENOTDIR;
    }
    if (error == ENOTDIR || error == ELOOP)
        return refuse(why, CONDITION_INVALID,
                      "%s is no folder, and yet the layer has something in it; the layer must be "
                      "built anew",
                      quoted(bytes_of(name)));
    return io_error(why, error, "open the folder", name);
}

/* The folder at the resolved name NAME, step by step from the target. */
static int tree_walk(struct tree *tree, const char *name, bool make, struct directory **directory,
                     struct reason *why)
{
    scoped_directory struct directory *at = NULL;
    int error;
    int result = directory_open(tree->cache, "", false, &at, &error, why);

    *directory = NULL;
    if (!result && !at)
        result = io_error(why, error, "open the folder", "/");
    while (!result && *name) {
        struct directory *next = NULL;
        char base[NAME_MAX + 1];
        size_t length = strcspn(name, "/");

        if (length > NAME_MAX)
            return io_error(why, ENAMETOOLONG, "make the missing folder", name);
        memcpy(base, name, length);
        base[length] = '\0';
        name += length;
        name += *name == '/';
        result = tree_step(tree, at, base, &next, why);
        if (!result && !next) {
            if (!make)
                return 0;
            result = tree_imply(tree, at, base, &next, why);
        }
        directory_unref(at);
        at = next;
    }
    if (!result)
        *directory = take_pointer(at);
    return result;
}

/* The folder NAME if it can be opened just so, with no symlink on the way; else *DIRECTORY is NULL.
 */
static int tree_find(struct tree *tree, const char *name, struct directory **directory,
                     struct reason *why)
{
    bool ours;
    int error;
    int result = name_set_has(tree->names, name, "", NAME_OUR_FOLDER, &ours, why);

    return result ? result : directory_open(tree->cache, name, ours, directory, &error, why);
}

int tree_folder(struct tree *tree, const char *name, bool make, struct directory **directory,
                struct reason *why)
{
    char resolved[PATH_ROOM];
    int result;

    *directory = NULL;
    if (tree->last && strcmp(tree->last_name, name) == 0) {
        directory_ref(*directory = tree->last);
        return 0;
    }
    result = tree_find(tree, name, directory, why);
    if (!result && !*directory) { /* it is missing, or a symlink is on the way */
        result = path_resolve(&tree->root, name, resolved, why);
        if (!result && strcmp(resolved, name) != 0)
            result = tree_find(tree, resolved, directory, why);
        if (!result && !*directory)
            result = tree_walk(tree, resolved, make, directory, why);
    }
    if (result || !*directory)
        return result;
    directory_unref(tree->last);
    directory_ref(tree->last = *directory);
    strcpy(tree->last_name, name);
    return 0;
}
