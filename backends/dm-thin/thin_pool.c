/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/thin_pool.h"

#include "backends/dm-thin/claim.h"
#include "backends/dm-thin/content.h"
#include "backends/dm-thin/grow.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/dm-thin/survey.h"
#include "backends/loop.h"
#include "backends/presence.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/*
 * A start may find anything an earlier one left: no folder thin-pool, an unfinished or a whole one,
 * a pool that is active (after a restart of the daemon, with volumes that containers run on) or is
 * not (after a reboot). Each step looks at what is there and does only what is missing.
 */

#define BLOCK_SECTORS 128 /* 64 KiB: small, so that clones come apart in small pieces */

/* What this start made, to be taken back if it fails. */
struct made {
    bool files, device;
};

/* ---- messages and devices of a pool ---- */

/* The pool's mode up to MOST, and sound. Called with the lock of messages held. */
static int pool_is_up_to(const struct thin_pool *pool, enum line_mode most)
{
    struct line_pool_status status;

    return thin_pool_look(pool, &status, NULL) == 0 && status.mode <= most && !status.needs_check
               ? 0
               : -EROFS;
}

/* The message is answered whether or not it could be committed (pool_message() of dm-thin.c), and
 * what was not is undone; but then the pool is read-only from there on. The lock is held. */
static int pool_send(struct thin_pool *pool, const char *message)
{
    int error = device_message(pool->name, message);

    return error ? error : pool_is_up_to(pool, LINE_OUT_OF_DATA);
}

int thin_pool_message(struct thin_pool *pool, const char *format, ...)
{
    char message[96];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&pool->messages);
    int error = pool_send(pool, message);
    pthread_mutex_unlock(&pool->messages);
    return error;
}

int thin_pool_message_for(struct thin_pool *pool, uint64_t id, const char *message)
{
    uint64_t wanted = pool->label.transaction + thin_epoch(id);
    char turn[96];
    int error = 0;

    pthread_mutex_lock(&pool->messages);
    if (pool->transaction != wanted) { /* once in 16 million volumes */
        snprintf(turn, sizeof(turn), "set_transaction_id %" PRIu64 " %" PRIu64, pool->transaction,
                 wanted);
        error = pool_send(pool, turn);
    }
    if (error == 0) {
        pool->transaction = wanted;
        error = pool_send(pool, message);
    }
    pthread_mutex_unlock(&pool->messages);
    return error;
}

int thin_pool_confirm(struct thin_pool *pool)
{
    pthread_mutex_lock(&pool->messages);
    int error = pool_is_up_to(pool, LINE_OUT_OF_METADATA);
    pthread_mutex_unlock(&pool->messages);
    return error;
}

int thin_pool_activate(struct thin_pool *pool, const char *name, const char *uuid, uint32_t id,
                       uint64_t sectors)
{
    char line[DEVICE_LINE];

    line_thin_table(line, sizeof(line), pool->major, pool->minor, id);
    pthread_rwlock_rdlock(&pool->still);
    int error = device_create(name, uuid, "thin", sectors, line);
    pthread_rwlock_unlock(&pool->still);
    return error;
}

/* ---- which pool ---- */

static void thin_pool_take_back(struct thin_pool *pool, const struct made *made)
{
    char name[DEVICE_NAME];

    bool held = pool->owner >= 0;
    int error = 0;

    scoped_close_(&pool->owner);
    pool->owner = -1;
    if (held || made->device) { /* or its owner could not deactivate the pool */
        name_part(pool->name, "label", name);
        device_remove(name, false);
    }
    if (made->device)
        error = device_remove(pool->name, false);
    if (error != 0) /* with its files the next start goes on from where this one came to */
        log_warn("take back the thin pool %s: %s", pool->name, strerrordesc_np(-error));
    else if (made->files)
        pool_files_remove(pool->root);
}

/* The pool of this root is of the kind that the settings ask for. */
static int thin_pool_expect_kind(const struct thin_pool *pool, struct reason *why)
{
    bool embedded = pool_files_are_embedded(pool->root);

    if (embedded == (pool->origin == THIN_EMBEDDED))
        return 0;
    return refuse(why, CONDITION_INVALID,
                  embedded
                      ? "this root has a thin pool in files, %s (" POOL_FILES "), and "
                        "dm_thin.data_device names another place: leave it out, or give the other "
                        "pool another root"
                      : "this root has a thin pool on devices, %s (" POOL_FILES "): name them in "
                        "dm_thin.data_device and dm_thin.metadata_device, or use another root",
                  pool->name);
}

