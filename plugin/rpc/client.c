/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct client {
    grpc_channel *channel;
};

/* The batches of a call, told apart by their tags: places in this structure. */
struct client_call {
    grpc_completion_queue *queue; /* of this call alone, so that threads do not meet */
    grpc_call *handle;
    const ProtobufCMessageDescriptor *reply;
    bool ended; /* no message will come any more */

    grpc_metadata name_space; /* lives as long as the batch that sends it */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *outgoing, *incoming;
    grpc_status_code code;
    grpc_slice details;

    char sent, received, over; /* tags */
};

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

int client_open(struct client **opened, const char *address, struct reason *why)
{
    grpc_arg arguments[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, MESSAGE_LIMIT),
        integer_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args list = {sizeof(arguments) / sizeof(arguments[0]), arguments};
    grpc_channel_credentials *credentials;
    struct client *client;
    scoped_fd int fd = -1;
    int result = socket_connect(&fd, address, why);

    if (result)
        return result;
    if (fcntl(fd, F_SETFL, O_NONBLOCK))
        return failure(why, errno, "prepare a connection to %s", address);
    client = calloc(1, sizeof(*client));
    if (!client)
        return failure(why, ENOMEM, "connect to %s", address);
    grpc_init();
    credentials = grpc_insecure_credentials_create();
    client->channel = grpc_channel_create_from_fd("cowsnap", take_fd(&fd), credentials, &list);
    grpc_channel_credentials_release(credentials);
    *opened = client;
    return 0;
}

struct client *client_close(struct client *client)
{
    if (!client)
        return NULL;
    grpc_channel_destroy(client->channel);
    grpc_shutdown();
    free(client);
    return NULL;
}

