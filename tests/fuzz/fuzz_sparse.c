/* SPDX-License-Identifier: Apache-2.0 */

/* libFuzzer target for the sparse maps: sparse_map_add_list(), sparse_map_add_gnu(),
 * sparse_lines_feed(). The first bytes choose the format and the file's size. */

#include "layer/cursor.h"
#include "layer/sparse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct sparse_map *map)
{
    uint64_t end = 0;

    for (size_t i = 0; i < map->count; i++) {
        const struct sparse_extent *extent = &map->extents[i];

        if (extent->length == 0 || extent->offset < end ||
            extent->length > map->size - extent->offset)
            abort();
        end = extent->offset + extent->length;
    }
    if (end > map->size)
        abort();
}

static void try_gnu(struct sparse_map *map, struct cursor input)
{
    bool extended = true;
    size_t length = 4 * 24 + 1;

    while (extended && input.left >= length) {
        if (sparse_map_add_gnu(map, cursor_take(&input, length), &extended, NULL) != 0)
            return;
        length = TAR_BLOCK;
    }
}

static void try_lines(struct sparse_map *map, struct cursor input, size_t step)
{
    struct sparse_lines lines = {0};
    bool done = false;

    while (!done && input.left > 0)
        if (sparse_lines_feed(&lines, map, cursor_take(&input, step), &done, NULL) != 0)
            return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor input = cursor_over(bytes_from(data, size));
    struct sparse_map map = {0};
    uint8_t format, bits;

    if (!cursor_byte(&input, &format) || !cursor_byte(&input, &bits))
        return 0;
    sparse_map_reset(&map, bits >= 63 ? INT64_MAX : UINT64_C(1) << bits);
    if (format % 3 == 0) {
        struct bytes count = cursor_field(&input, ';');

        (void)sparse_map_add_list(&map, cursor_rest(&input), count, NULL);
    } else if (format % 3 == 1) {
        try_gnu(&map, input);
    } else {
        try_lines(&map, input, format == 2 ? TAR_BLOCK : format);
    }
    check_map(&map);
    sparse_map_deinit(&map);
    return 0;
}
