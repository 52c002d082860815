/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_DIRECTORY_H
#define COWSNAP_LAYER_DIRECTORY_H

/*
 * Open folders of the target, and a bounded cache of them. The cache belongs to the thread that
 * reads the archive; writers only hold references, so that a folder stays open for as long as
 * files are made in it, whether or not the cache still knows it.
 */

#include "base/result.h"
#include "layer/path.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct directory_cache;

struct directory {
    int fd;     /* opened for reading */
    char *name; /* its tree name, resolved */

    /* The reading thread's own. */
    bool ours;       /* the layer made it: all that is in it came from the layer */
    bool plain_mode; /* a new file or folder in it has the mode asked for */
    bool plain;      /* and belongs to this process */
    uint64_t busy;   /* writers (bit by bit) that files in it were handed to */
    unsigned writer; /* the last of them */
    bool cached;
    struct directory *newer, *older;
    struct directory *next_in_bucket;

    _Atomic unsigned references;
    _Atomic unsigned *open; /* the cache's count */
};

/* Waits until the writers have let go of folders. */
typedef int directory_relief(void *context, struct reason *why);

/* At most LIMIT folders are open at once, those that only writers hold included: when evicting is
 * not enough, RELIEF is called. PLAIN_ALLOWED is false when the process has a umask. ROOT is
 * borrowed. */
int directory_cache_new(struct directory_cache **cache, const struct path_root *root,
                        unsigned limit, bool plain_allowed, directory_relief *relief, void *context,
                        struct reason *why);
/* The writers must have let go of everything. NULL is allowed; returns NULL. */
struct directory_cache *directory_cache_free(struct directory_cache *cache);

/* The folder of the resolved name NAME if it is cached, with a reference for the caller. */
struct directory *directory_cached(struct directory_cache *cache, const char *name);

/* Opens the folder NAME, or finds it; a reference for the caller. OURS is what the layer knows of
 * it. When the kernel cannot open it, that is no error yet, for the caller may know what to do: 0
 * is returned, *DIRECTORY is NULL and *ERROR the errno (as path_open()). */
int directory_open(struct directory_cache *cache, const char *name, bool ours,
                   struct directory **directory, int *error, struct reason *why);

/* The same for the folder BASE in PARENT, which is NAME as a whole: however deep it is, one look-up
 * finds it. ENOTDIR also for a symlink. */
int directory_open_in(struct directory_cache *cache, const struct directory *parent,
                      const char *base, const char *name, bool ours, struct directory **directory,
                      int *error, struct reason *why);

/* Opens the folder BASE in PARENT, which was just made there by the layer, and is NAME as a whole.
 * It is not plain until directory_look() or the caller says so. */
int directory_open_made(struct directory_cache *cache, const struct directory *parent,
                        const char *base, const char *name, struct directory **directory,
                        struct reason *why);

/* Looks (again) whether DIRECTORY is plain: after its mode, owner or attributes were set. */
void directory_look(const struct directory_cache *cache, struct directory *directory);

/* Forgets all folders: something that lies on the way to them was removed. */
void directory_cache_flush(struct directory_cache *cache);

/* Writers that had files in folders which the cache has forgotten. */
uint64_t directory_cache_forgotten(const struct directory_cache *cache);
/* Files in DIRECTORY were handed out: counts for a folder that is not cached any more, too. */
void directory_cache_handed(struct directory_cache *cache, const struct directory *directory);
/* The writers WRITERS have finished everything they were given. */
void directory_cache_settled(struct directory_cache *cache, uint64_t writers);

void directory_ref(struct directory *directory);
/* Any thread; the last one closes it. NULL is allowed. */
void directory_unref(struct directory *directory);

static inline void scoped_directory_(struct directory **slot)
{
    directory_unref(*slot);
}
#define scoped_directory __attribute__((cleanup(scoped_directory_)))

#endif
