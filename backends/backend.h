/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BACKEND_H
#define COWSNAP_BACKENDS_BACKEND_H

/*
 * The whole contract between the rules of snapshots and the storage below them.
 *
 * A backend keeps volumes: file trees named by a number, each empty or a copy-on-write clone of
 * another. It knows nothing of keys, labels, kinds or containerd. What it can do is read from its
 * pointers: a function that may be absent says so, all others are required (backend_check()).
 *
 * Threads: every function may be called from several threads at once, for different volumes; the
 * caller never runs two calls on one volume together, save that a parent is cloned, read and
 * measured by many. Calls may block on the disk. None is called with a store transaction open.
 *
 * Numbers are never used twice while their volume may still be there; 0 is no volume.
 */

#include "base/result.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct backend; /* an open pool; each backend has its own */

/* What open() expects of the pool, and may do about it. */
enum pool_presence {
    POOL_AS_NEEDED, /* made, mounted or activated where that is due: as the daemon starts */
    POOL_KNOWN,     /* the same, but it was made before; CONDITION_PRECONDITION otherwise */
    POOL_ABSENT,    /* yet to be made; CONDITION_EXISTS otherwise */
    POOL_LOST,      /* the same, but it was made before: CONDITION_EXISTS or _PRECONDITION */
    POOL_PRESENT,   /* made before; CONDITION_NOT_FOUND otherwise. Mounted or activated if due */
    POOL_ACTIVE, /* as POOL_PRESENT, and mounted or active already; CONDITION_PRECONDITION otherwise
                  */
};

/* Where volumes live. Borrowed strings; NULL or 0 where not set. */
struct backend_options {
    int root;              /* open fd of the daemon's root folder */
    const char *root_path; /* its absolute path, for mounts and messages */
    const char *pool_path; /* a folder on a file system made by the operator; NULL: embedded pool */
    uint64_t pool_size;    /* bytes of the embedded pool's sparse file when it is first made */
    enum pool_presence presence;
    /* dm-thin only */
    const char *thin_pool;       /* path of an active thin pool's device; NULL: the two below */
    const char *data_device;     /* path of a block device for a pool; NULL: embedded pool */
    const char *metadata_device; /* together with data_device */
    const char *file_system;     /* on new volumes, "ext4" or "xfs"; NULL: ext4, or as it is */
    uint64_t volume_size;        /* bytes of each volume, when the pool is first used */
};

/* How a volume can be reached from outside; plugin/snapshot/mounts.c makes mounts of it. */
enum volume_kind {
    VOLUME_DIRECTORY, /* a folder of a mounted file system */
    VOLUME_DEVICE,    /* a block device with a file system of type FSTYPE on it */
};

struct volume {
    enum volume_kind kind;
    char path[4096];    /* of the folder or the device; absolute */
    char fstype[16];    /* of the file system that holds or is the volume */
    char device[4096];  /* VOLUME_DIRECTORY: what is mounted, when one device; "" else */
    uint64_t subvolume; /* VOLUME_DIRECTORY on btrfs: the subvolume's id; 0 else */
};

/* What a volume holds that its parent does not. */
struct volume_usage {
    uint64_t bytes;
    uint64_t inodes;
    bool exact; /* false: a bound was reached and this is the last known figure */
};

/* How a pool is, the worst last. */
enum pool_state {
    POOL_STATE_OK,
    POOL_STATE_LOW,         /* no room for new snapshots, or soon none */
    POOL_STATE_READ_ONLY,   /* serves reads only */
    POOL_STATE_NEEDS_CHECK, /* reads only, until its metadata has been checked */
    POOL_STATE_FAILED,      /* serves nothing */
};

