/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_KILLS_H
#define COWSNAP_TESTS_CRASH_KILLS_H

/* Rounds that end in a kill of the daemon: each starts it on what the round before left, checks
 * all, lets clients call, and kills at the next step of the schedule or at a random moment. */

#include "crash/run.h"

/* All of the run's; more when a step was not passed by then. */
void kill_all(struct run *run);

/* Tells the steps that have not ended the daemon; whether there are none. */
bool kills_tell_missing(const struct run *run);

#endif
