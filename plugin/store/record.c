/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "cowsnap/record.pb-c.h"

#include <errno.h>
#include <inttypes.h>

typedef Cowsnap__Store__V1__Record RecordMessage;
typedef Cowsnap__Store__V1__StoredLabel LabelMessage;

const char *record_flaw(const struct record *record)
{
    if (record->id == 0)
        return "its id is 0";
    if (record->parent == record->id)
        return "it is its own parent";
    if (record->kind < SNAPSHOT_VIEW || record->kind > SNAPSHOT_COMMITTED)
        return "its kind is unknown";
    if (record->key.length > STORE_KEY_LIMIT)
        return "its key is too long";
    for (size_t i = 1; i < record->label_count; i++)
        if (bytes_compare(record->labels[i - 1].key, record->labels[i].key) >= 0)
            return "its labels are not in order";
    return NULL;
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.length, .data = (uint8_t *)bytes.data};
}

/* Lends the record's labels to MESSAGE; the arrays that takes are of ARENA. */
static bool lend_labels(const struct record *record, struct arena *arena, RecordMessage *message)
{
    LabelMessage *labels = arena_take(arena, record->label_count * sizeof(*labels));

    LabelMessage **lent = arena_take(arena, record->label_count * sizeof(LabelMessage *));

    if (!labels || !lent)
        return false;
    message->n_labels = record->label_count;
    message->labels = lent;
    for (size_t i = 0; i < record->label_count; i++) {
        cowsnap__store__v1__stored_label__init(&labels[i]);
        labels[i].key = binary(record->labels[i].key);
        labels[i].value = binary(record->labels[i].value);
        lent[i] = &labels[i];
    }
    return true;
}

int record_pack(const struct record *record, struct arena *arena, struct bytes *packed,
                struct reason *why)
{
    RecordMessage message = COWSNAP__STORE__V1__RECORD__INIT;
    size_t size;
    uint8_t *room;

    message.parent = record->parent;
    message.key = binary(record->key);
    message.kind = (uint32_t)record->kind;
    message.created = (uint64_t)record->created;
    message.updated = (uint64_t)record->updated;
    message.usage_bytes = record->usage_bytes;
    message.usage_inodes = record->usage_inodes;
    message.usage_known = record->usage_known;
    message.synced = record->synced;
    message.sealed = record->sealed;
    if (!lend_labels(record, arena, &message))
        return failure(why, ENOMEM, "packing record %" PRIu64, record->id);
    size = cowsnap__store__v1__record__get_packed_size(&message);
    room = arena_take(arena, size);
    if (!room)
        return failure(why, ENOMEM, "packing record %" PRIu64, record->id);
    cowsnap__store__v1__record__pack(&message, room);
    *packed = bytes_from(room, size);
    return 0;
}

/* protobuf-c answers NULL for bytes that do not parse and for memory that ran out; which it was is
 * remembered here. */
struct memory {
    struct arena *arena;
    bool exhausted;
};

static void *allocate(void *opaque, size_t size)
{
    struct memory *memory = opaque;
    void *piece = arena_take(memory->arena, size);

    if (!piece)
        memory->exhausted = true;
    return piece;
}

static void release(void *opaque, void *piece)
{
    (void)opaque;
    (void)piece; /* goes with the arena */
}

static struct bytes borrow(ProtobufCBinaryData data)
{
    return bytes_from(data.data, data.len);
}

/* The message's labels as an array of ARENA; NULL when memory is out. */
static const struct label *borrow_labels(const RecordMessage *message, struct arena *arena)
{
    struct label *labels = arena_take(arena, message->n_labels * sizeof(*labels));

    if (!labels)
        return NULL;
    for (size_t i = 0; i < message->n_labels; i++) {
        labels[i].key = borrow(message->labels[i]->key);
        labels[i].value = borrow(message->labels[i]->value);
    }
    return labels;
}

static int damaged(uint64_t id, const char *flaw, struct reason *why)
{
    return failure(why, EBADMSG,
                   "record %" PRIu64 " of the store is damaged (%s); check the disk that holds "
                   "the store",
                   id, flaw);
}

int record_unpack(struct bytes packed, uint64_t id, struct arena *arena, struct record *record,
                  struct reason *why)
{
    struct memory memory = {.arena = arena};
    ProtobufCAllocator allocator = {allocate, release, &memory};
    const struct label *labels;
    const char *flaw;

    *record = (struct record){.id = id};
    const RecordMessage *message =
        cowsnap__store__v1__record__unpack(&allocator, packed.length, packed.data);
    if (!message && !memory.exhausted)
        return damaged(id, "it does not parse", why);
    labels = message ? borrow_labels(message, arena) : NULL;
    if (!labels)
        return failure(why, ENOMEM, "unpacking record %" PRIu64, id);

    *record = (struct record){
        .id = id,
        .parent = message->parent,
        .key = borrow(message->key),
        .kind = (enum snapshot_kind)message->kind,
        .created = (int64_t)message->created,
        .updated = (int64_t)message->updated,
        .labels = labels,
        .label_count = message->n_labels,
        .usage_bytes = message->usage_bytes,
        .usage_inodes = message->usage_inodes,
        .usage_known = message->usage_known,
        .synced = message->synced,
        .sealed = message->sealed,
    };
    flaw = record_flaw(record);
    if (flaw)
        return damaged(id, flaw, why);
    return 0;
}
