/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot_list.h"

#include "rpc/snapshots_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void snapshot_list_clear(struct snapshot_list *list)
{
    free(list->items);
    arena_clear(&list->bytes);
    *list = (struct snapshot_list){0};
}

int snapshot_list_add(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct snapshot_list *list = context;
    struct snapshot_info *item;

    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct snapshot_info *items = reallocarray(list->items, room, sizeof(*items));

        if (!items)
            return failure(why, ENOMEM, "list the snapshots");
        list->items = items;
        list->room = room;
    }
    item = &list->items[list->count];
    *item = *info;
    item->labels = NULL;
    item->label_count = 0;
    if (!arena_copy(&list->bytes, info->key, &item->key) ||
        !arena_copy(&list->bytes, info->parent, &item->parent))
        return failure(why, ENOMEM, "list the snapshots");
    list->count++;
    return 0;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = ((const struct snapshot_info *)left)->id;
    uint64_t b = ((const struct snapshot_info *)right)->id;

    return (a > b) - (a < b);
}

void snapshot_list_sort(struct snapshot_list *list)
{
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), compare_ids);
}

int snapshot_list_read(struct snapshot_list *list, const struct daemon *daemon, struct reason *why)
{
    int result = control_client_snapshots(daemon->client, snapshot_list_add, list, why);

    if (result)
        return daemon_explain(daemon, result, why);
    snapshot_list_sort(list);
    return 0;
}

int snapshot_list_count(struct snapshot_list *list, const struct daemon *daemon, struct reason *why)
{
    unsigned unknown = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct snapshot_info *info = &list->items[i];
        struct volume_usage usage;
        int result;

        if (info->usage_known)
            continue;
        result = snapshots_client_usage(daemon->client, info->key, &usage, why);
        if (result < 0 && unknown++ == 0) /* of this one: the others can be told */
            fprintf(stderr, "cowsnap: what snapshot %s uses is not known: %s\n", quoted(info->key),
                    why ? why->text : "");
        if (result == CONDITION_NOT_FOUND || result < 0)
            continue;
        if (result)
            return daemon_explain(daemon, result, why);
        info->usage_known = true;
        info->usage_bytes = usage.bytes;
        info->usage_inodes = usage.inodes;
    }
    return 0;
}

const struct snapshot_info *snapshot_list_by_id(const struct snapshot_list *list, uint64_t id)
{
    struct snapshot_info wanted = {.id = id};

    if (list->count == 0)
        return NULL;
    return bsearch(&wanted, list->items, list->count, sizeof(*list->items), compare_ids);
}

/* ---- names ---- */

/* Whether KEY is <namespace>/<sequence>/NAME, where the sequence is a number. NAME may hold
 * slashes. */
static bool ends_in_name(struct bytes key, struct bytes name)
{
    size_t digits = 0, before;

    if (name.length == 0 || key.length <= name.length)
        return false;
    before = key.length - name.length;
    if (!bytes_equal(bytes_from(key.data + before, name.length), name) ||
        key.data[before - 1] != '/')
        return false;
    before--;
    while (digits < before && key.data[before - 1 - digits] >= '0' &&
           key.data[before - 1 - digits] <= '9')
        digits++;
    before -= digits;
    if (digits == 0 || before < 2 || key.data[before - 1] != '/')
        return false;
    return memchr(key.data, '/', before - 1) == NULL;
}

/* The number of "#12". */
static bool read_id(struct bytes name, uint64_t *id)
{
    *id = 0;
    if (name.length < 2 || name.data[0] != '#')
        return false;
    for (size_t i = 1; i < name.length; i++)
        if (name.data[i] < '0' || name.data[i] > '9' || __builtin_mul_overflow(*id, 10, id) ||
            __builtin_add_overflow(*id, name.data[i] - '0', id))
            return false;
    return true;
}

#define CANDIDATES_SHOWN 4

static int refuse_several(const struct snapshot_list *list, struct bytes name, size_t count,
                          struct reason *why)
{
    char text[CANDIDATES_SHOWN * (QUOTE_ROOM(48) + 32)];
    size_t used = 0, shown = 0;

    for (size_t i = 0; i < list->count && shown < CANDIDATES_SHOWN; i++) {
        if (!ends_in_name(list->items[i].key, name))
            continue;
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s (#%llu)", shown ? ", " : "",
                             quoted(list->items[i].key), (unsigned long long)list->items[i].id);
        shown++;
    }
    return refuse(why, CONDITION_PRECONDITION,
                  "%s is the name of %zu snapshots; give a whole key, or an id as #12: %s%s",
                  quoted(name), count, text, count > shown ? " and others" : "");
}

int snapshot_list_find(const struct snapshot_list *list, struct bytes name,
                       const struct snapshot_info **found, struct reason *why)
{
    size_t count = 0;
    uint64_t id;

    for (size_t i = 0; i < list->count; i++)
        if (bytes_equal(list->items[i].key, name)) {
            *found = &list->items[i];
            return 0;
        }
    for (size_t i = 0; i < list->count; i++)
        if (ends_in_name(list->items[i].key, name)) {
            *found = &list->items[i];
            count++;
        }
    if (count == 0 && read_id(name, &id)) {
        *found = snapshot_list_by_id(list, id);
        count = *found != NULL;
    }
    if (count > 1)
        return refuse_several(list, name, count, why);
    if (count == 0)
        return refuse(why, CONDITION_NOT_FOUND,
                      "there is no snapshot %s; 'cowsnap ls' lists those there are", quoted(name));
    return 0;
}

/* ---- output ---- */

const char *snapshot_kind_name(enum snapshot_kind kind)
{
    switch (kind) {
    case SNAPSHOT_VIEW:
        return "view";
    case SNAPSHOT_ACTIVE:
        return "active";
    case SNAPSHOT_COMMITTED:
        return "committed";
    }
    return "unknown";
}

void snapshot_json(struct json *json, const struct snapshot_info *info)
{
    json_number(json, "id", info->id);
    json_bytes(json, "key", info->key);
    if (info->parent_id) {
        json_number(json, "parent_id", info->parent_id);
        json_bytes(json, "parent", info->parent);
    } else {
        json_null(json, "parent_id");
        json_null(json, "parent");
    }
    json_text(json, "kind", snapshot_kind_name(info->kind));
    json_time(json, "created", info->created);
    if (info->usage_known) {
        json_number(json, "size", info->usage_bytes);
        json_number(json, "inodes", info->usage_inodes);
    } else {
        json_null(json, "size");
        json_null(json, "inodes");
    }
    json_switch(json, "sealed", info->sealed);
}

void snapshot_cells(struct table *table, const struct snapshot_info *info)
{
    if (info->usage_known) {
        table_size(table, info->usage_bytes);
        table_number(table, info->usage_inodes);
    } else {
        table_text(table, "-");
        table_text(table, "-");
    }
}
