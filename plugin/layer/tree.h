/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TREE_H
#define COWSNAP_LAYER_TREE_H

/*
 * The target of one layer, with what the layer has done to it so far. The thread that reads the
 * archive changes the tree through these functions, in the order of the archive; only regular files
 * are made by others, and whatever may touch one of those waits for it here.
 */

#include "base/result.h"
#include "layer/directory.h"
#include "layer/layer.h"
#include "layer/name_set.h"
#include "layer/path.h"
#include "layer/writer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Folders that the look-ups of a layer's names may pass, about a microsecond each: so many for each
 * entry, and unused ones for the next, up to so many. A name of 200 folders takes 600 where it
 * begins with a symlink; that of an ordinary image a dozen. What takes longer counts for more. */
#define TREE_STEPS_MOST UINT64_C(1000000)
#define TREE_STEPS_ENTRY UINT64_C(1000)
#define TREE_STEPS_MAKE 20   /* for a missing folder that is made */
#define TREE_STEPS_BYTES 256 /* of a name that is looked for in what the layer has made */

/* Entries of the layer that its opaque marks may pass over, since they stay: so many for each entry
 * of the layer, and so many to begin with. Marks one below the other each pass over all below. */
#define TREE_KEPT_FIRST UINT64_C(1000000)
#define TREE_KEPT_ENTRY UINT64_C(16)

#define TREE_FOLDERS_OPEN 128u /* descriptors at most, those that writers hold included */

struct tree {
    int fd; /* the target, opened for reading */
    struct path_root root;
    struct directory_cache *cache;
    struct name_set *names;
    struct writer_pool *writers;
    const char *const *lowers;
    struct manifest *manifest; /* NULL: nothing is noted */

    const atomic_bool *cancel; /* the request's */

    uint64_t inodes; /* made and not removed again */
    uint64_t steps;  /* of root */
    uint64_t kept;   /* that opaque marks may still pass over */
    bool removed;    /* something that the layer did not make was removed */
    bool moved;      /* a folder or a symlink was removed: names may lead elsewhere than before */

    char last_name[PATH_ROOM]; /* the folder that was looked up last, as it was spelt */
    struct directory *last;
};

/* TARGET is borrowed; it may be O_PATH. */
int tree_init(struct tree *tree, const struct layer_request *request, unsigned writers,
              struct reason *why);
/* Ends the writers, too; after tree_init() has succeeded. */
void tree_deinit(struct tree *tree);

/* The layer has one entry more: tells when the layer is not wanted any more. */
int tree_begin_entry(struct tree *tree, struct reason *why);
/* Tells the same alone: CONDITION_CANCELLED. */
int tree_cancelled(const struct tree *tree, struct reason *why);

/* Waits until no file is under way in DIRECTORY; in all of the tree. */
int tree_settle(struct tree *tree, struct directory *directory, struct reason *why);
int tree_settle_all(struct tree *tree, struct reason *why);

/* Puts on the disk what was written to the tree's file system, but for files under way. */
int tree_sync(const struct tree *tree, struct reason *why);

/* The folder at the tree name NAME, whose symlinks are followed, with a reference. Folders that are
 * missing on the way are made if MAKE is set; else *DIRECTORY is NULL when there is none.
 * CONDITION_INVALID when something there is no folder. */
int tree_folder(struct tree *tree, const char *name, bool make, struct directory **directory,
                struct reason *why);

/* BASE in PARENT as a tree name. */
int tree_join(const struct directory *parent, const char *base, char name[static PATH_ROOM],
              struct reason *why);

/* Notes that something was made at BASE in PARENT. */
int tree_note(struct tree *tree, const struct directory *parent, const char *base,
              enum name_note note, struct reason *why);

/* Looks what is at BASE in PARENT, after any file under way there is made. *STATUS is filled and
 * *THERE true if there is something. Costs no system call where nothing can be. */
int tree_look(struct tree *tree, struct directory *parent, const char *base, bool *there,
              struct stat *status, struct reason *why);

/* Removes BASE in PARENT, which tree_look() has found to be as STATUS says, and all in it. */
int tree_remove(struct tree *tree, struct directory *parent, const char *base,
                const struct stat *status, struct reason *why);

/* Removes all that is in DIRECTORY but what entries of the layer have put there. */
int tree_remove_others(struct tree *tree, struct directory *directory, struct reason *why);

#endif
