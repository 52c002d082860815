/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/stages.h"

#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    return clock_gettime(clock, &now) == 0
               ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec
               : 0;
}

const char *stage_name(enum stage stage)
{
    static const char *const names[STAGES] = {
        [STAGE_INFLATE] = "inflate", [STAGE_HASH] = "hash",   [STAGE_PARSE] = "parse",
        [STAGE_HAND] = "hand",       [STAGE_WRITE] = "write", [STAGE_SYNC] = "sync",
    };

    return names[stage];
}

void stages_add(struct stages *sum, const struct stages *one)
{
    for (unsigned i = 0; i < STAGES; i++) {
        sum->of[i].processor += one->of[i].processor;
        sum->of[i].waited += one->of[i].waited;
        sum->of[i].bytes += one->of[i].bytes;
    }
    sum->elapsed += one->elapsed;
}

uint64_t stage_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t stage_processor(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t stage_processor_of(pthread_t thread)
{
    clockid_t clock;

    return pthread_getcpuclockid(thread, &clock) == 0 ? clock_ns(clock) : 0;
}

void stage_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t *waited)
{
    uint64_t begun = stage_now();

    pthread_cond_wait(condition, lock);
    *waited += stage_now() - begun;
}