/* The name, and whose it is. */
static int thin_pool_find(struct thin_pool *pool, const struct backend_options *options,
                          struct made *made, struct reason *why)
{
    bool embedded = !options->data_device;
    int result;

    if (options->thin_pool) {
        const char *slash = strrchr(options->thin_pool, '/');
        const char *name = slash ? slash + 1 : options->thin_pool;
        if (!name_is_fit(name))
            return refuse(why, CONDITION_INVALID,
                          "dm_thin.pool %s is no name of a pool: give the path of one that is "
                          "active, /dev/mapper/NAME, of letters, digits and \"-_.+:\"",
                          quoted(bytes_of(options->thin_pool)));
        strcpy(pool->name, name);
        pool->origin = THIN_GIVEN;
        return 0;
    }
    pool->origin = embedded ? THIN_EMBEDDED : THIN_DEVICES;
    result = pool_files_name(pool->root, pool->name, why);
    if (result != 0 && result != CONDITION_NOT_FOUND)
        return result;
    int unexpected = presence_expect(options->presence, result == 0,
                                     result == 0 ? pool->name : "in " POOL_FILES, why);
    if (unexpected)
        return unexpected;
    if (result == 0)
        return thin_pool_expect_kind(pool, why);
    result = pool_files_make(pool->root, options->root_path, embedded, options->pool_size, why);
    made->files = result == 0;
    return result ? result : pool_files_name(pool->root, pool->name, why);
}

/* ---- making it active ---- */

static int device_size(const char *path, uint64_t *sectors, struct reason *why)
{
    scoped_fd int device = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t bytes;

    if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) < 0)
        return failure(why, errno, "size of %s", quoted(bytes_of(path)));
    *sectors = bytes / SECTOR;
    return 0;
}

/* One of the operator's, as the settings name it. */
static int device_of_setting(const char *setting, const char *path, char device[DEVICE_PATH],
                             struct reason *why)
{
    struct stat found;

    if (strlen(path) >= DEVICE_PATH)
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.%s %s is too long: name the device by a path of less than %d bytes",
                      setting, quoted(bytes_of(path)), DEVICE_PATH);
    if (stat(path, &found) < 0)
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.%s %s cannot be found: %s: name a block device that is there when "
                      "cowsnapd starts",
                      setting, quoted(bytes_of(path)), strerrordesc_np(errno));
    if (!S_ISBLK(found.st_mode))
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.%s %s is no block device: name one, or leave both devices out for a "
                      "pool in files",
                      setting, quoted(bytes_of(path)));
    snprintf(device, DEVICE_PATH, "%s", path);
    return 0;
}

/* The two paths a pool of our own is to lie on. The loop devices last as long as LOOPS are open, or
 * the pool is there. */
static int thin_pool_attach(struct thin_pool *pool, const struct backend_options *options,
                            int loops[2], struct reason *why)
{
    int result;

    if (pool->origin == THIN_DEVICES) {
        result = device_of_setting("data_device", options->data_device, pool->data, why);
        return result ? result
                      : device_of_setting("metadata_device", options->metadata_device,
                                          pool->metadata, why);
    }
    result = pool_files_attach(pool->root, options->root_path, POOL_FILES_DATA, &loops[0],
                               pool->data, why);
    return result ? result
                  : pool_files_attach(pool->root, options->root_path, POOL_FILES_METADATA,
                                      &loops[1], pool->metadata, why);
}

/* The metadata hold nothing: the kernel would begin a new pool on them. */
static int thin_pool_expect_blank(const struct thin_pool *pool,
                                  const struct backend_options *options, struct reason *why)
{
    if (pool->origin == THIN_EMBEDDED && options->presence != POOL_ABSENT)
        return presence_expect(options->presence, false, pool->name, why);
    if (pool->origin != THIN_DEVICES)
        return 0;
    if (pool_files_in_use(pool->root))
        return refuse(why, CONDITION_INVALID,
                      "the metadata device %s is blank, though the thin pool %s has volumes: name "
                      "the one it was made with (device names change: /dev/disk/by-id/… does not), "
                      "or, if the pool is lost, remove meta and " POOL_FILES " below the root to "
                      "begin anew",
                      pool->metadata, pool->name);
    return content_expect_none("data_device", pool->data, why);
}

static int thin_pool_look_at_metadata(const struct thin_pool *pool,
                                      const struct backend_options *options, struct reason *why)
{
    int found = survey_look(pool->metadata, why);

    if (found == 0)
        return thin_pool_expect_blank(pool, options, why);
    return found == 1 ? 0 : found;
}

