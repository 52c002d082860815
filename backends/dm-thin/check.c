/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/pool_files.h"
#include "backends/dm-thin/survey.h"
#include "backends/dm-thin/thin_pool.h"
#include "backends/loop.h"
#include "backends/presence.h"
#include "backends/tool.h"
#include "backends/verdict.h"
#include "base/bytes.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * thin_check(8) walks all of a pool's metadata: which volumes there are, which block of which is
 * where, and how often each is used. Of an active pool it reads a metadata snapshot, which the pool
 * keeps still for so long; of one that is not active, the metadata as it lies there. What the
 * blocks hold is the volumes' file systems' affair.
 */

#define ADVICE "install thin-provisioning-tools"

static char *const active_arguments[] = {"thin_check", "--metadata-snap", TOOL_FILE, NULL};
static char *const idle_arguments[] = {"thin_check", TOOL_FILE, NULL};

static int check_judge(const struct tool_end *end, const char *pool, const char *metadata,
                       struct pool_verdict *verdict, struct reason *why)
{
    if (end->status < 0)
        return refuse(why, CONDITION_UNAVAILABLE, "thin_check was ended by signal %d",
                      -end->status);
    if (end->status == 0)
        return verdict_give(verdict, true,
                            "thin_check finds nothing wrong with the metadata of the thin pool %s "
                            "on %s.",
                            pool, metadata);
    return verdict_give(verdict, false,
                        "thin_check finds the metadata of the thin pool %s damaged (last words: "
                        "%s): stop the containers and cowsnapd and deactivate the pool (`dmsetup "
                        "remove`); then `thin_check %s` shows all of it, and `thin_repair -i %s -o "
                        "FILE` makes whole metadata of what can be read.",
                        pool, end->words, metadata, metadata);
}

/* ---- active ---- */

static int check_snapshot(struct thin_pool *pool, const atomic_bool *cancel,
                          struct pool_verdict *verdict, struct reason *why)
{
    scoped_fd int metadata = open(pool->metadata, O_RDONLY | O_CLOEXEC);
    struct tool_end end;
    int result, error;

    if (metadata < 0)
        return failure(why, errno, "open the metadata device %s of the thin pool %s",
                       pool->metadata, pool->name);
    error = survey_hold(pool->name, &pool->messages);
    if (error != 0)
        return thin_pool_failure(pool, why, -error, "keep the metadata of the thin pool %s still",
                                 pool->name);
    result = tool_ask(active_arguments, metadata, ADVICE, cancel, &end, why);
    survey_let_go(pool->name, &pool->messages);
    return result ? result : check_judge(&end, pool->name, pool->metadata, verdict, why);
}

int thin_pool_check(struct thin_pool *pool, const atomic_bool *cancel, struct pool_verdict *verdict,
                    struct reason *why)
{
    scoped_free struct pool_status *status = malloc(sizeof(*status));
    int result;

    if (!status)
        return failure(why, ENOMEM, "check the thin pool %s", pool->name);
    result = thin_pool_status(pool, status, why);
    if (result != 0)
        return result;
    if (status->state == POOL_STATE_FAILED || status->state == POOL_STATE_NEEDS_CHECK)
        return verdict_give(verdict, false, "%s", status->advice.text);
    if (pthread_mutex_trylock(&pool->checks) != 0)
        return refuse(why, CONDITION_UNAVAILABLE, "a check of the thin pool %s runs already",
                      pool->name);
    result = check_snapshot(pool, cancel, verdict, why);
    pthread_mutex_unlock(&pool->checks);
    return result;
}

/* ---- not active ---- */

/* Metadata that say nothing are those of a pool that was never activated, or are lost. */
static int check_blank(const struct backend_options *options, const char *pool, const char *path,
                       struct pool_verdict *verdict)
{
    struct stat data;

    if (pool_files_in_use(options->root) ||
        (fstatat(options->root, POOL_FILES_DATA, &data, AT_SYMLINK_NOFOLLOW) == 0 &&
         data.st_blocks > 0))
        return verdict_give(verdict, false,
                            "the thin pool %s was in use, and its metadata on %s are blank: see "
                            "that this is what the pool was made with (names of devices change, "
                            "/dev/disk/by-id/… does not), or restore them from a backup.",
                            pool, path);
    return verdict_give(verdict, true,
                        "the thin pool %s has no metadata on %s yet: it was never activated.", pool,
                        path);
}

