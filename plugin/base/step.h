/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_STEP_H
#define COWSNAP_BASE_STEP_H

/*
 * Named points at which a test can end the daemon as by kill -9. They stand behind each step of a
 * call that changes something: where a crash leaves another state than a line before. A build
 * without COWSNAP_STEPS has nothing of them; in one with, a point that is not the chosen one costs
 * a comparison.
 *
 * The environment of the daemon chooses: COWSNAP_STEP=NAME ends it when it passes that point,
 * COWSNAP_STEP=NAME:COUNT when it does for the COUNT-th time, COWSNAP_STEP=list prints all names.
 */

#ifdef COWSNAP_STEPS

/* Takes its orders from the environment: prints the names and exits, or exits with status 2 for a
 * name that no point has. To be called first of all. */
void steps_begin(void);

void step_pass(const char *const *step);

/* NAME is a literal, "<what>.<done>", that no other point bears. */
#define STEP(name)                                                                                 \
    do {                                                                                           \
        static const char *const step_ __attribute__((section("cowsnap_steps"), used)) = name;     \
        step_pass(&step_);                                                                         \
    } while (0)

#else

static inline void steps_begin(void)
{
}
#define STEP(name) ((void)0)

#endif
#endif
