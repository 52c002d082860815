/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_SCHEDULE_H
#define COWSNAP_TESTS_CRASH_SCHEDULE_H

/* Where the daemon is killed next: at each of its steps in turn, and at random moments. */

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_STEPS 128

/* What has to be so for a step to be passed. */
enum schedule_need {
    NEED_LOAD,        /* calls */
    NEED_QUIET,       /* no commits for a while */
    NEED_IDLE_POOL,   /* a pool that is neither mounted nor active */
    NEED_FIRST_START, /* no pool at all */
};

struct schedule_step {
    const char *name;
    enum schedule_need need;
    unsigned kills, misses; /* how often the daemon ended there, and did not */
    unsigned most;          /* passes that are asked for at most */
};

struct schedule {
    char *names; /* as the daemon lists them, cut into lines */
    struct schedule_step steps[SCHEDULE_STEPS];
    unsigned count;
    unsigned elsewhere; /* steps of another backend, which are left out */
    uint64_t chance;
};

/* NAMES are kept, cut into lines. Steps are those of BACKEND and of what all backends share; ONLY,
 * if not NULL, is the one step to be used, or the beginning of the names of those. */
void schedule_init(struct schedule *schedule, char *names, const char *backend, const char *only,
                   uint64_t seed);

/* NULL for a random moment; otherwise the step that is to end the daemon at its COUNT-th pass. */
struct schedule_step *schedule_next(struct schedule *schedule, unsigned *count);
void schedule_note(struct schedule_step *step, unsigned count, bool reached);

/* How many steps have ended the daemon. */
unsigned schedule_reached(const struct schedule *schedule);

#endif
