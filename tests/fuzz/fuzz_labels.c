/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer target for labels_clean() and labels_update(). Pieces are parted by newlines; the first
 * byte tells how many of them are labels that are there, how many are new, and how many are the
 * paths of a field mask.
 */

#include "base/scoped.h"
#include "layer/cursor.h"
#include "snapshot/labels.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 8

static size_t take_labels(struct cursor *input, size_t count, struct label *labels)
{
    for (size_t i = 0; i < count; i++) {
        labels[i].key = cursor_field(input, '\n');
        labels[i].value = cursor_field(input, '\n');
    }
    return count;
}

static void check_clean(const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (labels[i].value.length == 0 ||
            labels[i].key.length + labels[i].value.length > LABEL_LIMIT ||
            (i > 0 && bytes_compare(labels[i - 1].key, labels[i].key) >= 0))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(arena_clear) struct arena arena = ARENA_EMPTY;
    struct cursor input = cursor_over(bytes_from(data, size));
    struct label old_labels[MOST], new_labels[MOST];
    struct bytes paths[MOST];
    const struct label *old, *updated;
    size_t old_count, new_count, path_count, updated_count;
    uint8_t counts;

    if (!cursor_byte(&input, &counts))
        return 0;
    old_count = take_labels(&input, counts & 3, old_labels);
    new_count = take_labels(&input, counts >> 2 & 7, new_labels);
    path_count = counts >> 5;
    for (size_t i = 0; i < path_count; i++)
        paths[i] = cursor_field(&input, '\n');
    if (labels_clean(&arena, old_labels, old_count, &old, &old_count, NULL) != 0)
        return 0;
    check_clean(old, old_count);
    if (labels_update(&arena, old, old_count, new_labels, new_count, paths, path_count, &updated,
                      &updated_count, NULL) == 0)
        check_clean(updated, updated_count);
    return 0;
}
