/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/check.h"

#include "base/scoped.h"
#include "crash/machine.h"
#include "crash/storage.h"
#include "rpc/control_client.h"
#include "rpc/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 60000 /* for the reaper to come to rest */

/* What the daemon says of each key. */
struct found {
    bool there;
    enum snapshot_kind kind;
    int parent;
    uint32_t labels; /* the number; UINT32_MAX for labels that no number is written as */
    uint64_t id, parent_id;
    bool sealed;
};

struct survey {
    struct found found[MODEL_SLOTS];
    unsigned strangers; /* keys that nobody gave */
};

static const char *kind_name(bool there, enum snapshot_kind kind)
{
    return !there                    ? "absent"
           : kind == SNAPSHOT_VIEW   ? "a view"
           : kind == SNAPSHOT_ACTIVE ? "active"
                                     : "committed";
}

/* ---- asking ---- */

static uint32_t number_of(const struct snapshot_info *info)
{
    struct model_labels labels;
    char text[16];
    uint32_t number;

    if (info->label_count == 0)
        return 0;
    snprintf(text, sizeof(text), "%.*s", (int)info->labels[0].value.length,
             (const char *)info->labels[0].value.data);
    number = (uint32_t)strtoul(text, NULL, 10);
    model_label(number, &labels);
    for (size_t i = 0; i < 2; i++)
        if (info->label_count != 2 || !bytes_equal(info->labels[i].key, labels.list[i].key) ||
            !bytes_equal(info->labels[i].value, labels.list[i].value))
            return UINT32_MAX;
    return number;
}

static int visit_listed(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct survey *survey = context;
    int slot = model_slot(info->key);

    (void)why;
    if (slot < 0 || survey->found[slot].there) {
        survey->strangers++;
        return 0;
    }
    survey->found[slot] = (struct found){
        .there = true,
        .kind = info->kind,
        .parent = info->parent.length ? model_slot(info->parent) : -1,
        .labels = number_of(info),
    };
    /* a parent that is no key of ours, or not there, is nobody's */
    if (info->parent.length && survey->found[slot].parent < 0)
        survey->strangers++;
    return 0;
}

static int visit_numbered(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct survey *survey = context;
    int slot = model_slot(info->key);

    (void)why;
    if (slot >= 0) {
        survey->found[slot].id = info->id;
        survey->found[slot].parent_id = info->parent_id;
        survey->found[slot].sealed = info->sealed;
    }
    return 0;
}

static uint64_t volume_of(const struct found *found)
{
    return found->kind == SNAPSHOT_VIEW && found->parent_id ? found->parent_id : found->id;
}

/* ---- records ---- */

static bool matches(const struct shape *shape, const struct found *found)
{
    if (!shape->there || !found->there)
        return shape->there == found->there;
    return shape->kind == found->kind && shape->parent == found->parent &&
           shape->labels == found->labels && (shape->id == 0 || shape->id == volume_of(found));
}

static void tell_lost(const struct slot *place, int slot, const struct found *found)
{
    printf("LOST: snapshot-%d is %s (parent %d, labels %u, volume %" PRIu64 "), answered was %s "
           "(parent %d, labels %u, volume %" PRIu64 ")",
           slot, kind_name(found->there, found->kind), found->parent, found->labels,
           volume_of(found), kind_name(place->now.there, place->now.kind), place->now.parent,
           place->now.labels, place->now.id);
    if (place->open)
        printf(", not answered %s (parent %d, labels %u)",
               kind_name(place->maybe.there, place->maybe.kind), place->maybe.parent,
               place->maybe.labels);
    putchar('\n');
}

/* Goes on with what there is, so that one loss is told once. */
static void adopt(struct slot *place, const struct found *found)
{
    place->now.there = found->there;
    place->now.kind = found->kind;
    place->now.parent = found->there ? found->parent : -1;
    place->now.labels = found->labels;
    place->now.id = volume_of(found);
    place->now.torn = true;
}

static void check_record(struct model *model, int slot, const struct survey *survey,
                         struct check_counts *counts)
{
    struct slot *place = &model->slots[slot];
    const struct found *found = &survey->found[slot];
    bool happened = place->open && matches(&place->maybe, found);
    int partner = place->partner;

    if (!happened && !matches(&place->now, found)) {
        tell_lost(place, slot, found);
        counts->lost++;
        adopt(place, found);
        place->open = false;
        place->partner = -1;
        return;
    }
    /* a commit takes the key and gives the name, or neither */
    if (partner >= 0 && model->slots[partner].open &&
        !matches(happened ? &model->slots[partner].maybe : &model->slots[partner].now,
                 &survey->found[partner])) {
        printf("LOST: half of the commit of snapshot-%d and snapshot-%d happened\n", slot, partner);
        counts->lost++;
    }
    model_close(model, slot, happened);
    place->now.id = volume_of(found);
}

/* ---- content ---- */

/* What is wrong with the tree of a snapshot; NULL for nothing. */
static const char *look_into(const struct shape *now, int slot, const struct daemon *daemon,
                             const struct mounts *mounts)
{
    const struct storage *storage = daemon->setup->storage;
    const char *wrong = NULL;
    char path[512];
    uint64_t sum;

    if (!storage->enter(daemon, slot, now->id, mounts, path) || !tree_found(path, &sum))
        wrong = "has no volume that could be read";
    else if (!now->torn && sum != tree_wanted(&now->tree))
        wrong = "holds something else than was put there";
    storage->leave(daemon, slot);
    return wrong;
}

