/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Prepare and View.
 *
 * A volume is made between two transactions. The first checks the rules, takes a number and records
 * the intent; then the backend acts; the second checks the rules again, since anything may have
 * happened meanwhile, writes the record and drops the intent. The snapshot begins to exist with the
 * second: a crash before it leaves an intent, and recovery ends the volume; a refusal in it turns
 * the intent into one for the reaper. A view of a parent has no volume, and needs one transaction
 * that writes; and so does a child whose clone lies ready (stock.h), since that has its number and
 * its intent.
 */

#include "base/log.h"
#include "base/step.h"
#include "snapshot/info.h"
#include "snapshot/labels.h"
#include "snapshot/service.h"

#include <errno.h>

struct creation {
    struct snapshots *snapshots;
    enum snapshot_kind kind;
    struct bytes key, parent;
    const struct label *labels;
    size_t label_count;
    struct arena arena;
    uint64_t id, parent_id;
};

static int check_key(struct bytes key, const char *what, struct reason *why)
{
    if (key.length == 0)
        return refuse(why, CONDITION_INVALID, "the %s of the snapshot is empty", what);
    if (key.length > STORE_KEY_LIMIT)
        return refuse(why, CONDITION_INVALID, "the %s %s has %zu bytes; at most %u are allowed",
                      what, quoted(key), key.length, STORE_KEY_LIMIT);
    return 0;
}

/* Sets the parent's id; the rules for a parent. */
static int check_parent(struct store_txn *txn, struct creation *creation, struct reason *why)
{
    struct record parent;
    int result;

    creation->parent_id = 0;
    if (creation->parent.length == 0)
        return 0;
    result = store_get(txn, creation->parent, &parent, why);
    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "parent snapshot %s does not exist",
                      quoted(creation->parent));
    if (result)
        return result;
    if (parent.kind != SNAPSHOT_COMMITTED)
        return refuse(why, CONDITION_INVALID, "parent snapshot %s is not committed",
                      quoted(creation->parent));
    creation->parent_id = parent.id;
    return 0;
}

static int check_free(struct store_txn *txn, struct bytes key, struct reason *why)
{
    struct record other;
    int result = store_get(txn, key, &other, why);

    if (result == CONDITION_NOT_FOUND)
        return 0;
    return result ? result : refuse(why, CONDITION_EXISTS, "snapshot %s", quoted(key));
}

/* A layer that is here under another key (of another namespace, say) need not be unpacked again:
 * containerd takes ALREADY_EXISTS for a Prepare that bears a target reference to mean that it will
 * find a committed snapshot with that reference by List, and adopts it. */
static int check_shared(struct store_txn *txn, const struct creation *creation, struct reason *why)
{
    const struct bytes *ref =
        label_value(creation->labels, creation->label_count, bytes_of(LABEL_REF));
    struct record there;
    int result;

    if (!ref || creation->kind != SNAPSHOT_ACTIVE || !creation->snapshots->options.share_layers)
        return 0;
    result =
        store_find_ref(txn, *ref, creation->parent_id, &creation->snapshots->lost, &there, why);
    if (result == CONDITION_NOT_FOUND)
        return 0;
    return result ? result
                  : refuse(why, CONDITION_EXISTS, "layer %s is here as snapshot %s", quoted(*ref),
                           quoted(there.key));
}

static int check_rules(struct store_txn *txn, struct creation *creation, struct reason *why)
{
    int result = check_parent(txn, creation, why);

    if (!result)
        result = check_free(txn, creation->key, why);
    if (!result)
        result = check_shared(txn, creation, why);
    return result;
}

int create_admit(struct snapshots *snapshots, struct reason *why)
{
    const struct backend_ops *ops = snapshots->options.ops;

    return ops->admit ? ops->admit(snapshots->options.backend, why) : 0;
}

/* A number that no intent bears: a volume unknown to a restored store may still wait for the reaper
 * under the number that comes next. */