static gpr_timespec deadline_of(unsigned timeout_ms)
{
    if (timeout_ms == 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

/* Waits until the batch with this tag is through; whether it succeeded. */
static bool await(struct client_call *call, void *tag)
{
    grpc_event event =
        grpc_completion_queue_pluck(call->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

    return event.type == GRPC_OP_COMPLETE && event.success;
}

static int start_batch(struct client_call *call, const grpc_op *operations, size_t count, void *tag,
                       struct reason *why)
{
    grpc_call_error error = grpc_call_start_batch(call->handle, operations, count, tag, NULL);

    if (error == GRPC_CALL_OK)
        return 0;
    return failure(why, EPROTO, "call the daemon (%s)", grpc_call_error_to_string(error));
}

static void call_free(struct client_call *call)
{
    if (call->handle)
        grpc_call_unref(call->handle);
    if (call->outgoing)
        grpc_byte_buffer_destroy(call->outgoing);
    if (call->incoming)
        grpc_byte_buffer_destroy(call->incoming);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->details);
    grpc_slice_unref(call->name_space.value);
    grpc_completion_queue_shutdown(call->queue);
    while (grpc_completion_queue_pluck(call->queue, NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
               .type != GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(call->queue);
    free(call);
}

static int pack_request(struct client_call *call, const struct client_request *request,
                        struct reason *why)
{
    grpc_slice slice;

    if (request->message)
        return message_pack(&call->outgoing, request->message, why);
    slice = grpc_slice_from_copied_buffer((const char *)request->wire.data, request->wire.length);
    call->outgoing = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return 0;
}

int client_begin(struct client_call **begun, struct client *client,
                 const struct client_request *request, struct reason *why)
{
    struct client_call *call = calloc(1, sizeof(*call));
    grpc_op send[4] = {0}, status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    grpc_slice method;
    int result;

    *begun = NULL;
    if (!call)
        return failure(why, ENOMEM, "call %s", request->method);
    call->reply = request->reply;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->details = grpc_empty_slice();
    call->name_space.key = grpc_slice_from_static_string("containerd-namespace");
    call->name_space.value = grpc_slice_from_copied_buffer((const char *)request->name_space.data,
                                                           request->name_space.length);
    call->queue = grpc_completion_queue_create_for_pluck(NULL);
    result = pack_request(call, request, why);
    if (result) {
        call_free(call);
        return result;
    }
    method = grpc_slice_from_copied_string(request->method);
    call->handle =
        grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue,
                                 method, NULL, deadline_of(request->timeout_ms), NULL);
    grpc_slice_unref(method);

    status.data.recv_status_on_client.trailing_metadata = &call->trailing;
    status.data.recv_status_on_client.status = &call->code;
    status.data.recv_status_on_client.status_details = &call->details;
    result = start_batch(call, &status, 1, &call->over, why);
    if (result) {
        call_free(call);
        return result;
    }
    send[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    send[0].data.send_initial_metadata.metadata = &call->name_space;
    send[0].data.send_initial_metadata.count = request->name_space.length > 0;
    send[1].op = GRPC_OP_SEND_MESSAGE;
    send[1].data.send_message.send_message = call->outgoing;
    send[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    send[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    send[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    result = start_batch(call, send, 4, &call->sent, why);
    if (result) {
        grpc_call_cancel(call->handle, NULL);
        await(call, &call->over);
        call_free(call);
        return result;
    }
    *begun = call;
    return 0;
}

int client_next(struct client_call *call, ProtobufCMessage **reply, struct reason *why)
{
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};
    int result;

    *reply = NULL;
    if (call->ended)
        return 0;
    receive.data.recv_message.recv_message = &call->incoming;
    result = start_batch(call, &receive, 1, &call->received, why);
    if (result)
        return result;
    if (!await(call, &call->received) || !call->incoming) {
        call->ended = true;
        return 0;
    }
    result = message_unpack(reply, call->reply, call->incoming, why);
    grpc_byte_buffer_destroy(call->incoming);
    call->incoming = NULL;
    return result;
}

void client_cancel(struct client_call *call)
{
    grpc_call_cancel(call->handle, NULL);
}

int client_end(struct client_call *call, struct client_status *status, struct reason *why)
{
    struct client_status local;
    int result;

    if (!status)
        status = &local;
    await(call, &call->over);
    await(call, &call->sent);
    status->code = (int)call->code;
    snprintf(status->message, sizeof(status->message), "%.*s",
             (int)GRPC_SLICE_LENGTH(call->details),
             (const char *)GRPC_SLICE_START_PTR(call->details));
    call_free(call);
    result = status_result(status->code);
    if (result > 0)
        refuse(why, (enum condition)result, "%s",
               status->message[0] ? status->message : status_name(status->code));
    else if (result < 0 && why)
        snprintf(why->text, sizeof(why->text), "%.*s", (int)sizeof(why->text) - 1,
                 status->message[0] ? status->message : status_name(status->code));
    return result;
}

int client_stream(struct client *client, const struct client_request *request, client_visit *visit,
                  void *context, struct client_status *status, struct reason *why)
{
    struct client_call *call;
    int result = client_begin(&call, client, request, why);

    if (!call)
        return result;
    for (;;) {
        ProtobufCMessage *reply;

        result = client_next(call, &reply, why);
        if (result || !reply)
            break;
        result = visit(context, reply, why);
        message_free(reply);
        if (result)
            break;
    }
    if (result) {
        client_cancel(call);
        client_end(call, status, NULL);
        return result;
    }
    return client_end(call, status, why);
}

int client_unary(struct client *client, const struct client_request *request,
                 ProtobufCMessage **reply, struct client_status *status, struct reason *why)
{
    scoped_message ProtobufCMessage *message = NULL;
    struct client_call *call;
    int unpacked, result = client_begin(&call, client, request, why);

    if (!call)
        return result;
    unpacked = client_next(call, &message, why);
    if (unpacked)
        client_cancel(call);
    result = client_end(call, status, unpacked ? NULL : why);
    if (unpacked)
        return unpacked;
    if (result)
        return result;
    if (!message)
        return failure(why, EPROTO, "%s: the daemon answered nothing", request->method);
    if (reply)
        *reply = take_pointer(message);
    return 0;
}
