/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/remove.h"

#include "base/bytes.h"
#include "base/scoped.h"
#include "layer/io_error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A folder that is not empty is entered, emptied, left by its "..", and then removed. That the ".."
 * is the folder it was entered from is checked, so nobody who moves folders meanwhile can lead the
 * removal elsewhere.
 *
 * What is entered from a folder ends the reading of it. It goes on from there afterwards: ext4
 * keeps the blocks of a folder whose names are gone, and to read over them for each of 80,000
 * folders took 42 s instead of 14. Where it went on once, it is read once more from the start
 * before it counts as empty, since a place in one reading need not be one in another (telldir(3)).
 */

struct remove_level {
    dev_t device; /* of the folder that this level was entered from */
    ino_t inode;
    size_t name;   /* where the level's own name starts in PATH */
    long position; /* where the reading of the level's own folder goes on; 0: at the start */
};

struct removal {
    remove_watch *watch;
    void *context;
    char *path; /* tree name of the folder that is being emptied */
    size_t used, room;
    struct remove_level *levels;
    size_t depth, levels_room;
    int top;     /* the folder that the first level was entered from; borrowed */
    int current; /* the folder that is being emptied */
};

static int removal_no_memory(struct reason *why)
{
    return failure(why, ENOMEM, "cannot remove a tree of folders");
}

/* Appends NAME to the path and remembers where FOLDER is. *ENTERED is false when NAME is gone by
 * now. */
static int removal_enter(struct removal *removal, int folder, const char *name, bool *entered,
                         struct reason *why)
{
    size_t length = strlen(name);
    struct remove_level *level;
    struct stat status;
    int child;

    *entered = false;
    if (removal->used + length + 2 > removal->room) {
        size_t room = (removal->used + length + 2) * 2;
        char *path = realloc(removal->path, room);

        if (!path)
            return removal_no_memory(why);
        removal->path = path;
        removal->room = room;
    }
    if (removal->depth == removal->levels_room) {
        size_t room = removal->levels_room * 2 + 16;
        struct remove_level *levels = realloc(removal->levels, room * sizeof(*levels));

        if (!levels)
            return removal_no_memory(why);
        removal->levels = levels;
        removal->levels_room = room;
    }
    if (fstat(folder, &status) < 0)
        return io_error(why, errno, "look up", removal->path);
    child = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0)
        return errno == ENOENT ? 0 : io_error(why, errno, "open the folder", name);
    if (removal->current >= 0)
        close(removal->current);
    removal->current = child;

    level = &removal->levels[removal->depth++];
    *level = (struct remove_level){status.st_dev, status.st_ino, removal->used, 0};
    if (removal->used > 0) {
        removal->path[removal->used++] = '/';
        level->name++;
    }
    memcpy(removal->path + removal->used, name, length + 1);
    removal->used += length;
    *entered = true;
    return 0;
}

/* The current folder is empty: back to the one above, and away with it. */
static int removal_leave(struct removal *removal, struct reason *why)
{
    struct remove_level level = removal->levels[--removal->depth];
    scoped_fd int above = -1;
    struct stat status;

    if (removal->depth > 0) {
        above = openat(removal->current, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || fstat(above, &status) < 0)
            return io_error(why, errno, "leave the folder", removal->path);
        if (status.st_dev != level.device || status.st_ino != level.inode)
            return failure(why, ESTALE, "the folder %s was moved while it was removed",
                           quoted(bytes_of(removal->path)));
    }
    close(removal->current);
    removal->current = -1;
    if (unlinkat(removal->depth > 0 ? above : removal->top, removal->path + level.name,
                 AT_REMOVEDIR) < 0 &&
        errno != ENOENT)
        return io_error(why, errno, "remove the folder", removal->path);
    removal->current = take_fd(&above);
    removal->used = level.name > 0 ? level.name - 1 : 0;
    removal->path[removal->used] = '\0';
    return 0;
}

/* Removes NAME in FOLDER unless it is a folder with something in it: *FULL tells. */
static int removal_one(struct removal *removal, int folder, const char *name, bool directory,
                       bool *full, struct reason *why)
{
    int result = removal->watch(removal->context, folder, removal->path, name, directory, why);

    *full = false;
    if (result)
        return result;
    if (unlinkat(folder, name, directory ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
        return 0;
    *full = directory && (errno == ENOTEMPTY || errno == EEXIST);
    return *full ? 0 : io_error(why, errno, "remove", name);
}

static int removal_is_directory(int folder, const struct dirent *entry, bool *directory,
                                struct reason *why)
{
    struct stat status;

    *directory = entry->d_type == DT_DIR;
    if (entry->d_type != DT_UNKNOWN)
        return 0;
    if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : io_error(why, errno, "look up", entry->d_name);
    *directory = S_ISDIR(status.st_mode);
    return 0;
}

static void scoped_closedir_(DIR **slot)
{
    if (*slot)
        closedir(*slot);
}

/* Removes what is in the current folder up to the first folder with something in it, which is
 * entered: *ENTERED tells. */
static int removal_empty(struct removal *removal, bool *entered, struct reason *why)
{
    scoped_fd int fd = openat(removal->current, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scoped(scoped_closedir_) DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;

    *entered = false;
    if (!listing)
        return io_error(why, errno, "list the folder", removal->path);
    (void)take_fd(&fd);
    struct remove_level *level = &removal->levels[removal->depth - 1];
    if (level->position != 0)
        seekdir(listing, level->position);
    for (;;) {
        struct dirent *entry;
        bool directory, full;
        int result;

        errno = 0;
        entry = readdir(listing);
        if (!entry && errno)
            return io_error(why, errno, "list the folder", removal->path);
        if (!entry && level->position == 0)
            return 0;
        if (!entry) {
            level->position = 0;
            rewinddir(listing);
            continue;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        result = removal_is_directory(removal->current, entry, &directory, why);
        if (!result)
            result = removal_one(removal, removal->current, entry->d_name, directory, &full, why);
        if (!result && full) {
            level->position = entry->d_off;
            result = removal_enter(removal, removal->current, entry->d_name, entered, why);
            level = &removal->levels[removal->depth - 1]; /* the list may have moved */
        }
        if (result || *entered)
            return result;
    }
}

static int removal_run(struct removal *removal, const char *name, struct reason *why)
{
    struct stat status;
    bool full, entered;
    int result;

    if (fstatat(removal->top, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : io_error(why, errno, "look up", name);
    result = removal_one(removal, removal->top, name, S_ISDIR(status.st_mode), &full, why);
    if (!result && full)
        result = removal_enter(removal, removal->top, name, &entered, why);
    while (!result && removal->depth > 0) {
        result = removal_empty(removal, &entered, why);
        if (!result && !entered)
            result = removal_leave(removal, why);
    }
    return result;
}

int remove_all(int folder, const char *folder_name, const char *name, remove_watch *watch,
               void *context, struct reason *why)
{
    struct removal removal = {
        .watch = watch,
        .context = context,
        .path = strdup(folder_name),
        .used = strlen(folder_name),
        .room = strlen(folder_name) + 1,
        .top = folder,
        .current = -1,
    };
    int result = removal.path ? removal_run(&removal, name, why) : removal_no_memory(why);

    if (removal.current >= 0)
        close(removal.current);
    free(removal.levels);
    free(removal.path);
    return result;
}
