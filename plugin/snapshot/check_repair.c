/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One difference mended. It was seen a while ago, so the transaction that mends it looks again, and
 * decides alone: whoever creates, commits or removes comes before it or after it. A record is only
 * touched with its volume pinned, so that no layer is being written into it and no commit is under
 * way.
 */

#include "snapshot/check_repair.h"

#include "base/log.h"
#include "snapshot/service.h"

#include <errno.h>

/* A volume that some intent or record has come to know is none of ours any more. */
static int give_up_volume(struct store_txn *txn, void *context, struct reason *why)
{
    const struct check_finding *finding = context;
    bool known;
    int result = volume_is_known(txn, finding->id, &known, why);

    if (!result && known)
        return CONDITION_NOT_FOUND;
    return result ? result : store_put_intent(txn, finding->id, INTENT_REMOVE, why);
}

/* CONDITION_PRECONDITION when the record has children. */
static int refuse_parent(struct store_txn *txn, uint64_t id, struct reason *why)
{
    int result = store_has_child(txn, id, why);

    if (!result)
        return refuse(why, CONDITION_PRECONDITION, "record %llu has children",
                      (unsigned long long)id);
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int drop_lost(struct store_txn *txn, void *context, struct reason *why)
{
    const struct check_finding *finding = context;
    struct record record;
    int result = store_get_id(txn, finding->id, &record, why);

    if (!result && record_volume(&record) != finding->volume)
        result = CONDITION_NOT_FOUND;
    if (!result)
        result = refuse_parent(txn, finding->id, why);
    if (!result)
        result = store_delete(txn, finding->id, why);
    /* what a backend keeps beside a volume that is gone shall go as well */
    if (!result && finding->volume == finding->id)
        result = store_put_intent(txn, finding->id, INTENT_REMOVE, why);
    return result;
}

static int drop_unreadable(struct store_txn *txn, void *context, struct reason *why)
{
    const struct check_finding *finding = context;
    int result = refuse_parent(txn, finding->id, why);

    if (!result)
        result = store_drop_unreadable(txn, finding->id, why);
    if (!result)
        result = store_put_intent(txn, finding->id, INTENT_REMOVE, why);
    return result;
}

/* Whether the volume that was missing is missing still: somebody may have put it back. */
static int look_again(struct snapshots *snapshots, uint64_t id, struct reason *why)
{
    struct volume volume;
    int result = snapshots->options.ops->locate(snapshots->options.backend, id, &volume, why);

    if (result == CONDITION_NOT_FOUND)
        return 0;
    return result ? result : CONDITION_NOT_FOUND;
}

/* Runs CHANGE with the record's own volume pinned. */
static int drop_record(struct snapshots *snapshots, struct check_finding *finding,
                       store_function *change, struct reason *why)
{
    struct pin pin = {0};
    int result = 0;

    if (!pins_try(&snapshots->pins, &pin, finding->id, PIN_ALONE, NULL, NULL)) {
        finding->outcome = CHECK_IN_USE;
        return 0;
    }
    if (finding->volume == finding->id)
        result = look_again(snapshots, finding->volume, why);
    if (!result)
        result = store_write_reserved(snapshots->options.store, change, finding, why);
    pins_drop(&snapshots->pins, &pin);
    if (result == CONDITION_PRECONDITION) {
        finding->outcome = CHECK_HAS_CHILDREN;
        return 0;
    }
    if (!result && stock_forget(&snapshots->stock, finding->id))
        worker_nudge(&snapshots->filler);
    return result;
}

int check_repair(struct snapshots *snapshots, struct check_finding *finding, struct reason *why)
{
    int result = 0;

    finding->outcome = CHECK_REPAIRED;
    switch (finding->kind) {
    case CHECK_VOLUME_UNKNOWN:
        result = store_write_reserved(snapshots->options.store, give_up_volume, finding, why);
        break;
    case CHECK_VOLUME_MISSING:
        result = drop_record(snapshots, finding, drop_lost, why);
        break;
    case CHECK_RECORD_UNREADABLE:
        result = drop_record(snapshots, finding, drop_unreadable, why);
        break;
    default:
        finding->outcome = CHECK_BY_HAND;
    }
    if (!result && finding->outcome == CHECK_REPAIRED)
        reaper_call(snapshots);
    return result;
}
