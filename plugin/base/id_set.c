/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id_set.h"

#include <stdlib.h>

bool id_set_add(struct id_set *set, uint64_t id)
{
    if (set->count == set->room) {
        size_t room = set->room ? set->room * 2 : 256;
        uint64_t *grown = reallocarray(set->ids, room, sizeof(*grown));

        if (!grown)
            return false;
        set->ids = grown;
        set->room = room;
    }
    set->ids[set->count++] = id;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

void id_set_sort(struct id_set *set)
{
    if (set->count > 1)
        qsort(set->ids, set->count, sizeof(*set->ids), by_number);
}

bool id_set_has(const struct id_set *set, uint64_t id)
{
    return set->count && bsearch(&id, set->ids, set->count, sizeof(id), by_number);
}

void id_set_clear(struct id_set *set)
{
    free(set->ids);
    *set = (struct id_set){0};
}
