/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Brings store and pool into agreement at the start, before any call is served.
 *
 * - An intent to create is left by a Prepare that was never answered: its volume, if there is one,
 *   goes to the reaper. Rolling forward would help nobody: the caller would find its key taken.
 * - An intent to keep a clone ready: the stock of the daemon before. It goes, too (see filler.c).
 * - An intent to remove stays: it is the reaper's list.
 * - A volume that neither a record nor an intent knows goes to the reaper: it was made by a
 *   transaction that a loss of power undid, or its removal was.
 * - A record whose volume is missing is damage from outside (nothing here leaves one). It is told,
 *   counted and kept, so that an operator can see what is lost; its children stay as they are.
 * - A record that cannot be read is told, counted and kept likewise, and so is its volume. It keeps
 *   nobody from the others.
 * - An intent that cannot be read is what it most likely was, one to remove, unless a record has
 * its number.
 * - A store that never gave a number, beside a pool that has volumes, is not the one they were made
 *   by. All of them would be strays; nothing is touched, unless that is what the operator wants.
 * - Where the store's disk is so full that even the reserve is used up, all that waits.
 */

#include "base/id_set.h"
#include "base/log.h"
#include "base/step.h"
#include "snapshot/service.h"

#include <errno.h>

struct recovery {
    struct snapshots *snapshots;
    struct id_set present; /* volumes in the pool, sorted once it is complete */
    struct id_set strays;
    uint64_t unfinished, unreadable; /* intents */
};

static int note_present(void *context, uint64_t id, struct reason *why)
{
    struct recovery *recovery = context;

    return id_set_add(&recovery->present, id) ? 0 : failure(why, ENOMEM, "list the volumes");
}

/* Sets the strays: present, but unknown to every record and intent. */
static int find_strays(struct store_txn *txn, void *context, struct reason *why)
{
    struct recovery *recovery = context;
    const struct id_set *present = &recovery->present;

    recovery->strays.count = 0;
    for (size_t i = 0; i < present->count; i++) {
        bool known;
        int result = volume_is_known(txn, present->ids[i], &known, why);

        if (result)
            return result;
        if (!known && !id_set_add(&recovery->strays, present->ids[i]))
            return failure(why, ENOMEM, "list the volumes");
    }
    return 0;
}

static int find_damage(struct store_txn *txn, void *context, struct reason *why)
{
    struct recovery *recovery = context;
    struct record record = {0};
    int result;

    for (;;) {
        struct reason trouble = {0};

        result = store_next(txn, record.id + 1, &record, &trouble);
        if (result == -EBADMSG && record.id) {
            recovery->snapshots->damaged++;
            log_error("a snapshot is lost, its volume %llu is kept: %s",
                      (unsigned long long)record.id, trouble.text);
            continue;
        }
        if (result < 0 && why)
            *why = trouble;
        if (result)
            break;
        if (id_set_has(&recovery->present, record_volume(&record)))
            continue;
        recovery->snapshots->damaged++;
        log_error("snapshot %s has lost its volume %llu: 'cowsnap check' says how to mend it",
                  quoted(record.key), (unsigned long long)record_volume(&record));
        if (!id_set_add(&recovery->snapshots->lost, record.id)) /* sorted: so they come */
            return failure(why, ENOMEM, "list the lost snapshots");
    }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int settle_unreadable(struct store_txn *txn, uint64_t id, struct reason *why)
{
    struct record record;
    int result = store_get_id(txn, id, &record, why);

    if (result == 0 || result == -EBADMSG)
        return store_drop_intent(txn, id, why);
    return result < 0 ? result : store_put_intent(txn, id, INTENT_REMOVE, why);
}

static int settle(struct store_txn *txn, void *context, struct reason *why)
{
    struct recovery *recovery = context;
    uint64_t id = 0;
    enum intent_kind kind;
    int result;

    recovery->unfinished = recovery->unreadable = 0;
    while ((result = store_next_intent(txn, id + 1, &id, &kind, why)) == 0 ||
           (result == -EBADMSG && id)) {
        bool readable = result == 0;

        if (readable && kind == INTENT_REMOVE)
            continue;
        recovery->unfinished += readable && kind == INTENT_CREATE;
        recovery->unreadable += !readable;
        result = readable ? store_put_intent(txn, id, INTENT_REMOVE, why)
                          : settle_unreadable(txn, id, why);
        if (result)
            return result;
    }
    if (result < 0)
        return result;
    for (size_t i = 0; i < recovery->strays.count; i++) {
        result = store_put_intent(txn, recovery->strays.ids[i], INTENT_REMOVE, why);
        if (result)
            return result;
    }
    return 0;
}

/* A full disk keeps nobody from what is there: what was left unfinished then waits longer. */
static int settle_all(struct recovery *recovery, struct reason *why)
{
    struct reason trouble = {0};
    int result =
        store_write_reserved(recovery->snapshots->options.store, settle, recovery, &trouble);

    if (result == CONDITION_EXHAUSTED) {
        log_warn("what was left unfinished stays until the next start: %s", trouble.text);
        recovery->unfinished = recovery->unreadable = recovery->strays.count = 0;
        return 0;
    }
    if (result && why)
        *why = trouble;
    return result;
}

/* A store that is not there is made; so the folder it was in may be lost, or on a disk that is not
 * mounted. */
static int check_store_is_of_pool(const struct recovery *recovery, struct reason *why)
{
    const struct snapshots_options *options = &recovery->snapshots->options;
    struct store_figures figures;
    int result = store_figures(options->store, &figures, why);

    if (result || figures.given > 0 || recovery->strays.count == 0 || options->forget_volumes)
        return result;
    return refuse(
        why, CONDITION_PRECONDITION,
        "the store in the folder meta of root is new, and the pool has %zu volumes, which "
        "it knows nothing of: mount or restore the root that they belong to; if they are "
        "not needed any more, start cowsnapd once with --forget-volumes, which removes "
        "them",
        recovery->strays.count);
}

int recover(struct snapshots *snapshots, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct recovery recovery = {.snapshots = snapshots};
    int result = options->ops->each(options->backend, note_present, &recovery, why);

    id_set_sort(&recovery.present);
    if (!result)
        result = store_read(options->store, find_strays, &recovery, why);
    if (!result)
        result = check_store_is_of_pool(&recovery, why);
    if (!result)
        result = store_read(options->store, find_damage, &recovery, why);
    STEP("recover.surveyed");
    if (!result)
        result = settle_all(&recovery, why);
    STEP("recover.settled");
    if (!result && (recovery.unfinished || recovery.strays.count))
        log_info("recovery: %llu unfinished snapshots undone, %zu unknown volumes to be removed",
                 (unsigned long long)recovery.unfinished, recovery.strays.count);
    if (!result && recovery.unreadable)
        log_warn(
            "recovery: %llu intents in the store could not be read; check the disk that holds it",
            (unsigned long long)recovery.unreadable);
    id_set_clear(&recovery.present);
    id_set_clear(&recovery.strays);
    return amend(why, result, "recover");
}
