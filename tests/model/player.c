/* SPDX-License-Identifier: Apache-2.0 */
#include "model/player.h"

#include "crash/chance.h"
#include "model/pause.h"
#include "snapshot/labels.h"

#include <err.h>
#include <stdatomic.h>
#include <string.h>

#define TOLD_TWICE (-2) /* for a parent: fits no state, as a List that tells one snapshot twice */

static const char *const label_keys[HISTORY_LABELS] = {"a", LABEL_REF};
static const char *const keys[HISTORY_KEYS] = {"k0", "k1", "k2", "k3", "k4"};

struct thread {
    struct game *game;
    int number;
    uint64_t chance;
    bool lists; /* may still make a List in parts: it takes many places of a history */
    const struct mood *mood;
    struct call calls[HISTORY_CALLS];
    unsigned count;
};

/* What one history is about. Calls that leave others out, and fewer keys, get further into corners
 * than a little of everything. */
struct mood {
    enum call_kind calls[32];
    unsigned call_count;
    unsigned keys;
};

struct game {
    struct rig *rig;
    const struct player_options *options;
    atomic_uint moment;
    uint64_t first_id;
    pthread_barrier_t start;
};

static struct bytes key_bytes(int key)
{
    return key < 0 ? bytes_of(NULL) : bytes_of(keys[key]);
}

static int key_of(struct bytes key)
{
    for (int i = 0; i < HISTORY_KEYS; i++)
        if (bytes_equal(key, bytes_of(keys[i])))
            return i;
    return -1;
}

/* ---- what is asked for ---- */

static struct mood choose_mood(uint64_t *state)
{
    static const enum call_kind all[] = {
        CALL_PREPARE, CALL_PREPARE, CALL_PREPARE, CALL_PREPARE, CALL_VIEW,
        CALL_VIEW,    CALL_COMMIT,  CALL_COMMIT,  CALL_COMMIT,  CALL_REMOVE,
        CALL_REMOVE,  CALL_REMOVE,  CALL_STAT,    CALL_UPDATE,  CALL_UPDATE,
        CALL_LIST,    CALL_MOUNTS,  CALL_USAGE,   CALL_CLEANUP,
    };
    struct mood mood = {.keys = 2 + chance_below(state, HISTORY_KEYS - 1)};
    uint64_t out = chance(state) & chance(state); /* a quarter of the kinds */

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!(out >> all[i] & 1) || all[i] == CALL_REMOVE)
            mood.calls[mood.call_count++] = all[i];
    return mood;
}

/* Key 1 is the layer that there is at first: most children are its. */
static int choose_parent(uint64_t *state, enum call_kind kind, unsigned key_count)
{
    switch (kind) {
    case CALL_PREPARE:
    case CALL_VIEW:
        return chance_below(state, 3) ? 1 : (int)chance_below(state, key_count + 1) - 1;
    case CALL_COMMIT: /* Commit.parent */
        return chance_below(state, 4) ? -1 : (int)chance_below(state, key_count);
    default:
        return -1;
    }
}

static void choose(struct thread *thread, struct call *call)
{
    const struct mood *mood = thread->mood;
    uint64_t *state = &thread->chance;

    *call = (struct call){
        .kind = mood->calls[chance_below(state, mood->call_count)],
        .thread = thread->number,
        .key = (int)chance_below(state, mood->keys),
        .name = (int)chance_below(state, mood->keys),
        .mask = (int)chance_below(state, HISTORY_LABELS + 1) - 1,
    };
    for (int label = 0; label < HISTORY_LABELS; label++)
        call->labels[label] = (uint8_t)chance_below(state, label == HISTORY_LABEL_REF ? 2 : 4);
    call->parent = choose_parent(state, call->kind, mood->keys);
    if (call->kind == CALL_LIST && thread->game->options->lists_in_parts && !thread->lists)
        call->kind = CALL_STAT;
    if (call->kind == CALL_LIST || call->kind == CALL_CLEANUP)
        call->key = -1;
}

/* ---- what is answered ---- */

static struct sight sight_of(const struct snapshot_info *info)
{
    struct sight sight = {
        .id = info->id,
        .kind = (uint8_t)info->kind,
        .parent = (int8_t)(info->parent.length ? key_of(info->parent) : -1),
    };

    for (int label = 0; label < HISTORY_LABELS; label++) {
        const struct bytes *value =
            label_value(info->labels, info->label_count, bytes_of(label_keys[label]));

        sight.labels[label] = value && value->length == 1 ? (uint8_t)(value->data[0] - '0') : 0;
    }
    return sight;
}

