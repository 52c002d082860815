/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/snapshots.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/step.h"
#include "snapshot/filter.h"
#include "snapshot/info.h"
#include "snapshot/labels.h"
#include "snapshot/manifests.h"
#include "snapshot/service.h"

#include <errno.h>
#include <stdlib.h>

int snapshots_open(struct snapshots **snapshots, const struct snapshots_options *options,
                   struct reason *why)
{
    struct snapshots *made = calloc(1, sizeof(*made));
    int result;

    if (!made)
        return failure(why, ENOMEM, "open the snapshots");
    made->options = *options;
    pins_init(&made->pins);
    stock_init(&made->stock, options->stock);
    result = recover(made, why);
    if (!result)
        manifests_sweep(made);
    atomic_store(&made->rest_due, true); /* a daemon that was killed may have left some */
    if (!result)
        result = worker_start(&made->reaper, "reaper", reaper_work, made, why);
    if (!result)
        result = worker_start(&made->keeper, "keeper", keeper_work, made, why);
    if (!result)
        result = worker_start(&made->filler, "filler", filler_work, made, why);
    if (result) {
        snapshots_close(made);
        return result;
    }
    worker_nudge(&made->reaper);
    keeper_nudge(made);
    *snapshots = made;
    return 0;
}

void snapshots_wind_down(struct snapshots *snapshots)
{
    worker_tell_stop(&snapshots->reaper);
}

struct snapshots *snapshots_close(struct snapshots *snapshots)
{
    if (!snapshots)
        return NULL;
    worker_stop(&snapshots->filler);
    worker_stop(&snapshots->keeper);
    worker_stop(&snapshots->reaper);
    stock_deinit(&snapshots->stock);
    pins_deinit(&snapshots->pins);
    id_set_clear(&snapshots->lost);
    free(snapshots);
    return NULL;
}

/* ---- stat ---- */

struct lookup {
    struct bytes key;
    struct arena arena;
    struct snapshot_info info;
    struct record record; /* its bytes are gone with the transaction; the numbers stay */
};

static int look_up(struct store_txn *txn, void *context, struct reason *why)
{
    struct lookup *lookup = context;
    int result = store_get(txn, lookup->key, &lookup->record, why);

    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "snapshot %s does not exist", quoted(lookup->key));
    if (result)
        return result;
    return info_of_record(txn, &lookup->record, &lookup->arena, &lookup->info, why);
}

int snapshots_stat(struct snapshots *snapshots, struct bytes key, snapshot_visit *visit,
                   void *context, struct reason *why)
{
    struct lookup lookup = {.key = key};
    int result = store_read(snapshots->options.store, look_up, &lookup, why);

    if (!result)
        result = visit(context, &lookup.info, why);
    arena_clear(&lookup.arena);
    return result;
}

/* ---- update ---- */

struct update {
    struct lookup lookup;
    const struct label *labels;
    size_t label_count;
    const struct bytes *paths;
    size_t path_count;
};

static int change_labels(struct store_txn *txn, void *context, struct reason *why)
{
    struct update *update = context;
    struct record record;
    int result;

    arena_reset(&update->lookup.arena);
    result = look_up(txn, &update->lookup, why);
    if (result)
        return result;
    record = update->lookup.record;
    result =
        labels_update(&update->lookup.arena, update->lookup.info.labels,
                      update->lookup.info.label_count, update->labels, update->label_count,
                      update->paths, update->path_count, &record.labels, &record.label_count, why);
    if (result)
        return amend(why, result, "update snapshot %s", quoted(record.key));
    record.updated = info_now();
    result = store_put(txn, &record, why);
    if (result)
        return result;
    return info_of_record(txn, &record, &update->lookup.arena, &update->lookup.info, why);
}

int snapshots_update(struct snapshots *snapshots, struct bytes key, const struct label *labels,
                     size_t label_count, const struct bytes *paths, size_t path_count,
                     snapshot_visit *visit, void *context, struct reason *why)
{
    struct update update = {
        .lookup = {.key = key},
        .labels = labels,
        .label_count = label_count,
        .paths = paths,
        .path_count = path_count,
    };
    int result = store_write(snapshots->options.store, change_labels, &update, why);

    STEP("update.recorded");
    if (!result)
        result = visit(context, &update.lookup.info, why);
    arena_clear(&update.lookup.arena);
    return result;
}

