/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Why there are no false findings while the daemon serves.
 *
 * A volume has an intent before it is made, then a record, then an intent to remove it until it is
 * gone; and a number is not given twice. So, with the pool listed before the store is looked at:
 *
 * - A volume of that list which the store does not know was known before, and is gone by now,
 * unless it is unknown indeed: it is one if a second list, made after the look, has it as well.
 * - A snapshot whose volume is not on the list was made since, unless the volume is missing indeed:
 *   it is if the backend does not find it, and the record is there after that, since a record goes
 *   before its volume does.
 *
 * All else is told from one view of the store: a record, its parent and its children are looked at
 * in one transaction, and so are the indexes. Records are read in batches, since a transaction that
 * is open for long makes the store grow.
 */

#include "snapshot/check.h"

#include "base/arena.h"
#include "base/id_set.h"
#include "base/log.h"
#include "snapshot/check_repair.h"
#include "snapshot/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK_BATCH 128 /* records or volumes looked at in one transaction */

struct check {
    struct snapshots *snapshots;
    bool repair;
    struct id_set present; /* volumes, before the store was looked at; sorted */
    struct id_set strays;  /* of these, what the store did not know */
    uint64_t next;         /* record to go on from; 0 at the end */
    size_t at;             /* volume of PRESENT to go on from */
    uint64_t with_volume;  /* snapshots that should have a volume of their own */
    uint64_t without;      /* of these, those that have none */
    struct check_finding *findings;
    size_t count, room;
    struct arena arena; /* keys and sentences of the findings */
};

