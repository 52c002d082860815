/* SPDX-License-Identifier: Apache-2.0 */
#include "model/check.h"

#include "model/model.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of
 * Lowe ("Testing for linearizability", 2016). The next call of an order is any that began before
 * the first end of those that are left. Which calls are placed and which state they led to is all
 * that the rest depends on, so what was seen to lead nowhere is not tried again.
 *
 * A call that only looks is placed as soon as it can be: the state is the same after it, so every
 * order that has it later has a twin that has it here.
 */

struct seen {
    uint64_t placed; /* 0: free; the search notes no empty set */
    struct model state;
};

struct search {
    const struct history *history;
    struct seen *seen;
    size_t room, count; /* room is a power of two */
    uint64_t best;      /* calls of the longest order so far */
};

static size_t slot_of(const struct search *search, uint64_t placed, const struct model *state)
{
    uint64_t hash = placed * UINT64_C(0x9e3779b97f4a7c15);
    const uint8_t *bytes = (const uint8_t *)state;

    for (size_t i = 0; i < sizeof(*state); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    for (size_t at = hash >> 20;; at++) {
        const struct seen *seen = &search->seen[at & (search->room - 1)];

        if (seen->placed == 0 ||
            (seen->placed == placed && memcmp(&seen->state, state, sizeof(*state)) == 0))
            return at & (search->room - 1);
    }
}

static void grow(struct search *search)
{
    struct search old = *search;

    search->room = old.room ? old.room * 2 : 256;
    search->seen = calloc(search->room, sizeof(*search->seen));
    if (!search->seen)
        abort();
    for (size_t i = 0; i < old.room; i++)
        if (old.seen[i].placed)
            search->seen[slot_of(search, old.seen[i].placed, &old.seen[i].state)] = old.seen[i];
    free(old.seen);
}

/* True when this was noted before. */
static bool note(struct search *search, uint64_t placed, const struct model *state)
{
    if (search->count * 2 >= search->room)
        grow(search);
    struct seen *seen = &search->seen[slot_of(search, placed, state)];

    if (seen->placed)
        return true;
    *seen = (struct seen){placed, *state};
    search->count++;
    return false;
}

/* The calls that may be next. */
static uint64_t candidates(const struct history *history, uint64_t placed)
{
    unsigned first_end = UINT_MAX;
    uint64_t found = 0;

    for (unsigned i = 0; i < history->count; i++)
        if (!(placed >> i & 1) && history->calls[i].ended < first_end)
            first_end = history->calls[i].ended;
    for (unsigned i = 0; i < history->count; i++)
        if (!(placed >> i & 1) && history->calls[i].began < first_end)
            found |= UINT64_C(1) << i;
    return found;
}

/* Places one call that only looks, if one can be. */
static bool place_a_look(const struct history *history, uint64_t *placed, const struct model *state)
{
    struct model same;
    uint64_t next = candidates(history, *placed);

    for (unsigned i = 0; i < history->count; i++) {
        const struct call *call = &history->calls[i];

        if ((next >> i & 1) && model_only_looks(call) && model_step(state, history, call, &same)) {
            *placed |= UINT64_C(1) << i;
            return true;
        }
    }
    return false;
}

static bool search_on(struct search *search, uint64_t placed, const struct model *state)
{
    const struct history *history = search->history;
    uint64_t next;

    while (place_a_look(history, &placed, state))
        ;
    if (__builtin_popcountll(placed) > __builtin_popcountll(search->best))
        search->best = placed;
    next = candidates(history, placed);
    if (next == 0)
        return true;
    if (placed && note(search, placed, state))
        return false;
    for (unsigned i = 0; i < history->count; i++) {
        const struct call *call = &history->calls[i];
        struct model after;

        if ((next >> i & 1) && !model_only_looks(call) &&
            model_step(state, history, call, &after) &&
            search_on(search, placed | UINT64_C(1) << i, &after))
            return true;
    }
    return false;
}

bool check_history(const struct history *history, uint64_t *stuck)
{
    struct search search = {.history = history};
    struct model start = {0};
    bool found;

    for (int key = 0; key < HISTORY_KEYS; key++)
        start.places[key].parent = -1;
    found = search_on(&search, 0, &start);
    if (stuck)
        *stuck = found ? 0 : candidates(history, search.best);
    free(search.seen);
    return found;
}
