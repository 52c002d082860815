/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifests.h"
#include "snapshot/service.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct held {
    uint64_t id;
    bool has_layer; /* a layer was written into it before */
};

static int check_active(struct store_txn *txn, void *context, struct reason *why)
{
    struct held *held = context;
    struct record record;
    int result = store_get_id(txn, held->id, &record, why);

    if (result < 0)
        return result;
    if (result || record_volume(&record) != record.id)
        return refuse(why, CONDITION_NOT_FOUND, "no snapshot has these mounts; it was removed");
    if (record.kind != SNAPSHOT_ACTIVE)
        return refuse(why, CONDITION_PRECONDITION,
                      "snapshot %s is not active; a layer can only be written into an active one",
                      quoted(record.key));
    held->has_layer = record.usage_known || record.synced;
    return 0;
}

/* The volume that MOUNTS may be of. */
static int find_candidate(struct snapshots *snapshots, const struct mounts *mounts, uint64_t *id,
                          struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct mounts_candidate candidate = mounts_candidate(mounts);

    *id = candidate.id;
    if (candidate.subvolume && options->ops->find)
        return options->ops->find(options->backend, candidate.subvolume, id, why);
    return candidate.id ? 0 : CONDITION_NOT_FOUND;
}

/* What this daemon hands out for the volume of MOUNTS, to write; and which that is.
 * CONDITION_NOT_FOUND: they are of no volume of ours. */
static int locate_candidate(struct snapshots *snapshots, const struct mounts *mounts,
                            const atomic_bool *cancel, uint64_t *id, struct mounts *ours,
                            struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    /* by its number it was found in our pool: another source of such a mount is no stranger's */
    bool found = options->ops->find && mounts_candidate(mounts).subvolume != 0;
    struct volume volume = {.path = ""};
    struct pin pin;
    int result = find_candidate(snapshots, mounts, id, why);

    if (result)
        return result;
    if (!pins_take_unless(&snapshots->pins, &pin, *id, PIN_READ, NULL, cancel))
        return refuse(why, CONDITION_CANCELLED, "unpacking the layer was cancelled");
    result = options->ops->locate(options->backend, *id, &volume, why);
    pins_drop(&snapshots->pins, &pin);
    /* A number at the end of a stranger's mount may be ours, whose trouble is none of his. */
    if (!found && result != 0 && (result > 0 || volume.path[0]) &&
        strcmp(mounts->items[0].source, volume.path) != 0)
        return CONDITION_NOT_FOUND;
    return result ? result : mounts_of_volume(ours, &volume, options->mount_style, false, why);
}

/* A pool that cannot answer now is no reason to let another differ write past the rules. */
static int check_ours(struct snapshots *snapshots, const struct mounts *mounts,
                      const atomic_bool *cancel, uint64_t *id, struct reason *why)
{
    struct mounts ours = {0};
    int result = locate_candidate(snapshots, mounts, cancel, id, &ours, why);
    bool equal = result == 0 && mounts_equal(mounts, &ours);

    mounts_clear(&ours);
    if (*id && !equal) /* a look at it may have made it ready for mounts */
        rest_if_idle(snapshots, *id);
    if (result && result != CONDITION_NOT_FOUND)
        return result;
    return equal ? 0
                 : refuse(why, CONDITION_UNIMPLEMENTED, "the mounts are of another snapshotter");
}

int snapshots_hold(struct snapshots *snapshots, const struct mounts *mounts, atomic_bool *cancel,
                   struct snapshot_hold *hold, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct held held = {0};
    uint64_t id = 0;
    int result = check_ours(snapshots, mounts, cancel, &id, why);

    if (result)
        return result;
    held.id = hold->id = id;
    hold->directory = -1;
    if (!pins_try(&snapshots->pins, &hold->pin, id, PIN_WRITE, cancel, NULL))
        return refuse(why, CONDITION_PRECONDITION,
                      "the snapshot is being written, committed or removed by another call");
    result = store_read(options->store, check_active, &held, why);
    if (!result && held.has_layer) /* what is written now may be cut short, and is committed then */
        result = store_write_reserved(options->store, snapshots_forget_usage, &held.id, why);
    if (!result)
        result = options->ops->open_root(options->backend, id, &hold->directory, why);
    if (result) {
        pins_drop(&snapshots->pins, &hold->pin);
        rest_if_idle(snapshots, id); /* of one that is committed the look above made it ready */
    }
    return result;
}

struct written {
    uint64_t id;
    const struct volume_usage *usage; /* NULL: nothing to note */
    bool synced;
};

static int note_written(struct store_txn *txn, void *context, struct reason *why)
{
    const struct written *written = context;
    struct record record;
    bool first;
    int result = store_get_id(txn, written->id, &record, why);

    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND,
                      "the snapshot was removed while a layer was written into it");
    if (result || !written->usage)
        return result;
    /* A second layer may replace some of what the first wrote, so the sum would be too high: what
     * two layers hold is left to the backend to count. */
    first = record.usage_bytes == 0 && record.usage_inodes == 0;
    record.usage_known = first && written->usage->exact;
    record.usage_bytes = written->usage->bytes;
    record.usage_inodes = written->usage->inodes;
    record.synced = written->synced;
    return store_put(txn, &record, why);
}

int snapshots_release(struct snapshots *snapshots, struct snapshot_hold *hold,
                      const struct volume_usage *written, bool synced, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct written note = {hold->id, written, synced};
    int result = 0;

    if (synced && written && options->ops->confirm)
        result = options->ops->confirm(options->backend, hold->id, why);
    if (!result)
        result = written ? store_write(options->store, note_written, &note, why)
                         : store_read(options->store, note_written, &note, why);
    if (!result && !written && options->ops->confirm) /* it may have been the pool that failed it */
        result = options->ops->confirm(options->backend, hold->id, why);
    close(hold->directory);
    hold->directory = -1;
    pins_drop(&snapshots->pins, &hold->pin);
    if (result == CONDITION_NOT_FOUND) /* the reaper passed it over while it was held */
        reaper_call(snapshots);
    return result;
}

int snapshots_room(struct snapshots *snapshots, uint64_t bytes, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct pool_status pool;
    int result = options->ops->status(options->backend, &pool, why);

    if (result)
        return result;
    if (pool.available > pool.reserve && pool.available - pool.reserve >= bytes)
        return 0;
    return refuse(why, CONDITION_EXHAUSTED,
                  "the pool %s is too full for it: %" PRIu64 " MiB are available, of which %" PRIu64
                  " MiB are kept for removals: remove images or containers (`cowsnap status` shows "
                  "what is used), or make it larger (`cowsnap pool grow`)",
                  pool.path, pool.available >> 20, pool.reserve >> 20);
}

/* The pool was made with it: asked for once. One that cannot say is taken for coarse. */
#define COARSE_BLOCK (UINT64_C(64) << 10)

uint64_t snapshots_block(struct snapshots *snapshots)
{
    const struct snapshots_options *options = &snapshots->options;
    uint64_t block = atomic_load(&snapshots->block);
    struct pool_status pool;

    if (block == 0 && options->ops->status(options->backend, &pool, NULL) == 0 && pool.block > 0)
        atomic_store(&snapshots->block, block = pool.block);
    return block ? block : COARSE_BLOCK;
}

int snapshots_manifest(struct snapshots *snapshots, const struct snapshot_hold *hold, bool record)
{
    return manifests_make(snapshots, hold->id, record);
}