struct pool_status {
    char description[512];                 /* one line for people: which pool, on what */
    char path[4096];                       /* of the pool's folder or device */
    uint64_t size, used, available;        /* bytes, as the file system below reports them */
    uint64_t metadata_size, metadata_used; /* bytes; 0 where there is no such thing */
    uint64_t reserve;                      /* bytes of AVAILABLE that are kept for removals */
    uint64_t block;                        /* bytes that a single one takes, alone in its place */
    bool embedded;                         /* made by the daemon in a file under its root */
    bool writable;
    const char *kind;        /* "embedded", "folder", "devices" or "pool"; static */
    char data_on[4096];      /* the file or device that holds the data; "" when not one */
    char metadata_on[4096];  /* the same of the metadata; "" when it lies with the data */
    uint64_t backing;        /* embedded: bytes of data that the disk below has room for; else 0 */
    uint64_t metadata_limit; /* bytes that the metadata can become at most; 0: no such bound */
    uint64_t times_low;      /* how often it has become low since open(); 0 where nobody watches */
    enum pool_state state;
    struct reason advice; /* what the state means and what to do; empty when it is OK */
};

/* How large a pool is to become. */
struct pool_growth {
    uint64_t size; /* bytes: of the whole, or MORE than there are */
    bool more;
    bool metadata; /* of the metadata instead of the data */
};

/* What a check found. */
struct pool_verdict {
    bool sound;
    struct reason finding; /* what was examined, how it is, and what to run when it is not sound */
};

/* Called for each volume present; a result other than 0 ends the walk and is returned. */
typedef int backend_visit(void *context, uint64_t id, struct reason *why);

struct backend_ops {
    const char *name; /* as --backend takes it */

    /* locate() and usage() take microseconds mostly, and wait for nobody's work in the pool. */
    bool looks_are_short;

    /* Opens the pool, makes and mounts the embedded one where that is due. On failure nothing is
     * left behind. CONDITION_INVALID when the options cannot work; CONDITION_UNAVAILABLE when the
     * machine lacks something, with what to do. */
    int (*open)(struct backend **backend, const struct backend_options *options,
                struct reason *why);
    /* Frees; mounts stay, since containers may run on them. */
    void (*close)(struct backend *backend);

    /* May be absent. Whether the pool takes another volume now; to be asked before create() and
     * clone(), which do not ask. CONDITION_EXHAUSTED: it is full, or nearly; CONDITION_UNAVAILABLE:
     * it is not written any more. The sentence says which pool, how it stands, and what to do. */
    int (*admit)(struct backend *backend, struct reason *why);

    /* An empty, writable volume whose root is owned by 0:0 with mode 0755 exactly, no entries.
     * A left-over of the same number from an unfinished try is replaced. CONDITION_EXHAUSTED: the
     * pool is full; the sentence as of admit(). CONDITION_EXISTS: this pool cannot have that
     * number; try the next. On any result but 0 no volume of that number is left, or remove() will
     * find and end it. On 0 it survives a loss of power. */
    int (*create)(struct backend *backend, uint64_t id, struct reason *why);

    /* A writable copy-on-write clone of PARENT, which is complete and no longer written to, with
     * what was nested in it. CONDITION_PRECONDITION: of this parent no clone can be made.
     * Otherwise as create(). */
    int (*clone)(struct backend *backend, uint64_t id, uint64_t parent, struct reason *why);

    /* Ends a volume and all inside it, also volumes that a container nested in it. One that is not
     * there is a success. May take long; CONDITION_UNAVAILABLE: busy, call again later.
     * CONDITION_CANCELLED soon after *CANCEL (which may be NULL) is set, where it would take
     * longer: the volume is there still, or a part of it, and is to be removed again. */
    int (*remove)(struct backend *backend, uint64_t id, const atomic_bool *cancel,
                  struct reason *why);

    /* The volume, for mounts. CONDITION_NOT_FOUND when it is gone. With another result its path is
     * filled in all the same, where that is known. */
    int (*locate)(struct backend *backend, uint64_t id, struct volume *volume, struct reason *why);

    /* May be absent, where volumes are never handed out by a number of the file system's own. The
     * volume that is the subvolume of that number (volume.subvolume). CONDITION_NOT_FOUND. */
    int (*find)(struct backend *backend, uint64_t subvolume, uint64_t *id, struct reason *why);

