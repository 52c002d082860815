/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/labels.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
    return bytes_compare(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static int check(const struct label *label, struct reason *why)
{
    if (label->key.length + label->value.length <= LABEL_LIMIT)
        return 0;
    return refuse(why, CONDITION_INVALID,
                  "label %s and its value take %zu bytes; at most %u are allowed",
                  quoted(label->key), label->key.length + label->value.length, LABEL_LIMIT);
}

/* A record whose labels are too many for an answer could not be listed any more, nor anything that
 * is listed with it. */
static int check_all(const struct label *labels, size_t count, struct reason *why)
{
    size_t length = 0;

    for (size_t i = 0; i < count; i++)
        length += labels[i].key.length + labels[i].value.length;
    if (length <= LABELS_LIMIT)
        return 0;
    return refuse(why, CONDITION_INVALID,
                  "the %zu labels take %zu bytes in all; at most %u are allowed", count, length,
                  LABELS_LIMIT);
}

/* Sorts LABELS in place and drops all but one of each key, and empty values. Which one of several
 * stays is open: a protobuf map that bears a key twice comes from no known client. */
static size_t settle(struct label *labels, size_t count)
{
    size_t kept = 0;

    if (count > 1)
        qsort(labels, count, sizeof(*labels), by_key);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && bytes_equal(labels[kept - 1].key, labels[i].key))
            labels[kept - 1] = labels[i];
        else
            labels[kept++] = labels[i];
    }
    count = kept;
    kept = 0;
    for (size_t i = 0; i < count; i++)
        if (labels[i].value.length > 0)
            labels[kept++] = labels[i];
    return kept;
}

int labels_clean(struct arena *arena, const struct label *labels, size_t count,
                 const struct label **clean, size_t *clean_count, struct reason *why)
{
    struct label *copy;

    *clean = NULL;
    *clean_count = 0;
    if (count == 0)
        return 0;
    copy = arena_take(arena, count * sizeof(*copy));
    if (!copy)
        return failure(why, ENOMEM, "keep %zu labels", count);
    for (size_t i = 0; i < count; i++) {
        int result = check(&labels[i], why);

        if (result)
            return result;
        copy[i] = labels[i];
    }
    *clean = copy;
    *clean_count = settle(copy, count);
    return check_all(copy, *clean_count, why);
}

/* What the mask names: each "labels.<key>" as that label becomes, its value empty when NEWER lacks
 * it, into NAMED, which has room for all; or *WHOLE, when "labels" stands among them. */
static int read_mask(const struct label *newer, size_t newer_count, const struct bytes *paths,
                     size_t path_count, struct label *named, size_t *named_count, bool *whole,
                     struct reason *why)
{
    const struct bytes prefix = bytes_of("labels.");

    *named_count = 0;
    *whole = false;
    for (size_t i = 0; i < path_count; i++) {
        struct bytes key;
        const struct bytes *value;

        if (bytes_equal(paths[i], bytes_of("labels"))) {
            *whole = true;
            continue;
        }
        if (!bytes_start_with(paths[i], prefix))
            return refuse(why, CONDITION_INVALID,
                          "field %s cannot be updated: only \"labels\" and \"labels.<key>\" can",
                          quoted(paths[i]));
        key = bytes_from(paths[i].data + prefix.length, paths[i].length - prefix.length);
        value = label_value(newer, newer_count, key);
        named[(*named_count)++] = (struct label){key, value ? *value : (struct bytes){0}};
    }
    return 0;
}

int labels_update(struct arena *arena, const struct label *old, size_t old_count,
                  const struct label *newer, size_t newer_count, const struct bytes *paths,
                  size_t path_count, const struct label **result, size_t *result_count,
                  struct reason *why)
{
    struct label *named, *merged;
    size_t named_count, count = 0;
    bool whole = path_count == 0;
    int outcome = labels_clean(arena, newer, newer_count, &newer, &newer_count, why);

    *result = newer;
    *result_count = newer_count;
    if (outcome || whole)
        return outcome;
    named = arena_take(arena, path_count * sizeof(*named));
    merged = arena_take(arena, (old_count + path_count) * sizeof(*merged));
    if (!named || !merged)
        return failure(why, ENOMEM, "keep %zu labels", old_count + path_count);
    outcome = read_mask(newer, newer_count, paths, path_count, named, &named_count, &whole, why);
    if (outcome || whole) /* a label named beside "labels" is what it is there */
        return outcome;
    qsort(named, named_count, sizeof(*named), by_key);
    for (size_t i = 0; i < old_count; i++)
        if (!label_value(named, named_count, old[i].key))
            merged[count++] = old[i];
    memcpy(merged + count, named, named_count * sizeof(*named));
    *result = merged;
    *result_count = settle(merged, count + named_count);
    return check_all(merged, *result_count, why);
}
