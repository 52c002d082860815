/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_CHANCE_H
#define COWSNAP_TESTS_CRASH_CHANCE_H

/* Random numbers of a seed (splitmix64), and bytes that a number stands for. */

#include <stddef.h>
#include <stdint.h>

static inline uint64_t chance(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* From 0 up to MOST - 1. */
static inline unsigned chance_below(uint64_t *state, unsigned most)
{
    return (unsigned)(chance(state) % most);
}

static inline void chance_fill(uint64_t seed, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(chance(&seed) >> 56);
}

#endif
