/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Commit changes metadata only: containerd calls it inside its own global write transaction, and
 * every millisecond here stalls the node. A snapshot that our own Apply filled is durable and
 * counted already; another one (a container's) is synced and counted first, before the transaction,
 * since what was answered must survive a loss of power.
 */

#include "base/step.h"
#include "snapshot/info.h"
#include "snapshot/labels.h"
#include "snapshot/manifests.h"
#include "snapshot/service.h"

#include <errno.h>

struct commit {
    struct bytes name, key, parent;
    struct arena arena;
    const struct label *labels;
    size_t label_count;
    uint64_t id; /* that was pinned and made durable */
    uint64_t parent_id;
    bool durable;   /* nothing was written since a layer that is on the disk */
    bool overtaken; /* by a call of Mounts: it is not so any more */
    struct volume_usage usage;
};

/* The snapshot that shall be committed, all rules checked. */
static int check_rules(struct store_txn *txn, const struct commit *commit, struct record *record,
                       struct reason *why)
{
    struct record other;
    int result = store_get(txn, commit->name, &other, why);

    if (!result)
        return refuse(why, CONDITION_EXISTS, "committed snapshot %s", quoted(commit->name));
    if (result != CONDITION_NOT_FOUND)
        return result;
    result = store_get(txn, commit->key, record, why);
    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "active snapshot %s does not exist",
                      quoted(commit->key));
    if (result)
        return result;
    if (record->kind != SNAPSHOT_ACTIVE)
        return refuse(why, CONDITION_PRECONDITION, "snapshot %s is not active",
                      quoted(commit->key));
    if (commit->parent.length == 0)
        return 0;
    if (record->parent) {
        result = store_get_id(txn, record->parent, &other, why);
        if (result < 0 || (!result && bytes_equal(other.key, commit->parent)))
            return result;
    }
    return refuse(why, CONDITION_INVALID, "the parent of snapshot %s cannot be changed to %s",
                  quoted(commit->key), quoted(commit->parent));
}

static int look(struct store_txn *txn, void *context, struct reason *why)
{
    struct commit *commit = context;
    struct record record;
    int result = check_rules(txn, commit, &record, why);

    if (result)
        return result;
    commit->id = record.id;
    commit->parent_id = record.parent;
    commit->durable = record.synced && record.usage_known;
    commit->usage = (struct volume_usage){record.usage_bytes, record.usage_inodes, true};
    return 0;
}

/* Mounts asks nobody before it notes that the snapshot may be written: what was looked up may hold
 * no more. */
static int change(struct store_txn *txn, void *context, struct reason *why)
{
    struct commit *commit = context;
    struct record record;
    int result = check_rules(txn, commit, &record, why);

    if (result)
        return result;
    if (record.id != commit->id) /* removed, and another prepared under its key */
        return refuse(why, CONDITION_NOT_FOUND, "snapshot %s was removed meanwhile",
                      quoted(commit->key));
    commit->overtaken = commit->durable && !(record.synced && record.usage_known);
    if (commit->overtaken)
        return 0;
    record.key = commit->name;
    record.kind = SNAPSHOT_COMMITTED;
    record.labels = commit->labels;
    record.label_count = commit->label_count;
    record.created = record.updated = info_now();
    record.usage_bytes = commit->usage.bytes;
    record.usage_inodes = commit->usage.inodes;
    record.usage_known = commit->usage.exact;
    record.synced = true;
    return store_put(txn, &record, why);
}

static int make_durable(struct snapshots *snapshots, struct commit *commit, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    int result = options->ops->sync(options->backend, commit->id, why);

    if (!result)
        result = options->ops->usage(options->backend, commit->id, commit->parent_id, false,
                                     &commit->usage, why);
    if (result == CONDITION_NOT_FOUND)
        return refuse(why, CONDITION_NOT_FOUND, "active snapshot %s has no volume any more",
                      quoted(commit->key));
    return amend(why, result, "commit snapshot %s", quoted(commit->key));
}

static int carry_out(struct snapshots *snapshots, struct commit *commit, struct reason *why)
{
    for (;;) {
        int result = 0;

        if (!commit->durable) {
            manifests_forget(snapshots, commit->id); /* others may have written into it, too */
            result = make_durable(snapshots, commit, why);
        }
        STEP("commit.durable");
        if (!result)
            result = store_write(snapshots->options.store, change, commit, why);
        if (result || !commit->overtaken)
            return result;
        commit->durable = false;
    }
}

/* Pins the snapshot of the key; a second commit of it waits here, and then finds it gone. */
static int pin_for_commit(struct snapshots *snapshots, struct commit *commit, struct pin *pin,
                          struct reason *why)
{
    for (;;) {
        enum pin_mode blocker = PIN_COMMIT;
        int result = store_read(snapshots->options.store, look, commit, why);

        if (result || pins_try(&snapshots->pins, pin, commit->id, PIN_COMMIT, NULL, &blocker))
            return result;
        if (blocker == PIN_WRITE)
            return refuse(why, CONDITION_PRECONDITION,
                          "a layer is still being written into snapshot %s", quoted(commit->key));
        pins_take(&snapshots->pins, pin, commit->id, PIN_COMMIT, NULL);
        pins_drop(&snapshots->pins, pin);
    }
}

int snapshots_commit(struct snapshots *snapshots, struct bytes name, struct bytes key,
                     struct bytes parent, const struct label *labels, size_t label_count,
                     struct reason *why)
{
    struct commit commit = {.name = name, .key = key, .parent = parent};
    struct pin pin = {0};
    int result = 0;

    if (name.length == 0 || name.length > STORE_KEY_LIMIT)
        return refuse(why, CONDITION_INVALID, "the name %s has %zu bytes; 1 to %u are allowed",
                      quoted(name), name.length, STORE_KEY_LIMIT);
    result =
        labels_clean(&commit.arena, labels, label_count, &commit.labels, &commit.label_count, why);
    if (!result)
        result = pin_for_commit(snapshots, &commit, &pin, why);
    if (!result)
        result = carry_out(snapshots, &commit, why);
    STEP("commit.recorded");
    pins_drop(&snapshots->pins, &pin);
    arena_clear(&commit.arena);
    if (!result)
        keeper_nudge(snapshots);
    return result;
}