int create_take_id(struct store_txn *txn, uint64_t *id, struct reason *why)
{
    uint64_t intended = 0;
    enum intent_kind kind;
    int result;

    do {
        result = store_new_id(txn, id, why);
        if (!result)
            result = store_next_intent(txn, *id, &intended, &kind, why);
    } while (!result && intended == *id);
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static int begin(struct store_txn *txn, void *context, struct reason *why)
{
    struct creation *creation = context;
    int result = check_rules(txn, creation, why);

    if (!result)
        result = create_take_id(txn, &creation->id, why);
    if (!result)
        result = store_put_intent(txn, creation->id, INTENT_CREATE, why);
    return result;
}

static int put_record(struct store_txn *txn, const struct creation *creation, struct reason *why)
{
    int64_t now = info_now();
    struct record record = {
        .id = creation->id,
        .parent = creation->parent_id,
        .key = creation->key,
        .kind = creation->kind,
        .created = now,
        .updated = now,
        .labels = creation->labels,
        .label_count = creation->label_count,
    };

    return store_put(txn, &record, why);
}

/* The rules again, and whether the parent is the one that they were looked at with. */
static int check_same_parent(struct store_txn *txn, struct creation *creation, struct reason *why)
{
    uint64_t parent_id = creation->parent_id;
    int result = check_rules(txn, creation, why);

    if (!result && creation->parent_id != parent_id) /* removed, and another made of that name */
        result = refuse(why, CONDITION_NOT_FOUND, "parent snapshot %s was removed meanwhile",
                        quoted(creation->parent));
    creation->parent_id = parent_id; /* the function that asks may run again */
    return result;
}

static int finish(struct store_txn *txn, void *context, struct reason *why)
{
    struct creation *creation = context;
    int result = check_same_parent(txn, creation, why);

    if (!result)
        result = put_record(txn, creation, why);
    if (!result)
        result = store_drop_intent(txn, creation->id, why);
    return result;
}

static int create_without_volume(struct store_txn *txn, void *context, struct reason *why)
{
    struct creation *creation = context;
    int result = check_same_parent(txn, creation, why);

    if (!result)
        result = create_take_id(txn, &creation->id, why);
    return result ? result : put_record(txn, creation, why);
}

static int give_to_reaper(struct store_txn *txn, void *context, struct reason *why)
{
    const struct creation *creation = context;

    return store_put_intent(txn, creation->id, INTENT_REMOVE, why);
}

/* Undoes a creation that cannot be finished. What fails here is settled at the next start. */
static void abandon(struct creation *creation)
{
    struct reason why = {0};

    if (store_write_reserved(creation->snapshots->options.store, give_to_reaper, creation, &why))
        log_warn("volume %llu of an unfinished snapshot is left until the next start: %s",
                 (unsigned long long)creation->id, why.text);
    else
        reaper_call(creation->snapshots);
    STEP("create.abandoned");
}

static int make_volume(struct creation *creation, struct reason *why)
{
    struct snapshots *snapshots = creation->snapshots;
    const struct backend_ops *ops = snapshots->options.ops;
    struct pin pin;
    int result;

    if (creation->parent_id == 0)
        return ops->create(snapshots->options.backend, creation->id, why);
    pins_take(&snapshots->pins, &pin, creation->parent_id, PIN_READ, NULL);
    result = ops->clone(snapshots->options.backend, creation->id, creation->parent_id, why);
    pins_drop(&snapshots->pins, &pin);
    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "parent snapshot %s has no volume any more",
                      quoted(creation->parent));
    return result;
}

/* The caller has the volume pinned. */
static int describe(const struct creation *creation, uint64_t volume_id, struct mounts *mounts,
                    struct reason *why)
{
    const struct snapshots_options *options = &creation->snapshots->options;
    struct volume volume;
    int result = options->ops->locate(options->backend, volume_id, &volume, why);

    if (result)
        return amend(why, result, "snapshot %s", quoted(creation->key));
    return mounts_of_volume(mounts, &volume, options->mount_style, creation->kind == SNAPSHOT_VIEW,
                            why);
}

/* Gives the volume, which is there, its mounts and its record. */
static int finish_with_volume(struct creation *creation, struct mounts *mounts, struct reason *why)
{
    struct pins *pins = &creation->snapshots->pins;
    struct pin pin;
    int result;

    pins_take(pins, &pin, creation->id, PIN_READ, NULL);
    result = describe(creation, creation->id, mounts, why);
    pins_drop(pins, &pin);
    if (result)
        return result;
    result = store_write(creation->snapshots->options.store, finish, creation, why);
    STEP("create.recorded");
    if (result)
        mounts_clear(mounts);
    return result;
}

