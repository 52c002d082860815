/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Remove answers once the record is gone and the intent to end its volume is durable; the reaper
 * does the rest. One transaction decides, so a removal and a Prepare on the same parent come one
 * after the other, and whichever is second sees the first.
 */

#include "base/step.h"
#include "snapshot/service.h"

struct removal {
    struct bytes key;
    uint64_t id;
    uint64_t view_of; /* the parent of a view; 0 else */
    bool has_volume;
};

static int remove_record(struct store_txn *txn, void *context, struct reason *why)
{
    struct removal *removal = context;
    struct record record;
    int result = store_get(txn, removal->key, &record, why);

    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "snapshot %s does not exist", quoted(removal->key));
    if (result)
        return result;
    result = store_has_child(txn, record.id, why);
    if (!result)
        return refuse(why, CONDITION_PRECONDITION,
                      "cannot remove snapshot %s: it has children; remove them first",
                      quoted(removal->key));
    if (result != CONDITION_NOT_FOUND)
        return result;
    removal->id = record.id;
    removal->has_volume = record_volume(&record) == record.id;
    removal->view_of = removal->has_volume ? 0 : record.parent;
    result = store_delete(txn, record.id, why);
    if (!result && removal->has_volume)
        result = store_put_intent(txn, record.id, INTENT_REMOVE, why);
    return result;
}

int snapshots_remove(struct snapshots *snapshots, struct bytes key, struct reason *why)
{
    struct removal removal = {.key = key};
    int result = store_write_reserved(snapshots->options.store, remove_record, &removal, why);

    STEP("remove.tombstone-written");
    if (!result && removal.view_of)
        rest_if_idle(snapshots, removal.view_of);
    if (result || !removal.has_volume)
        return result;
    pins_cancel(&snapshots->pins, removal.id);
    reaper_call(snapshots);
    if (stock_forget(&snapshots->stock, removal.id))
        worker_nudge(&snapshots->filler);
    return 0;
}
