/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_POWER_H
#define COWSNAP_TESTS_CRASH_POWER_H

/* Rounds that end in a loss of power: each goes on from what had reached the disk then. */

#include "crash/run.h"

void power_cut_all(struct run *run);

#endif