/* The same of one that is reached by mounts of the daemon's; false when the daemon is gone. */
static bool ask_and_look(const struct shape *now, int slot, const struct daemon *daemon,
                         struct client *client, const char **wrong)
{
    const struct storage *storage = daemon->setup->storage;
    struct client_mounts mounts = {0};
    struct reason why;
    int result = storage->ask(client, slot, now->kind, &mounts, &why);

    if (result == CONDITION_UNAVAILABLE)
        return false;
    if (result == 0) {
        *wrong = look_into(now, STORAGE_SLOT_LOOK, daemon, &mounts.list);
    } else {
        printf("snapshot-%d cannot be mounted: %s\n", slot, why.text);
        *wrong = "has no mounts";
    }
    client_mounts_clear(&mounts);
    if (now->kind == SNAPSHOT_COMMITTED)
        storage->give_back(client);
    return true;
}

/* False when the daemon is gone. */
static bool check_content(struct model *model, const struct daemon *daemon, struct client *client,
                          int slot, const struct found *found, struct check_counts *counts)
{
    const struct storage *storage = daemon->setup->storage;
    struct shape *now = &model->slots[slot].now;
    const char *wrong = NULL;

    if (!now->there)
        return true;
    if (found->sealed && storage->is_sealed && !storage->is_sealed(daemon, now->id))
        wrong = "is sealed, but its volume can be written";
    else if (!storage->ask)
        wrong = look_into(now, STORAGE_SLOT_LOOK, daemon, NULL);
    else if (!ask_and_look(now, slot, daemon, client, &wrong))
        return false;
    if (!wrong)
        return true;
    printf("LOST: snapshot-%d, %s, %s (volume %" PRIu64 ", %u parts)\n", slot,
           kind_name(true, now->kind), wrong, now->id, now->tree.count);
    counts->lost++;
    now->torn = true;
    return true;
}

/* ---- the pool and the system ---- */

static bool reaper_rests(struct client *client, bool *gone)
{
    scoped_message Cowsnap__Control__V1__StatusResponse *status = NULL;
    struct reason why;

    *gone = control_client_status(client, &status, &why) != 0;
    return !*gone && status->awaiting_removal == 0;
}

static bool wait_for_reaper(struct client *client, int64_t patience, bool *gone)
{
    int64_t until = machine_now_ms() + patience;

    while (!reaper_rests(client, gone)) {
        if (*gone || machine_now_ms() > until)
            return false;
        machine_pause();
    }
    return true;
}

static bool is_volume_of(const struct survey *survey, uint64_t id)
{
    for (int i = 0; i < MODEL_SLOTS; i++)
        if (survey->found[i].there && survey->found[i].id == id &&
            volume_of(&survey->found[i]) == id)
            return true;
    return false;
}

static void check_pool(const struct daemon *daemon, const struct survey *survey,
                       struct check_counts *counts)
{
    size_t count;
    scoped_free uint64_t *ids = daemon->setup->storage->volumes(daemon, &count);

    for (size_t i = 0; i < count; i++) {
        if (is_volume_of(survey, ids[i]))
            continue;
        printf("ORPHAN: no snapshot has the volume %" PRIu64 "\n", ids[i]);
        counts->orphans++;
    }
    counts->orphans += daemon->setup->storage->strays(daemon, ids, count);
}

void check_cleaned(struct model *model, const struct daemon *daemon, struct check_counts *counts)
{
    size_t count;
    scoped_free uint64_t *ids = daemon->setup->storage->volumes(daemon, &count);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < model->cleaned; k++)
            if (ids[i] == model->gone[k]) {
                printf("LOST: a Cleanup was answered, but volume %" PRIu64 ", removed before it, "
                       "is there\n",
                       ids[i]);
                counts->lost++;
            }
}

bool check_daemon(struct model *model, struct daemon *daemon, struct client *client,
                  struct check_counts *counts)
{
    scoped_free struct survey *survey = calloc(1, sizeof(*survey));
    struct reason why;
    int64_t patience = (int64_t)PATIENCE_MS * daemon->setup->slow;
    bool gone = false, rests;

    if (daemon->setup->storage->ask) /* what a check that the daemon did not survive has left */
        daemon->setup->storage->give_back(client);
    if (!survey || snapshots_client_list(client, NULL, 0, visit_listed, survey, &why) != 0 ||
        control_client_snapshots(client, visit_numbered, survey, &why) != 0)
        return false;
    rests = wait_for_reaper(client, patience, &gone);
    if (gone)
        return false;
    if (!rests) {
        printf("ORPHAN: the reaper does not come to its end within %" PRId64 " ms\n", patience);
        counts->orphans++;
    }
    if (survey->strangers) {
        printf("LOST: %u keys or parents that no call has given\n", survey->strangers);
        counts->lost += survey->strangers;
    }
    for (int i = 0; i < MODEL_SLOTS; i++)
        check_record(model, i, survey, counts);
    for (int i = 0; i < MODEL_SLOTS; i++)
        if (!check_content(model, daemon, client, i, &survey->found[i], counts))
            return false;
    check_pool(daemon, survey, counts);
    return true;
}
