/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/load.h"

#include "crash/chance.h"
#include "crash/choice.h"
#include "crash/machine.h"
#include "crash/mounted.h"
#include "crash/storage.h"
#include "rpc/snapshots_client.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 100
#define WAIT_MS 300 /* for clients to see that the daemon is gone */

/* One client. */
struct caller {
    struct load *load;
    struct model *model;
    struct client *client;
    uint64_t chance;
    bool over; /* the daemon is gone */
    bool idle; /* there was nothing to call about */
};

struct start {
    struct load *load;
    uint64_t seed;
};

static bool is_quiet(const struct load *load)
{
    return load->quiet_from && machine_now_ms() >= load->quiet_from;
}

/* Takes the model's lock when a call may begin; false when none will any more. */
static bool enter(struct caller *caller)
{
    struct model *model = caller->model;

    pthread_mutex_lock(&model->lock);
    while (model->closed && !atomic_load(&caller->load->over))
        pthread_cond_wait(&model->opened, &model->lock);
    if (!model->closed)
        return true;
    pthread_mutex_unlock(&model->lock);
    return false;
}

/* ---- answers ---- */

/* Whether the call has happened. A daemon that is gone has answered nothing; what else is not
 * EXPECTED (0: nothing is) is told. */
static bool answered(struct caller *caller, const char *what, int slot, int result, int expected,
                     const struct reason *why)
{
    caller->idle = false;
    if (result == CONDITION_UNAVAILABLE) {
        caller->over = true;
        return false;
    }
    atomic_fetch_add(&caller->load->calls, 1);
    if (result && result != expected) {
        atomic_fetch_add(&caller->load->surprises, 1);
        printf("UNEXPECTED: %s of snapshot-%d answers: %s\n", what, slot, why->text);
    }
    return result == 0;
}

/* Notes the answer to the call about a slot that stays ours, unless the daemon is gone: then the
 * check finds out. */
static void note_answer(struct caller *caller, int slot, bool happened)
{
    pthread_mutex_lock(&caller->model->lock);
    if (!caller->over)
        model_close(caller->model, slot, happened);
    pthread_mutex_unlock(&caller->model->lock);
}

/* The same of one that is free from now on. */
static void settle(struct caller *caller, int slot, bool happened)
{
    note_answer(caller, slot, happened);
    pthread_mutex_lock(&caller->model->lock);
    caller->model->slots[slot].busy = false;
    pthread_mutex_unlock(&caller->model->lock);
}

static uint32_t new_number(struct caller *caller)
{
    return ++caller->model->number;
}

/* ---- the calls ---- */

/* The place of a new child, and its shape; -1 when nothing can be made now. */
static int begin_child(struct caller *caller, enum snapshot_kind kind, struct shape *child)
{
    struct model *model = caller->model;
    int parent, slot;

    if (!enter(caller))
        return -1;
    parent = choice_of_parent(caller->model, &caller->chance);
    slot = choice_claim(caller->model, &caller->chance, choice_absent);
    *child = (struct shape){.there = true, .kind = kind, .parent = parent};
    if (slot >= 0) {
        if (chance_below(&caller->chance, 3))
            child->labels = new_number(caller);
        if (parent >= 0) {
            child->tree = model->slots[parent].now.tree;
            if (model->slots[parent].users++ == 0)
                model->slots[parent].leaving = false;
        }
        model->slots[slot].maybe = *child;
        model->slots[slot].open = true;
    }
    pthread_mutex_unlock(&model->lock);
    return slot;
}

/* Gives the parent back; whether it may have been removed meanwhile. */
static bool end_child(struct caller *caller, int slot, int parent, uint64_t id)
{
    struct model *model = caller->model;
    bool leaving = false;

    pthread_mutex_lock(&model->lock);
    model->slots[slot].maybe.id = id;
    if (parent >= 0) {
        leaving = model->slots[parent].leaving;
        model->slots[parent].users--;
    }
    pthread_mutex_unlock(&model->lock);
    return leaving;
}

