/* SPDX-License-Identifier: Apache-2.0 */
#include "diff/target.h"

#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *option_value(const struct mount *mount, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < mount->option_count; i++)
        if (strncmp(mount->options[i], name, length) == 0 && mount->options[i][length] == '=')
            return mount->options[i] + length + 1;
    return NULL;
}

static bool has_option(const struct mount *mount, const char *name)
{
    for (size_t i = 0; i < mount->option_count; i++)
        if (strcmp(mount->options[i], name) == 0)
            return true;
    return false;
}

static int open_folder(const char *path, int *directory, struct reason *why)
{
    if (path[0] != '/')
        return refuse(why, CONDITION_INVALID, "the mount's folder %s is not an absolute path",
                      quoted(bytes_of(path)));
    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*directory >= 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        return refuse(why, CONDITION_INVALID, "the mount's folder %s is not there",
                      quoted(bytes_of(path)));
    return failure(why, errno, "open the mount's folder %s", quoted(bytes_of(path)));
}

static int open_bind(struct target *target, const struct mount *mount, struct reason *why)
{
    target->whiteouts = WHITEOUT_DELETE;
    return open_folder(mount->source, &target->directory, why);
}

/* Not by the path of a folder in the pool: what can be written was found by snapshots_hold(), and
 * anything else there is a committed layer or a stranger's try. A mount that root made of a volume
 * elsewhere is not told apart from any folder of root's. */
static int refuse_our_pool(const struct target *target, struct snapshots *snapshots,
                           struct reason *why)
{
    struct pool_status pool;
    char link[64], path[4096];
    ssize_t length;
    size_t prefix;
    int result = snapshots_pool(snapshots, &pool, why);

    if (result)
        return result;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", target->directory);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return failure(why, errno, "look where the mount's folder lies");
    path[length] = '\0';
    prefix = strlen(pool.path);
    if (strncmp(path, pool.path, prefix) == 0 && (path[prefix] == '/' || path[prefix] == '\0'))
        return refuse(why, CONDITION_INVALID,
                      "the folder %s lies in the pool, but is no active snapshot's mount",
                      quoted(bytes_of(path)));
    return 0;
}

static void free_lowers(char **lowers)
{
    for (char **each = lowers; each && *each; each++)
        free(*each);
    free(lowers);
}

/* Splits lowerdir=: folders divided by colons; a backslash keeps the next byte as it is
 * (Documentation/filesystems/overlayfs.rst). NULL when memory is out. */
static char **split_lowers(const char *text)
{
    size_t count = 1;
    char **lowers;

    for (const char *at = text; *at; at++)
        count += *at == ':';
    lowers = calloc(count + 1, sizeof(*lowers));
    for (size_t i = 0; lowers && *text; i++) {
        char *folder = calloc(1, strlen(text) + 1);
        size_t used = 0;

        if (!folder) {
            free_lowers(lowers);
            return NULL;
        }
        for (; *text && *text != ':'; text++) {
            if (*text == '\\' && text[1])
                text++;
            folder[used++] = *text;
        }
        text += *text == ':';
        lowers[i] = folder;
    }
    return lowers;
}

static int open_overlay(struct target *target, const struct mount *mount, struct reason *why)
{
    const char *upper = option_value(mount, "upperdir");
    const char *lowers = option_value(mount, "lowerdir");

    if (!upper)
        return refuse(why, CONDITION_INVALID,
                      "the overlay mount has no upperdir: nothing can be written into it");
    if (has_option(mount, "userxattr")) /* other attribute names for opaque folders */
        return refuse(why, CONDITION_UNIMPLEMENTED, "overlay mounts with userxattr are not served");
    target->whiteouts = WHITEOUT_OVERLAY;
    target->lowers = split_lowers(lowers ? lowers : "");
    if (!target->lowers)
        return failure(why, ENOMEM, "read the overlay's lower folders");
    return open_folder(upper, &target->directory, why);
}

static int open_foreign(struct target *target, const struct mounts *mounts, struct reason *why)
{
    const struct mount *mount = mounts->items;

    if (mounts->count != 1)
        return refuse(why, CONDITION_UNIMPLEMENTED, "layers are written into one mount, not %zu",
                      mounts->count);
    /* Owners are to be shifted: the next differ's. */
    if (option_value(mount, "uidmap") || option_value(mount, "gidmap"))
        return refuse(why, CONDITION_UNIMPLEMENTED, "mounts with uidmap or gidmap are not served");
    if (has_option(mount, "ro"))
        return refuse(why, CONDITION_INVALID, "the mount of %s is read-only",
                      quoted(bytes_of(mount->source)));
    if (strcmp(mount->type, "bind") == 0 || strcmp(mount->type, "rbind") == 0)
        return open_bind(target, mount, why);
    if (strcmp(mount->type, "overlay") == 0)
        return open_overlay(target, mount, why);
    return refuse(why, CONDITION_UNIMPLEMENTED,
                  "mounts of type %s are not served, only cowsnap's own, bind and overlay",
                  quoted(bytes_of(mount->type)));
}

int target_open(struct target *target, struct snapshots *snapshots, const struct mounts *mounts,
                atomic_bool *cancel, struct reason *why)
{
    int result;

    *target = (struct target){.directory = -1, .whiteouts = WHITEOUT_DELETE};
    result = snapshots_hold(snapshots, mounts, cancel, &target->hold, why);
    if (!result) {
        target->ours = true;
        target->directory = target->hold.directory;
        return 0;
    }
    if (result != CONDITION_UNIMPLEMENTED)
        return result;
    result = open_foreign(target, mounts, why);
    if (!result)
        result = refuse_our_pool(target, snapshots, why);
    if (result) {
        free_lowers(target->lowers);
        target->lowers = NULL;
        if (target->directory >= 0)
            close(target->directory);
        target->directory = -1;
    }
    return result;
}

int target_close(struct target *target, struct snapshots *snapshots,
                 const struct volume_usage *written, bool synced, struct reason *why)
{
    free_lowers(target->lowers);
    target->lowers = NULL;
    if (target->ours)
        return snapshots_release(snapshots, &target->hold, written, synced, why);
    close(target->directory);
    target->directory = -1;
    return 0;
}
