/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Keeps the stock of ready clones (stock.h): makes those that lack, ends those that are not wanted
 * any more, in a thread of its own.
 *
 * Clones are made by several threads at once, since btrfs makes all that wait for it in one commit
 * of its transaction: sixteen at a time take hardly longer than one. Each has an intent before it
 * is made. A crash, or the end of the daemon, leaves the intents, and the next start ends the
 * clones: a stock is cheap to make anew, and nobody knows what will be in demand then.
 *
 * When the pool is nearly full or refuses a clone, the whole stock is given up.
 */

#include "base/log.h"
#include "base/step.h"
#include "base/thread.h"
#include "snapshot/service.h"

#include <pthread.h>
#include <stdatomic.h>

#define FILL_BATCH 32u /* clones made between two looks at the demand */
#define FILL_THREADS 16u
#define FILL_LOOK_MS 30000u /* while there is a stock: whether it got old, or the pool full */
#define FILL_SPACE_SHARE 20 /* one part in so many of the pool must be available */

struct batch {
    struct snapshots *snapshots;
    uint64_t parent;
    uint64_t ids[FILL_BATCH];
    unsigned count;
    atomic_uint next;    /* of ids to be cloned */
    atomic_bool refused; /* the pool did not make one of them */
    atomic_bool odd;     /* of this parent it makes none */
};

static int reserve(struct store_txn *txn, void *context, struct reason *why)
{
    struct batch *batch = context;
    struct record parent;
    int result = store_get_id(txn, batch->parent, &parent, why);

    if (!result && parent.kind != SNAPSHOT_COMMITTED)
        result = CONDITION_NOT_FOUND;
    for (unsigned i = 0; !result && i < batch->count; i++) {
        result = create_take_id(txn, &batch->ids[i], why);
        if (!result)
            result = store_put_intent(txn, batch->ids[i], INTENT_STOCK, why);
    }
    return result;
}

struct unwanted {
    uint64_t ids[FILL_BATCH];
    size_t count;
};

static int give_up(struct store_txn *txn, void *context, struct reason *why)
{
    const struct unwanted *unwanted = context;
    int result = 0;

    for (size_t i = 0; !result && i < unwanted->count; i++)
        result = store_put_intent(txn, unwanted->ids[i], INTENT_REMOVE, why);
    return result;
}

/* Hands clones that nobody wants to the reaper. What fails here is settled at the next start. */
static void end_clones(struct snapshots *snapshots, struct unwanted *unwanted)
{
    struct reason why = {0};

    if (unwanted->count == 0)
        return;
    if (store_write_reserved(snapshots->options.store, give_up, unwanted, &why))
        log_warn("%zu ready clones are left until the next start: %s", unwanted->count, why.text);
    else
        reaper_call(snapshots);
    STEP("stock.given-up");
}

static void sort_out(struct snapshots *snapshots)
{
    struct unwanted unwanted;

    do {
        unwanted.count = stock_sort_out(&snapshots->stock, stock_now(), unwanted.ids, FILL_BATCH);
        end_clones(snapshots, &unwanted);
    } while (unwanted.count > 0);
}

/* A backend that keeps something ready for mounts (a device), and lets it go at rest(), makes that
 * here, too: of what a Prepare waits for, it takes the longest. */
static int clone_one(struct snapshots *snapshots, uint64_t id, uint64_t parent, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct volume volume;
    int result = create_admit(snapshots, why);

    if (result == 0)
        result = options->ops->clone(options->backend, id, parent, why);
    if (result == 0 && options->ops->rest)
        result = options->ops->locate(options->backend, id, &volume, why);
    return result;
}

static void *clone_some(void *context)
{
    struct batch *batch = context;
    struct snapshots *snapshots = batch->snapshots;
    unsigned at;

    while ((at = atomic_fetch_add(&batch->next, 1)) < batch->count) {
        struct unwanted failed = {.ids = {batch->ids[at]}, .count = 1};
        struct reason why = {0};
        int result = CONDITION_CANCELLED;

        if (!atomic_load(&batch->refused))
            result = clone_one(snapshots, batch->ids[at], batch->parent, &why);
        STEP("stock.cloned");
        if (!result && stock_put(&snapshots->stock, batch->ids[at], batch->parent))
            continue;
        if (result == CONDITION_PRECONDITION)
            atomic_store(&batch->odd, true);
        /* CONDITION_EXISTS: a number that the backend cannot have; the next ones will do */
        if (result && result != CONDITION_EXISTS && !atomic_exchange(&batch->refused, true))
            log_info("no more ready clones are made for now: %s", why.text);
        end_clones(snapshots, &failed);
    }
    return NULL;
}

static void clone_together(struct batch *batch)
{
    pthread_t threads[FILL_THREADS];
    unsigned started = 0;

    while (started + 1 < batch->count && started < FILL_THREADS - 1 &&
           thread_start(&threads[started], "filler", clone_some, batch) == 0)
        started++;
    clone_some(batch);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

/* Makes up to FILL_BATCH clones of PARENT; false when the stock shall not grow now. */
static bool fill(struct snapshots *snapshots, uint64_t parent, unsigned lacking)
{
    struct batch batch = {
        .snapshots = snapshots,
        .parent = parent,
        .count = lacking < FILL_BATCH ? lacking : FILL_BATCH,
    };
    struct pin pin = {0};
    struct reason why = {0};
    int result;

    pins_take(&snapshots->pins, &pin, parent, PIN_READ, NULL);
    result = store_write(snapshots->options.store, reserve, &batch, &why);
    STEP("stock.intents-written");
    if (!result)
        clone_together(&batch);
    pins_drop(&snapshots->pins, &pin);
    if (result == CONDITION_NOT_FOUND ||
        batch.odd) /* the parent was removed, or cannot be cloned */
        stock_forget(&snapshots->stock, parent);
    else if (result)
        log_info("no more ready clones are made for now: %s", why.text);
    return result == CONDITION_NOT_FOUND || (!result && (batch.odd || !batch.refused));
}

static bool pool_has_room(struct snapshots *snapshots)
{
    struct pool_status pool;
    struct reason why = {0};

    return create_admit(snapshots, &why) == 0 && snapshots_pool(snapshots, &pool, &why) == 0 &&
           pool.writable && pool.available >= pool.size / FILL_SPACE_SHARE;
}

void filler_work(void *context)
{
    struct snapshots *snapshots = context;
    struct stock *stock = &snapshots->stock;
    uint64_t parent;
    unsigned lacking;
    bool grows = pool_has_room(snapshots);

    sort_out(snapshots);
    while (grows && !snapshots->filler.stopping && (lacking = stock_lacks(stock, &parent)) > 0) {
        grows = fill(snapshots, parent, lacking);
        sort_out(snapshots);
    }
    if (!grows) {
        stock_forget_all(stock);
        sort_out(snapshots);
    }
    if (stock_count(stock) > 0)
        worker_alarm(&snapshots->filler, FILL_LOOK_MS);
}
