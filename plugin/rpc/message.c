/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/message.h"

#include "base/scoped.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/*
 * An empty sub-message is two bytes on the wire and about eighty in memory, besides what the parser
 * needs while it runs. Real requests take less than ten times their length; what asks for more than
 * this is refused before it is there.
 */
#define MEMORY_BASE ((size_t)64 << 10)
#define MEMORY_FACTOR 32
#define MEMORY_LIMIT ((size_t)4 * MESSAGE_LIMIT)

struct budget {
    size_t left;
    bool exceeded, out_of_memory;
};

static void *budget_alloc(void *context, size_t size)
{
    struct budget *budget = context;
    void *block;
    size_t real;

    if (size > budget->left) {
        budget->exceeded = true;
        return NULL;
    }
    block = malloc(size ? size : 1);
    if (!block) {
        budget->out_of_memory = true;
        return NULL;
    }
    real = malloc_usable_size(block);
    budget->left -= real < budget->left ? real : budget->left;
    return block;
}

static void budget_free(void *context, void *block)
{
    struct budget *budget = context;

    if (!block)
        return;
    budget->left += malloc_usable_size(block);
    free(block);
}

int message_parse(ProtobufCMessage **message, const ProtobufCMessageDescriptor *type,
                  struct bytes wire, struct reason *why)
{
    struct budget budget = {.left = MEMORY_BASE + wire.length * MEMORY_FACTOR};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    static const uint8_t nothing[1];

    if (budget.left > MEMORY_LIMIT)
        budget.left = MEMORY_LIMIT;
    *message =
        protobuf_c_message_unpack(type, &allocator, wire.length, wire.data ? wire.data : nothing);
    if (*message)
        return 0;
    if (budget.out_of_memory)
        return failure(why, ENOMEM, "unpack a %s of %zu bytes", type->name, wire.length);
    if (budget.exceeded)
        return refuse(why, CONDITION_EXHAUSTED,
                      "a %s of %zu bytes would take too much memory: send fewer and larger parts",
                      type->name, wire.length);
    return refuse(why, CONDITION_INVALID, "a malformed %s of %zu bytes", type->name, wire.length);
}

/* Copies the slices of BUFFER one after another into TARGET, which has room for them. */
static void gather(struct grpc_byte_buffer *buffer, uint8_t *target, size_t room)
{
    grpc_byte_buffer_reader reader;
    grpc_slice slice;
    size_t used = 0;

    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return;
    while (grpc_byte_buffer_reader_next(&reader, &slice)) {
        size_t length = GRPC_SLICE_LENGTH(slice);

        if (length > room - used)
            length = room - used;
        memcpy(target + used, GRPC_SLICE_START_PTR(slice), length);
        used += length;
        grpc_slice_unref(slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
}

int message_unpack(ProtobufCMessage **message, const ProtobufCMessageDescriptor *type,
                   struct grpc_byte_buffer *buffer, struct reason *why)
{
    size_t length = grpc_byte_buffer_length(buffer);
    uint8_t small[1024]; /* most requests: no allocation */
    scoped_free uint8_t *large = NULL;

    *message = NULL;
    if (length > sizeof(small)) {
        large = calloc(1, length);
        if (!large)
            return failure(why, ENOMEM, "receive a %s of %zu bytes", type->name, length);
    }
    gather(buffer, large ? large : small, length);
    return message_parse(message, type, bytes_from(large ? large : small, length), why);
}

int message_wrap(struct grpc_byte_buffer **buffer, uint8_t *data, size_t length, struct reason *why)
{
    grpc_slice slice;

    *buffer = NULL;
    if (length > MESSAGE_LIMIT) {
        free(data);
        return refuse(why, CONDITION_EXHAUSTED,
                      "the message has %zu bytes, and at most %u can be sent", length,
                      MESSAGE_LIMIT);
    }
    if (length <= GRPC_SLICE_INLINED_SIZE) {
        slice = grpc_slice_from_copied_buffer((const char *)data, length);
        free(data);
    } else {
        slice = grpc_slice_new(data, length, free);
    }
    *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return 0;
}

int message_pack(struct grpc_byte_buffer **buffer, const ProtobufCMessage *message,
                 struct reason *why)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *data;

    *buffer = NULL;
    if (length > MESSAGE_LIMIT)
        return refuse(why, CONDITION_EXHAUSTED, "a %s of %zu bytes, and at most %u can be sent",
                      message->descriptor->name, length, MESSAGE_LIMIT);
    data = malloc(length ? length : 1);
    if (!data)
        return failure(why, ENOMEM, "pack a %s of %zu bytes", message->descriptor->name, length);
    protobuf_c_message_pack(message, data);
    return message_wrap(buffer, data, length, why);
}

void message_free(ProtobufCMessage *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

void message_free_at(void *slot)
{
    message_free(*(ProtobufCMessage **)slot);
}
