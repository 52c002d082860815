/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/pool_files.h"

#include "backends/embedded.h"
#include "backends/loop.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define UNFINISHED POOL_FILES ".new"
#define MIB UINT64_C(1048576)

/* A block of 64 KiB takes about 50 bytes of metadata for each volume that does not share its
 * mapping with another: this is enough for each block once. */
#define METADATA_SHARE 1024
#define METADATA_LEAST (16 * MIB)

uint64_t pool_files_metadata_size(uint64_t data)
{
    uint64_t size = data / METADATA_SHARE / MIB * MIB;

    return size < METADATA_LEAST       ? METADATA_LEAST
           : size > POOL_METADATA_MOST ? POOL_METADATA_MOST
                                       : size;
}

int pool_files_name(int root, char name[NAME_POOL], struct reason *why)
{
    scoped_fd int file = openat(root, POOL_FILES "/name", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (file < 0 && errno == ENOENT)
        return refuse(why, CONDITION_NOT_FOUND, "the folder " POOL_FILES);
    ssize_t length = file < 0 ? -1 : read(file, name, NAME_POOL - 1);
    if (length < 0)
        return failure(why, errno, "read " POOL_FILES "/name");
    name[length] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (!name_is_fit(name))
        return failure(why, EBADMSG, "the pool's name in " POOL_FILES "/name reads %s",
                       quoted(bytes_of(name)));
    return 0;
}

static void remove_folder(int root, const char *folder)
{
    static const char *const names[] = {"name", "data", "metadata", "in-use"};
    char path[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlinkat(root, path, 0);
    }
    unlinkat(root, folder, AT_REMOVEDIR);
}

void pool_files_remove(int root)
{
    remove_folder(root, POOL_FILES);
}

bool pool_files_are_embedded(int root)
{
    return faccessat(root, POOL_FILES_DATA, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool pool_files_in_use(int root)
{
    return faccessat(root, POOL_FILES "/in-use", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int lengthen_metadata(int root, const char *path, uint64_t size)
{
    scoped_fd int file = openat(root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat now;

    if (file < 0 || fstat(file, &now) < 0)
        return -errno;
    uint64_t length = (uint64_t)now.st_size > size ? (uint64_t)now.st_size : size;
    if (fallocate(file, 0, 0, (off_t)length) < 0) {
        int error = errno;
        if (error == EOPNOTSUPP)
            return embedded_lengthen(root, path, size);
        (void)!ftruncate(file, now.st_size); /* it may have been given a part */
        return -error;
    }
    if (fsync(file) < 0)
        return -errno;
    return (uint64_t)now.st_size < size;
}

int pool_files_lengthen_metadata(int root, uint64_t size)
{
    return lengthen_metadata(root, POOL_FILES_METADATA, size);
}

/* A file of the unfinished folder, durable: SIZE bytes of zeros, or TEXT. */
static int make_file(int root, const char *path, uint64_t size, const char *text,
                     struct reason *why)
{
    scoped_fd int file = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (file < 0)
        return failure(why, errno, "create %s", path);
    if (ftruncate(file, (off_t)size) < 0)
        return errno == EFBIG || errno == EINVAL
                   ? refuse(why, CONDITION_INVALID,
                            "pool.size is larger than a file can be here: %s of %" PRIu64 " bytes",
                            path, size)
                   : failure(why, errno, "set the size of %s", path);
    if (text && write(file, text, strlen(text)) != (ssize_t)strlen(text))
        return failure(why, errno, "write %s", path);
    return fsync(file) < 0 ? failure(why, errno, "write %s to disk", path) : 0;
}

static int make_metadata(int root, uint64_t size, struct reason *why)
{
    int result = make_file(root, UNFINISHED "/metadata", 0, NULL, why);
    int made = result == 0 ? lengthen_metadata(root, UNFINISHED "/metadata", size) : 0;

    if (made == -ENOSPC)
        return refuse(why, CONDITION_EXHAUSTED,
                      "the disk has no room for the metadata of the pool, %" PRIu64
                      " MiB: free some, or set a smaller pool.size",
                      size / MIB);
    return made < 0
               ? failure(why, -made, "make the metadata of the pool, %" PRIu64 " MiB", size / MIB)
               : result;
}

/* Names of devices are the machine's, not the folder's: a random one meets no other daemon's. */
static int make_unfinished(int root, bool embedded, uint64_t size, struct reason *why)
{
    uint32_t random;
    char name[NAME_POOL];
    int result;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return failure(why, errno, "choose a name for the pool");
    snprintf(name, sizeof(name), "cowsnap-%08" PRIx32 "\n", random);
    if (mkdirat(root, UNFINISHED, 0700) < 0)
        return failure(why, errno, "make the folder " UNFINISHED);
    result = make_file(root, UNFINISHED "/name", 0, name, why);
    if (result == 0 && embedded)
        result = make_file(root, UNFINISHED "/data", size, NULL, why);
    if (result == 0 && embedded)
        result = make_metadata(root, pool_files_metadata_size(size), why);
    return result;
}

int pool_files_make(int root, const char *root_path, bool embedded, uint64_t size,
                    struct reason *why)
{
    int result = 0;

    remove_folder(root, UNFINISHED);
    if (embedded)
        result = embedded_size(root, root_path, "thin", "name a pool or devices in [dm_thin]",
                               &size, why);
    if (result != 0)
        return result;
    result = make_unfinished(root, embedded, size, why);
    STEP("dm-thin.files-made");
    if (result == 0 && (renameat(root, UNFINISHED, root, POOL_FILES) < 0 || fsync(root) < 0))
        result = failure(why, errno, "give %s/" POOL_FILES " its name", root_path);
    STEP("dm-thin.files-named");
    if (result != 0) {
        remove_folder(root, UNFINISHED);
        return amend(why, result, "make the pool of %s", quoted(bytes_of(root_path)));
    }
    if (embedded)
        log_info("made the embedded pool %s/" POOL_FILES ": %" PRIu64 " MiB, sparse", root_path,
                 size / MIB);
    return 0;
}

int pool_files_note_use(int root, struct reason *why)
{
    if (pool_files_in_use(root))
        return 0;
    scoped_fd int folder = openat(root, POOL_FILES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = make_file(root, POOL_FILES "/in-use", 0, NULL, why);
    if (result == 0 && (folder < 0 || fsync(folder) < 0))
        result = failure(why, errno, "write the folder " POOL_FILES " to disk");
    return result;
}

int pool_files_attach(int root, const char *root_path, const char *name, int *loop,
                      char path[DEVICE_PATH], struct reason *why)
{
    scoped_fd int file = openat(root, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    char label[64];

    if (file < 0)
        return failure(why, errno, "open %s/%s", root_path, name);
    snprintf(label, sizeof(label), "%.40s/%.20s", root_path, name);
    return loop_attach(file, label, "name a pool or devices in [dm_thin]", loop, path, DEVICE_PATH,
                       why);
}