static int check_metadata(const struct backend_options *options, const char *pool, int metadata,
                          const char *path, const atomic_bool *cancel, struct pool_verdict *verdict,
                          struct reason *why)
{
    uint8_t block[METADATA_BLOCK] = {0};
    struct metadata_superblock superblock;
    struct tool_end end;
    int result;
    off_t length = lseek(metadata, 0, SEEK_END); /* to read beyond it is EIO, or a short read */

    if (length >= 0 && length < (off_t)sizeof(block))
        return verdict_give(verdict, false,
                            "the metadata of the thin pool %s on %s end after %lld bytes: restore "
                            "them from a backup.",
                            pool, path, (long long)length);
    if (length < 0 || pread(metadata, block, sizeof(block), 0) < 0)
        return failure(why, errno, "read %s", path);
    if (metadata_is_blank(block))
        return check_blank(options, pool, path, verdict);
    result = tool_ask(idle_arguments, metadata, ADVICE, cancel, &end, why);
    if (result == 0)
        result = check_judge(&end, pool, path, verdict, why);
    if (result != 0 || !verdict->sound || !metadata_parse_superblock(block, 0, &superblock) ||
        !superblock.needs_check)
        return result;
    return verdict_give(verdict, false,
                        "thin_check finds nothing wrong with the metadata of the thin pool %s on "
                        "%s, but the kernel has marked it after a failure and will serve reads "
                        "only: `thin_check --clear-needs-check-flag %s` takes the mark away.",
                        pool, path, path);
}

/* The name of a pool of our own that is not active. */
static int check_find_idle(const struct backend_options *options, char name[NAME_POOL],
                           struct reason *why)
{
    struct device_state state = {0};
    int result = pool_files_name(options->root, name, why);

    if (result == CONDITION_NOT_FOUND)
        return presence_expect(POOL_PRESENT, false, "in " POOL_FILES, why);
    if (result == 0 && device_need(NULL) == 0 && device_look(name, &state, NULL) == 0 && state.live)
        return refuse(why, CONDITION_PRECONDITION, "the thin pool %s is active", name);
    return result;
}

/* The metadata file behind a loop device: thin_check opens what it examines for direct I/O, which
 * not every file system has, and takes a refusal for damage. */
static int check_file(const char *pool, const struct backend_options *options,
                      const atomic_bool *cancel, struct pool_verdict *verdict, struct reason *why)
{
    scoped_fd int file =
        openat(options->root, POOL_FILES_METADATA, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    scoped_fd int loop = -1;
    char path[4096], device[32];
    int result;

    snprintf(path, sizeof(path), "%.3900s/" POOL_FILES_METADATA, options->root_path);
    if (file < 0)
        return failure(why, errno, "open the metadata %s of the thin pool %s", path, pool);
    result = loop_attach(file, "cowsnap pool check", "examine it by thin_check", &loop, device,
                         sizeof(device), why);
    return result ? result : check_metadata(options, pool, loop, path, cancel, verdict, why);
}

/* Nothing else may have the device meanwhile: thin_check takes that, too, for damage. */
static int check_device(const char *pool, const struct backend_options *options,
                        const atomic_bool *cancel, struct pool_verdict *verdict, struct reason *why)
{
    const char *path = options->metadata_device;
    scoped_fd int device = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);

    if (device < 0 && errno == EBUSY)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "something else has the metadata device %s of the thin pool %s open: see "
                      "`lsblk %s`",
                      path, pool, path);
    scoped_close_(&device);
    device = open(path, O_RDONLY | O_CLOEXEC);
    if (device < 0)
        return failure(why, errno, "open the metadata device %s of the thin pool %s", path, pool);
    return check_metadata(options, pool, device, path, cancel, verdict, why);
}

int thin_pool_check_idle(const struct backend_options *options, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why)
{
    char name[NAME_POOL];
    int result;

    if (options->thin_pool)
        return refuse(why, CONDITION_PRECONDITION,
                      "the thin pool %s is examined while it is active",
                      quoted(bytes_of(options->thin_pool)));
    result = check_find_idle(options, name, why);
    if (result != 0)
        return result;
    return options->metadata_device ? check_device(name, options, cancel, verdict, why)
                                    : check_file(name, options, cancel, verdict, why);
}
