/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_RUN_H
#define COWSNAP_TESTS_CRASH_RUN_H

/* One run of the program: what its rounds share. */

#include "crash/chance.h"
#include "crash/check.h"
#include "crash/daemon.h"
#include "crash/model.h"
#include "crash/schedule.h"
#include "crash/tree.h"

#include <stdint.h>

struct options {
    const char *only;     /* the step to kill at, or the beginning of several; NULL for all */
    unsigned kills, cuts; /* one of them is 0 */
    bool reorder;         /* what the disk was not told to flush may be lost, in any order */
    const char *root_on;  /* the file system of the disk whose power is cut */
    uint64_t seed;
};

struct run {
    struct options options;
    struct daemon_setup setup;
    struct daemon daemon;
    struct model model;
    struct schedule schedule;
    struct tree_layer layers[TREE_LAYERS];
    struct check_counts counts;
    uint64_t chance;
    unsigned rounds, surprises;
    unsigned first_starts; /* of the rounds: what was cut was the first start */
    uint64_t calls;
    int64_t first_start, slowest_start; /* ms */
};

#define RUN_ENOUGH 20 /* things found wrong, after which no more are looked for */

static inline bool run_has_enough(const struct run *run)
{
    return run->counts.lost + run->counts.orphans + run->surprises >= RUN_ENOUGH;
}

/* From 0 up to MOST ms of this machine's. */
static inline unsigned run_chance_ms(struct run *run, unsigned most)
{
    return chance_below(&run->chance, most * run->setup.slow);
}

static inline void run_note_start(struct run *run, int64_t took_ms)
{
    if (took_ms > run->slowest_start)
        run->slowest_start = took_ms;
}

#endif