static void make_child(struct caller *caller, enum snapshot_kind kind)
{
    struct model_labels labels;
    struct client_mounts mounts = {0};
    struct reason why = {0};
    struct shape child;
    char key[16], parent[16] = "", path[512];
    int slot = begin_child(caller, kind, &child), result;
    bool leaving, done;

    if (slot < 0)
        return;
    model_key(slot, key);
    if (child.parent >= 0)
        model_key(child.parent, parent);
    model_label(child.labels, &labels);
    result = (kind == SNAPSHOT_VIEW ? snapshots_client_view : snapshots_client_prepare)(
        caller->client, bytes_of(key), bytes_of(parent), labels.list, labels.count, &mounts, &why);
    leaving = end_child(caller, slot, child.parent, mounted_volume(&mounts.list));
    done = answered(caller, kind == SNAPSHOT_VIEW ? "View" : "Prepare", slot, result,
                    leaving ? CONDITION_NOT_FOUND : 0, &why);
    if (done && kind == SNAPSHOT_VIEW && chance_below(&caller->chance, 2))
        mounted_enter(caller->load, slot, &mounts.list,
                      path); /* a container that runs until its removal */
    settle(caller, slot, done);
    client_mounts_clear(&mounts);
}

static void prepare(struct caller *caller)
{
    make_child(caller, SNAPSHOT_ACTIVE);
}

static void view(struct caller *caller)
{
    make_child(caller, SNAPSHOT_VIEW);
}

static bool apply_to(struct caller *caller, int slot, uint32_t layer, const struct mounts *mounts)
{
    const struct tree_layer *blob = &caller->load->layers[layer];
    const struct client_apply request = {
        .media_type = bytes_of("application/vnd.oci.image.layer.v1.tar"),
        .digest = bytes_of(blob->digest),
        .size = blob->size,
        .mounts = mounts,
    };
    struct client_applied applied;
    struct reason why = {0};
    int result = snapshots_client_apply(caller->client, &request, &applied, &why);

    return answered(caller, "Apply", slot, result, 0, &why);
}

/* The content is known, and PART was added to it. */
static void note_part(struct caller *caller, struct slot *place, uint32_t part)
{
    struct tree *tree = &place->now.tree;

    pthread_mutex_lock(&caller->model->lock);
    place->now.torn = false;
    tree->parts[tree->count++] = part;
    pthread_mutex_unlock(&caller->model->lock);
}

/* As containerd does: Mounts, then Apply. Nobody uses a snapshot whose layer was not answered, so
 * its content is open from the beginning of the call to its answer. */
static void apply(struct caller *caller)
{
    struct client_mounts mounts = {0};
    struct reason why = {0};
    uint32_t layer = chance_below(&caller->chance, TREE_LAYERS);
    struct slot *place;
    char key[16];
    int slot, result;

    if (!enter(caller))
        return;
    slot = choice_claim(caller->model, &caller->chance, choice_with_room);
    place = slot < 0 ? NULL : &caller->model->slots[slot];
    if (place)
        place->now.torn = true;
    pthread_mutex_unlock(&caller->model->lock);
    if (!place)
        return;
    model_key(slot, key);
    result = snapshots_client_mounts(caller->client, bytes_of(key), &mounts, &why);
    if (!answered(caller, "Mounts", slot, result, 0, &why))
        place->now.torn = false; /* the layer was not even begun */
    else if (apply_to(caller, slot, layer, &mounts.list))
        note_part(caller, place, layer);
    settle(caller, slot, false);
    client_mounts_clear(&mounts);
}

/* What a container does. Who writes asks for the mounts first, which is how the daemon knows that
 * what it counted holds no more. The daemon's death does not undo what is written, a loss of power
 * may until it is committed. */
static void write_by_hand(struct caller *caller)
{
    struct client_mounts mounts = {0};
    struct reason why = {0};
    struct slot *place = NULL;
    uint32_t number = 0;
    char path[512], key[16];
    int slot, result;

    if (!enter(caller))
        return;
    slot = choice_claim(caller->model, &caller->chance, choice_with_room);
    if (slot >= 0) {
        number = new_number(caller);
        place = &caller->model->slots[slot];
        place->now.loose = true;
    }
    pthread_mutex_unlock(&caller->model->lock);
    if (!place)
        return;
    model_key(slot, key);
    result = snapshots_client_mounts(caller->client, bytes_of(key), &mounts, &why);
    if (answered(caller, "Mounts", slot, result, 0, &why) &&
        mounted_enter(caller->load, slot, &mounts.list, path)) {
        tree_write_file(path, number);
        note_part(caller, place, number);
    }
    if (chance_below(&caller->chance, 2))
        mounted_leave(caller->load, slot);
    settle(caller, slot, false);
    client_mounts_clear(&mounts);
}

/* What was committed stays mounted for a while, one in four until the daemon ends: unmounting would
 * write it to the disk, which is the daemon's to have done. */
static void linger(struct caller *caller)
{
    const struct load *load = caller->load;
    int64_t until = chance_below(&caller->chance, 4) == 0
                        ? INT64_MAX
                        : machine_now_ms() + (int64_t)LINGER_MS * load->daemon->setup->slow;

    while (!caller->over && !atomic_load(&load->over) && machine_now_ms() < until)
        machine_pause();
}

