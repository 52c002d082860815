/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/check_content.h"

#include "base/scoped.h"
#include "layer/manifest_check.h"
#include "snapshot/manifests.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHECK_PROBLEM 768 /* bytes of a sentence */

struct content_check {
    struct snapshots *snapshots;
    check_visit *visit;
    void *context;
    /* the snapshot that is looked at */
    uint64_t id;
    struct bytes key; /* in BUFFER */
    uint8_t buffer[STORE_KEY_LIMIT];
    uint64_t differences;
    bool by_key; /* it was asked for by name */
};

/* Sets the snapshot that RECORD is of; the record ends with its transaction. */
static void take(struct content_check *check, const struct record *record)
{
    check->id = record->id;
    check->key = bytes_from(check->buffer, record->key.length);
    memcpy(check->buffer, record->key.data, record->key.length);
}

/* Moves on to the committed snapshot at or after check->id. */
static int take_next(struct store_txn *txn, void *context, struct reason *why)
{
    struct content_check *check = context;

    for (;;) {
        struct record record = {0};
        int result = store_next(txn, check->id, &record, why);

        if (result && (result != -EBADMSG || record.id == 0))
            return result;
        if (!result && record.kind == SNAPSHOT_COMMITTED) {
            take(check, &record);
            return 0;
        }
        check->id = record.id + 1; /* of one that cannot be read, the check of records tells */
    }
}

static int take_key(struct store_txn *txn, void *context, struct reason *why)
{
    struct content_check *check = context;
    struct record record;
    int result = store_get(txn, check->key, &record, why);

    if (result == CONDITION_NOT_FOUND || (!result && record.kind != SNAPSHOT_COMMITTED))
        return refuse(why, CONDITION_NOT_FOUND, "there is no committed snapshot %s",
                      quoted(check->key));
    if (!result)
        take(check, &record);
    return result;
}

static int is_there(struct store_txn *txn, void *context, struct reason *why)
{
    const struct content_check *check = context;
    struct record record;

    return store_get_id(txn, check->id, &record, why);
}

static int tell(struct content_check *check, const char *problem, struct reason *why)
{
    const struct check_finding finding = {.kind = CHECK_CONTENT,
                                          .outcome = CHECK_BY_HAND,
                                          .id = check->id,
                                          .key = check->key,
                                          .problem = problem};

    return check->visit(check->context, &finding, why);
}

static int add_difference(void *context, struct bytes name, const char *what, struct reason *why)
{
    struct content_check *check = context;
    char problem[CHECK_PROBLEM];

    if (++check->differences > CHECK_CONTENT_MOST)
        return 0;
    snprintf(problem, sizeof(problem), "%s: %s", quoted(name), what);
    return tell(check, problem, why);
}

/* Of the volume, which is pinned. MANIFEST may be -1: then whether it is there at all. */
static int compare_pinned(struct content_check *check, int manifest, const atomic_bool *cancel,
                          const atomic_bool *gone, bool *complete, struct reason *why)
{
    const struct snapshots_options *options = &check->snapshots->options;
    char problem[CHECK_PROBLEM];
    scoped_fd int tree = -1;
    int result = store_read(options->store, is_there, check, why);

    if (!result)
        result = (options->ops->open_read ? options->ops->open_read : options->ops->open_root)(
            options->backend, check->id, &tree, why);
    check->differences = 0;
    if (!result && manifest >= 0)
        result = manifest_check(manifest, tree, cancel, gone, complete, add_difference, check, why);
    if (result || check->differences <= CHECK_CONTENT_MOST)
        return result;
    snprintf(problem, sizeof(problem), "%" PRIu64 " differences, of which %d are named",
             check->differences, CHECK_CONTENT_MOST);
    return tell(check, problem, why);
}

/* A snapshot that is removed meanwhile is passed over. So is one that lost its volume, which the
 * check of records and volumes tells, unless it was asked for by its key, where there is no such
 * check. */
static int compare(struct content_check *check, const atomic_bool *cancel,
                   struct check_tally *tally, struct reason *why)
{
    scoped_fd int manifest = manifests_open(check->snapshots, check->id);
    atomic_bool gone = false; /* nobody who removes it waits until all of it is read */
    bool complete = false;
    struct pin pin = {0};
    int result = 0;

    if (manifest >= 0 || check->by_key) {
        pins_take(&check->snapshots->pins, &pin, check->id, PIN_READ, &gone);
        result = compare_pinned(check, manifest, cancel, &gone, &complete, why);
        pins_drop(&check->snapshots->pins, &pin);
        rest_if_idle(check->snapshots, check->id);
    }
    if (result == CONDITION_NOT_FOUND && check->by_key &&
        store_read(check->snapshots->options.store, is_there, check, NULL) == 0)
        return tell(check, "its volume is missing: 'cowsnap check' says how to mend it", why);
    if (result == CONDITION_NOT_FOUND)
        return 0;
    if (!result && complete)
        tally->compared++;
    else if (!result)
        tally->unrecorded++;
    return amend(why, result, "compare the files of snapshot %s", quoted(check->key));
}

static int compare_all(struct content_check *check, const atomic_bool *cancel,
                       struct check_tally *tally, struct reason *why)
{
    struct store *store = check->snapshots->options.store;
    int result;

    for (check->id = 1; (result = store_read(store, take_next, check, why)) == 0; check->id++) {
        result = compare(check, cancel, tally, why);
        if (result)
            return result;
    }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

int snapshots_check_content(struct snapshots *snapshots, const struct bytes *keys, size_t key_count,
                            const atomic_bool *cancel, check_visit *visit, void *context,
                            struct check_tally *tally, struct reason *why)
{
    struct content_check check = {.snapshots = snapshots, .visit = visit, .context = context};
    int result = 0;

    *tally = (struct check_tally){0};
    if (key_count == 0)
        return compare_all(&check, cancel, tally, why);
    check.by_key = true;
    for (size_t i = 0; !result && i < key_count; i++) {
        check.key = keys[i];
        result = store_read(snapshots->options.store, take_key, &check, why);
        if (!result)
            result = compare(&check, cancel, tally, why);
    }
    return result;
}
