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

static int path_openat2(int fd, const char *name, int flags)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
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
    int opened = path_openat2(fd, ".", O_PATH);

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

/* The same for every component of NAME. *ABOVE (which may be NULL) is set when a ".." would lead
 * above the target. */
static bool path_push_all(char *text, size_t *used, const char *name, bool *above)
{
    while (*name) {
        size_t length = strcspn(name, "/");

        if (above && *used == 0 && length == 2 && strncmp(name, "..", 2) == 0)
            *above = true;
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
    if (!path_push_all(clean, &used, name, NULL))
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

int path_open(const struct path_root *root, const char *resolved, int flags)
{
    if (resolved[0] == '\0')
        resolved = ".";
    if (root->components)
        return path_open_components(root->fd, resolved, flags);
    return path_openat2(root->fd, resolved, flags);
}

static bool path_take_steps(const struct path_root *root, uint64_t steps)
{
    if (!root->steps)
        return true;
    if (steps > *root->steps) {
        *root->steps = 0;
        return false;
    }
    *root->steps -= steps;
    return true;
}

static int path_too_far(const char *name, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "the names of the layer lead through too many folders and symlinks, the last of "
                  "them %s; the layer must be built anew",
                  quoted(bytes_of(name)));
}

int path_pass_folders(const struct path_root *root, uint64_t count, const char *name,
                      struct reason *why)
{
    return path_take_steps(root, count) ? 0 : path_too_far(name, why);
}

/* The steps of opening NAME from the root: one for each of its components. */
static bool path_take_opening(const struct path_root *root, const char *name)
{
    uint64_t steps = 1;

    for (const char *at = name; *at; at++)
        steps += *at == '/';
    return path_take_steps(root, steps);
}

/* A name as it is while its symlinks are followed: each target may be spelt at length. */
#define PATH_REST_ROOM (2 * PATH_ROOM)

/* Spells the symlink LINK out: REST becomes its target, and then AT, which is the end of REST. */
static int path_spell_out(int link, char rest[static PATH_REST_ROOM], const char *at)
{
    char target[PATH_ROOM];
    ssize_t length = readlinkat(link, "", target, sizeof(target));
    size_t left = strlen(at);

    if (length < 0)
        return -errno;
    if ((size_t)length + left >= PATH_REST_ROOM)
        return -ENAMETOOLONG;
    memmove(rest + length, at, left + 1);
    memcpy(rest, target, (size_t)length);
    return 0;
}

/* O_PATH of what NAME is, whose last component is not followed, as RESOLVE_IN_ROOT would have it:
 * but here each symlink's way costs its steps. What was passed is kept without symlinks, so that
 * ".." in a target is its end's. -ETIME: the steps are used up. */
static int path_follow(const struct path_root *root, const char *name)
{
    scoped_fd int folder = -1; /* what was passed; -1: to be opened again */
    char passed[PATH_ROOM] = "";
    char rest[PATH_REST_ROOM];
    char component[NAME_MAX + 1];
    const char *at = strcpy(rest, name);
    size_t used = 0;
    unsigned links = 0;

    for (;;) {
        scoped_fd int fd = -1;
        struct stat status;
        size_t length;
        int result;

        at += strspn(at, "/");
        length = strcspn(at, "/");
        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(component, at, length);
        component[length] = '\0';
        at += length;
        if (strcmp(component, "..") == 0) {
            path_push(passed, &used, component, length);
            drop_fd(&folder);
        }
        if (folder < 0) {
            if (!path_take_opening(root, passed))
                return -ETIME;
            folder = path_open(root, passed, O_PATH | O_DIRECTORY);
            if (folder < 0)
                return folder;
        }
        if (length == 0 || strcmp(component, ".") == 0 || strcmp(component, "..") == 0) {
            if (*at == '\0')
                return take_fd(&folder);
            continue;
        }
        if (!path_take_steps(root, 1))
            return -ETIME;
        fd = openat(folder, component, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return -errno;
        if (*at == '\0')
            return take_fd(&fd);
        if (fstat(fd, &status) < 0)
            return -errno;
        if (S_ISDIR(status.st_mode)) {
            if (!path_push(passed, &used, component, length))
                return -ENAMETOOLONG;
            drop_fd(&folder);
            folder = take_fd(&fd);
            continue;
        }
        if (!S_ISLNK(status.st_mode))
            return -ENOTDIR;
        if (++links > PATH_KERNEL_LINKS)
            return -ELOOP;
        result = path_spell_out(fd, rest, at);
        if (result)
            return result;
        at = rest;
        if (rest[0] == '/') {
            passed[used = 0] = '\0';
            drop_fd(&folder);
        }
    }
}

/* path_open() of a tree name that may lead through symlinks, for O_PATH. */
static int path_look_up(const struct path_root *root, const char *name)
{
    int fd = path_take_opening(root, name) ? path_open(root, name, O_PATH) : -ETIME;

    return fd == -ELOOP || fd == -ENOTDIR ? path_follow(root, name) : fd;
}

/* How far a pass over a name has come: what the tree name it has written is. */
struct path_place {
    int fd;       /* O_PATH; -1: not looked up, or nothing */
    bool nothing; /* nor is there anything beneath it */
};

static void path_place_drop(struct path_place *place)
{
    drop_fd(&place->fd);
    place->nothing = false;
}

/* Goes on to NAME; BENEATH: it is the last one and a component more, and one look-up is enough
 * where that was found. Symlinks that an earlier step of the pass has brought in are followed here,
 * inside the target, and spelt out by the next pass. */
static int path_place_enter(const struct path_root *root, struct path_place *place,
                            const char *name, bool beneath, struct reason *why)
{
    size_t folder_length;
    int fd;

    if (beneath && place->nothing)
        return 0;
    if (!beneath || place->fd < 0)
        fd = path_look_up(root, name);
    else if (!path_take_steps(root, 1))
        fd = -ETIME;
    else if ((fd = openat(place->fd, path_base(name, &folder_length),
                          O_PATH | O_CLOEXEC | O_NOFOLLOW)) < 0)
        fd = -errno;
    path_place_drop(place);
    place->fd = fd;
    switch (fd) {
    case -ENOENT:
        place->nothing = true;
        return 0;
    case -ENOTDIR:
        return refuse(why, CONDITION_INVALID,
                      "%s leads through something that is no folder; the layer must be built anew",
                      quoted(bytes_of(name)));
    case -ELOOP:
        return refuse(why, CONDITION_INVALID, "%s leads through a loop of symlinks",
                      quoted(bytes_of(name)));
    case -ETIME:
        return path_too_far(name, why);
    default:
        return fd < 0 ? io_error(why, -fd, "look up", name) : 0;
    }
}

/* Reads the symlink at PLACE, whose tree name is NAME, into TARGET. *LINK tells whether it is one.
 */
static int path_read_link(const struct path_place *place, const char *name, bool *link,
                          char target[static PATH_ROOM], struct reason *why)
{
    struct stat status;
    ssize_t length;

    *link = false;
    if (place->nothing)
        return 0;
    if (fstat(place->fd, &status) < 0)
        return io_error(why, errno, "look up", name);
    if (!S_ISLNK(status.st_mode))
        return 0;
    length = readlinkat(place->fd, "", target, PATH_ROOM);
    if (length < 0)
        return io_error(why, errno, "read the symlink", name);
    if (length == PATH_ROOM)
        return io_error(why, ENAMETOOLONG, "follow the symlink", name);
    target[length] = '\0';
    *link = true;
    return 0;
}

/* One pass over FROM: each component is joined to what came before and looked up; a symlink's
 * target takes its place unlooked-at, for the next pass. *LINKS counts them. *ROOTED: FROM, then
 * TO, would begin with a slash in Go. Where it does not, the first component is bare: the target of
 * a bare symlink is kept as it is spelt, while another's is joined to its folder, lexically. */
static int path_pass(const struct path_root *root, const char *from, char to[static PATH_ROOM],
                     bool *rooted, unsigned *links, struct reason *why)
{
    scoped(path_place_drop) struct path_place place = {.fd = -1};
    char candidate[PATH_ROOM] = ""; /* TO and the component; what TO is, before it is joined */
    char target[PATH_ROOM];
    const char *at = from;
    bool link = false;
    size_t used = 0;
    bool bare;

    if (from[0] == '/')
        *rooted = true;
    bare = !*rooted;
    to[0] = '\0';
    while (*(at += strspn(at, "/"))) {
        size_t length = strcspn(at, "/");
        bool fits = true;
        size_t before;
        int result;

        if (link) { /* TO is what a symlink says */
            candidate[used = 0] = '\0';
            fits = path_push_all(candidate, &used, to, rooted);
            memcpy(to, candidate, used + 1);
        }
        before = used;
        if (!fits || !path_push(candidate, &used, at, length))
            return io_error(why, ENAMETOOLONG, "follow the symlinks of", from);
        at += length;
        if (*links > PATH_LINKS_LIMIT)
            return refuse(why, CONDITION_INVALID,
                          "%s leads through more than %u symlinks, or in a circle",
                          quoted(bytes_of(from)), PATH_LINKS_LIMIT);
        if (used == before && (place.fd >= 0 || place.nothing))
            continue; /* "." */
        result = path_place_enter(root, &place, candidate, used > before, why);
        if (!result)
            result = path_read_link(&place, candidate, &link, target, why);
        if (result)
            return result;
        if (!link) {
            size_t same = used < before ? used : before;

            memcpy(to + same, candidate + same, used - same + 1);
            *rooted = true;
        } else {
            (*links)++;
            path_place_drop(&place);
            if (target[0] == '/' || bare) {
                strcpy(to, target);
                *rooted = target[0] == '/';
            } else if (!path_push_all(to, &before, target, rooted)) {
                return io_error(why, ENAMETOOLONG, "follow the symlinks of", from);
            }
        }
        bare = false;
    }
    return 0;
}

int path_resolve(const struct path_root *root, const char *name, char resolved[static PATH_ROOM],
                 struct reason *why)
{
    char from[PATH_ROOM];
    unsigned links = 0;
    bool rooted = false;

    if (strlen(name) >= PATH_ROOM)
        return io_error(why, ENAMETOOLONG, "look up", name);
    strcpy(from, name);
    for (;;) {
        unsigned before = links;
        int result = path_pass(root, from, resolved, &rooted, &links, why);

        if (result)
            return result;
        if (links == before) /* nothing but clean components was joined: RESOLVED is clean */
            return 0;
        strcpy(from, resolved);
    }
}
