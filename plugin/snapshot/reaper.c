/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ends the volumes of removed snapshots. The intents to remove are its list, so nothing is
 * forgotten over a restart. A volume that is in use now (a layer is being written, it is busy) is
 * left for a later round; a removal that was carried out but not yet struck off is simply carried
 * out again.
 */

#include "base/log.h"
#include "base/step.h"
#include "snapshot/manifests.h"
#include "snapshot/service.h"

#include <string.h>

#define REAPER_BATCH 64       /* volumes ended between two transactions */
#define REAPER_RETRY_MS 1000u /* when something could not be ended */
#define REAPER_GATHER_MS 200u

struct batch {
    uint64_t from; /* id to go on from */
    uint64_t ids[REAPER_BATCH];
    size_t count;
};

static int next_batch(struct store_txn *txn, void *context, struct reason *why)
{
    struct batch *batch = context;
    uint64_t from = batch->from;
    enum intent_kind kind;
    int result = 0;

    batch->count = 0;
    while (batch->count < REAPER_BATCH) {
        uint64_t id;

        result = store_next_intent(txn, from, &id, &kind, why);
        if (result)
            break;
        if (kind == INTENT_REMOVE)
            batch->ids[batch->count++] = id;
        from = id + 1;
    }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int strike_off(struct store_txn *txn, void *context, struct reason *why)
{
    const struct batch *batch = context;

    for (size_t i = 0; i < batch->count; i++) {
        int result = store_drop_intent(txn, batch->ids[i], why);

        if (result)
            return result;
    }
    return 0;
}

/* PATIENT waits for whoever is at the volume, save for a layer that is written into it. */
static int end_volume(struct snapshots *snapshots, uint64_t id, bool patient, struct reason *why)
{
    struct pin pin = {0};
    enum pin_mode blocker = PIN_WRITE;
    int result;

    if (!pins_try(&snapshots->pins, &pin, id, PIN_ALONE, NULL, &blocker)) {
        if (!patient || blocker == PIN_WRITE)
            return refuse(why, CONDITION_UNAVAILABLE, "volume %llu is in use",
                          (unsigned long long)id);
        pins_take(&snapshots->pins, &pin, id, PIN_ALONE);
    }
    manifests_drop(snapshots, id);
    result = snapshots->options.ops->remove(snapshots->options.backend, id, why);
    pins_drop(&snapshots->pins, &pin);
    return result;
}

int reaper_round(struct snapshots *snapshots, bool patient, uint64_t *left, struct reason *why)
{
    struct batch batch = {.from = 1};

    *left = 0;
    for (;;) {
        struct batch ended = {0};
        int result = store_read(snapshots->options.store, next_batch, &batch, why);

        if (result || batch.count == 0)
            return result;
        batch.from = batch.ids[batch.count - 1] + 1;
        for (size_t i = 0; i < batch.count; i++) {
            struct reason trouble = {0};
            int outcome = end_volume(snapshots, batch.ids[i], patient, &trouble);

            STEP("reaper.volume-ended");
            if (outcome == 0) {
                ended.ids[ended.count++] = batch.ids[i];
                continue;
            }
            ++*left;
            if (outcome < 0)
                log_warn("volume %llu cannot be removed yet: %s", (unsigned long long)batch.ids[i],
                         trouble.text);
        }
        if (ended.count > 0)
            result = store_write_reserved(snapshots->options.store, strike_off, &ended, why);
        STEP("reaper.struck-off");
        if (result)
            return result;
    }
}

/* Each removal opens a transaction of the pool, which the next Commit that must sync would have to
 * wait for: so they are gathered. */
void reaper_call(struct snapshots *snapshots)
{
    worker_within(&snapshots->reaper, REAPER_GATHER_MS);
}

void reaper_work(void *context)
{
    struct snapshots *snapshots = context;
    struct reason why = {0};
    uint64_t left = 0;
    int result = reaper_round(snapshots, false, &left, &why);

    if (result)
        log_warn("removed snapshots wait for the next try: %s", why.text);
    if (result || left > 0)
        worker_alarm(&snapshots->reaper, REAPER_RETRY_MS);
}

int snapshots_cleanup(struct snapshots *snapshots, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    uint64_t left = 0;
    int result = reaper_round(snapshots, true, &left, why);

    STEP("cleanup.reaped");
    if (result)
        return result;
    if (left > 0)
        log_info("cleanup leaves %llu volumes that are in use", (unsigned long long)left);
    return options->ops->settle ? options->ops->settle(options->backend, why) : 0;
}
