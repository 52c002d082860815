/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/info.h"

#include "snapshot/labels.h"

#include <errno.h>
#include <time.h>

int64_t info_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool copy_labels(struct arena *arena, const struct record *record,
                        struct snapshot_info *info)
{
    struct label *copies;

    if (record->label_count == 0)
        return true;
    copies = arena_take(arena, record->label_count * sizeof(*copies));
    if (!copies)
        return false;
    for (size_t i = 0; i < record->label_count; i++)
        if (!arena_copy(arena, record->labels[i].key, &copies[i].key) ||
            !arena_copy(arena, record->labels[i].value, &copies[i].value))
            return false;
    info->labels = copies;
    info->label_count = record->label_count;
    return true;
}

int info_of_record(struct store_txn *txn, const struct record *record, struct arena *arena,
                   struct snapshot_info *info, struct reason *why)
{
    struct record parent = {0};

    *info = (struct snapshot_info){
        .kind = record->kind,
        .created = record->created,
        .updated = record->updated,
        .id = record->id,
        .parent_id = record->parent,
        .usage_known = record->usage_known,
        .usage_bytes = record->usage_bytes,
        .usage_inodes = record->usage_inodes,
        .sealed = record->sealed,
    };
    /* One whose parent is lost is told without it: it can still be looked at and removed, and so
     * can all others (check.c finds it). */
    if (record->parent) {
        int result = store_get_id(txn, record->parent, &parent, why);

        if (result < 0 && (result != -EBADMSG || parent.id != record->parent))
            return result;
    }
    if (!arena_copy(arena, record->key, &info->key) ||
        !arena_copy(arena, parent.key, &info->parent) || !copy_labels(arena, record, info))
        return failure(why, ENOMEM, "describe snapshot %s", quoted(record->key));
    return 0;
}

/* The key of a label as a filter names it: parts that were written apart are joined by dots. */
static bool label_named(struct bytes key, const struct bytes *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!bytes_start_with(key, parts[i]))
            return false;
        key = bytes_from(key.data + parts[i].length, key.length - parts[i].length);
        if (i + 1 == count)
            break;
        if (key.length == 0 || key.data[0] != '.')
            return false;
        key = bytes_from(key.data + 1, key.length - 1);
    }
    return key.length == 0;
}

static struct bytes kind_name(enum snapshot_kind kind)
{
    switch (kind) {
    case SNAPSHOT_ACTIVE:
        return bytes_of("active");
    case SNAPSHOT_VIEW:
        return bytes_of("view");
    case SNAPSHOT_COMMITTED:
        return bytes_of("committed");
    }
    return bytes_of("");
}

bool info_field(const void *object, const struct bytes *path, size_t parts, struct bytes *value)
{
    const struct snapshot_info *info = object;

    if (bytes_equal(path[0], bytes_of("labels"))) {
        for (size_t i = 0; i < info->label_count; i++) {
            if (label_named(info->labels[i].key, path + 1, parts - 1)) {
                *value = info->labels[i].value;
                return true;
            }
        }
        return false;
    }
    if (bytes_equal(path[0], bytes_of("name")))
        *value = info->key;
    else if (bytes_equal(path[0], bytes_of("parent")))
        *value = info->parent;
    else if (bytes_equal(path[0], bytes_of("kind")))
        *value = kind_name(info->kind);
    else
        return false;
    return true;
}