/* FINDING's key is copied; its problem is what FORMAT says. */
static int add(struct check *check, struct check_finding finding, struct reason *why,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

static int add(struct check *check, struct check_finding finding, struct reason *why,
               const char *format, ...)
{
    char problem[384];
    struct bytes copy;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    if (check->count == check->room) {
        size_t room = check->room ? check->room * 2 : 64;
        struct check_finding *grown = reallocarray(check->findings, room, sizeof(*grown));

        if (!grown)
            return failure(why, ENOMEM, "list what is wrong");
        check->findings = grown;
        check->room = room;
    }
    if (!arena_copy(&check->arena, finding.key, &finding.key) ||
        !arena_copy(&check->arena, bytes_from(problem, strlen(problem) + 1), &copy))
        return failure(why, ENOMEM, "list what is wrong");
    finding.problem = (const char *)copy.data;
    check->findings[check->count++] = finding;
    return 0;
}

/* ---- the pool ---- */

static int note_volume(void *context, uint64_t id, struct reason *why)
{
    return id_set_add(context, id) ? 0 : failure(why, ENOMEM, "list the volumes");
}

static int list_pool(struct check *check, struct id_set *set, struct reason *why)
{
    const struct snapshots_options *options = &check->snapshots->options;
    int result = options->ops->each(options->backend, note_volume, set, why);

    id_set_sort(set);
    return result;
}

/* ---- records ---- */

static int look_at_parent(struct store_txn *txn, struct check *check, const struct record *record,
                          struct reason *why)
{
    struct check_finding finding = {.id = record->id, .key = record->key};
    struct record parent;
    int result = store_get_id(txn, record->parent, &parent, why);

    if (result == CONDITION_NOT_FOUND) {
        finding.kind = CHECK_PARENT_MISSING;
        return add(check, finding, why, "its parent, record %llu, is missing",
                   (unsigned long long)record->parent);
    }
    if (!result && parent.kind != SNAPSHOT_COMMITTED) {
        finding.kind = CHECK_PARENT_NOT_COMMITTED;
        return add(check, finding, why, "its parent %s (#%llu) is not committed",
                   quoted(parent.key), (unsigned long long)parent.id);
    }
    return result == -EBADMSG ? 0 : result; /* a parent that cannot be read is told by itself */
}

static int look_at_record(struct store_txn *txn, struct check *check, const struct record *record,
                          struct reason *why)
{
    uint64_t volume = record_volume(record);
    struct check_finding finding = {
        .kind = CHECK_VOLUME_MISSING, .id = record->id, .volume = volume, .key = record->key};
    int result = record->parent ? look_at_parent(txn, check, record, why) : 0;

    check->with_volume += volume == record->id;
    if (result || id_set_has(&check->present, volume))
        return result;
    return add(check, finding, why,
               volume == record->id ? "its volume %llu is missing"
                                    : "the volume %llu of its parent is missing",
               (unsigned long long)volume);
}

static int look_at_records(struct store_txn *txn, void *context, struct reason *why)
{
    struct check *check = context;

    for (size_t seen = 0; seen < CHECK_BATCH; seen++) {
        struct record record;
        int result = store_next(txn, check->next, &record, why);

        if (result == CONDITION_NOT_FOUND) {
            check->next = 0;
            return 0;
        }
        check->next = record.id + 1;
        if (result == -EBADMSG && record.id)
            result =
                add(check, (struct check_finding){.kind = CHECK_RECORD_UNREADABLE, .id = record.id},
                    why, "it is damaged and cannot be read");
        else if (!result)
            result = look_at_record(txn, check, &record, why);
        if (result)
            return result;
    }
    return 0;
}

struct presence {
    uint64_t id, volume;
    bool there;
};

static int find_record(struct store_txn *txn, void *context, struct reason *why)
{
    struct presence *presence = context;
    struct record record;
    int result = store_get_id(txn, presence->id, &record, why);

    presence->there = !result && record_volume(&record) == presence->volume;
    return result == CONDITION_NOT_FOUND || result == -EBADMSG ? 0 : result;
}

/* Whether a volume that was not on the list is missing indeed. */
static int is_missing(struct snapshots *snapshots, const struct check_finding *finding,
                      bool *missing, struct reason *why)
{
    const struct snapshots_options *options = &snapshots->options;
    struct presence presence = {.id = finding->id, .volume = finding->volume};
    struct volume volume;
    struct pin pin;
    int result;

    pins_take(&snapshots->pins, &pin, finding->volume, PIN_READ, NULL);
    result = options->ops->locate(options->backend, finding->volume, &volume, why);
    pins_drop(&snapshots->pins, &pin);
    *missing = false;
    if (result != CONDITION_NOT_FOUND)
        return result;
    result = store_read(options->store, find_record, &presence, why);
    *missing = presence.there;
    return result;
}

/* Strikes off those whose volume was made, or whose record went, since the pool was listed. */
static int confirm_missing(struct check *check, struct reason *why)
{
    size_t kept = 0;

    for (size_t i = 0; i < check->count; i++) {
        struct check_finding *finding = &check->findings[i];
        bool keep = true;
        int result = finding->kind == CHECK_VOLUME_MISSING
                         ? is_missing(check->snapshots, finding, &keep, why)
                         : 0;

        if (result)
            return result;
        if (!keep)
            continue;
        check->without += finding->kind == CHECK_VOLUME_MISSING && finding->volume == finding->id;
        check->findings[kept++] = *finding;
    }
    check->count = kept;
    return 0;
}

static int check_records(struct check *check, struct reason *why)
{
    int result = 0;

    check->next = 1;
    while (!result && check->next)
        result = store_read(check->snapshots->options.store, look_at_records, check, why);
    return result ? result : confirm_missing(check, why);
}

/* ---- volumes ---- */

static int look_at_volumes(struct store_txn *txn, void *context, struct reason *why)
{
    struct check *check = context;

    for (size_t seen = 0; seen < CHECK_BATCH && check->at < check->present.count; seen++) {
        uint64_t id = check->present.ids[check->at++];
        bool known;
        int result = volume_is_known(txn, id, &known, why);

        if (result)
            return result;
        if (!known && !id_set_add(&check->strays, id))
            return failure(why, ENOMEM, "list the volumes");
    }
    return 0;
}

static int add_strays(struct check *check, const struct id_set *now, struct reason *why)
{
    int result = 0;

    for (size_t i = 0; !result && i < check->strays.count; i++) {
        uint64_t id = check->strays.ids[i];

        if (id_set_has(now, id))
            result = add(
                check, (struct check_finding){.kind = CHECK_VOLUME_UNKNOWN, .id = id, .volume = id},
                why, "no snapshot has it, and nothing is at work on it");
    }
    return result;
}

static int check_volumes(struct check *check, struct reason *why)
{
    struct id_set now = {0};
    int result = 0;

    while (!result && check->at < check->present.count)
        result = store_read(check->snapshots->options.store, look_at_volumes, check, why);
    if (!result && check->strays.count)
        result = list_pool(check, &now, why);
    if (!result)
        result = add_strays(check, &now, why);
    id_set_clear(&now);
    return result;
}

/* ---- indexes ---- */

struct index_look {
    struct check *check;
    bool mend;
    size_t before; /* findings there were */
};

static int note_flaw(void *context, const struct store_flaw *flaw, struct reason *why)
{
    const struct index_look *look = context;
    struct check_finding finding = {
        .kind = flaw->stale ? CHECK_INDEX_STALE : CHECK_INDEX_LACKS,
        .outcome = flaw->mended ? CHECK_REPAIRED
                   : look->mend ? CHECK_BY_HAND
                                : CHECK_REPAIRABLE,
        .id = flaw->id,
        .key = flaw->key,
    };

    return add(look->check, finding, why,
               flaw->stale ? "the store's index of %s leads to it, and it is gone or another"
                           : "the store's index of %s does not lead to it",
               flaw->index);
}

static int look_at_indexes(struct store_txn *txn, void *context, struct reason *why)
{
    struct index_look *look = context;

    look->check->count = look->before; /* this function may run again */
    return store_check_indexes(txn, look->mend, note_flaw, look, why);
}

/* A transaction that writes is only made when there is something to write. */
static int check_indexes(struct check *check, struct reason *why)
{
    struct store *store = check->snapshots->options.store;
    struct index_look look = {.check = check, .before = check->count};
    int result = store_read(store, look_at_indexes, &look, why);

    if (result || !check->repair || check->count == look.before)
        return result;
    look.mend = true;
    return store_write(store, look_at_indexes, &look, why);
}

/* ---- what becomes of it ---- */

/* In the order of ids, and what removes a record behind what else is said of it, since the way is
 * gone backwards: children before their parents. */
static int by_id(const void *a, const void *b)
{
    const struct check_finding *left = a, *right = b;

    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return (left->kind < right->kind) - (left->kind > right->kind);
}

/* Whether the record ID goes, or has gone, with one of the findings weighed so far. */
static bool goes(const struct check *check, uint64_t id)
{
    size_t low = 0, high = check->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (check->findings[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < check->count && check->findings[low].id == id; low++) {
        const struct check_finding *finding = &check->findings[low];

        if ((finding->kind == CHECK_VOLUME_MISSING || finding->kind == CHECK_RECORD_UNREADABLE) &&
            (finding->outcome == CHECK_REPAIRABLE || finding->outcome == CHECK_REPAIRED))
            return true;
    }
    return false;
}

struct weighing {
    const struct check *check;
    struct check_finding *finding;
};

/* Sets the outcome that a repair would have: children that go themselves are in nobody's way. */
static int look_at_children(struct store_txn *txn, void *context, struct reason *why)
{
    struct weighing *weighing = context;
    struct record child = {0};

    weighing->finding->outcome = CHECK_REPAIRABLE;
    for (;;) {
        uint64_t from = child.id + 1;
        int result = store_next_child(txn, weighing->finding->id, from, &child, why);

        if (result == CONDITION_NOT_FOUND)
            return 0;
        if (result && (result != -EBADMSG || child.id < from)) /* the store itself, not a record */
            return result;
        if (!goes(weighing->check, child.id)) {
            weighing->finding->outcome = CHECK_HAS_CHILDREN;
            return 0;
        }
    }
}

static int weigh(struct check *check, struct check_finding *finding, struct reason *why)
{
    struct weighing weighing = {check, finding};

    switch (finding->kind) {
    case CHECK_VOLUME_UNKNOWN:
        finding->outcome = CHECK_REPAIRABLE;
        return 0;
    case CHECK_VOLUME_MISSING:
    case CHECK_RECORD_UNREADABLE:
        return store_read(check->snapshots->options.store, look_at_children, &weighing, why);
    default:
        finding->outcome = CHECK_BY_HAND;
        return 0;
    }
}

/* Several snapshots, and the pool has the volume of none. Then a volume is not what its number
 * says, and nothing is ended by its number. */
static bool is_wrong_pool(const struct check *check)
{
    return check->without > 1 && check->without == check->with_volume;
}

static int settle(struct check *check, struct check_finding *finding, struct reason *why)
{
    int result;

    if (is_wrong_pool(check) && finding->kind <= CHECK_VOLUME_UNKNOWN) {
        finding->outcome = CHECK_WRONG_POOL;
        return 0;
    }
    if (!check->repair)
        return weigh(check, finding, why);
    result = check_repair(check->snapshots, finding, why);
    if (result == CONDITION_NOT_FOUND) { /* somebody else has seen to it since */
        finding->outcome = 0;
        return 0;
    }
    if (!result && finding->outcome == CHECK_REPAIRED)
        log_info("check: %s %llu: %s; repaired",
                 finding->kind == CHECK_VOLUME_UNKNOWN ? "volume" : "record",
                 (unsigned long long)finding->id, finding->problem);
    return result;
}

static int settle_all(struct check *check, struct reason *why)
{
    int result = 0;

    if (check->count > 1)
        qsort(check->findings, check->count, sizeof(*check->findings), by_id);
    for (size_t i = check->count; !result && i > 0; i--) {
        struct check_finding *finding = &check->findings[i - 1];

        if (finding->outcome == 0)
            result = settle(check, finding, why);
        if (finding->outcome == CHECK_BY_HAND && goes(check, finding->id))
            finding->outcome = check->repair ? CHECK_REPAIRED : CHECK_REPAIRABLE;
    }
    return result;
}

/* What `status` shows as damaged. */
static void count_damage(const struct check *check)
{
    uint64_t damaged = 0;

    for (size_t i = 0; i < check->count; i++)
        damaged += (check->findings[i].kind == CHECK_VOLUME_MISSING ||
                    check->findings[i].kind == CHECK_RECORD_UNREADABLE) &&
                   check->findings[i].outcome != 0 && check->findings[i].outcome != CHECK_REPAIRED;
    atomic_store(&check->snapshots->damaged, damaged);
}

static int tell(const struct check *check, check_visit *visit, void *context, struct reason *why)
{
    int result = 0;

    for (size_t i = check->count; !result && i > 0; i--)
        if (check->findings[i - 1].outcome)
            result = visit(context, &check->findings[i - 1], why);
    return result;
}

int snapshots_check(struct snapshots *snapshots, bool repair, check_visit *visit, void *context,
                    struct reason *why)
{
    struct check check = {.snapshots = snapshots, .repair = repair};
    int result = list_pool(&check, &check.present, why);

    if (!result)
        result = check_records(&check, why);
    if (!result)
        result = check_volumes(&check, why);
    if (!result)
        result = check_indexes(&check, why);
    if (!result)
        result = settle_all(&check, why);
    amend(why, result, "check the snapshots");
    if (!result) {
        count_damage(&check);
        result = tell(&check, visit, context, why);
    }
    id_set_clear(&check.present);
    id_set_clear(&check.strays);
    free(check.findings);
    arena_clear(&check.arena);
    return result;
}