static int thin_pool_start(struct thin_pool *pool, const struct backend_options *options,
                           struct reason *why)
{
    int loops[2] = {-1, -1};
    uint64_t sectors = 0;
    char line[DEVICE_LINE], uuid[DEVICE_UUID];
    int result = thin_pool_attach(pool, options, loops, why);

    if (result == 0)
        result = thin_pool_look_at_metadata(pool, options, why);
    if (result == 0)
        result = device_size(pool->data, &sectors, why);
    if (result == 0) {
        line_pool_table(line, sizeof(line), pool->metadata, pool->data, BLOCK_SECTORS,
                        thin_pool_low_water(sectors / BLOCK_SECTORS, BLOCK_SECTORS));
        name_part_uuid(pool->name, "pool", uuid);
        int error = device_create(pool->name, uuid, "thin-pool",
                                  sectors / BLOCK_SECTORS * BLOCK_SECTORS, line);
        STEP("dm-thin.pool-activated");
        if (error != 0)
            result = failure(why, -error,
                             "activate the thin pool %s on %s and %s (the kernel's log says more; "
                             "thin_check examines the latter)",
                             pool->name, pool->data, pool->metadata);
    }
    scoped_close_(&loops[0]);
    scoped_close_(&loops[1]);
    return result;
}

/* Learns of the active pool what it lies on. */
static int thin_pool_examine(struct thin_pool *pool, struct reason *why)
{
    struct device_state state;
    struct line_pool_table table;
    char line[DEVICE_LINE], target[16];
    int error = device_look(pool->name, &state, NULL);

    if (error == 0 && state.suspended && pool->origin == THIN_GIVEN)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the thin pool %s is suspended, perhaps since it is being changed: resume it "
                      "(`dmsetup resume %s`), or start cowsnapd when that is done",
                      pool->name, pool->name);
    if (error == 0 && pool->origin != THIN_GIVEN)
        error = device_take_over(pool->name, &state);
    if (error == 0 && state.suspended) /* a change of its table was interrupted */
        error = device_resume(pool->name);
    if (error == 0)
        error = device_table(pool->name, line, target, NULL);
    if (error != 0)
        return failure(why, -error, "look at the thin pool %s", pool->name);
    if (strcmp(target, "thin-pool") != 0 || !line_parse_pool_table(line, &table))
        return refuse(why, CONDITION_INVALID,
                      "the device %s is no thin pool but of the target %s: name another",
                      pool->name, quoted(bytes_of(target)));
    pool->major = state.major;
    pool->minor = state.minor;
    pool->block_sectors = table.block_sectors;
    error = device_find(table.metadata_major, table.metadata_minor, pool->metadata);
    if (error == 0)
        error = device_find(table.data_major, table.data_minor, pool->data);
    return error ? failure(why, -error, "find what the thin pool %s lies on", pool->name) : 0;
}

static bool is_same_device(const char *one, const char *other)
{
    struct stat left, right;

    return stat(one, &left) == 0 && stat(other, &right) == 0 && S_ISBLK(left.st_mode) &&
           S_ISBLK(right.st_mode) && left.st_rdev == right.st_rdev;
}

/* That the active pool lies on what the settings say, and no other root's goes by the name ours
 * has. */
