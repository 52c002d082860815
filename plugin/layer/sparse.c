/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/sparse.h"

#include "layer/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define FIELD_SIZE 12
#define ENTRY_SIZE (2 * FIELD_SIZE)

void sparse_map_reset(struct sparse_map *map, uint64_t size)
{
    map->count = 0;
    map->size = size;
    map->end = 0;
}

void sparse_map_deinit(struct sparse_map *map)
{
    free(map->extents);
    *map = (struct sparse_map){0};
}

static int make_room(struct sparse_map *map, struct reason *why)
{
    size_t room = map->room > 0 ? map->room * 2 : 16;
    struct sparse_extent *grown;

    if (map->count < map->room)
        return 0;
    grown = reallocarray(map->extents, room, sizeof(*grown));
    if (!grown)
        return failure(why, ENOMEM, "cannot keep a sparse map of %zu extents", room);
    map->extents = grown;
    map->room = room;
    return 0;
}

int sparse_map_add(struct sparse_map *map, int64_t offset, int64_t length, struct reason *why)
{
    int64_t end;
    int result;

    if (offset < 0 || length < 0 || __builtin_add_overflow(offset, length, &end))
        return refuse(why, CONDITION_INVALID,
                      "its sparse map has an impossible extent: %" PRId64 " bytes at %" PRId64,
                      length, offset);
    if ((uint64_t)end > map->size)
        return refuse(why, CONDITION_INVALID,
                      "its sparse map has data up to byte %" PRId64 " in a file of %" PRIu64
                      " bytes",
                      end, map->size);
    if ((uint64_t)offset < map->end)
        return refuse(why, CONDITION_INVALID,
                      "its sparse map overlaps or goes back: an extent begins at byte %" PRId64
                      ", after one that ended at byte %" PRIu64,
                      offset, map->end);
    map->end = (uint64_t)end;
    if (length == 0)
        return 0;

    result = make_room(map, why);
    if (result != 0)
        return result;
    map->extents[map->count++] = (struct sparse_extent){(uint64_t)offset, (uint64_t)length};
    return 0;
}

int sparse_map_add_gnu(struct sparse_map *map, struct bytes area, bool *extended,
                       struct reason *why)
{
    size_t entries = area.length / ENTRY_SIZE;
    struct cursor cursor = cursor_over(area);
    struct cursor table = cursor_over(cursor_take(&cursor, entries * ENTRY_SIZE));
    uint8_t flag = 0;

    cursor_byte(&cursor, &flag);
    *extended = flag != 0;
    while (table.left > 0) {
        struct bytes offset_field = cursor_take(&table, FIELD_SIZE);
        struct bytes length_field = cursor_take(&table, FIELD_SIZE);
        int64_t offset, length;
        int result;

        if (offset_field.data[0] == '\0') /* as GNU tar ends it */
            break;
        if (!tar_number_field(offset_field, &offset) || !tar_number_field(length_field, &length))
            return refuse(why, CONDITION_INVALID, "its sparse map has %s, %s for an extent",
                          quoted(offset_field), quoted(length_field));
        result = sparse_map_add(map, offset, length, why);
        if (result != 0)
            return result;
    }
    return 0;
}

static int refuse_count(struct reason *why, struct bytes count)
{
    return refuse(why, CONDITION_INVALID, "its sparse map says it has %s extents", quoted(count));
}

int sparse_map_add_list(struct sparse_map *map, struct bytes text, struct bytes count,
                        struct reason *why)
{
    struct cursor cursor = cursor_over(text);
    int64_t extents;

    if (!tar_number_decimal(count, &extents) || extents < 0)
        return refuse_count(why, count);
    for (; extents > 0; extents--) {
        struct bytes offset_text, length_text;
        int64_t offset, length;
        int result;

        if (!cursor_until(&cursor, ',', &offset_text) || cursor.left == 0)
            return refuse(why, CONDITION_INVALID,
                          "its sparse map ends too early, %" PRId64 " extents before its end",
                          extents);
        length_text = extents == 1 ? cursor_rest(&cursor) : cursor_field(&cursor, ',');
        if (!tar_number_decimal(offset_text, &offset) || !tar_number_decimal(length_text, &length))
            return refuse(why, CONDITION_INVALID, "its sparse map has %s, %s for an extent",
                          quoted(offset_text), quoted(length_text));
        result = sparse_map_add(map, offset, length, why);
        if (result != 0)
            return result;
    }
    if (cursor.left > 0)
        return refuse(why, CONDITION_INVALID, "its sparse map goes on after its last extent");
    return 0;
}

/* A line is complete: the count, an offset or a length. */
static int take_line(struct sparse_lines *lines, struct sparse_map *map, struct reason *why)
{
    int64_t number;

    if (!tar_decimal_value(&lines->number, &number))
        return refuse(why, CONDITION_INVALID, "its sparse map has a line that is no number");
    lines->number = (struct tar_decimal){0};

    if (!lines->counted) {
        if (number < 0 || number > INT64_MAX / 2)
            return refuse(why, CONDITION_INVALID, "its sparse map says it has %" PRId64 " extents",
                          number);
        lines->counted = true;
        lines->left = (uint64_t)number * 2;
        return 0;
    }
    lines->left--;
    if (lines->left % 2 == 1) {
        lines->offset = number;
        return 0;
    }
    return sparse_map_add(map, lines->offset, number, why);
}

int sparse_lines_feed(struct sparse_lines *lines, struct sparse_map *map, struct bytes block,
                      bool *done, struct reason *why)
{
    struct cursor cursor = cursor_over(block);
    uint8_t byte;
    int result;

    *done = false;
    while (!*done && cursor_byte(&cursor, &byte)) {
        if (byte != '\n') {
            if (!tar_decimal_push(&lines->number, byte))
                return refuse(why, CONDITION_INVALID,
                              "its sparse map has a line that is no number of 64 bits");
            continue;
        }
        result = take_line(lines, map, why);
        if (result != 0)
            return result;
        *done = lines->counted && lines->left == 0;
    }
    return 0;
}