    /* A directory fd of the volume's root for writing a layer into it, without any mount that
     * outlives the fd. CONDITION_NOT_FOUND when it is gone. The caller closes *DIRECTORY. */
    int (*open_root)(struct backend *backend, uint64_t id, int *directory, struct reason *why);

    /* May be absent: open_root() does. The same to read only, beside others who do. */
    int (*open_read)(struct backend *backend, uint64_t id, int *directory, struct reason *why);

    /* May be absent. After syncfs(2) of the folder of open_root() has succeeded, or something there
     * has failed: whether the pool kept what was written. CONDITION_UNAVAILABLE: it could not, and
     * says why. */
    int (*confirm)(struct backend *backend, uint64_t id, struct reason *why);

    /* All that was written to the volume until now survives a loss of power. */
    int (*sync)(struct backend *backend, uint64_t id, struct reason *why);

    /* May be absent. Makes a committed volume read-only for everyone, for good; a volume that is
     * sealed already is a success. Slow: background only. */
    int (*seal)(struct backend *backend, uint64_t id, struct reason *why);

    /* May be absent. Nobody holds mounts of the volume any more: it is committed, and no view of it
     * is left. What is kept ready for them (a device) may go, at the last unmount when something is
     * mounted still, and comes again with locate(). A success also when there is nothing to do. */
    int (*rest)(struct backend *backend, uint64_t id, struct reason *why);

    /* What the volume holds beyond PARENT (0: everything but its root), without a walk of the tree.
     * Answers within a millisecond or two: past an internal bound the last known figure comes back
     * with exact = false; call with ANY_LENGTH from the background to have it counted to the end.
     */
    int (*usage)(struct backend *backend, uint64_t id, uint64_t parent, bool any_length,
                 struct volume_usage *usage, struct reason *why);

    /* Calls VISIT for every volume present, in any order. */
    int (*each)(struct backend *backend, backend_visit *visit, void *context, struct reason *why);

    /* May be absent. Waits until the space of removed volumes is given back, or for a while where
     * others remove things from the same file system. CONDITION_CANCELLED soon after *CANCEL (which
     * may be NULL) is set. */
    int (*settle)(struct backend *backend, const atomic_bool *cancel, struct reason *why);

    int (*status)(struct backend *backend, struct pool_status *status, struct reason *why);

    /* May be absent. Makes the pool larger while it is in use; one that is that large already is a
     * success. CONDITION_INVALID: it is larger than that, or cannot become so large;
     * CONDITION_PRECONDITION: what it lies on is the operator's, and the sentence says what to run
     * first or instead; CONDITION_UNAVAILABLE: not now. */
    int (*grow)(struct backend *backend, const struct pool_growth *growth, struct reason *why);

    /* May be absent. Looks for damage while the pool is in use and changes nothing. May take
     * minutes; CONDITION_CANCELLED soon after *CANCEL is set. CONDITION_UNAVAILABLE: it cannot be
     * examined now, or not with what is installed. */
    int (*check)(struct backend *backend, const atomic_bool *cancel, struct pool_verdict *verdict,
                 struct reason *why);

    /* May be absent. The same of a pool that no backend is open on, neither mounted nor active.
     * CONDITION_NOT_FOUND: none was made; CONDITION_PRECONDITION: it is not at rest, or only open()
     * can tell: so open() with POOL_ACTIVE and check() are the way. */
    int (*check_idle)(const struct backend_options *options, const atomic_bool *cancel,
                      struct pool_verdict *verdict, struct reason *why);
};

extern const struct backend_ops backend_btrfs;
extern const struct backend_ops backend_dm_thin;

/* Whether every required function is there; CONDITION_INVALID names the one that is not. */
int backend_check(const struct backend_ops *ops, struct reason *why);

/* The backend called NAME; CONDITION_INVALID lists those there are. */
int backend_find(const char *name, const struct backend_ops **ops, struct reason *why);

#endif
