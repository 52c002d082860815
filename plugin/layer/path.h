/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_PATH_H
#define COWSNAP_LAYER_PATH_H

/*
 * Names of a layer, and the way from them to folders beneath the target.
 *
 * A *tree name* is a clean name without its leading slash: "usr/lib/x", components that are neither
 * empty nor "." nor "..", and "" for the target itself. A *resolved* one has in addition no symlink
 * in it, as far as it exists. Names are opened only so that the kernel refuses to follow a symlink
 * or to leave the target: as a whole, by openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, or
 * one component, which is not "..", in a folder that was found so, with O_NOFOLLOW. A tree that
 * changes meanwhile gives an error, or a folder that was in the target, never an escape.
 */

#include "base/result.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_ROOM PATH_MAX    /* bytes a tree name takes at most, with its NUL */
#define PATH_LINKS_LIMIT 255u /* symlinks followed for one name; as containerd */

struct path_root {
    int fd;          /* the target, opened for reading; borrowed */
    bool components; /* go component by component, without openat2; path_root_init() sets it where
                        the kernel or a filter has none; tests set it too */
    uint64_t *steps; /* folders that names may still pass; NULL: any number. A name of 4 KiB that
                        leads through symlinks may pass millions */
};

/* Looks whether openat2(2) works here (ENOSYS before Linux 5.6; EPERM under some seccomp filters).
 */
void path_root_init(struct path_root *root, int fd);

/* Makes a tree name of NAME as an archive has it: ".." is taken lexically and stops at the target,
 * as Go's filepath.Clean("/" + NAME) would. CONDITION_INVALID when it does not fit. */
int path_clean(const char *name, char clean[static PATH_ROOM], struct reason *why);

/* Splits a tree name at its last slash: *FOLDER_LENGTH bytes (0 for the target), then the base. */
const char *path_base(const char *tree_name, size_t *folder_length);

/* Follows the symlinks in NAME (any text, the last component included) inside the target. What does
 * not exist is taken as it is spelt. The order of steps is that of continuity's fs.RootPath, on
 * which the outcome of ".." behind a symlink depends; there it also matters whether NAME begins
 * with a slash. CONDITION_INVALID for a loop, for a file where a folder should be, and when the
 * root's steps are used up (*STEPS is 0 then). */
int path_resolve(const struct path_root *root, const char *name, char resolved[static PATH_ROOM],
                 struct reason *why);

/* Opens what is at the resolved name RESOLVED ("" is the target) with open(2) FLAGS; O_CLOEXEC and
 * O_NOFOLLOW are added. Returns the descriptor or minus the errno; ELOOP or ENOTDIR tell that a
 * component is a symlink. */
int path_open(const struct path_root *root, const char *resolved, int flags);

/* Takes COUNT off the root's steps, for NAME leads through so many folders more. CONDITION_INVALID
 * when they are used up. */
int path_pass_folders(const struct path_root *root, uint64_t count, const char *name,
                      struct reason *why);

#endif
