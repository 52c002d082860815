/* SPDX-License-Identifier: Apache-2.0 */

/*
 * model [--histories N] [--faults N] [--seed S]
 *
 * Random calls by several threads on the real rules, store and pins, over a backend without files:
 * each history is held to the model. Every other hundred has clones that lie ready, every other two
 * hundred so many snapshots that a List takes several reads; some end with a restart. --faults are
 * histories in which a call of the backend fails. A seed repeats what is asked for and where the
 * pauses are; how threads meet is the machine's.
 */

#include "backends/fault/fault.h"
#include "model/check.h"
#include "model/player.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUND                                                                                      \
    100 /* histories on one store: volumes have numbers up to a limit in memory_backend.c */
#define LIST_READ 128 /* snapshots that one read of a List tells at most (plugin/snapshot) */

struct run {
    uint64_t seed;
    unsigned histories, faults; /* asked for */
    unsigned checked, violations, struck;
};

/* ---- one round ---- */

static void must(struct rig *rig, int result, const char *what)
{
    if (result)
        errx(2, "%s: %s", what, rig->why.text);
}

/* Snapshots in the way of a List, so that its reads end among those of the histories. */
static unsigned fill(struct rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[32];

        snprintf(key, sizeof(key), "filler-%u", i);
        must(rig, rig_prepare(rig, key, ""), "fill the store");
    }
    return count;
}

/* When no snapshot is left but those, and nothing lies ready, there must be no volume but theirs.
 */
static unsigned look_for_leftovers(struct rig *rig, unsigned fillers)
{
    uint64_t volumes;

    must(rig, rig_cleanup(rig), "clean up");
    volumes = memory_backend_count(rig->backend);
    if (volumes == fillers)
        return 0;
    printf("VIOLATION: %llu volumes are there, and %u snapshots\n", (unsigned long long)volumes,
           fillers);
    return 1;
}

static unsigned look_for_clashes(struct rig *rig)
{
    unsigned clashes = memory_backend_clashes(rig->backend);

    if (clashes)
        printf("VIOLATION: %u calls of the backend met on a volume\n", clashes);
    return clashes;
}

/* Plans one fault: each call of the backend in turn, before and after it is made, at each of its
 * first times. */
static enum fault_call plan(struct rig *rig, unsigned number)
{
    static const enum fault_call calls[] = {FAULT_CREATE, FAULT_CLONE, FAULT_REMOVE,
                                            FAULT_LOCATE, FAULT_SYNC,  FAULT_USAGE};
    unsigned kinds = sizeof(calls) / sizeof(calls[0]);

    fault_plan(rig->front, calls[number % kinds], 1 + number / kinds / 2 % 4,
               number / kinds % 2 ? FAULT_AFTER : FAULT_BEFORE, -EIO);
    return calls[number % kinds];
}

static unsigned failures_of(const struct history *history)
{
    unsigned count = 0;

    for (unsigned i = 0; i < history->count; i++)
        count += history->calls[i].result == -EIO;
    return count;
}

static void hold_to_the_model(struct run *run, const struct history *history, uint64_t seed)
{
    uint64_t stuck = 0;
    bool fits = check_history(history, &stuck);

    run->checked++;
    if (fits && failures_of(history) <= 1) /* one fault fails one call at most */
        return;
    run->violations++;
    printf("VIOLATION: no order of these calls explains their answers (seed %llu)\n",
           (unsigned long long)seed);
    history_print(history, stuck, stdout);
}

static void play_round(struct run *run, unsigned number, unsigned count, bool faults)
{
    static struct history history;
    struct player_options options = {.lists_in_parts = number % 4 >= 2, .may_fail = faults};
    unsigned fillers = 0;
    void *state;
    struct rig *rig;

    rig_setup(&state);
    rig = state;
    rig->stock = number % 2 ? 8 : 0;
    if (faults) {
        rig->ops = &backend_fault;
        rig->front = fault_wrap(&backend_memory, rig->backend);
    }
    rig_restart(rig);
    if (options.lists_in_parts)
        fillers = fill(rig, LIST_READ - 3);
    for (unsigned i = 0; i < count; i++) {
        options.seed = run->seed + run->checked;
        options.restarts = i % 8 == 7;
        options.first_id = player_next_id(rig);
        if (faults) {
            enum fault_call call = plan(rig, run->checked);

            player_play(rig, &options, &history);
            run->struck += fault_struck(rig->front, call);
            fault_plan(rig->front, call, 0, FAULT_BEFORE, 0);
        } else {
            player_play(rig, &options, &history);
        }
        hold_to_the_model(run, &history, options.seed);
        if (rig->stock == 0)
            run->violations += look_for_leftovers(rig, fillers);
    }
    rig_restart(rig); /* ends what lies ready */
    run->violations += look_for_leftovers(rig, fillers) + look_for_clashes(rig);
    rig_stop(rig);
    if (rig->front)
        backend_fault.close(rig->front);
    if (rig_teardown(&state))
        errx(2, "the scratch folder cannot be removed");
}

static void play_all(struct run *run, unsigned wanted, bool faults)
{
    for (unsigned number = 0; run->checked < wanted; number++) {
        unsigned left = wanted - run->checked;

        play_round(run, number, left < ROUND ? left : ROUND, faults);
        fflush(stdout);
    }
}

/* ---- the whole ---- */

static unsigned number_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || number > 100u * 1000 * 1000)
        errx(2, "%s is not a number of histories", text);
    return (unsigned)number;
}

static struct run read_arguments(int count, char **arguments)
{
    static const struct option options[] = {{"histories", required_argument, NULL, 'h'},
                                            {"faults", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {0}};
    struct run run = {.seed = (uint64_t)time(NULL)};
    int option;

    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'h')
            run.histories = number_of(optarg);
        else if (option == 'f')
            run.faults = number_of(optarg);
        else if (option == 's')
            run.seed = strtoull(optarg, NULL, 10);
        else
            errx(2, "usage: model [--histories N] [--faults N] [--seed S]");
    }
    return run;
}

int main(int count, char **arguments)
{
    struct run plain = read_arguments(count, arguments);
    struct run failing = plain;

    printf("seed %llu\n", (unsigned long long)plain.seed);
    fflush(stdout);
    play_all(&plain, plain.histories, false);
    play_all(&failing, failing.faults, true);
    if (plain.histories)
        printf("model histories: %u checked, %u violations\n", plain.checked, plain.violations);
    if (failing.faults)
        printf("injected faults: %u backend calls failed in turn in %u histories, %u violations\n",
               failing.struck, failing.checked, failing.violations);
    return plain.violations || failing.violations || (failing.faults && !failing.struck);
}
