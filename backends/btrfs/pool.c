/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/pool.h"

#include "backends/btrfs/image.h"
#include "backends/presence.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

/*
 * A start may find anything an earlier one left, whichever instruction it ended at: no pool.img, an
 * unfinished one, a whole one not mounted (also after a reboot), or a mounted one on which
 * containers run. Each step below looks at what is there and does only what is missing.
 *
 * Recovery deletes every volume that the store does not know. So a pool belongs to one root: the
 * file OWNER in it names that root, and is locked while a daemon uses the pool. A pool.path typed
 * into a second daemon's configuration is refused instead of emptied.
 */

#define POOL_NAME "pool"
#define POOL_OWNER "owner"
#define POOL_MODE 0711
#define SHARD_MODE 0700

/* Whether a pool is, or was, in FOLDER of DIRECTORY: OWNER may have been removed, since root moved.
 */
static bool pool_was_made(int directory, const char *folder)
{
    char owner[32], shard[32];

    snprintf(owner, sizeof(owner), "%s" POOL_OWNER, folder);
    snprintf(shard, sizeof(shard), "%s00", folder);
    return faccessat(directory, owner, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           faccessat(directory, shard, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool pool_is_btrfs(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

static bool pool_is_mounted(int directory)
{
    struct statx attributes;

    return statx(directory, "", AT_EMPTY_PATH, 0, &attributes) == 0 &&
           attributes.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

bool pool_has_mount(int root)
{
    scoped_fd int directory = openat(root, POOL_NAME, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return directory >= 0 && pool_is_mounted(directory);
}

bool pool_has_image(int root)
{
    return faccessat(root, IMAGE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int pool_set_path(struct pool *pool, const char *path, struct reason *why)
{
    scoped_free char *resolved = realpath(path, NULL);

    if (!resolved)
        return failure(why, errno, "resolve %s", quoted(bytes_of(path)));
    if (strlen(resolved) >= sizeof(pool->path))
        return refuse(why, CONDITION_INVALID, "the path of the pool folder is too long");
    strcpy(pool->path, resolved);
    return 0;
}

/* ---- a folder of the operator's ---- */

static int pool_open_given(struct pool *pool, const struct backend_options *options,
                           struct reason *why)
{
    const char *path = options->pool_path;
    int result;

    if (path[0] != '/')
        return refuse(why, CONDITION_INVALID, "pool.path %s is not absolute: begin it with /",
                      quoted(bytes_of(path)));
    pool->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pool->directory < 0 && errno == ENOENT)
        return refuse(why, CONDITION_INVALID,
                      "pool.path %s is not there: make the folder, on a mounted btrfs",
                      quoted(bytes_of(path)));
    if (pool->directory < 0 && errno == ENOTDIR)
        return refuse(why, CONDITION_INVALID,
                      "pool.path %s is no folder: it must be a folder on a mounted btrfs, not a "
                      "device or a file",
                      quoted(bytes_of(path)));
    if (pool->directory < 0)
        return failure(why, errno, "open pool.path %s", quoted(bytes_of(path)));
    if (!pool_is_btrfs(pool->directory))
        return refuse(why, CONDITION_INVALID,
                      "pool.path %s is not on btrfs: mount the btrfs first, or leave pool.path out "
                      "for a pool in a file",
                      quoted(bytes_of(path)));
    struct stat status;
    if (fstat(pool->directory, &status) < 0)
        return failure(why, errno, "look at pool.path %s", quoted(bytes_of(path)));
    result = owner_check(&status, path, why); /* whoever may write it may swap volumes */
    if (result != 0)
        return amend(why, result, "pool.path");
    bool made = pool_was_made(pool->directory, "");
    result = presence_expect(options->presence, made, quoted(bytes_of(path)), why);
    pool->origin = POOL_GIVEN;
    return result ? result : pool_set_path(pool, path, why);
}

/* ---- root/pool ---- */

/* What this start made, to be taken back if it fails. */
struct made {
    bool folder, image, mount;
};

static void pool_take_back(struct pool *pool, const struct made *made)
{
    char target[32], name[8];

    for (unsigned i = 0; i < POOL_SHARDS; i++) {
        scoped_close_(&pool->shards[i]);
        pool->shards[i] = -1;
        snprintf(name, sizeof(name), "%02x", i);
        if (made->folder && !made->mount)
            unlinkat(pool->directory, name, AT_REMOVEDIR);
    }
    if (made->folder && !made->mount)
        unlinkat(pool->directory, POOL_OWNER, 0);
    if (made->mount) {
        snprintf(target, sizeof(target), "/proc/self/fd/%d", pool->directory);
        if (umount2(target, MNT_DETACH) < 0) { /* then the file is in use: the next start has it */
            log_warn("take back the mount of %s: %s", pool->path, strerrordesc_np(errno));
            return;
        }
    }
    if (made->image)
        unlinkat(pool->root, IMAGE_NAME, 0);
    if (made->folder)
        unlinkat(pool->root, POOL_NAME, AT_REMOVEDIR);
}

static int pool_open_folder(struct pool *pool, const char *root_path, struct reason *why)
{
    pool->directory =
        openat(pool->root, POOL_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (pool->directory < 0)
        return failure(why, errno, "open the pool folder %s/" POOL_NAME, root_path);
    return 0;
}

/* Makes the image where there is none, mounts it, and opens what is then at root/pool. */
static int pool_mount_image(struct pool *pool, const struct backend_options *options,
                            bool have_image, struct made *made, struct reason *why)
{
    int result = 0;

    if (!have_image) {
        result = image_make(pool->root, options->root_path, options->pool_size, why);
        made->image = result == 0;
    }
    if (result == 0)
        result = image_mount(pool->root, options->root_path, pool->directory, why);
    if (result != 0)
        return result;
    made->mount = true;
    close(take_fd(&pool->directory));
    return pool_open_folder(pool, options->root_path, why);
}

/* Whether what is in root is what the caller expects there. */
static int pool_expect(const struct pool *pool, const struct backend_options *options,
                       const char *path, struct reason *why)
{
    bool have_image = pool_has_image(pool->root);
    bool made = have_image || pool_was_made(pool->root, POOL_NAME "/");
    int result = presence_expect(options->presence, made, quoted(bytes_of(path)), why);

    if (result != 0)
        return result;
    return presence_expect_active(options->presence, !have_image || pool_has_mount(pool->root),
                                  quoted(bytes_of(path)), why);
}

static int pool_open_in_root(struct pool *pool, const struct backend_options *options,
                             struct made *made, struct reason *why)
{
    bool have_image = pool_has_image(pool->root);
    char path[4096];
    int result;

    if ((size_t)snprintf(path, sizeof(path), "%s/" POOL_NAME, options->root_path) >= sizeof(path))
        return refuse(why, CONDITION_INVALID, "the path of the root folder is too long");
    result = pool_expect(pool, options, path, why);
    if (result != 0)
        return result;
    if (mkdirat(pool->root, POOL_NAME, POOL_MODE) == 0)
        made->folder = true;
    else if (errno != EEXIST)
        return failure(why, errno, "make the folder %s/" POOL_NAME, options->root_path);
    result = pool_open_folder(pool, options->root_path, why);
    if (result != 0)
        return result;
    if (made->folder && fchmod(pool->directory, POOL_MODE) < 0)
        return failure(why, errno, "set the mode of %s/" POOL_NAME, options->root_path);

    if (!pool_is_mounted(pool->directory) && (have_image || !pool_is_btrfs(pool->directory)))
        result = pool_mount_image(pool, options, have_image, made, why);
    if (result != 0)
        return result;
    if (!pool_is_btrfs(pool->directory))
        return refuse(why, CONDITION_INVALID,
                      "what is mounted at %s/" POOL_NAME " is not btrfs: unmount it, or mount a "
                      "btrfs there",
                      options->root_path);
    pool->origin = POOL_ROOT;
    return pool_set_path(pool, path, why);
}

/* ---- inside the folder, whichever it is ---- */

/* The only device of the file system; "" when there are several. */
static void pool_find_device(struct pool *pool)
{
    struct btrfs_ioctl_fs_info_args fs = {0};

    pool->device[0] = '\0';
    pool->device_id = 0;
    if (ioctl(pool->directory, BTRFS_IOC_FS_INFO, &fs) < 0 || fs.num_devices != 1)
        return;
    for (uint64_t id = 1; id <= fs.max_id; id++) {
        struct btrfs_ioctl_dev_info_args device = {.devid = id};
        if (ioctl(pool->directory, BTRFS_IOC_DEV_INFO, &device) == 0) {
            snprintf(pool->device, sizeof(pool->device), "%s", (const char *)device.path);
            pool->device_id = id;
            return;
        }
    }
}

/* The descriptor that stays open only reads: a writing one would forbid a remount read-only. */
static int pool_sign(const struct pool *pool, const char *root_path, struct reason *why)
{
    scoped_fd int owner = openat(pool->directory, POOL_OWNER, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    size_t length = strlen(root_path);
    ssize_t written = owner < 0 ? -1 : write(owner, root_path, length);

    if (written < 0 || (size_t)written != length)
        return pool_failure(pool, why, written < 0 ? errno : ENOSPC, "write %s/" POOL_OWNER,
                            pool->path);
    return 0;
}

static int pool_claim(struct pool *pool, const char *root_path, struct reason *why)
{
    char owner[4096 + 1];

    pool->owner =
        openat(pool->directory, POOL_OWNER, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (pool->owner < 0)
        return pool_failure(pool, why, errno, "open %s/" POOL_OWNER, pool->path);
    if (flock(pool->owner, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "another daemon uses the pool %s: stop it, or give this one a pool of "
                          "its own",
                          pool->path);
        return failure(why, errno, "lock %s/" POOL_OWNER, pool->path);
    }

    ssize_t length = pread(pool->owner, owner, sizeof(owner) - 1, 0);
    if (length < 0)
        return failure(why, errno, "read %s/" POOL_OWNER, pool->path);
    if (length == 0)
        return pool_sign(pool, root_path, why);
    if (bytes_equal(bytes_from(owner, (size_t)length), bytes_of(root_path)))
        return 0;
    return refuse(why, CONDITION_INVALID,
                  "the pool %s belongs to the daemon whose root is %s, and this one's is %s: give "
                  "each a folder of its own, or remove the file " POOL_OWNER
                  " there if that root was moved here",
                  pool->path, quoted(bytes_from(owner, (size_t)length)),
                  quoted(bytes_of(root_path)));
}

/* A shard's owner, mode and access lists are what new volumes may inherit from: set, not hoped. One
 * that was there is of an earlier start, or of somebody who is not to be trusted with it. */
static int pool_open_shard(struct pool *pool, unsigned number, struct reason *why)
{
    struct stat status;
    char name[8];

    snprintf(name, sizeof(name), "%02x", number);
    bool made = mkdirat(pool->directory, name, SHARD_MODE) == 0;
    if (!made && errno != EEXIST)
        return pool_failure(pool, why, errno, "make the folder %s/%s", pool->path, name);
    int shard = openat(pool->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (shard < 0)
        return failure(why, errno, "open the folder %s/%s (move away what is there)", pool->path,
                       name);
    pool->shards[number] = shard;
    if (fstat(shard, &status) < 0)
        return pool_failure(pool, why, errno, "look at the folder %s/%s", pool->path, name);
    if (!made && !owner_is_trusted(status.st_uid))
        return refuse(why, CONDITION_PRECONDITION,
                      "the folder %s/%s belongs to user %u: cowsnapd makes it itself; move away "
                      "what is there",
                      pool->path, name, status.st_uid);
    if ((status.st_mode & 07777) == SHARD_MODE && status.st_uid == 0 && status.st_gid == 0 &&
        fgetxattr(shard, "system.posix_acl_default", NULL, 0) < 0 &&
        fgetxattr(shard, "system.posix_acl_access", NULL, 0) < 0)
        return 0;
    (void)fremovexattr(shard, "system.posix_acl_default");
    (void)fremovexattr(shard, "system.posix_acl_access");
    if (fchown(shard, 0, 0) < 0 || fchmod(shard, SHARD_MODE) < 0)
        return pool_failure(pool, why, errno, "set owner and mode of %s/%s", pool->path, name);
    return 0;
}

static int pool_furnish(struct pool *pool, const struct backend_options *options,
                        struct reason *why)
{
    struct statvfs fs;
    int result;

    if (fstatvfs(pool->directory, &fs) < 0)
        return failure(why, errno, "look at the pool %s", pool->path);
    if (fs.f_flag & ST_RDONLY)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the pool %s is mounted read-only: see the kernel's log, then mount it "
                      "read-write",
                      pool->path);
    pool_find_device(pool);
    if (pool->origin == POOL_ROOT && image_is_behind(pool->root, pool->device))
        pool->origin = POOL_EMBEDDED;

    result = pool_claim(pool, options->root_path, why);
    for (unsigned i = 0; result == 0 && i < POOL_SHARDS; i++)
        result = pool_open_shard(pool, i, why);
    return result;
}

int pool_open(struct pool *pool, const struct backend_options *options, struct reason *why)
{
    struct made made = {0};
    int result;

    *pool = (struct pool){.root = -1, .directory = -1, .owner = -1};
    for (unsigned i = 0; i < POOL_SHARDS; i++)
        pool->shards[i] = -1;
    pthread_mutex_init(&pool->growth, NULL);
    pthread_mutex_init(&pool->checks, NULL);

    if (!options->root_path || options->root_path[0] != '/')
        return refuse(why, CONDITION_INVALID, "the path of the root folder is not absolute");
    pool->root = fcntl(options->root, F_DUPFD_CLOEXEC, 3);
    if (pool->root < 0)
        return failure(why, errno, "duplicate the root folder's descriptor");

    if (options->pool_path)
        result = pool_open_given(pool, options, why);
    else
        result = pool_open_in_root(pool, options, &made, why);
    if (result == 0)
        result = pool_furnish(pool, options, why);
    if (result == 0)
        return 0;
    pool_take_back(pool, &made);
    pool_close(pool);
    return result;
}

void pool_close(struct pool *pool)
{
    for (unsigned i = 0; i < POOL_SHARDS; i++)
        scoped_close_(&pool->shards[i]);
    scoped_close_(&pool->owner);
    scoped_close_(&pool->directory);
    scoped_close_(&pool->root);
    pthread_mutex_destroy(&pool->checks);
    pthread_mutex_destroy(&pool->growth);
}
