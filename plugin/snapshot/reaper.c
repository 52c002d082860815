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

#include <errno.h>
#include <string.h>

#define REAPER_BATCH 64         /* volumes ended between two transactions */
#define REAPER_RETRY_MS 1000u   /* when something was in use, or the pool cannot be used now */
#define REAPER_REFUSED_MS 3000u /* when all that is left failed, or lacks the room to be ended */
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
        if (result && !(result == -EBADMSG && id)) /* recover.c makes a removal of it */
            break;
        if (!result && kind == INTENT_REMOVE)
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
static int end_volume(struct snapshots *snapshots, uint64_t id, bool patient,
                      const atomic_bool *cancel, struct reason *why)
{
    struct pin pin = {0};
    enum pin_mode blocker = PIN_WRITE;
    int result;

    if (!pins_try(&snapshots->pins, &pin, id, PIN_ALONE, NULL, &blocker)) {
        if (!patient || blocker == PIN_WRITE)
            return refuse(why, CONDITION_UNAVAILABLE, "volume %llu is in use",
                          (unsigned long long)id);
        if (!pins_take_unless(&snapshots->pins, &pin, id, PIN_ALONE, NULL, cancel))
            return refuse(why, CONDITION_CANCELLED, "the removal of volume %llu was cancelled",
                          (unsigned long long)id);
    }
    manifests_drop(snapshots, id);
    result = snapshots->options.ops->remove(snapshots->options.backend, id, cancel, why);
    pins_drop(&snapshots->pins, &pin);
    return result;
}

/* Ends the volumes of BATCH; *ENDED are those that are gone. */
static void end_batch(struct snapshots *snapshots, const struct batch *batch, struct batch *ended,
                      bool patient, const atomic_bool *cancel, struct reaper_tally *tally)
{
    for (size_t i = 0; i < batch->count && !atomic_load(cancel); i++) {
        struct reason trouble = {0};
        int outcome = end_volume(snapshots, batch->ids[i], patient, cancel, &trouble);

        STEP("reaper.volume-ended");
        if (outcome == 0) {
            ended->ids[ended->count++] = batch->ids[i];
        } else if (outcome == CONDITION_CANCELLED) {
            return;
        } else if (outcome == CONDITION_UNAVAILABLE) {
            tally->in_use++;
        } else if (tally->refused++ == 0) {
            tally->first = batch->ids[i];
            tally->why = trouble;
        }
    }
}

/* Once, and again when there are more or fewer: a round may come every second. */
static void tell(struct snapshots *snapshots, const struct reaper_tally *tally)
{
    uint64_t before = atomic_exchange(&snapshots->refused, tally->refused);

    if (tally->refused > 0 && tally->refused != before)
        log_warn("%llu removed volumes cannot be ended yet; volume %llu: %s",
                 (unsigned long long)tally->refused, (unsigned long long)tally->first,
                 tally->why.text);
}

int reaper_round(struct snapshots *snapshots, bool patient, const atomic_bool *cancel,
                 struct reaper_tally *tally, struct reason *why)
{
    struct batch batch = {.from = 1};

    if (!cancel)
        cancel = &snapshots->reaper.stopping;
    *tally = (struct reaper_tally){0};
    for (;;) {
        struct batch ended = {0};
        int result = store_read(snapshots->options.store, next_batch, &batch, why);

        if (!result && batch.count == 0)
            tell(snapshots, tally);
        if (result || batch.count == 0)
            return result;
        batch.from = batch.ids[batch.count - 1] + 1;
        end_batch(snapshots, &batch, &ended, patient, cancel, tally);
        if (ended.count > 0)
            result = store_write_reserved(snapshots->options.store, strike_off, &ended, why);
        STEP("reaper.struck-off");
        if (!result && atomic_load(cancel))
            result = refuse(why, CONDITION_CANCELLED, "the removal of volumes was cancelled");
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
    struct reaper_tally tally;
    int result = reaper_round(snapshots, false, NULL, &tally, &why);

    if (result == CONDITION_CANCELLED) /* the daemon ends; the next one goes on */
        return;
    if (result)
        log_warn("removed snapshots wait for the next try: %s", why.text);
    if (tally.in_use > 0)
        worker_within(&snapshots->reaper, REAPER_RETRY_MS);
    else if (result || tally.refused > 0)
        worker_within(&snapshots->reaper, REAPER_REFUSED_MS);
}

int snapshots_cleanup(struct snapshots *snapshots, const atomic_bool *cancel, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct reaper_tally tally;
    int result = reaper_round(snapshots, true, cancel, &tally, why);

    STEP("cleanup.reaped");
    if (result)
        return result;
    if (tally.in_use + tally.refused > 0)
        log_info("cleanup leaves %llu volumes that are in use or cannot be ended now",
                 (unsigned long long)(tally.in_use + tally.refused));
    return options->ops->settle ? options->ops->settle(options->backend, cancel, why) : 0;
}
