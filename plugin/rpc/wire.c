/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire.h"

#include "base/scoped.h"
#include "rpc/message.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND 1000000000

Containerd__Types__Timestamp wire_timestamp(int64_t nanoseconds)
{
    Containerd__Types__Timestamp stamp = CONTAINERD__TYPES__TIMESTAMP__INIT;
    int64_t rest = nanoseconds % SECOND;

    stamp.seconds = nanoseconds / SECOND;
    if (rest < 0) {
        rest += SECOND;
        stamp.seconds--;
    }
    stamp.nanos = (int32_t)rest;
    return stamp;
}

int64_t wire_nanoseconds(const Containerd__Types__Timestamp *stamp)
{
    int64_t result;

    if (!stamp)
        return 0;
    /* what no 64 bits hold is as far away as they reach */
    if (__builtin_mul_overflow(stamp->seconds, (int64_t)SECOND, &result) ||
        __builtin_add_overflow(result, (int64_t)stamp->nanos, &result))
        return stamp->seconds < 0 ? INT64_MIN : INT64_MAX;
    return result;
}

/* Sorts places in a message's list: by key, then by their order there. */
static int compare_places(const void *a, const void *b)
{
    Containerd__Types__Label *const *one = *(Containerd__Types__Label *const *const *)a;
    Containerd__Types__Label *const *other = *(Containerd__Types__Label *const *const *)b;
    int order = bytes_compare(message_bytes((*one)->key), message_bytes((*other)->key));

    return order ? order : (one > other) - (one < other);
}

int wire_labels_read(struct label **labels, size_t *count, size_t wire_count,
                     Containerd__Types__Label *const *wire, struct reason *why)
{
    scoped_free Containerd__Types__Label *const **places = NULL;
    struct label *list;
    size_t used = 0;

    *labels = NULL;
    *count = 0;
    if (wire_count == 0)
        return 0;
    places = calloc(wire_count, sizeof(*places));
    list = calloc(wire_count, sizeof(*list));
    if (!places || !list) {
        free(list);
        return failure(why, ENOMEM, "read %zu labels", wire_count);
    }
    for (size_t i = 0; i < wire_count; i++)
        places[i] = &wire[i];
    qsort(places, wire_count, sizeof(*places), compare_places);
    for (size_t i = 0; i < wire_count; i++) {
        struct bytes key = message_bytes((*places[i])->key);

        if (used == 0 || !bytes_equal(list[used - 1].key, key))
            used++;
        list[used - 1] = (struct label){key, message_bytes((*places[i])->value)};
    }
    *labels = list;
    *count = used;
    return 0;
}

int wire_check_text(struct bytes text, const char *what, struct reason *why)
{
    return bytes_are_utf8(text)
               ? 0
               : refuse(why, CONDITION_INVALID, "the %s %s is no UTF-8", what, quoted(text));
}

int wire_check_labels(const struct label *labels, size_t count, struct reason *why)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        result = wire_check_text(labels[i].key, "label", why);
        if (result == 0 && !bytes_are_utf8(labels[i].value))
            result = refuse(why, CONDITION_INVALID, "the value %s of the label %s is no UTF-8",
                            quoted(labels[i].value), quoted(labels[i].key));
    }
    return result;
}

int wire_labels_write(Containerd__Types__Label ***wire, const struct label *labels, size_t count,
                      struct reason *why)
{
    Containerd__Types__Label **pointers, *items;

    *wire = NULL;
    if (count == 0)
        return 0;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a pointer and what it points to, for each */
    pointers = calloc(count, sizeof(*pointers) + sizeof(*items));
    if (!pointers)
        return failure(why, ENOMEM, "write %zu labels", count);
    items = (Containerd__Types__Label *)(void *)(pointers + count);
    for (size_t i = 0; i < count; i++) {
        containerd__types__label__init(&items[i]);
        items[i].key = message_binary(labels[i].key);
        items[i].value = message_binary(labels[i].value);
        pointers[i] = &items[i];
    }
    *wire = pointers;
    return 0;
}

int wire_strings_read(struct bytes **strings, const ProtobufCBinaryData *wire, size_t count,
                      struct reason *why)
{
    *strings = NULL;
    if (count == 0)
        return 0;
    *strings = calloc(count, sizeof(**strings));
    if (!*strings)
        return failure(why, ENOMEM, "read %zu strings", count);
    for (size_t i = 0; i < count; i++)
        (*strings)[i] = message_bytes(wire[i]);
    return 0;
}

int wire_strings_write(ProtobufCBinaryData **wire, const struct bytes *strings, size_t count,
                       struct reason *why)
{
    *wire = calloc(count ? count : 1, sizeof(**wire));
    if (!*wire)
        return failure(why, ENOMEM, "write %zu strings", count);
    for (size_t i = 0; i < count; i++)
        (*wire)[i] = message_binary(strings[i]);
    return 0;
}

int wire_mounts_write(Containerd__Types__Mount ***wire, const struct mounts *mounts,
                      struct reason *why)
{
    Containerd__Types__Mount **pointers, *items;
    ProtobufCBinaryData *options;
    size_t option_count = 0;

    *wire = NULL;
    if (mounts->count == 0)
        return 0;
    for (size_t i = 0; i < mounts->count; i++)
        option_count += mounts->items[i].option_count;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a pointer and what it points to, for each */
    pointers = calloc(1, mounts->count * (sizeof(*pointers) + sizeof(*items)) +
                             option_count * sizeof(*options));
    if (!pointers)
        return failure(why, ENOMEM, "write %zu mounts", mounts->count);
    items = (Containerd__Types__Mount *)(void *)(pointers + mounts->count);
    options = (ProtobufCBinaryData *)(void *)(items + mounts->count);
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *mount = &mounts->items[i];

        containerd__types__mount__init(&items[i]);
        items[i].type = message_binary(bytes_of(mount->type));
        items[i].source = message_binary(bytes_of(mount->source));
        items[i].target = message_binary(bytes_of(mount->target));
        items[i].options = options;
        items[i].n_options = mount->option_count;
        for (size_t k = 0; k < mount->option_count; k++)
            *options++ = message_binary(bytes_of(mount->options[k]));
        pointers[i] = &items[i];
    }
    *wire = pointers;
    return 0;
}

int wire_info_write(struct wire_info *wire, const struct snapshot_info *info, struct reason *why)
{
    int result = wire_labels_write(&wire->labels, info->labels, info->label_count, why);

    if (result)
        return result;
    containerd__services__snapshots__v1__info__init(&wire->info);
    wire->created = wire_timestamp(info->created);
    wire->updated = wire_timestamp(info->updated);
    wire->info.name = message_binary(info->key);
    wire->info.parent = message_binary(info->parent);
    wire->info.kind = (Containerd__Services__Snapshots__V1__Kind)info->kind;
    wire->info.created_at = &wire->created;
    wire->info.updated_at = &wire->updated;
    wire->info.labels = wire->labels;
    wire->info.n_labels = info->label_count;
    return 0;
}
