/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What committed snapshots still need, done when it is quiet: their usage counted to the end where
 * Commit had no time for it, and their volumes closed: sealed, so that a forgotten writable mount
 * cannot change them, and put to rest. Sealing makes btrfs commit and keeps clones waiting
 * meanwhile, so it waits until there was no new commit for a while, and then does all that is due.
 */

#include "base/log.h"
#include "base/step.h"
#include "snapshot/service.h"

#include <errno.h>

#define QUIET_MS 2000u    /* without a new commit, before the keeper begins */
#define REFUSED_MS 60000u /* after the backend would not, for want of room or worse */
#define KEEPER_BATCH 32

struct task {
    uint64_t id, parent;
    bool count, seal;
    struct volume_usage usage;
    bool done;
};

struct round {
    bool may_seal;
    uint64_t from;
    struct task tasks[KEEPER_BATCH];
    size_t count;
    bool passed_over; /* a volume was in use: there has to be another round */
    bool refused;     /* one could not be closed or counted: as above, but later */
};

void keeper_nudge(struct snapshots *snapshots)
{
    worker_alarm(&snapshots->keeper, QUIET_MS); /* a later commit puts it off again */
}

static int find_tasks(struct store_txn *txn, void *context, struct reason *why)
{
    struct round *round = context;
    uint64_t from = round->from;
    struct record record;
    int result;

    round->count = 0;
    while ((result = store_next(txn, from, &record, why)) == 0 ||
           (result == -EBADMSG && record.id)) { /* told at the start (recover.c) */
        struct task task = {
            .id = record.id,
            .parent = record.parent,
            .count = !record.usage_known,
            .seal = round->may_seal && !record.sealed,
        };

        if (!result && record.kind == SNAPSHOT_COMMITTED && (task.count || task.seal)) {
            if (round->count == KEEPER_BATCH)
                return 0;
            round->tasks[round->count++] = task;
        }
        from = record.id + 1;
    }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int note_done(struct store_txn *txn, void *context, struct reason *why)
{
    const struct round *round = context;

    for (size_t i = 0; i < round->count; i++) {
        const struct task *task = &round->tasks[i];
        struct record record;
        int result = task->done ? store_get_id(txn, task->id, &record, why) : CONDITION_NOT_FOUND;

        if (result == CONDITION_NOT_FOUND) /* removed meanwhile */
            continue;
        if (result)
            return result;
        if (task->count) {
            record.usage_bytes = task->usage.bytes;
            record.usage_inodes = task->usage.inodes;
            record.usage_known = task->usage.exact;
        }
        record.sealed = record.sealed || task->seal;
        result = store_put(txn, &record, why);
        if (result)
            return result;
    }
    return 0;
}

static int close_volume(struct snapshots *snapshots, uint64_t id, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    int result = 0;

    if (options->seal && options->ops->seal)
        result = options->ops->seal(options->backend, id, why);
    if (!result && options->ops->rest)
        result = rest_pinned(snapshots, id, why);
    return result;
}

/* *IN_USE is set when the volume has to stay as it is until the next round. */
static int do_task(struct snapshots *snapshots, struct task *task, bool *in_use, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct pin pin = {0};
    int counted = 0, closed = 0;

    if (!pins_try(&snapshots->pins, &pin, task->id, PIN_ALONE, NULL, NULL)) {
        *in_use = true;
        return 0;
    }
    if (task->count)
        counted =
            options->ops->usage(options->backend, task->id, task->parent, true, &task->usage, why);
    task->count = task->count && counted == 0;
    if (task->seal) /* also what cannot be counted */
        closed = close_volume(snapshots, task->id, counted ? NULL : why);
    STEP("keeper.volume-closed");
    pins_drop(&snapshots->pins, &pin);
    task->done = closed == 0;
    return counted ? counted : closed;
}

static void tell(struct round *round, uint64_t id, int result, const struct reason *trouble)
{
    if (result == 0 || result == CONDITION_NOT_FOUND) /* removed meanwhile */
        return;
    if (!round->refused) /* the others' reason is most likely the same */
        log_warn("volume %llu cannot be sealed or counted now: %s", (unsigned long long)id,
                 trouble->text);
    round->refused = true;
}

void keeper_work(void *context)
{
    struct snapshots *snapshots = context;
    struct round round = {
        .may_seal = (snapshots->options.seal && snapshots->options.ops->seal) ||
                    snapshots->options.ops->rest,
        .from = 1,
    };
    struct reason why = {0};
    int result;

    do {
        result = store_read(snapshots->options.store, find_tasks, &round, &why);
        for (size_t i = 0; !result && i < round.count; i++) {
            struct reason trouble = {0};

            if (worker_stopping(&snapshots->keeper))
                return;
            tell(&round, round.tasks[i].id,
                 do_task(snapshots, &round.tasks[i], &round.passed_over, &trouble), &trouble);
            round.from = round.tasks[i].id + 1;
        }
        if (!result && round.count > 0)
            result = store_write(snapshots->options.store, note_done, &round, &why);
        STEP("keeper.recorded");
    } while (!result && round.count > 0);
    if (result)
        log_warn("sealing waits for the next commit: %s", why.text);
    else if (round.refused)
        worker_within(&snapshots->keeper, REFUSED_MS);
    else if (round.passed_over)
        keeper_nudge(snapshots);
}
