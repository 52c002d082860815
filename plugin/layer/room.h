/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_ROOM_H
#define COWSNAP_LAYER_ROOM_H

/*
 * Keeps one layer from filling the place it is written to. File systems allocate late: what was
 * written is not counted as used until it is written back. So what this layer wrote since is taken
 * for not counted, which may be too much; and only where that leaves too little is everything
 * written to the disk, to know it for sure.
 */

#include "layer/layer.h"
#include "layer/tree.h"

#define ROOM_STEP (8u * 1024 * 1024) /* bytes written between two looks */
#define ROOM_ENTRY 4096u             /* bytes that an entry counts for, beside its data */
#define ROOM_BLOCK 4096u             /* the block of a place that nobody watches */

struct room {
    const struct layer_room *watch; /* NULL: nobody keeps watch */
    struct tree *tree;
    uint64_t pending; /* bytes written and perhaps not counted */
    uint64_t since;   /* bytes written since the last look */
};

/* WATCH may be NULL; both are borrowed. The first room_take() looks. */
void room_init(struct room *room, const struct layer_room *watch, struct tree *tree);

/* Bytes that what follows a hole of a file counts for, beside itself. */
uint64_t room_block(const struct room *room);

/* Notes that BYTES more are written, and looks where that is due. CONDITION_EXHAUSTED: the layer
 * must end here. */
int room_take(struct room *room, uint64_t bytes, struct reason *why);

#endif
