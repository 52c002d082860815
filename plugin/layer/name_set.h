/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_NAME_SET_H
#define COWSNAP_LAYER_NAME_SET_H

/*
 * What a layer has put where: a set of resolved names, each with a kind of note. A name is kept as
 * 64 bits of a hash with a random key (SipHash), so it takes 8 bytes, and no layer can be made to
 * collide. (Of ten million names, two agree by chance once in 370,000 layers.)
 *
 * Up to NAME_SET_MEMORY bytes are kept in memory; a larger set lives in a spill file, in which
 * looking up costs one read of 4 KiB, from the page cache mostly.
 */

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_SET_MEMORY (8u * 1024 * 1024)

enum name_note {
    NAME_UNPACKED,   /* an entry of the layer was unpacked there */
    NAME_IMPLIED,    /* made without an entry: a missing parent, overlayfs's mark of a whiteout */
    NAME_OUR_FOLDER, /* a folder that the layer made: all that is in it came from the layer */
    NAME_OPAQUE      /* a folder that was emptied of what lower layers have in it */
};

struct name_set;

/* FOLDER is where a spill file would go; borrowed. MEMORY as NAME_SET_MEMORY. */
int name_set_new(struct name_set **set, int folder, size_t memory, struct reason *why);
/* NULL is allowed; returns NULL. */
struct name_set *name_set_free(struct name_set *set);

/* The name BASE in the folder FOLDER, a tree name. BASE may be empty: then FOLDER itself. */
int name_set_add(struct name_set *set, const char *folder, const char *base, enum name_note note,
                 struct reason *why);
int name_set_has(struct name_set *set, const char *folder, const char *base, enum name_note note,
                 bool *found, struct reason *why);

#endif
