/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tells the backend when nobody holds mounts of a volume any more. Active snapshots are never put
 * to rest: whoever prepared one may mount it whenever he likes. A committed one is when it was
 * committed and when its last view goes.
 *
 * A view's volume is made ready and its record written under one pin; so a view that begins
 * meanwhile is either seen here, or waits and makes the volume ready again, or is refused and asks
 * to have it put to rest.
 */

#include "base/log.h"
#include "snapshot/service.h"

struct search {
    uint64_t parent;
    bool found;
};

/* Whoever may hold mounts of the volume: of a view, or of itself while it is not committed. */
static int find_holder(struct store_txn *txn, void *context, struct reason *why)
{
    struct search *search = context;
    struct record record = {0};
    int result = store_get_id(txn, search->parent, &record, why);

    search->found = result == CONDITION_NOT_FOUND || record.kind != SNAPSHOT_COMMITTED;
    if (result == CONDITION_NOT_FOUND)
        return 0;
    if (result || search->found)
        return result;
    record.id = 0;
    while ((result = store_next_child(txn, search->parent, record.id + 1, &record, why)) == 0)
        if (record.kind == SNAPSHOT_VIEW) {
            search->found = true;
            return 0;
        }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

int rest_pinned(struct snapshots *snapshots, uint64_t id, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct search search = {.parent = id};
    int result = store_read(options->store, find_holder, &search, why);

    if (result || search.found)
        return result;
    return options->ops->rest(options->backend, id, why);
}

void rest_if_idle(struct snapshots *snapshots, uint64_t id)
{
    struct pin pin = {0};
    struct reason why = {0};

    if (!snapshots->options.ops->rest)
        return;
    if (!pins_try(&snapshots->pins, &pin, id, PIN_ALONE, NULL, NULL)) {
        atomic_store(&snapshots->rest_due, true);
        keeper_nudge(snapshots);
        return;
    }
    if (rest_pinned(snapshots, id, &why) < 0)
        log_warn("volume %llu stays ready: %s", (unsigned long long)id, why.text);
    pins_drop(&snapshots->pins, &pin);
}
