/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_ID_SET_H
#define COWSNAP_BASE_ID_SET_H

/* Numbers of volumes: gathered first, sorted once, looked up then. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_set {
    uint64_t *ids;
    size_t count, room;
};

/* False when memory is out. */
bool id_set_add(struct id_set *set, uint64_t id);
void id_set_sort(struct id_set *set);
/* SET must be sorted. */
bool id_set_has(const struct id_set *set, uint64_t id);
/* Frees; an empty set ({0}) is left. */
void id_set_clear(struct id_set *set);

#endif