/* ---- list ---- */

#define LIST_BATCH 128 /* records looked at in one transaction */

/* A stream of 10,000 snapshots to a slow client must not hold a transaction: it is read in batches,
 * each from where the last one ended. Ids only grow, so what is there throughout is told once. */
struct listing {
    const struct filter *filter;
    uint64_t next; /* id to go on from; 0 at the end */
    struct arena arena;
    struct snapshot_info infos[LIST_BATCH];
    size_t count;
};

static int list_batch(struct store_txn *txn, void *context, struct reason *why)
{
    struct listing *listing = context;
    struct record record;

    arena_reset(&listing->arena);
    listing->count = 0;
    for (size_t seen = 0; seen < LIST_BATCH; seen++) {
        struct snapshot_info *info = &listing->infos[listing->count];
        int result = store_next(txn, listing->next, &record, why);

        if (result == CONDITION_NOT_FOUND) {
            listing->next = 0;
            return 0;
        }
        listing->next = record.id + 1;
        if (result == -EBADMSG &&
            record.id) /* told at the start (recover.c); the others are listed */
            continue;
        if (!result)
            result = info_of_record(txn, &record, &listing->arena, info, why);
        if (result)
            return result;
        listing->count += filter_matches(listing->filter, info_field, info);
    }
    return 0;
}

int snapshots_list(struct snapshots *snapshots, const struct bytes *filters, size_t filter_count,
                   snapshot_visit *visit, void *context, struct reason *why)
{
    struct filter *filter = NULL;
    struct listing *listing;
    int result = filter_parse(&filter, filters, filter_count, why);

    if (result)
        return result;
    listing = calloc(1, sizeof(*listing));
    if (!listing) {
        filter_free(filter);
        return failure(why, ENOMEM, "list the snapshots");
    }
    listing->filter = filter;
    listing->next = 1;
    while (!result && listing->next) {
        result = store_read(snapshots->options.store, list_batch, listing, why);
        for (size_t i = 0; !result && i < listing->count; i++)
            result = visit(context, &listing->infos[i], why);
    }
    arena_clear(&listing->arena);
    free(listing);
    filter_free(filter);
    return result;
}

/* ---- usage ---- */

int snapshots_usage(struct snapshots *snapshots, struct bytes key, struct volume_usage *usage,
                    struct reason *why)
{
    struct lookup lookup = {.key = key};
    const struct record *record = &lookup.record;
    struct pin pin;
    int result = store_read(snapshots->options.store, look_up, &lookup, why);

    arena_clear(&lookup.arena);
    if (result)
        return result;
    *usage = (struct volume_usage){record->usage_bytes, record->usage_inodes, true};
    if (record->usage_known)
        return 0;
    if (record->kind == SNAPSHOT_VIEW) {
        *usage = (struct volume_usage){.exact = true};
        return 0;
    }
    pins_take(&snapshots->pins, &pin, record->id, PIN_READ, NULL);
    result = snapshots->options.ops->usage(snapshots->options.backend, record->id, record->parent,
                                           false, usage, why);
    pins_drop(&snapshots->pins, &pin);
    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "snapshot %s does not exist", quoted(key));
    return result;
}

/* ---- mounts ---- */

int snapshots_forget_usage(struct store_txn *txn, void *context, struct reason *why)
{
    const uint64_t *id = context;
    struct record record;
    int result = store_get_id(txn, *id, &record, why);

    if (result == CONDITION_NOT_FOUND)
        return 0;
    if (result || record.kind != SNAPSHOT_ACTIVE || !(record.usage_known || record.synced))
        return result;
    record.usage_known = false;
    record.synced = false;
    return store_put(txn, &record, why);
}

/* A view that was removed meanwhile put its parent to rest, perhaps before that was made ready for
 * these mounts. */
static int confirm_view(struct snapshots *snapshots, const struct record *view, struct bytes key,
                        struct reason *why)
{
    struct lookup lookup = {.key = key};
    int result = store_read(snapshots->options.store, look_up, &lookup, why);