/* Both places of a commit: the key goes, the name comes; -1 when there are none. */
static int begin_commit(struct caller *caller, int *name, uint32_t *labels)
{
    struct slot *slots = caller->model->slots;
    int key;

    if (!enter(caller))
        return -1;
    /* what Commit has to write to the disk is in those that were written by hand */
    key = chance_below(&caller->chance, 2)
              ? choice_claim(caller->model, &caller->chance, choice_loose)
              : -1;
    if (key < 0)
        key = choice_claim(caller->model, &caller->chance, choice_writable);
    *name = key < 0 ? -1 : choice_claim(caller->model, &caller->chance, choice_absent);
    if (*name < 0 && key >= 0) {
        slots[key].busy = false;
        key = -1;
    }
    if (key >= 0) {
        *labels = new_number(caller);
        slots[*name].maybe = slots[key].now;
        slots[*name].maybe.kind = SNAPSHOT_COMMITTED;
        slots[*name].maybe.labels = *labels;
        slots[*name].maybe.loose = false; /* a commit makes it durable */
        slots[key].maybe = (struct shape){.parent = -1};
        slots[key].open = slots[*name].open = true;
        slots[key].partner = *name;
        slots[*name].partner = key;
    }
    pthread_mutex_unlock(&caller->model->lock);
    return key;
}

static void commit(struct caller *caller)
{
    struct model_labels labels;
    struct reason why = {0};
    char key_text[16], name_text[16];
    uint32_t number;
    int name, key = begin_commit(caller, &name, &number), result;
    bool done;

    if (key < 0)
        return;
    model_key(key, key_text);
    model_key(name, name_text);
    model_label(number, &labels);
    if (chance_below(&caller->chance, 2))
        mounted_leave(caller->load, key);
    result = snapshots_client_commit(caller->client, bytes_of(name_text), bytes_of(key_text),
                                     bytes_of(NULL), labels.list, labels.count, &why);
    done = answered(caller, "Commit", key, result, 0, &why);
    note_answer(caller, key, done);
    note_answer(caller, name, done);
    if (caller->model->slots[key].entered && caller->load->daemon->setup->storage->ask)
        linger(caller);
    mounted_leave(caller->load,
                  key); /* before the first view: one device is not mounted in both ways */
    settle(caller, key, done);
    settle(caller, name, done);
}

/* A leaf, mostly; or a parent, which is refused unless its last child is only being made. */
static int begin_removal(struct caller *caller, bool *leaf)
{
    struct model *model = caller->model;
    unsigned which = chance_below(&caller->chance, 8);
    int slot = -1;

    if (!enter(caller))
        return -1;
    if (which < 2 && !is_quiet(caller->load))
        slot = choice_claim(model, &caller->chance, choice_raced);
    if (slot < 0)
        slot = choice_claim(model, &caller->chance,
                            is_quiet(caller->load) ? choice_passing
                            : which == 7           ? choice_there
                                                   : choice_leaf);
    if (slot >= 0) {
        *leaf = !model_has_child(model, slot);
        model->slots[slot].maybe = (struct shape){.parent = -1};
        model->slots[slot].open = true;
        model->slots[slot].leaving = true;
    }
    pthread_mutex_unlock(&model->lock);
    return slot;
}

static void note_gone(struct model *model, uint64_t id)
{
    pthread_mutex_lock(&model->lock);
    if (id && model->gone_count < MODEL_GONE)
        model->gone[model->gone_count++] = id;
    pthread_mutex_unlock(&model->lock);
}

static void remove_one(struct caller *caller)
{
    struct reason why = {0};
    bool leaf, done;
    char key[16];
    int slot = begin_removal(caller, &leaf), result;
    struct shape was;

    if (slot < 0)
        return;
    model_key(slot, key);
    was = caller->model->slots[slot].now;
    if (chance_below(&caller->chance, 4))
        mounted_leave(caller->load, slot);
    result = snapshots_client_remove(caller->client, bytes_of(key), &why);
    done = answered(caller, "Remove", slot, result, leaf ? 0 : CONDITION_PRECONDITION, &why);
    mounted_leave(caller->load, slot); /* if not before: what is busy is removed a little later */
    settle(caller, slot, done);
    if (done && (was.kind != SNAPSHOT_VIEW || was.parent < 0))
        note_gone(caller->model, was.id);
}

