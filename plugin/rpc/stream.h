/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_STREAM_H
#define COWSNAP_RPC_STREAM_H

/*
 * A streamed answer whose messages consist of one repeated field, number 1. Items are packed as
 * they come, so that nothing of them has to be kept, and leave in messages of a reasonable size.
 */

#include "base/result.h"
#include "rpc/call.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_ITEMS 100                 /* in one message, as containerd's own servers do */
#define STREAM_BYTES ((size_t)512 << 10) /* a message with as much as this leaves at once */

struct stream {
    struct call *call;
    uint8_t *data; /* the message being filled */
    size_t length, room;
    unsigned items;
};

/* Adds one; may wait for the caller to read. */
int stream_add(struct stream *stream, const ProtobufCMessage *item, struct reason *why);
/* Sends what has been added since. An empty stream sends nothing. */
int stream_flush(struct stream *stream, struct reason *why);
/* To be called at the end in any case. */
void stream_clear(struct stream *stream);

#endif
