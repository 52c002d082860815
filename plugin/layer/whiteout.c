/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/whiteout.h"

#include "base/bytes.h"
#include "layer/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char whiteout_prefix[] = ".wh.";
#define WHITEOUT_PREFIX_LENGTH (sizeof(whiteout_prefix) - 1)

int whiteout_of(const char *base, enum whiteout_kind *kind, struct reason *why)
{
    const char *hidden = base + WHITEOUT_PREFIX_LENGTH;

    *kind = WHITEOUT_NONE;
    if (strncmp(base, whiteout_prefix, WHITEOUT_PREFIX_LENGTH) != 0)
        return 0;
    *kind = WHITEOUT_NAME;
    if (strcmp(hidden, ".wh..opq") == 0)
        *kind = WHITEOUT_OPAQUE;
    if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return refuse(why, CONDITION_INVALID,
                      "the whiteout %s names nothing in its folder; the layer must be built anew",
                      quoted(bytes_of(base)));
    return 0;
}

/* A character device 0/0 hides the name (kernel documentation, overlayfs, "whiteouts and opaque
 * directories"). */
static int whiteout_put_overlay(struct tree *tree, struct directory *parent, const char *hidden,
                                const struct entry *entry, struct reason *why)
{
    struct stat status;
    bool there;
    int result = tree_look(tree, parent, hidden, &there, &status, why);

    if (result)
        return result;
    if (there)
        return refuse(
            why, CONDITION_INVALID,
            "the layer deletes %s after it has put it there; the layer must be built anew",
            quoted(bytes_of(hidden)));
    if (mknodat(parent->fd, hidden, S_IFCHR, makedev(0, 0)) < 0)
        return io_error(why, errno, "make the whiteout of", hidden);
    tree->inodes++;
    if (fchownat(parent->fd, hidden, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return io_error(why, errno, "set the owner of the whiteout of", hidden);
    return tree_note(tree, parent, hidden, NAME_IMPLIED, why);
}

/* Once for each folder, as containerd does it (since 2.0): a layer of nothing but marks would have
 * each of them walk all the others' folders. */
static int whiteout_make_opaque(struct tree *tree, struct directory *folder, struct reason *why)
{
    bool done;
    int result = name_set_has(tree->names, folder->name, "", NAME_OPAQUE, &done, why);

    if (result || done)
        return result;
    result = tree_remove_others(tree, folder, why);
    return result ? result : tree_note(tree, folder, "", NAME_OPAQUE, why);
}

int whiteout_put(struct tree *tree, enum whiteout_style style, struct directory *parent,
                 const char *base, enum whiteout_kind kind, const struct entry *entry,
                 struct reason *why)
{
    const char *hidden = base + WHITEOUT_PREFIX_LENGTH;
    struct stat status;
    bool there;
    int result;

    if (kind == WHITEOUT_OPAQUE && style == WHITEOUT_DELETE)
        return whiteout_make_opaque(tree, parent, why);
    if (kind == WHITEOUT_OPAQUE) {
        if (fsetxattr(parent->fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return io_error(why, errno, "mark as opaque the folder", parent->name);
        return 0;
    }
    if (style == WHITEOUT_OVERLAY)
        return whiteout_put_overlay(tree, parent, hidden, entry, why);
    result = tree_look(tree, parent, hidden, &there, &status, why);
    if (result || !there)
        return result;
    return tree_remove(tree, parent, hidden, &status, why);
}