static int thin_pool_check_ground(const struct thin_pool *pool,
                                  const struct backend_options *options, struct reason *why)
{
    struct stat file;

    if (pool->origin == THIN_GIVEN)
        return 0;
    if (pool->origin == THIN_DEVICES) {
        if (is_same_device(pool->data, options->data_device) &&
            is_same_device(pool->metadata, options->metadata_device))
            return 0;
        return refuse(why, CONDITION_INVALID,
                      "the thin pool %s is active on %s, metadata on %s, which is not what "
                      "dm_thin.data_device and dm_thin.metadata_device name: set them to those, or "
                      "deactivate the pool first (stop the containers, `dmsetup remove` its "
                      "volumes, then the pool)",
                      pool->name, pool->data, pool->metadata);
    }
    if (fstatat(pool->root, POOL_FILES_DATA, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
        loop_is_on(pool->data, &file))
        return 0;
    return refuse(why, CONDITION_INVALID,
                  "the thin pool %s is active, but not on the files in " POOL_FILES
                  ", of which that is perhaps a copy: deactivate the other, or give the copy "
                  "another name in " POOL_FILES "/name",
                  pool->name);
}

static int thin_pool_activate_pool(struct thin_pool *pool, const struct backend_options *options,
                                   struct made *made, struct reason *why)
{
    struct device_state state;
    char uuid[DEVICE_UUID];
    int result = 0, error;

    name_part_uuid(pool->name, "pool", uuid);
    error = pool->origin == THIN_GIVEN ? device_look(pool->name, &state, NULL)
                                       : device_look_ours(pool->name, uuid, &state);
    if (error == -EEXIST)
        return device_refuse(pool->name, why);
    if (error != 0)
        return failure(why, -error, "look for the thin pool %s", pool->name);
    if (!state.live && pool->origin == THIN_GIVEN) /* one without a table is just being made */
        return refuse(why, CONDITION_INVALID,
                      "there is no active thin pool %s: activate it before cowsnapd starts, or "
                      "leave dm_thin.pool out for a pool in files",
                      pool->name);
    if (state.exists && !state.live) { /* left by a start that was interrupted */
        device_remove(pool->name, false);
        state.exists = false;
    }
    result = presence_expect_active(options->presence, state.exists, pool->name, why);
    if (result == 0 && !state.exists) {
        result = thin_pool_start(pool, options, why);
        made->device = result == 0;
    }
    if (result == 0)
        result = thin_pool_examine(pool, why);
    return result ? result : thin_pool_check_ground(pool, options, why);
}

/* What is to be known of a pool that was made by somebody else. */
static void thin_pool_warn(const struct thin_pool *pool)
{
    struct line_pool_status status;

    if (pool->origin == THIN_GIVEN && thin_pool_look(pool, &status, NULL) == 0 &&
        !status.error_if_no_space)
        log_warn(
            "the thin pool %s lets writes wait when it is full, instead of failing them, so "
            "containers, and calls that write, would stand still: `lvchange --errorwhenfull y` "
            "for one of LVM, or the feature error_if_no_space in its table",
            pool->name);
}

/* Devices are made all the time by many: who suspends must get his turn. */
static void still_init(pthread_rwlock_t *still)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(still, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

int thin_pool_open(struct thin_pool *pool, const struct backend_options *options,
                   struct reason *why)
{
    struct made made = {0};
    int result;

    *pool = (struct thin_pool){.root = -1, .owner = -1};
    inventory_init(&pool->inventory);
    pthread_mutex_init(&pool->checks, NULL);
    pthread_mutex_init(&pool->growth, NULL);
    pthread_mutex_init(&pool->origins, NULL);
    for (unsigned i = 0; i < THIN_ACTIVATIONS; i++)
        pthread_mutex_init(&pool->activations[i], NULL);
    still_init(&pool->still);
    pthread_mutex_init(&pool->messages, NULL);

    result = device_need(why);
    if (result == 0 && (!options->root_path || options->root_path[0] != '/'))
        result = refuse(why, CONDITION_INVALID, "the path of the root folder is not absolute");
    if (result == 0) {
        pool->root = fcntl(options->root, F_DUPFD_CLOEXEC, 3);
        if (pool->root < 0)
            result = failure(why, errno, "duplicate the root folder's descriptor");
    }
    if (result == 0)
        result = thin_pool_find(pool, options, &made, why);
    if (result == 0)
        result = thin_pool_activate_pool(pool, options, &made, why);
    if (result == 0)
        result = grow_pool(pool, options->pool_size, why);
    if (result == 0)
        result = claim_pool(pool, options, why);
    if (result == 0 && pool->origin == THIN_DEVICES)
        result = pool_files_note_use(pool->root, why);
    if (result == 0 && (options->presence == POOL_AS_NEEDED || options->presence == POOL_KNOWN)) {
        /* not while the tool has a look */
        thin_pool_warn(pool);
        result = watch_start(pool, why);
    }
    if (result == 0)
        return 0;
    thin_pool_take_back(pool, &made);
    thin_pool_close(pool);
    return result;
}

void thin_pool_close(struct thin_pool *pool)
{
    char name[DEVICE_NAME];

    watch_stop(pool);
    if (pool->owner >= 0) {
        scoped_close_(&pool->owner);
        name_part(pool->name, "label", name);
        device_remove(name, false);
    }
    pthread_mutex_destroy(&pool->messages);
    pthread_rwlock_destroy(&pool->still);
    for (unsigned i = 0; i < THIN_ACTIVATIONS; i++)
        pthread_mutex_destroy(&pool->activations[i]);
    pthread_mutex_destroy(&pool->origins);
    pthread_mutex_destroy(&pool->growth);
    pthread_mutex_destroy(&pool->checks);
    inventory_deinit(&pool->inventory);
    scoped_close_(&pool->root);
}