    arena_clear(&lookup.arena);
    if (!result && lookup.record.id != view->id)
        result = refuse(why, CONDITION_NOT_FOUND, "snapshot %s was removed meanwhile", quoted(key));
    if (result)
        rest_if_idle(snapshots, record_volume(view));
    return result;
}

int snapshots_mounts(struct snapshots *snapshots, struct bytes key, struct mounts *mounts,
                     struct reason *why)
{
    struct lookup lookup = {.key = key};
    const struct record *record = &lookup.record;
    struct volume volume;
    struct pin pin;
    int result = store_read(snapshots->options.store, look_up, &lookup, why);

    arena_clear(&lookup.arena);
    if (result)
        return result;
    if (record->kind == SNAPSHOT_COMMITTED)
        return refuse(why, CONDITION_PRECONDITION,
                      "snapshot %s is committed and has no mounts; prepare or view a child of it",
                      quoted(key));
    /* Whoever asks now may write after a layer was applied: what was counted then holds no more. */
    if (record->kind == SNAPSHOT_ACTIVE && record->usage_known) {
        uint64_t id = record->id;

        result = store_write_reserved(snapshots->options.store, snapshots_forget_usage, &id, why);
        STEP("mounts.usage-forgotten");
        if (result)
            return result;
    }
    pins_take(&snapshots->pins, &pin, record_volume(record), PIN_READ, NULL);
    result = snapshots->options.ops->locate(snapshots->options.backend, record_volume(record),
                                            &volume, why);
    pins_drop(&snapshots->pins, &pin);
    if (result)
        return amend(why, result, "snapshot %s", quoted(key));
    if (record->kind == SNAPSHOT_VIEW)
        result = confirm_view(snapshots, record, key, why);
    if (result)
        return result;
    return mounts_of_volume(mounts, &volume, snapshots->options.mount_style,
                            record->kind == SNAPSHOT_VIEW, why);
}

/* ---- figures ---- */

struct intent_count {
    uint64_t removals;
};

static int count_removals(struct store_txn *txn, void *context, struct reason *why)
{
    struct intent_count *count = context;
    uint64_t id = 0;
    enum intent_kind kind;
    int result;

    count->removals = 0;
    while ((result = store_next_intent(txn, id + 1, &id, &kind, why)) == 0 ||
           (result == -EBADMSG && id))
        count->removals += !result && kind == INTENT_REMOVE;
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

struct seal_count {
    uint64_t open;
};

static int count_unsealed(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct seal_count *count = context;

    (void)why;
    count->open += info->kind == SNAPSHOT_COMMITTED && !info->sealed;
    return 0;
}

int snapshots_pool(struct snapshots *snapshots, struct pool_status *pool, struct reason *why)
{
    return snapshots->options.ops->status(snapshots->options.backend, pool, why);
}

int snapshots_grow_pool(struct snapshots *snapshots, const struct pool_growth *growth,
                        struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;

    if (!options->ops->grow)
        return refuse(why, CONDITION_UNIMPLEMENTED, "pools of the backend %s do not grow",
                      options->ops->name);
    return options->ops->grow(options->backend, growth, why);
}

int snapshots_check_pool(struct snapshots *snapshots, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;

    if (!options->ops->check)
        return refuse(why, CONDITION_UNIMPLEMENTED, "pools of the backend %s cannot be checked",
                      options->ops->name);
    return options->ops->check(options->backend, cancel, verdict, why);
}

int snapshots_figures(struct snapshots *snapshots, struct snapshots_figures *figures,
                      struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct intent_count intents = {0};
    struct seal_count seals = {0};
    int result;

    *figures = (struct snapshots_figures){.damaged = snapshots->damaged};
    result = store_figures(options->store, &figures->store, why);
    if (!result)
        result = snapshots_pool(snapshots, &figures->pool, why);
    if (!result)
        result = store_read(options->store, count_removals, &intents, why);
    if (!result && options->seal && options->ops->seal)
        result = snapshots_list(snapshots, NULL, 0, count_unsealed, &seals, why);
    figures->awaiting_removal = intents.removals;
    figures->ready_clones = stock_count(&snapshots->stock);
    figures->awaiting_seal = seals.open;
    figures->holds = pins_count(&snapshots->pins, PIN_WRITE);
    return result;
}
