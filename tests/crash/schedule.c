/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/schedule.h"

#include "crash/chance.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_OF_HUNDRED 65 /* kills that are at steps */
#define MOST_PASSES 400u

static enum schedule_need need_of(const char *name)
{
    static const struct {
        const char *prefix;
        enum schedule_need need;
    } needs[] = {
        {"btrfs.image-", NEED_FIRST_START},     {"btrfs.loop-attached", NEED_IDLE_POOL},
        {"btrfs.pool-mounted", NEED_IDLE_POOL}, {"btrfs.subvolume-sealed", NEED_QUIET},
        {"dm-thin.files-", NEED_FIRST_START},   {"dm-thin.label-", NEED_FIRST_START},
        {"dm-thin.base-", NEED_FIRST_START},    {"dm-thin.pool-activated", NEED_IDLE_POOL},
        {"dm-thin.volume-rested", NEED_QUIET},  {"keeper.", NEED_QUIET},
    };

    for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (strncmp(name, needs[i].prefix, strlen(needs[i].prefix)) == 0)
            return needs[i].need;
    return NEED_LOAD;
}

static void add(struct schedule *schedule, const char *name)
{
    for (unsigned i = 0; i < schedule->count; i++)
        if (strcmp(schedule->steps[i].name, name) == 0)
            errx(1, "two steps have the name %s", name);
    if (schedule->count == SCHEDULE_STEPS)
        errx(1, "there are more than %d steps", SCHEDULE_STEPS);
    schedule->steps[schedule->count++] =
        (struct schedule_step){.name = name, .need = need_of(name), .most = 1};
}

/* Whether the step is of a backend, and that is another than BACKEND. */
static bool is_elsewhere(const char *name, const char *backend)
{
    static const char *const backends[] = {"btrfs", "dm-thin"};

    for (unsigned i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        size_t length = strlen(backends[i]);

        if (strncmp(name, backends[i], length) == 0 && name[length] == '.')
            return strcmp(backends[i], backend) != 0;
    }
    return false;
}

void schedule_init(struct schedule *schedule, char *names, const char *backend, const char *only,
                   uint64_t seed)
{
    char *place = NULL;

    *schedule = (struct schedule){.names = names, .chance = seed};
    for (char *name = strtok_r(names, "\n", &place); name; name = strtok_r(NULL, "\n", &place)) {
        if (is_elsewhere(name, backend))
            schedule->elsewhere++;
        else if (!only || strncmp(name, only, strlen(only)) == 0)
            add(schedule, name);
    }
    if (schedule->count == 0)
        errx(1, "the daemon has no step %s", only ? only : "at all");
}

struct schedule_step *schedule_next(struct schedule *schedule, unsigned *count)
{
    struct schedule_step *least = &schedule->steps[0];

    *count = 0;
    if (schedule->count > 1 && chance_below(&schedule->chance, 100) >= STEPS_OF_HUNDRED)
        return NULL;
    for (unsigned i = 1; i < schedule->count; i++) {
        struct schedule_step *step = &schedule->steps[i];

        if (2 * step->kills + step->misses < 2 * least->kills + least->misses)
            least = step;
    }
    *count = 1 + chance_below(&schedule->chance, least->most);
    return least;
}

/* Asks for more passes as long as they come; a try that they do not come in takes seconds. */
void schedule_note(struct schedule_step *step, unsigned count, bool reached)
{
    if (!reached) {
        step->misses++;
        step->most = count > 1 ? count / 2 : 1;
        return;
    }
    step->kills++;
    if (step->misses == 0 && step->most < MOST_PASSES)
        step->most *= 8;
}

unsigned schedule_reached(const struct schedule *schedule)
{
    unsigned reached = 0;

    for (unsigned i = 0; i < schedule->count; i++)
        reached += schedule->steps[i].kills > 0;
    return reached;
}
