/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/path.h"

#include "base/bytes.h"
#include "base/scoped.h"
#include "layer/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_KERNEL_LINKS 40 /* symlinks that the kernel follows in one name */

static int path_openat2(int fd, const char *name, int flags, unsigned resolve)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW, .resolve = resolve};
    int opened;

    /* EAGAIN: something was renamed or mounted just then (openat2(2)). */
    for (int tries = 0; tries < 128; tries++) {
        opened = (int)syscall(SYS_openat2, fd, name, &how, sizeof(how));
        if (opened >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return opened >= 0 ? opened : -errno;
}

void path_root_init(struct path_root *root, int fd)
{
    int opened = path_openat2(fd, ".", O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

    *root = (struct path_root){.fd = fd, .components = opened == -ENOSYS || opened == -EPERM};
    if (opened >= 0)
        close(opened);
}

/* Takes COMPONENT (LENGTH bytes) onto the end of the tree name TEXT, of *USED bytes. False when it
 * does not fit. */
static bool path_push(char *text, size_t *used, const char *component, size_t length)
{
    if (length == 0 || (length == 1 && component[0] == '.'))
        return true;
    if (length == 2 && component[0] == '.' && component[1] == '.') {
        while (*used > 0 && text[*used - 1] != '/')
            (*used)--;
        if (*used > 0)
            (*used)--;
        text[*used] = '\0';
        return true;
    }
    if (*used + length + 2 > PATH_ROOM)
        return false;
    if (*used > 0)
        text[(*used)++] = '/';
    memcpy(text + *used, component, length);
    *used += length;
    text[*used] = '\0';
    return true;
}

/* The same for every component of NAME. */
static bool path_push_all(char *text, size_t *used, const char *name)
{
    while (*name) {
        size_t length = strcspn(name, "/");

        if (!path_push(text, used, name, length))
            return false;
        name += length;
        name += strspn(name, "/");
    }
    return true;
}

int path_clean(const char *name, char clean[static PATH_ROOM], struct reason *why)
{
    size_t used = 0;

    clean[0] = '\0';
    if (!path_push_all(clean, &used, name))
        return io_error(why, ENAMETOOLONG, "take the name", name);
    return 0;
}

const char *path_base(const char *tree_name, size_t *folder_length)
{
    const char *slash = strrchr(tree_name, '/');

    *folder_length = slash ? (size_t)(slash - tree_name) : 0;
    return slash ? slash + 1 : tree_name;
}

/* path_open() where there is no openat2: one component after the other, none of them a symlink. */
static int path_open_components(int root, const char *name, int flags)
{
    scoped_fd int folder = -1;
    char component[NAME_MAX + 1];

    for (;;) {
        size_t length = strcspn(name, "/");
        bool last = name[length] == '\0';
        int opened;

        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(component, name, length);
        component[length] = '\0';
        if (strcmp(component, "..") == 0) /* no resolved name has it; here it could lead outside */
            return -EXDEV;
        opened = openat(folder >= 0 ? folder : root, component,
                        (last ? flags : O_PATH | O_DIRECTORY) | O_CLOEXEC | O_NOFOLLOW);
        if (opened < 0)
            return -errno;
        if (last)
            return opened;
        if (folder >= 0)
            close(folder);
        folder = opened;
        name += length + 1;
    }
}

/* RESOLVE_IN_ROOT where there is no openat2: O_PATH of what NAME is, whose last component is not
 * followed. What was passed is kept without symlinks, so that ".." in a target is its end's. */
static int path_follow_components(int root, const char *name)
{
    char passed[PATH_ROOM] = "";
    char rest[PATH_ROOM];
    char target[PATH_ROOM * 2];
    const char *at = strcpy(rest, name);
    size_t used = 0;
    unsigned links = 0;

    for (;;) {
        scoped_fd int fd = -1;
        struct stat status;
        size_t length;
        ssize_t read;

        at += strspn(at, "/");
        length = strcspn(at, "/");
        if (!path_push(passed, &used, at, length))
            return -ENAMETOOLONG;
        at += length;
        fd = path_open_components(root, used > 0 ? passed : ".", O_PATH);
        if (fd < 0 || *at == '\0')
            return take_fd(&fd);
        if (fstat(fd, &status) < 0)
            return -errno;
        if (S_ISDIR(status.st_mode))
            continue;
        if (!S_ISLNK(status.st_mode))
            return -ENOTDIR;
        if (++links > PATH_KERNEL_LINKS)
            return -ELOOP;
        read = readlinkat(fd, "", target, PATH_ROOM);
        if (read < 0)
            return -errno;
        if ((size_t)read + strlen(at) >= PATH_ROOM)
            return -ENAMETOOLONG;
        strcpy(target + read, at);
        at = strcpy(rest, target);
        if (rest[0] == '/')
            used = 0;
        else
            path_push(passed, &used, "..", 2);
    }
}

int path_open(const struct path_root *root, const char *resolved, int flags)
{
    if (resolved[0] == '\0')
        resolved = ".";
    if (root->components)
        return path_open_components(root->fd, resolved, flags);
    return path_openat2(root->fd, resolved, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* NAME is looked up from the root: each of its components is a step. */
static int path_count_steps(const struct path_root *root, const char *name, struct reason *why)
{
    uint64_t steps = 1;

    if (!root->steps)
        return 0;
    for (const char *at = name; *at; at++)
        steps += *at == '/';
    if (steps > *root->steps) {
        *root->steps = 0;
        return refuse(why, CONDITION_INVALID,
                      "the names of the layer lead through too many folders and symlinks, the last "
                      "of them %s; the layer must be built anew",
                      quoted(bytes_of(name)));
    }
    *root->steps -= steps;
    return 0;
}

/* Reads the symlink at the tree name NAME into TARGET. *LINK tells whether there is one; a name
 * that does not exist is none. */
static int path_read_link(const struct path_root *root, const char *name, bool *link,
                          char target[static PATH_ROOM], struct reason *why)
{
    scoped_fd int fd = -1;
    struct stat status;
    ssize_t length;

    *link = false;
    if (name[0] == '\0')
        return 0;
    /* A pass over a name may meet the symlinks that an earlier step of it has brought in: those
     * are followed here, inside the target, and spelt out by the next pass. */
    fd = root->components ? path_follow_components(root->fd, name)
                          : path_openat2(root->fd, name, O_PATH, RESOLVE_IN_ROOT);
    if (fd == -ENOENT)
        return 0;
    if (fd == -ENOTDIR)
        return refuse(why, CONDITION_INVALID,
                      "%s leads through something that is no folder; the layer must be built anew",
                      quoted(bytes_of(name)));
    if (fd == -ELOOP)
        return refuse(why, CONDITION_INVALID, "%s leads through a loop of symlinks",
                      quoted(bytes_of(name)));
    if (fd < 0)
        return io_error(why, -fd, "look up", name);
    if (fstat(fd, &status) < 0)
        return io_error(why, errno, "look up", name);
    if (!S_ISLNK(status.st_mode))
        return 0;
    length = readlinkat(fd, "", target, PATH_ROOM);
    if (length < 0)
        return io_error(why, errno, "read the symlink", name);
    if (length == PATH_ROOM)
        return io_error(why, ENAMETOOLONG, "follow the symlink", name);
    target[length] = '\0';
    *link = true;
    return 0;
}

/* One pass over FROM: each component is joined to what came before and looked up; a symlink's
 * target takes its place unlooked-at, for the next pass. *LINKS counts them. */
static int path_pass(const struct path_root *root, const char *from, char to[static PATH_ROOM],
                     unsigned *links, struct reason *why)
{
    char target[PATH_ROOM];
    char candidate[PATH_ROOM];
    const char *at = from;
    bool bare = from[0] != '/'; /* nothing came before the component */

    to[0] = '\0';
    while (*(at += strspn(at, "/"))) {
        size_t length = strcspn(at, "/");
        size_t used = 0;
        bool link;
        int result;

        candidate[0] = '\0';
        if (!path_push_all(candidate, &used, to) || !path_push(candidate, &used, at, length))
            return io_error(why, ENAMETOOLONG, "follow the symlinks of", from);
        if (*links > PATH_LINKS_LIMIT)
            return refuse(why, CONDITION_INVALID,
                          "%s leads through more than %u symlinks, or in a circle",
                          quoted(bytes_of(from)), PATH_LINKS_LIMIT);
        result = path_count_steps(root, candidate, why);
        if (!result)
            result = path_read_link(root, candidate, &link, target, why);
        if (result)
            return result;
        if (!link) {
            memcpy(to, candidate, used + 1);
        } else if (target[0] == '/' || bare) {
            (*links)++;
            strcpy(to, target);
        } else {
            (*links)++;
            candidate[0] = '\0';
            used = 0;
            if (!path_push_all(candidate, &used, to) || !path_push_all(candidate, &used, target))
                return io_error(why, ENAMETOOLONG, "follow the symlinks of", from);
            memcpy(to, candidate, used + 1);
        }
        bare = false;
        at += length;
    }
    return 0;
}

int path_resolve(const struct path_root *root, const char *name, char resolved[static PATH_ROOM],
                 struct reason *why)
{
    char from[PATH_ROOM];
    unsigned links = 0;

    if (strlen(name) >= PATH_ROOM)
        return io_error(why, ENAMETOOLONG, "look up", name);
    strcpy(from, name);
    for (;;) {
        unsigned before = links;
        int result = path_pass(root, from, resolved, &links, why);

        if (result)
            return result;
        if (links == before) /* nothing but clean components was joined: RESOLVED is clean */
            return 0;
        strcpy(from, resolved);
    }
}
