/* SPDX-License-Identifier: Apache-2.0 */
#include "base/step.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_VARIABLE "COWSNAP_STEP"

/* The linker names the ends of the section that STEP() lays its names in. Weak: a program may have
 * no point at all. */
extern const char *const __start_cowsnap_steps[] __attribute__((weak));
extern const char *const __stop_cowsnap_steps[] __attribute__((weak));

static const char *const *step_chosen; /* set before other threads run */
static atomic_long step_left;          /* how often it is still to be passed */

static int steps_list(void)
{
    /* cppcheck-suppress comparePointers ; the linker makes them ends of one array */
    for (const char *const *step = __start_cowsnap_steps; step < __stop_cowsnap_steps; step++)
        puts(*step);
    return fflush(stdout) == 0 ? 0 : 1;
}

static const char *const *step_find(const char *name, size_t length)
{
    /* cppcheck-suppress comparePointers ; the linker makes them ends of one array */
    for (const char *const *step = __start_cowsnap_steps; step < __stop_cowsnap_steps; step++)
        if (strlen(*step) == length && memcmp(*step, name, length) == 0)
            return step;
    return NULL;
}

void steps_begin(void)
{
    const char *order = getenv(STEP_VARIABLE);

    if (!order || order[0] == '\0')
        return;
    if (strcmp(order, "list") == 0)
        exit(steps_list());
    size_t length = strcspn(order, ":");
    long count = order[length] == ':' ? strtol(order + length + 1, NULL, 10) : 1;

    step_chosen = step_find(order, length);
    if (!step_chosen || count < 1) {
        fprintf(stderr,
                STEP_VARIABLE "=%s names no step, or no count from 1 up: " STEP_VARIABLE
                              "=list prints the names\n",
                order);
        exit(2);
    }
    atomic_store(&step_left, count);
}

void step_pass(const char *const *step)
{
    if (step == step_chosen && atomic_fetch_sub(&step_left, 1) == 1)
        kill(getpid(), SIGKILL); /* all threads at once; nothing is tidied up */
}
