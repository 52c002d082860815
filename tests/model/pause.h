/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MODEL_PAUSE_H
#define COWSNAP_TESTS_MODEL_PAUSE_H

#include <stdint.h>

/*
 * Threads that meet seldom by chance are held up where others may come between: before and behind
 * each call that the rules make of the store and of the pins (by the linker's --wrap, see
 * CMakeLists.txt). It makes no outcome right or wrong, only rare ones frequent.
 */

/* This thread pauses at random from now on; 0: never (as every thread at first). */
void pause_seed(uint64_t seed);

#endif
