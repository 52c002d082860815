/* SPDX-License-Identifier: Apache-2.0 */
#include "base/word.h"

#include <limits.h>

#define WORD_MOST 32

/* Optimal string alignment, three rows of the matrix at a time. */
unsigned word_distance(struct bytes word, struct bytes other)
{
    unsigned rows[3][WORD_MOST + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    if (word.length > WORD_MOST || other.length > WORD_MOST)
        return UINT_MAX;
    for (size_t j = 0; j <= other.length; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= word.length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= other.length; j++) {
            bool same = word.data[i - 1] == other.data[j - 1];
            unsigned best = above[j - 1] + !same;

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && word.data[i - 1] == other.data[j - 2] &&
                word.data[i - 2] == other.data[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        unsigned *oldest = before;

        before = above;
        above = row;
        row = oldest;
    }
    return above[other.length];
}

bool word_is_near(struct bytes word, unsigned distance)
{
    return distance <= 1 + word.length / 4;
}