static int see_one(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct call *call = context;

    (void)why;
    call->seen[call->key] = sight_of(info);
    return 0;
}

static int see_all(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct call *call = context;
    int key = key_of(info->key);

    (void)why;
    if (key < 0)
        return 0;
    bool again = call->seen[key].kind && call->seen[key].id == info->id;

    call->seen[key] = sight_of(info);
    if (again)
        call->seen[key].parent = TOLD_TWICE;
    return 0;
}

/* The number that ends the source of the only mount, and whether it is to be read only. */
static void see_mounts(struct call *call, const struct mounts *mounts)
{
    if (mounts->count != 1 || mounts->items[0].option_count == 0)
        return;
    call->id = mounts_candidate(mounts).id;
    call->readonly = strcmp(mounts->items[0].options[0], "ro") == 0;
}

/* ---- the calls ---- */

struct wire_labels {
    char text[HISTORY_LABELS][2];
    struct label list[HISTORY_LABELS];
};

static void write_labels(const struct call *call, struct wire_labels *labels)
{
    for (int label = 0; label < HISTORY_LABELS; label++) {
        char *text = labels->text[label];

        text[0] = call->labels[label] ? (char)('0' + call->labels[label]) : '\0';
        text[1] = '\0';
        labels->list[label] = (struct label){bytes_of(label_keys[label]), bytes_of(text)};
    }
}

static int update(struct rig *rig, struct call *call, const struct wire_labels *labels)
{
    char text[64] = "labels.";
    struct bytes path;

    if (call->mask >= 0)
        strcat(text, label_keys[call->mask]);
    path = bytes_of(text);
    return snapshots_update(rig->snapshots, key_bytes(call->key), labels->list, HISTORY_LABELS,
                            &path, call->mask >= 0, see_one, call, NULL);
}

static int make(struct rig *rig, struct call *call, const struct wire_labels *labels)
{
    struct mounts mounts = {0};
    int result = (call->kind == CALL_VIEW ? snapshots_view : snapshots_prepare)(
        rig->snapshots, key_bytes(call->key), key_bytes(call->parent), labels->list, HISTORY_LABELS,
        &mounts, NULL);

    if (!result)
        see_mounts(call, &mounts);
    mounts_clear(&mounts);
    return result;
}

static int ask_mounts(struct rig *rig, struct call *call)
{
    struct mounts mounts = {0};
    int result = snapshots_mounts(rig->snapshots, key_bytes(call->key), &mounts, NULL);

    if (!result)
        see_mounts(call, &mounts);
    mounts_clear(&mounts);
    return result;
}

/* The memory backend counts 4,096 bytes times the volume's number. */
static int ask_usage(struct rig *rig, struct call *call)
{
    struct volume_usage usage = {0};
    int result = snapshots_usage(rig->snapshots, key_bytes(call->key), &usage, NULL);

    if (!result)
        call->id = usage.bytes / 4096;
    return result;
}

static int clean_up(struct game *game, struct call *call)
{
    int result = rig_cleanup(game->rig);

    for (unsigned i = 0; i < HISTORY_IDS; i++)
        if (memory_backend_has(game->rig->backend, game->first_id + i))
            call->left[i / 8] |= (uint8_t)(1u << i % 8);
    if (call->may_fail) /* a volume whose end failed is left for the next one */
        memset(call->left, 0, sizeof(call->left));
    return result;
}

static int dispatch(struct game *game, struct call *call)
{
    struct snapshots *snapshots = game->rig->snapshots;
    struct wire_labels labels;

    write_labels(call, &labels);
    switch (call->kind) {
    case CALL_PREPARE:
    case CALL_VIEW:
        return make(game->rig, call, &labels);
    case CALL_COMMIT:
        return snapshots_commit(snapshots, key_bytes(call->name), key_bytes(call->key),
                                key_bytes(call->parent), labels.list, HISTORY_LABELS, NULL);
    case CALL_REMOVE:
        return snapshots_remove(snapshots, key_bytes(call->key), NULL);
    case CALL_STAT:
        return snapshots_stat(snapshots, key_bytes(call->key), see_one, call, NULL);
    case CALL_UPDATE:
        return update(game->rig, call, &labels);
    case CALL_MOUNTS:
        return ask_mounts(game->rig, call);
    case CALL_USAGE:
        return ask_usage(game->rig, call);
    case CALL_CLEANUP:
        return clean_up(game, call);
    default:
        return snapshots_list(snapshots, NULL, 0, see_all, call, NULL);
    }
}