/* Begins with a new number until the backend takes one: it says CONDITION_EXISTS for a number it
 * cannot have (backend.h), which begin() says for a key that is taken. A pool that takes nothing is
 * asked before there is an intent: such a one may not be able to end a volume either, and whoever
 * is refused tries again, for days. */
static int begin_and_make(struct creation *creation, struct reason *why)
{
    for (;;) {
        int result = create_admit(creation->snapshots, why);

        if (!result)
            result = store_write(creation->snapshots->options.store, begin, creation, why);
        if (result)
            return result;
        STEP("create.intent-written");
        result = make_volume(creation, why);
        STEP("create.volume-made");
        if (!result)
            return 0;
        abandon(creation);
        if (result != CONDITION_EXISTS)
            return result;
    }
}

static int create_with_volume(struct creation *creation, struct mounts *mounts, struct reason *why)
{
    int result = begin_and_make(creation, why);

    if (result)
        return result;
    result = finish_with_volume(creation, mounts, why);
    if (result)
        abandon(creation);
    return result;
}

/* A child whose clone may lie ready: then it takes one transaction, and no time of the pool. */
static int create_child(struct creation *creation, struct mounts *mounts, struct reason *why)
{
    struct snapshots *snapshots = creation->snapshots;
    bool low;

    creation->id = stock_take(&snapshots->stock, creation->parent_id, stock_now(), &low);
    if (low)
        worker_nudge(&snapshots->filler);
    if (creation->id == 0)
        return create_with_volume(creation, mounts, why);
    STEP("create.taken-from-stock");
    int result = finish_with_volume(creation, mounts, why);
    if (result)
        abandon(creation);
    return result;
}

/* Mounts first, then the record: a view that was there for a moment and is then refused would have
 * been seen, and perhaps removed, by others. The pin is held over both, so that nobody ends the
 * parent's volume, or puts it to rest (rest.c), before the view is there to be seen. */
static int create_view_of_parent(struct creation *creation, struct mounts *mounts,
                                 struct reason *why)
{
    struct snapshots *snapshots = creation->snapshots;
    struct pin pin;

    pins_take(&snapshots->pins, &pin, creation->parent_id, PIN_READ, NULL);
    int result = describe(creation, creation->parent_id, mounts, why);
    if (!result)
        result = store_write(snapshots->options.store, create_without_volume, creation, why);
    STEP("view.recorded");
    pins_drop(&snapshots->pins, &pin);
    if (result) {
        mounts_clear(mounts);
        rest_if_idle(snapshots, creation->parent_id);
    }
    return result;
}

/* What breaks a rule is refused as that, before the pool has a say, or gives a clone for it. */
static int look_at_rules(struct store_txn *txn, void *context, struct reason *why)
{
    return check_rules(txn, context, why);
}

static int create(struct snapshots *snapshots, enum snapshot_kind kind, struct bytes key,
                  struct bytes parent, const struct label *labels, size_t label_count,
                  struct mounts *mounts, struct reason *why)
{
    struct creation creation = {.snapshots = snapshots, .kind = kind, .key = key, .parent = parent};
    int result = check_key(key, "key", why);

    if (!result)
        result = labels_clean(&creation.arena, labels, label_count, &creation.labels,
                              &creation.label_count, why);
    if (!result)
        result = store_read(snapshots->options.store, look_at_rules, &creation, why);
    if (!result)
        result = parent.length == 0      ? create_with_volume(&creation, mounts, why)
                 : kind == SNAPSHOT_VIEW ? create_view_of_parent(&creation, mounts, why)
                                         : create_child(&creation, mounts, why);
    arena_clear(&creation.arena);
    return result;
}

int snapshots_prepare(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                      const struct label *labels, size_t label_count, struct mounts *mounts,
                      struct reason *why)
{
    return create(snapshots, SNAPSHOT_ACTIVE, key, parent, labels, label_count, mounts, why);
}

int snapshots_view(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                   const struct label *labels, size_t label_count, struct mounts *mounts,
                   struct reason *why)
{
    return create(snapshots, SNAPSHOT_VIEW, key, parent, labels, label_count, mounts, why);
}
