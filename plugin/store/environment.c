/* SPDX-License-Identifier: Apache-2.0 */
#include "store/environment.h"

#include "base/disk.h"
#include "base/scoped.h"
#include "store/readers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAP_DEFAULT (UINT64_C(64) << 20)
#define MAP_LEAST (UINT64_C(64) << 10) /* two meta pages and a root for each table, twice over */
#define DATABASES 8
#define READERS 1024 /* read transactions at one time; a slot is 64 bytes of the lock file */
#define ROOM_PROBE (1 << 20)

/* Opens root/meta into ENVIRONMENT and locks it against everyone else. */
static int folder_open(struct environment *environment, const struct store_options *options,
                       struct reason *why)
{
    scoped_fd int folder = -1;

    if (mkdirat(options->root, STORE_FOLDER, 0700) && errno != EEXIST)
        return disk_failure(why, errno, options->root_path, "making the folder %s",
                            environment->path);
    folder = openat(options->root, STORE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return failure(why, errno, "opening the folder %s", environment->path);
    if (flock(folder, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return refuse(why, CONDITION_PRECONDITION,
                          "the store %s is in use; stop the daemon that has it open",
                          environment->path);
        return failure(why, errno, "locking the folder %s", environment->path);
    }
    environment->folder = take_fd(&folder);
    return 0;
}

/* LMDB reads through its map, and to read past the end of a file there is a SIGBUS. A file shorter
 * than its tree says, as a repaired file system may leave it, is filled up with zeros, in which
 * LMDB sees the damage. (A sound file may also lack some last pages, when nothing is in them.) */
static int fill_up(struct environment *environment, struct reason *why)
{
    MDB_envinfo info;
    MDB_stat figures;
    struct stat file;
    int fd = -1;

    mdb_env_info(environment->lmdb, &info);
    mdb_env_stat(environment->lmdb, &figures);
    mdb_env_get_fd(environment->lmdb, &fd);
    off_t least = (off_t)(info.me_last_pgno + 1) * figures.ms_psize;
    if (fstat(fd, &file))
        return failure(why, errno, "looking at %s/data.mdb", environment->path);
    if (file.st_size < least && ftruncate(fd, least))
        return disk_failure(why, errno, environment->path, "filling up %s/data.mdb",
                            environment->path);
    return 0;
}

static int lmdb_open(struct environment *environment, uint64_t map_size, struct reason *why)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    scoped_fd int table = -1;
    int fd = -1;

    if (!map_size)
        map_size = MAP_DEFAULT;
    if (map_size < MAP_LEAST)
        map_size = MAP_LEAST;
    map_size = (map_size + page - 1) / page * page;
    int result = reserve_make_file(environment->folder, environment->path, why);
    if (!result)
        result = readers_place(environment->folder, environment->path, &table, why);
    if (result)
        return result;

    int status = mdb_env_create(&environment->lmdb);
    if (status)
        return environment_failure(environment, status, why, "making room for the store %s",
                                   environment->path);
    if ((status = mdb_env_set_maxdbs(environment->lmdb, DATABASES)) ||
        (status = mdb_env_set_maxreaders(environment->lmdb, READERS)) ||
        (status = mdb_env_set_mapsize(environment->lmdb, map_size)) ||
        (status = mdb_env_open(environment->lmdb, environment->path, MDB_NOTLS, 0600)))
        return environment_failure(environment, status, why, "opening the store %s/data.mdb",
                                   environment->path);
    /* LMDB leaves this one of its descriptors open for child processes */
    mdb_env_get_fd(environment->lmdb, &fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC))
        return failure(why, errno, "keeping %s/data.mdb from child processes", environment->path);
    return fill_up(environment, why);
}

static int map_lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    int error = pthread_rwlockattr_init(&attributes);

    if (error)
        return error;
    /* or a stream of readers could hold up the writer for ever */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    error = pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return error;
}

int environment_open(struct environment *environment, const struct store_options *options,
                     struct reason *why)
{
    int result;

    *environment = (struct environment){.folder = -1};
    int error = map_lock_init(&environment->map_lock);
    if (error)
        return failure(why, error, "making a lock");
    if (asprintf(&environment->path, "%s/meta", options->root_path) < 0) {
        environment->path = NULL;
        result = failure(why, ENOMEM, "opening the store in %s", options->root_path);
    } else {
        result = folder_open(environment, options, why);
    }
    if (!result)
        result = lmdb_open(environment, options->map_size, why);
    if (result)
        environment_close(environment);
    return result;
}

