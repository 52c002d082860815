/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_RUN_H
#define COWSNAP_TESTS_CRASH_RUN_H

/* One run of the program: what its rounds share. */

#include "crash/check.h"
#include "crash/daemon.h"
#include "crash/model.h"
#include "crash/schedule.h"
#include "crash/tree.h"

#include <stdint.h>

struct options {
    const char *program, *folder;
    const char *only;     /* the one step to kill at; NULL for all, and random moments */
    unsigned kills, cuts; /* one of them is 0 */
    uint64_t seed;
};

struct run {
    struct options options;
    struct daemon daemon;
    struct model model;
    struct schedule schedule;
    struct tree_layer layers[TREE_LAYERS];
    char content[512];
    struct check_counts counts;
    uint64_t chance;
    unsigned rounds, surprises;
    unsigned first_starts; /* of the rounds: what was cut was the first start */
    uint64_t calls;
    int64_t slowest_start;
};

#define RUN_ENOUGH 20 /* things found wrong, after which no more are looked for */

static inline bool run_has_enough(const struct run *run)
{
    return run->counts.lost + run->counts.orphans + run->surprises >= RUN_ENOUGH;
}

static inline void run_note_start(struct run *run, int64_t took_ms)
{
    if (took_ms > run->slowest_start)
        run->slowest_start = took_ms;
}

#endif
