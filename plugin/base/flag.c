/* SPDX-License-Identifier: Apache-2.0 */
#include "base/flag.h"

#include "base/bytes.h"
#include "base/word.h"

#include <limits.h>
#include <string.h>

int flag_refuse(const char *word, const struct option *flags, size_t count, const char *see,
                struct reason *why)
{
    struct bytes name = bytes_from(word, strcspn(word, "="));
    struct bytes bare = name;
    const char *nearest = NULL;
    unsigned least = UINT_MAX;

    while (bare.length > 0 && *bare.data == '-')
        bare = bytes_from(bare.data + 1, bare.length - 1);
    for (size_t i = 0; i < count; i++) {
        unsigned distance = word_distance(bare, bytes_of(flags[i].name));

        if (distance < least && word_is_near(bare, distance)) {
            least = distance;
            nearest = flags[i].name;
        }
    }
    if (nearest)
        return refuse(why, CONDITION_INVALID, "%s is not an option; did you mean --%s?",
                      quoted(name), nearest);
    return refuse(why, CONDITION_INVALID, "%s is not an option; see %s", quoted(name), see);
}
