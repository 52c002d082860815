/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/room.h"

void room_init(struct room *room, const struct layer_room *watch, struct tree *tree)
{
    *room = (struct room){.watch = watch, .tree = tree, .since = ROOM_STEP};
}

/* Everything written so far counts from then on, but for what the file begun last still brings. */
static int room_settle(struct room *room, struct reason *why)
{
    int result = tree_settle_all(room->tree, why);

    if (!result)
        result = tree_sync(room->tree, why);
    if (!result)
        room->pending = 0;
    return result;
}

uint64_t room_block(const struct room *room)
{
    return room->watch && room->watch->block ? room->watch->block : ROOM_BLOCK;
}

int room_take(struct room *room, uint64_t bytes, struct reason *why)
{
    struct reason first = {0};
    int result;

    if (!room->watch)
        return 0;
    room->pending += bytes;
    room->since += bytes;
    if (room->since < ROOM_STEP)
        return 0;
    room->since = 0;
    result = room->watch->look(room->watch->context, room->pending + ROOM_STEP, false, &first);
    if (result && result != CONDITION_EXHAUSTED && why)
        *why = first;
    if (result != CONDITION_EXHAUSTED)
        return result;
    result = room_settle(room, why);
    return result ? result : room->watch->look(room->watch->context, ROOM_STEP, true, why);
}