/* A List in parts says of each key, at some moment of the call, what it is or that it is not. One
 * that was told twice, as two snapshots, was both: what was told first is lost here, no more. */
static void note_parts(struct thread *thread, const struct call *list)
{
    for (int key = 0; key < HISTORY_KEYS; key++) {
        struct call *part = &thread->calls[thread->count++];

        *part = *list;
        part->kind = CALL_PART;
        part->key = key;
    }
    thread->lists = false;
}

static void play(struct thread *thread, struct call call)
{
    struct game *game = thread->game;

    call.may_fail = game->options->may_fail;
    call.began = atomic_fetch_add(&game->moment, 1);
    call.result = dispatch(game, &call);
    call.ended = atomic_fetch_add(&game->moment, 1);
    if (call.kind == CALL_LIST && game->options->lists_in_parts && call.result == 0)
        note_parts(thread, &call);
    else
        thread->calls[thread->count++] = call;
}

static void *run(void *argument)
{
    struct thread *thread = argument;

    pause_seed(thread->chance | 1);
    pthread_barrier_wait(&thread->game->start);
    for (int i = 0; i < PLAYER_CALLS; i++) {
        struct call call;

        choose(thread, &call);
        play(thread, call);
    }
    return NULL;
}

/* ---- a whole history ---- */

/* What there is when the threads begin: by chance, a parent, a child of it, a view. */
static void begin(struct thread *first)
{
    uint64_t *state = &first->chance;
    struct call prepare = {.kind = CALL_PREPARE, .key = 0, .parent = -1};
    struct call commit = {.kind = CALL_COMMIT, .key = 0, .name = 1, .parent = -1};
    struct call child = {.kind = CALL_PREPARE, .key = 0, .parent = 1};
    struct call view = {.kind = CALL_VIEW, .key = (int)first->mood->keys - 1, .parent = 1};

    play(first, prepare);
    if (chance_below(state, 4) == 0)
        return;
    play(first, commit);
    if (chance_below(state, 2))
        play(first, child);
    if (chance_below(state, 2))
        play(first, view);
}

static void gather(struct history *history, const struct thread *thread)
{
    for (unsigned i = 0; i < thread->count; i++)
        history->calls[history->count++] = thread->calls[i];
}

static void free_keys(struct rig *rig)
{
    for (int round = 0; round < HISTORY_KEYS; round++) /* children first, whoever they are */
        for (int key = 0; key < HISTORY_KEYS; key++)
            rig_remove(rig, keys[key]);
}

uint64_t player_next_id(struct rig *rig)
{
    uint64_t id;

    if (rig_prepare(rig, "before", "") || (id = rig_id(rig, "before")) == 0 ||
        rig_remove(rig, "before"))
        errx(2, "a history cannot begin: %s", rig->why.text);
    return id + 1;
}

void player_play(struct rig *rig, const struct player_options *options, struct history *history)
{
    static struct thread threads[PLAYER_THREADS]; /* one history at a time */
    struct game game = {.rig = rig, .options = options};
    struct call look = {.kind = CALL_LIST, .key = -1, .parent = -1};
    pthread_t ids[PLAYER_THREADS];
    uint64_t mood_of = options->seed;
    struct mood mood = choose_mood(&mood_of);

    memset(history, 0, sizeof(*history));
    memset(threads, 0, sizeof(threads));
    history->first_id = game.first_id = options->first_id;
    pthread_barrier_init(&game.start, NULL, PLAYER_THREADS);
    for (int i = 0; i < PLAYER_THREADS; i++) {
        uint64_t chance_of = options->seed * PLAYER_THREADS + (uint64_t)i;

        threads[i] = (struct thread){
            .game = &game, .number = i, .chance = chance(&chance_of), .lists = true, .mood = &mood};
    }
    begin(&threads[0]);
    for (int i = 0; i < PLAYER_THREADS; i++)
        if (pthread_create(&ids[i], NULL, run, &threads[i]))
            errx(2, "there is no room for another thread");
    for (int i = 0; i < PLAYER_THREADS; i++)
        pthread_join(ids[i], NULL);
    if (options->restarts)
        rig_restart(rig);
    play(&threads[0], look);
    for (int i = 0; i < PLAYER_THREADS; i++)
        gather(history, &threads[i]);
    pthread_barrier_destroy(&game.start);
    free_keys(rig);
}
