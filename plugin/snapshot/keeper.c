/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What committed snapshots still need, done when it is quiet: their usage counted to the end where
 * Commit had no time for it, and their volumes closed: sealed, so that a forgotten writable mount
 * cannot change them, and put to rest. Sealing makes btrfs commit and keeps clones waiting
 * meanwhile, so it waits until there was no new commit for a while, and then does all that is due.
 * Also put to rest then is what could not be when it should: which that is, nobody keeps a list of.
 */

#include "base/log.h"
#include "base/step.h"
#include "snapshot/service.h"

#include <errno.h>

#define QUIET_MS 2000u    /* without a new commit, before the keeper begins; */
#define BUSY_MS 30000u    /* but no later than so long after the first */
#define REFUSED_MS 60000u /* after the backend would not, for want of room or worse */
#define KEEPER_BATCH 32
#define KEEPER_LOOK 64 /* records looked at in one read of the store */

struct task {
    uint64_t id, parent;
    bool count, seal, rest;
    struct volume_usage usage;
};

struct round {
    bool may_seal;
    bool rest; /* those that were closed before, too */
    uint64_t from, next;
    bool more; /* from NEXT on */
    struct task tasks[KEEPER_BATCH];
    size_t count;
    bool changed;     /* some task was done that is to be recorded */
    bool passed_over; /* a volume was in use: there has to be another round */
    bool refused;     /* one could not be closed or counted: as above, but later */
};

void keeper_nudge(struct snapshots *snapshots)
{
    worker_put_off(&snapshots->keeper, QUIET_MS, BUSY_MS);
}

static int find_tasks(struct store_txn *txn, void *context, struct reason *why)
{
    struct round *round = context;
    unsigned looked = 0;
    struct record record;
    int result;

    round->count = 0;
    round->changed = false;
    round->next = round->from;
    round->more = true;
    while ((result = store_next(txn, round->next, &record, why)) == 0 ||
           (result == -EBADMSG && record.id)) { /* told at the start (recover.c) */
        struct task task = {
            .id = record.id,
            .parent = record.parent,
            .count = !record.usage_known,
            .seal = round->may_seal && !record.sealed,
            .rest = round->rest && record.sealed,
        };

        if (!result && record.kind == SNAPSHOT_COMMITTED &&
            (task.count || task.seal || task.rest)) {
            if (round->count == KEEPER_BATCH)
                return 0;
            round->tasks[round->count++] = task;
        }
        round->next = record.id + 1;
        if (++looked == KEEPER_LOOK) /* the records stay in memory until the read is over */
            return 0;
    }
    round->more = false;
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int note_done(struct store_txn *txn, void *context, struct reason *why)
{
    const struct round *round = context;

    for (size_t i = 0; i < round->count; i++) {
        const struct task *task = &round->tasks[i];
        struct record record;
        int result = task->count || task->seal ? store_get_id(txn, task->id, &record, why)
                                               : CONDITION_NOT_FOUND;

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

static int seal(struct snapshots *snapshots, const struct task *task, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;

    return task->seal && options->seal && options->ops->seal
               ? options->ops->seal(options->backend, task->id, why)
               : 0;
}

/* In this and the next two, *IN_USE is set when the volume has to stay as it is until the next
 * round. The count may make both volumes ready, its own and the parent's. */
static int count(struct snapshots *snapshots, struct task *task, bool *in_use, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct pin pin = {0}, parent = {0};
    int result;

    *in_use = !pins_try(&snapshots->pins, &pin, task->id, PIN_READ, NULL, NULL);
    if (*in_use)
        return 0;
    *in_use =
        task->parent && !pins_try(&snapshots->pins, &parent, task->parent, PIN_READ, NULL, NULL);
    if (*in_use) {
        pins_drop(&snapshots->pins, &pin);
        return 0;
    }
    result = options->ops->usage(options->backend, task->id, task->parent, true, &task->usage, why);
    if (task->parent)
        pins_drop(&snapshots->pins, &parent);
    pins_drop(&snapshots->pins, &pin);
    if (task->parent)
        rest_if_idle(snapshots, task->parent);
    if (!task->seal && !task->rest)
        rest_if_idle(snapshots, task->id);
    return result;
}

static int close_volume(struct snapshots *snapshots, const struct task *task, bool *in_use,
                        struct reason *why)
{
    struct pin pin = {0};
    int result;

    *in_use = !pins_try(&snapshots->pins, &pin, task->id, PIN_ALONE, NULL, NULL);
    if (*in_use)
        return 0;
    result = seal(snapshots, task, why);
    if (!result && snapshots->options.ops->rest)
        result = rest_pinned(snapshots, task->id, why);
    STEP("keeper.volume-closed");
    pins_drop(&snapshots->pins, &pin);
    return result;
}

/* Leaves of TASK what was done and is to be recorded. */
static int do_task(struct snapshots *snapshots, struct task *task, bool *in_use, struct reason *why)
{
    bool uncounted = false, open = false;
    int counted = task->count ? count(snapshots, task, &uncounted, why) : 0;
    int closed = 0;

    task->count = task->count && !uncounted && counted == 0;
    if (task->seal || task->rest) /* also what cannot be counted */
        closed = close_volume(snapshots, task, &open, counted ? NULL : why);
    task->seal = task->seal && !open && closed == 0;
    *in_use = *in_use || uncounted || open;
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
        .rest = atomic_exchange(&snapshots->rest_due, false) && snapshots->options.ops->rest,
        .from = 1,
    };
    struct reason why = {0};
    int result;

    do {
        result = store_read(snapshots->options.store, find_tasks, &round, &why);
        for (size_t i = 0; !result && i < round.count; i++) {
            struct reason trouble = {0};

            if (snapshots->keeper.stopping)
                return;
            tell(&round, round.tasks[i].id,
                 do_task(snapshots, &round.tasks[i], &round.passed_over, &trouble), &trouble);
            round.changed = round.changed || round.tasks[i].count || round.tasks[i].seal;
        }
        if (!result && round.changed)
            result = store_write(snapshots->options.store, note_done, &round, &why);
        STEP("keeper.recorded");
        round.from = round.next;
    } while (!result && round.more);
    if (result)
        log_warn("sealing waits for the next try: %s", why.text);
    if (round.rest && (result || round.refused || round.passed_over))
        atomic_store(&snapshots->rest_due, true);
    if (result || round.refused)
        worker_within(&snapshots->keeper, REFUSED_MS);
    else if (round.passed_over)
        keeper_nudge(snapshots);
}