static int visit_nothing(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)context;
    (void)info;
    (void)why;
    return 0;
}

static void update(struct caller *caller)
{
    struct model_labels labels;
    struct reason why = {0};
    uint32_t number = 0;
    char key[16];
    int slot, result;

    if (!enter(caller))
        return;
    slot = choice_claim(caller->model, &caller->chance, choice_there);
    if (slot >= 0) {
        number = new_number(caller);
        caller->model->slots[slot].maybe = caller->model->slots[slot].now;
        caller->model->slots[slot].maybe.labels = number;
        caller->model->slots[slot].open = true;
    }
    pthread_mutex_unlock(&caller->model->lock);
    if (slot < 0)
        return;
    model_key(slot, key);
    model_label(number, &labels);
    result = snapshots_client_update(caller->client, bytes_of(key), labels.list, labels.count, NULL,
                                     0, visit_nothing, NULL, &why);
    settle(caller, slot, answered(caller, "Update", slot, result, 0, &why));
}

static void cleanup(struct caller *caller)
{
    struct model *model = caller->model;
    struct reason why = {0};
    unsigned before;

    pthread_mutex_lock(&model->lock);
    before = model->gone_count;
    pthread_mutex_unlock(&model->lock);
    if (!answered(caller, "Cleanup", -1, snapshots_client_cleanup(caller->client, &why), 0, &why))
        return;
    pthread_mutex_lock(&model->lock);
    if (before > model->cleaned)
        model->cleaned = before;
    pthread_mutex_unlock(&model->lock);
}

/* ---- the mix ---- */

struct weight {
    unsigned of_hundred;
    void (*call)(struct caller *caller);
};

static const struct weight mix[] = {
    {27, prepare}, {8, view},        {18, apply}, {10, write_by_hand},
    {15, commit},  {13, remove_one}, {7, update}, {2, cleanup},
};

static bool is_crowded(const struct load *load)
{
    struct model *model = load->model;
    unsigned there = 0;

    pthread_mutex_lock(&model->lock);
    for (int i = 0; i < MODEL_SLOTS; i++)
        there += model->slots[i].now.there || model->slots[i].open;
    pthread_mutex_unlock(&model->lock);
    return there > load->daemon->setup->storage->crowd;
}

static void call_something(struct caller *caller)
{
    unsigned point = chance_below(&caller->chance, 100);
    size_t at = 0;

    if (is_crowded(caller->load) && chance_below(&caller->chance, 3) == 0) {
        remove_one(caller);
        return;
    }
    while (point >= mix[at].of_hundred)
        point -= mix[at++].of_hundred;
    if (mix[at].call == commit && is_quiet(caller->load))
        return;
    mix[at].call(caller);
}

static void *client_thread(void *context)
{
    struct start *start = context;
    struct caller caller = {
        .load = start->load, .model = start->load->model, .chance = start->seed};
    struct reason why;

    free(start);
    if (client_open(&caller.client, caller.load->daemon->socket, &why) == 0) {
        while (!caller.over && !atomic_load(&caller.load->over)) {
            caller.idle = true;
            call_something(&caller);
            if (caller.idle)
                machine_pause();
        }
        client_close(caller.client);
    }
    atomic_fetch_add(&caller.load->left, 1);
    return NULL;
}

void load_start(struct load *load, unsigned clients, uint64_t seed)
{
    load->clients = clients;
    for (unsigned i = 0; i < clients; i++) {
        struct start *start = malloc(sizeof(*start));

        if (!start)
            err(1, "memory");
        *start = (struct start){load, chance(&seed)};
        if (pthread_create(&load->threads[i], NULL, client_thread, start) != 0)
            errx(1, "a client's thread does not start");
    }
}

/* A mount may wait for the next start of the daemon, which begins when all clients have left. */
static void release_those_who_wait(const struct load *load)
{
    const struct daemon *daemon = load->daemon;
    int64_t until = machine_now_ms() + (int64_t)WAIT_MS * daemon->setup->slow;

    while (atomic_load(&load->left) < load->clients && machine_now_ms() < until)
        machine_pause();
    if (atomic_load(&load->left) < load->clients && daemon->setup->storage->release)
        daemon->setup->storage->release(daemon);
}

void load_join(struct load *load)
{
    atomic_store(&load->over, true);
    pthread_mutex_lock(&load->model->lock);
    pthread_cond_broadcast(&load->model->opened);
    pthread_mutex_unlock(&load->model->lock);
    release_those_who_wait(load);
    for (unsigned i = 0; i < load->clients; i++)
        pthread_join(load->threads[i], NULL);
}
