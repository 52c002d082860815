/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/stream.h"

#include "rpc/message.h"

#include <errno.h>
#include <stdlib.h>

#define FIELD_ONE 0x0a  /* field 1, length-delimited */
#define HEADER_ROOM 11u /* of it, and a length of at most ten bytes */

static int make_room(struct stream *stream, size_t more, struct reason *why)
{
    size_t room = stream->room ? stream->room : 4096;
    uint8_t *grown;

    while (room - stream->length < more)
        room *= 2;
    if (stream->data && room == stream->room)
        return 0;
    grown = realloc(stream->data, room);
    if (!grown)
        return failure(why, ENOMEM, "make room for a message of %zu bytes", room);
    stream->data = grown;
    stream->room = room;
    return 0;
}

int stream_flush(struct stream *stream, struct reason *why)
{
    grpc_byte_buffer *buffer;
    uint8_t *data = stream->data;
    int result;

    if (stream->items == 0)
        return 0;
    stream->data = NULL;
    stream->room = 0;
    stream->items = 0;
    result = message_wrap(&buffer, data, stream->length, why);
    stream->length = 0;
    if (result)
        return result;
    return call_send(stream->call, buffer, why);
}

int stream_add(struct stream *stream, const ProtobufCMessage *item, struct reason *why)
{
    size_t size = protobuf_c_message_get_packed_size(item);
    int result = 0;

    if (stream->length && stream->length + size > MESSAGE_LIMIT / 2)
        result = stream_flush(stream, why);
    if (result == 0)
        result = make_room(stream, size + HEADER_ROOM, why);
    if (result)
        return result;
    stream->data[stream->length++] = FIELD_ONE;
    for (size_t rest = size;; rest >>= 7) {
        stream->data[stream->length++] = (uint8_t)(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
        if (rest <= 0x7f)
            break;
    }
    stream->length += protobuf_c_message_pack(item, stream->data + stream->length);
    stream->items++;
    if (stream->items >= STREAM_ITEMS || stream->length >= STREAM_BYTES)
        return stream_flush(stream, why);
    return 0;
}

void stream_clear(struct stream *stream)
{
    free(stream->data);
    stream->data = NULL;
    stream->length = stream->room = 0;
    stream->items = 0;
}
