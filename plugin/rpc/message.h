/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_MESSAGE_H
#define COWSNAP_RPC_MESSAGE_H

/*
 * Between protobuf-c's messages and the buffers of gRPC.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_byte_buffer;

/* Bytes of one message on the wire, both ways: containerd's own limit for proxy plugins. */
#define MESSAGE_LIMIT (16u << 20)

/* Unpacks a message of TYPE from what a peer sent. What it takes in memory is bounded by its length
 * (a few bytes on the wire can ask for many). *MESSAGE is the caller's to message_free().
 * CONDITION_INVALID: it is malformed; CONDITION_EXHAUSTED: it asks for more memory than its length
 * is worth. */
int message_parse(ProtobufCMessage **message, const ProtobufCMessageDescriptor *type,
                  struct bytes wire, struct reason *why);

/* The same from a buffer of gRPC, which stays the caller's. */
int message_unpack(ProtobufCMessage **message, const ProtobufCMessageDescriptor *type,
                   struct grpc_byte_buffer *buffer, struct reason *why);

/* *BUFFER is the caller's. CONDITION_EXHAUSTED when it is larger than MESSAGE_LIMIT. */
int message_pack(struct grpc_byte_buffer **buffer, const ProtobufCMessage *message,
                 struct reason *why);

/* Makes a buffer of LENGTH bytes from malloc(3) and takes them over, also on failure. */
int message_wrap(struct grpc_byte_buffer **buffer, uint8_t *data, size_t length,
                 struct reason *why);

/* Of a message from message_parse() or message_unpack(). NULL is allowed. */
void message_free(ProtobufCMessage *message);

/* For scoped(): frees what a ProtobufCMessage pointer of any type points to. */
void message_free_at(void *slot);
#define scoped_message scoped(message_free_at)

static inline struct bytes message_bytes(ProtobufCBinaryData data)
{
    return (struct bytes){data.data, data.len};
}

/* Borrows: protobuf-c only reads what it packs. */
static inline ProtobufCBinaryData message_binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.length, .data = (uint8_t *)bytes.data};
}

/* The same of a text; NULL becomes "". */
static inline char *message_text(const char *text)
{
    return (char *)(text ? text : "");
}

#endif
