/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/directory.h"

#include "layer/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DIRECTORY_BUCKETS 256 /* a power of two */

struct directory_cache {
    const struct path_root *root;
    unsigned limit;
    bool plain_allowed;
    uid_t uid;
    gid_t gid;
    directory_relief *relief;
    void *context;

    struct directory *newest, *oldest;
    struct directory *buckets[DIRECTORY_BUCKETS];
    uint64_t forgotten;
    _Atomic unsigned open; /* folders with a descriptor; writers count down */
};

static struct directory **directory_bucket(struct directory_cache *cache, const char *name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a; a bad layer only loses time */

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 1099511628211u;
    return &cache->buckets[(hash ^ hash >> 32) & (DIRECTORY_BUCKETS - 1)];
}

void directory_ref(struct directory *directory)
{
    atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
}

void directory_unref(struct directory *directory)
{
    _Atomic unsigned *open;

    if (!directory ||
        atomic_fetch_sub_explicit(&directory->references, 1, memory_order_acq_rel) != 1)
        return;
    open = directory->open;
    close(directory->fd);
    free(directory->name);
    free(directory);
    atomic_fetch_sub_explicit(open, 1, memory_order_release);
}

/* Takes DIRECTORY out of the order of use. */
static void directory_unlink_order(struct directory_cache *cache, struct directory *directory)
{
    *(directory->newer ? &directory->newer->older : &cache->newest) = directory->older;
    *(directory->older ? &directory->older->newer : &cache->oldest) = directory->newer;
    directory->newer = directory->older = NULL;
}

static void directory_link_newest(struct directory_cache *cache, struct directory *directory)
{
    directory->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = directory;
    cache->newest = directory;
}

static void directory_evict(struct directory_cache *cache, struct directory *directory)
{
    struct directory **slot = directory_bucket(cache, directory->name);

    while (*slot != directory)
        slot = &(*slot)->next_in_bucket;
    *slot = directory->next_in_bucket;
    directory_unlink_order(cache, directory);
    cache->forgotten |= directory->busy;
    directory->cached = false;
    directory_unref(directory);
}

int directory_cache_new(struct directory_cache **cache, const struct path_root *root,
                        unsigned limit, bool plain_allowed, directory_relief *relief, void *context,
                        struct reason *why)
{
    struct directory_cache *made = calloc(1, sizeof(*made));

    if (!made)
        return failure(why, ENOMEM, "cannot keep the folders of a layer");
    made->root = root;
    made->limit = limit;
    made->plain_allowed = plain_allowed;
    made->uid = geteuid();
    made->gid = getegid();
    made->relief = relief;
    made->context = context;
    *cache = made;
    return 0;
}

void directory_cache_flush(struct directory_cache *cache)
{
    while (cache->oldest)
        directory_evict(cache, cache->oldest);
}

struct directory_cache *directory_cache_free(struct directory_cache *cache)
{
    if (cache)
        directory_cache_flush(cache);
    free(cache);
    return NULL;
}

uint64_t directory_cache_forgotten(const struct directory_cache *cache)
{
    return cache->forgotten;
}

void directory_cache_handed(struct directory_cache *cache, const struct directory *directory)
{
    if (!directory->cached)
        cache->forgotten |= directory->busy;
}

void directory_cache_settled(struct directory_cache *cache, uint64_t writers)
{
    cache->forgotten &= ~writers;
}

struct directory *directory_cached(struct directory_cache *cache, const char *name)
{
    struct directory *directory = *directory_bucket(cache, name);

    while (directory && strcmp(directory->name, name) != 0)
        directory = directory->next_in_bucket;
    if (!directory)
        return NULL;
    directory_unlink_order(cache, directory);
    directory_link_newest(cache, directory);
    directory_ref(directory);
    return directory;
}

void directory_look(const struct directory_cache *cache, struct directory *directory)
{
    struct stat status;

    /* A default ACL decides over modes. A set-group-ID folder hands its group down, and the bit
     * itself to folders; where "grpid" is mounted, every folder hands its group down. */
    directory->plain_mode = cache->plain_allowed && fstat(directory->fd, &status) == 0 &&
                            !(status.st_mode & S_ISGID) &&
                            fgetxattr(directory->fd, "system.posix_acl_default", NULL, 0) < 0 &&
                            (errno == ENODATA || errno == EOPNOTSUPP);
    directory->plain = directory->plain_mode && status.st_gid == cache->gid;
}

/* Makes room for one more descriptor. */
static int directory_make_room(struct directory_cache *cache, struct reason *why)
{
    while (cache->oldest &&
           atomic_load_explicit(&cache->open, memory_order_acquire) >= cache->limit)
        directory_evict(cache, cache->oldest);
    if (atomic_load_explicit(&cache->open, memory_order_acquire) >= cache->limit)
        return cache->relief(cache->context, why);
    return 0;
}

/* Takes over FD, also when it fails. */
static int directory_adopt(struct directory_cache *cache, int fd, const char *name, bool ours,
                           struct directory **directory, struct reason *why)
{
    struct directory *made = calloc(1, sizeof(*made));
    struct directory **bucket = directory_bucket(cache, name);

    if (made)
        made->name = strdup(name);
    if (!made || !made->name) {
        free(made);
        close(fd);
        return failure(why, ENOMEM, "cannot keep the folders of a layer");
    }
    made->fd = fd;
    made->ours = ours;
    made->open = &cache->open;
    made->cached = true;
    atomic_init(&made->references, 2); /* the cache's and the caller's */
    made->next_in_bucket = *bucket;
    *bucket = made;
    directory_link_newest(cache, made);
    atomic_fetch_add_explicit(&cache->open, 1, memory_order_relaxed);
    *directory = made;
    return 0;
}

/* NAME, or BASE in PARENT, which is the same; PARENT may be NULL. */
static int directory_open_at(struct directory_cache *cache, const struct directory *parent,
                             const char *base, const char *name, bool ours,
                             struct directory **directory, int *error, struct reason *why)
{
    int result;
    int fd;

    *error = 0;
    *directory = directory_cached(cache, name);
    if (*directory)
        return 0;
    result = directory_make_room(cache, why);
    if (result)
        return result;
    if (!parent)
        fd = path_open(cache->root, name, O_RDONLY | O_DIRECTORY);
    else if ((fd = openat(parent->fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        fd = -errno;
    if (fd < 0) {
        *error = -fd;
        return 0;
    }
    result = directory_adopt(cache, fd, name, ours, directory, why);
    if (!result)
        directory_look(cache, *directory);
    return result;
}

int directory_open(struct directory_cache *cache, const char *name, bool ours,
                   struct directory **directory, int *error, struct reason *why)
{
    return directory_open_at(cache, NULL, NULL, name, ours, directory, error, why);
}

int directory_open_in(struct directory_cache *cache, const struct directory *parent,
                      const char *base, const char *name, bool ours, struct directory **directory,
                      int *error, struct reason *why)
{
    return directory_open_at(cache, parent, base, name, ours, directory, error, why);
}

int directory_open_made(struct directory_cache *cache, const struct directory *parent,
                        const char *base, const char *name, struct directory **directory,
                        struct reason *why)
{
    int result = directory_make_room(cache, why);
    int fd;

    *directory = NULL;
    if (result)
        return result;
    fd = openat(parent->fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return io_error(why, errno, "open the folder", name);
    return directory_adopt(cache, fd, name, true, directory, why);
}