void environment_close(struct environment *environment)
{
    if (environment->lmdb)
        mdb_env_close(environment->lmdb);
    if (environment->folder >= 0)
        close(environment->folder);
    free(environment->path);
    pthread_rwlock_destroy(&environment->map_lock);
}

int environment_sync_names(struct environment *environment, int root, struct reason *why)
{
    if (fsync(environment->folder) || fsync(root))
        return failure(why, errno, "syncing the folder %s", environment->path);
    return 0;
}

/*
 * LMDB has two root pages and writes them in turn. A reader takes the number N of the last commit,
 * enters it in the table of readers, and then copies root page N mod 2 (mdb_txn_renew0() in mdb.c
 * of 0.9). A thread that loses its processor in between, for as long as a commit takes, copies what
 * the writer is just putting there, the root of N + 2: not on the disk yet and perhaps never, or
 * half of it. Such a reader may see a snapshot that the next one does not.
 *
 * The writer cannot begin with N + 2 before N + 1 is committed. So a reader asks, when it has its
 * copy, whether that has happened, and begins anew if so.
 */
int environment_begin_read(struct environment *environment, MDB_txn **txn)
{
    for (;;) {
        int status = mdb_txn_begin(environment->lmdb, NULL, MDB_RDONLY, txn);

        if (status || !environment_was_overtaken(environment, *txn))
            return status;
        mdb_txn_abort(*txn);
    }
}

void environment_note_commit(struct environment *environment, size_t number)
{
    atomic_store(&environment->newest, number);
}

bool environment_was_overtaken(struct environment *environment, MDB_txn *txn)
{
    atomic_thread_fence(memory_order_seq_cst); /* the copy was made before this looks */
    return atomic_load(&environment->newest) > mdb_txn_id(txn);
}

int environment_grow(struct environment *environment, struct reason *why)
{
    MDB_envinfo info;
    void *probe;
    int status;

    mdb_env_info(environment->lmdb, &info);
    size_t size = info.me_mapsize * 2;
    /* LMDB unmaps the old map before it maps the new one and has none when that fails: so ask first
     * whether there is room. */
    probe = size > info.me_mapsize
                ? mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                : MAP_FAILED;
    if (probe == MAP_FAILED)
        return refuse(why, CONDITION_EXHAUSTED,
                      "the store %s cannot grow past a map of %zu bytes: no address space; raise "
                      "the daemon's limit (LimitAS)",
                      environment->path, info.me_mapsize);
    munmap(probe, size);
    pthread_rwlock_wrlock(&environment->map_lock);
    status = mdb_env_set_mapsize(environment->lmdb, size);
    pthread_rwlock_unlock(&environment->map_lock);
    if (status)
        return environment_failure(environment, status, why, "growing the map of the store %s",
                                   environment->path);
    return 0;
}

int environment_vfailure(const struct environment *environment, int status, struct reason *why,
                         const char *format, va_list arguments)
{
    char tried[256];

    (void)vsnprintf(tried, sizeof(tried), format, arguments);
    switch (status) {
    case MDB_READERS_FULL:
        return refuse(why, CONDITION_EXHAUSTED,
                      "%s: all %d places for readers of the store %s are taken; try again", tried,
                      READERS, environment->path);
    case MDB_PANIC:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "%s: the store %s failed to write to its disk before; check the disk, then "
                      "restart cowsnapd",
                      tried, environment->path);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return failure(why, EBADMSG,
                       "%s: the store %s is damaged (%s); check the disk that holds it", tried,
                       environment->path, mdb_strerror(status));
    case MDB_TXN_FULL:
        return failure(why, E2BIG, "%s", tried);
    default:
        if (status > 0)
            return disk_failure(why, status, environment->path, "%s", tried);
        return failure(why, EIO, "%s: %s", tried, mdb_strerror(status));
    }
}

int environment_failure(const struct environment *environment, int status, struct reason *why,
                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int result = environment_vfailure(environment, status, why, format, arguments);
    va_end(arguments);
    return result;
}

bool environment_has_reserve(struct environment *environment)
{
    MDB_envinfo info;
    MDB_stat figures;
    int fd = -1;

    mdb_env_info(environment->lmdb, &info);
    mdb_env_stat(environment->lmdb, &figures);
    mdb_env_get_fd(environment->lmdb, &fd);
    return reserve_keep(&environment->reserve, fd,
                        (uint64_t)(info.me_last_pgno + 1) * figures.ms_psize);
}

bool environment_is_full(const struct environment *environment)
{
    scoped_fd int probe = openat(environment->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (probe < 0)
        return disk_is_full(errno);
    return fallocate(probe, 0, 0, ROOM_PROBE) && disk_is_full(errno);
}
