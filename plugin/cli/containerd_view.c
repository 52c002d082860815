/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_view.h"

#include "base/scoped.h"
#include "rpc/client.h"
#include "rpc/containerd_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PROBLEM_ROOM 256
#define SNAPSHOTTER "cowsnap" /* as containerd's configuration calls it */

bool containerd_key_split(struct bytes key, struct bytes *name_space, struct bytes *name)
{
    const uint8_t *end = key.data + key.length;
    const uint8_t *first = key.length ? memchr(key.data, '/', key.length) : NULL;
    const uint8_t *second = first ? memchr(first + 1, '/', (size_t)(end - first - 1)) : NULL;

    if (!second || first == key.data || second == first + 1 || second + 1 == end)
        return false;
    for (const uint8_t *at = first + 1; at < second; at++)
        if (*at < '0' || *at > '9')
            return false;
    *name_space = bytes_from(key.data, (size_t)(first - key.data));
    *name = bytes_from(second + 1, (size_t)(end - second - 1));
    return true;
}

/* ---- names ---- */

static void names_clear(struct containerd_names *names)
{
    free(names->items);
    arena_clear(&names->bytes);
    *names = (struct containerd_names){0};
}

void containerd_view_clear(struct containerd_view *view)
{
    names_clear(&view->listed);
    names_clear(&view->needed);
}

int containerd_names_add(void *context, struct bytes name_space, struct bytes name, const char *by,
                         struct reason *why)
{
    struct containerd_names *names = context;
    struct containerd_name *item;

    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        struct containerd_name *items = reallocarray(names->items, room, sizeof(*items));

        if (!items)
            return failure(why, ENOMEM, "list containerd's snapshots");
        names->items = items;
        names->room = room;
    }
    item = &names->items[names->count];
    if (!arena_copy(&names->bytes, name_space, &item->name_space) ||
        !arena_copy(&names->bytes, name, &item->name) ||
        !arena_copy(&names->bytes, bytes_of(by), &item->by))
        return failure(why, ENOMEM, "list containerd's snapshots");
    names->count++;
    return 0;
}

static int names_order(const void *left, const void *right)
{
    const struct containerd_name *a = left, *b = right;
    int order = bytes_compare(a->name_space, b->name_space);

    return order ? order : bytes_compare(a->name, b->name);
}

void containerd_names_sort(struct containerd_names *names)
{
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), names_order);
}

static bool names_have(const struct containerd_names *names, struct bytes name_space,
                       struct bytes name)
{
    const struct containerd_name wanted = {.name_space = name_space, .name = name};

    return names->count > 0 &&
           bsearch(&wanted, names->items, names->count, sizeof(wanted), names_order);
}

/* ---- comparing ---- */

static int tell_needed(const struct containerd_name *item, check_visit *visit, void *context,
                       struct reason *why)
{
    size_t length = item->name_space.length + 1 + item->name.length;
    scoped_free uint8_t *key = malloc(length);
    char problem[PROBLEM_ROOM];

    if (!key)
        return failure(why, ENOMEM, "tell what containerd needs");
    memcpy(key, item->name_space.data, item->name_space.length);
    key[item->name_space.length] = '/';
    memcpy(key + item->name_space.length + 1, item->name.data, item->name.length);
    snprintf(problem, sizeof(problem), "cowsnapd does not have it, and %.*s needs it",
             (int)item->by.length, (const char *)item->by.data);
    return visit(context,
                 &(struct check_finding){
                     .kind = CHECK_CONTAINERD_NEEDS,
                     .outcome = CHECK_BY_HAND,
                     .key = bytes_from(key, length),
                     .problem = problem,
                 },
                 why);
}

static int tell_lacking(const struct snapshot_info *info, check_visit *visit, void *context,
                        struct reason *why)
{
    return visit(context,
                 &(struct check_finding){
                     .kind = CHECK_CONTAINERD_LACKS,
                     .outcome = CHECK_BY_HAND,
                     .id = info->id,
                     .key = info->key,
                     .problem = "containerd does not have it",
                 },
                 why);
}

/* The names of ours that containerd may know. */
static int names_of_ours(struct containerd_names *names, const struct snapshot_list *ours,
                         struct reason *why)
{
    struct bytes name_space, name;
    int result = 0;

    for (size_t i = 0; !result && i < ours->count; i++)
        if (containerd_key_split(ours->items[i].key, &name_space, &name))
            result = containerd_names_add(names, name_space, name, NULL, why);
    containerd_names_sort(names);
    return result;
}

int containerd_view_compare(const struct containerd_view *before, const struct snapshot_list *ours,
                            const struct containerd_view *after, int64_t now, check_visit *visit,
                            void *context, struct reason *why)
{
    scoped(names_clear) struct containerd_names here = {0};
    struct bytes name_space, name;
    int result = names_of_ours(&here, ours, why);

    for (size_t i = 0; !result && i < before->needed.count; i++) {
        const struct containerd_name *item = &before->needed.items[i];

        if (names_have(&after->needed, item->name_space, item->name) &&
            !names_have(&here, item->name_space, item->name))
            result = tell_needed(item, visit, context, why);
    }
    for (size_t i = ours->count; !result && i-- > 0;) { /* children before their parents */
        const struct snapshot_info *info = &ours->items[i];

        if (now - info->created > CONTAINERD_VIEW_YOUNG &&
            containerd_key_split(info->key, &name_space, &name) &&
            !names_have(&before->listed, name_space, name) &&
            !names_have(&after->listed, name_space, name))
            result = tell_lacking(info, visit, context, why);
    }
    return result;
}

/* ---- asking ---- */

static int reach(struct client **client, const char *address, struct reason *why)
{
    int result = client_open(client, address, why);

    if (result == CONDITION_UNAVAILABLE)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "nobody listens on %s: is containerd running, with this socket?", address);
    return result ? amend(why, result, "reach containerd") : 0;
}

static int view_read(struct containerd_view *view, struct client *client, const char *address,
                     struct reason *why)
{
    int result =
        containerd_client_snapshots(client, SNAPSHOTTER, containerd_names_add, &view->listed, why);

    if (!result)
        result =
            containerd_client_needs(client, SNAPSHOTTER, containerd_names_add, &view->needed, why);
    if (result)
        return amend(why, result, "ask containerd at %s for its snapshots of " SNAPSHOTTER,
                     address);
    containerd_names_sort(&view->listed);
    containerd_names_sort(&view->needed);
    return 0;
}

int containerd_view_try(const char *address, struct reason *why)
{
    scoped(containerd_view_clear) struct containerd_view view = {0};
    struct client *client;
    int result = reach(&client, address, why);

    if (result)
        return result;
    result = view_read(&view, client, address, why);
    client_close(client);
    return result;
}

int containerd_view_check(const struct daemon *daemon, const char *address, check_visit *visit,
                          void *context, struct reason *why)
{
    scoped(containerd_view_clear) struct containerd_view before = {0}, after = {0};
    scoped(snapshot_list_clear) struct snapshot_list ours = {0};
    struct timespec now;
    struct client *client;
    int result = reach(&client, address, why);

    if (result)
        return result;
    result = view_read(&before, client, address, why);
    if (!result)
        result = snapshot_list_read(&ours, daemon, why);
    if (!result)
        result = view_read(&after, client, address, why);
    client_close(client);
    if (result)
        return result;
    clock_gettime(CLOCK_REALTIME, &now);
    return containerd_view_compare(&before, &ours, &after,
                                   (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, visit, context,
                                   why);
}
