/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"

#include "base/log.h"
#include "rpc/message.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a stream waits for a caller that does not read: a worker is held meanwhile. */
#define PATIENCE_SECONDS 30

static void drop(struct call *call)
{
    if (atomic_fetch_sub(&call->waits_for, 1) == 1)
        call->ended(call);
}

static void closed_done(struct tag *tag, bool ok)
{
    struct call *call = call_of(tag, closed);
    void (*notice)(struct call *, void *);

    (void)ok; /* this operation always succeeds */
    if (call->cancelled)
        atomic_store(&call->cancel, true);
    pthread_mutex_lock(&call->lock);
    call->is_closed = true;
    notice = call->close_notice;
    pthread_mutex_unlock(&call->lock);
    if (notice)
        notice(call, call->close_context);
    drop(call);
}

/* Begins a batch of what there is to send. With the lock held and nothing under way; false when it
 * could not begin. */
static bool begin_batch(struct call *call)
{
    grpc_op operations[3] = {0};
    size_t count = 0;
    grpc_slice details = grpc_empty_slice();
    grpc_call_error error;

    if (!call->metadata_sent)
        operations[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (call->outgoing) {
        operations[count].op = GRPC_OP_SEND_MESSAGE;
        operations[count++].data.send_message.send_message = call->outgoing;
    }
    if (call->finishing) {
        details = grpc_slice_from_copied_string(call->message);
        operations[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        operations[count].data.send_status_from_server.status = (grpc_status_code)call->code;
        operations[count++].data.send_status_from_server.status_details = &details;
    }
    call->metadata_sent = true;
    call->status_begun = call->finishing;
    call->sending = true;
    error = grpc_call_start_batch(call->handle, operations, count, tag_give(&call->sent), NULL);
    grpc_slice_unref(details);
    if (error == GRPC_CALL_OK)
        return true;
    log_error("rpc: gRPC refused to send an answer: %s", grpc_call_error_to_string(error));
    call->sending = false;
    call->broken = true;
    return false;
}

static void discard_outgoing(struct call *call)
{
    if (call->outgoing)
        grpc_byte_buffer_destroy(call->outgoing);
    call->outgoing = NULL;
}

/* Sends the status when its turn has come. With the lock held; true when the call is through with
 * sending for good, and drop() is due. */
static bool conclude(struct call *call)
{
    if (!call->finishing || call->sending)
        return false;
    if (call->status_begun)
        return true;
    return !begin_batch(call);
}

static void sent_done(struct tag *tag, bool ok)
{
    struct call *call = call_of(tag, sent);
    bool over;

    pthread_mutex_lock(&call->lock);
    call->sending = false;
    if (!ok)
        call->broken = true;
    discard_outgoing(call);
    over = conclude(call);
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
    if (over)
        drop(call);
}

struct call *call_new(void *owner, void (*ended)(struct call *))
{
    struct call *call = calloc(1, sizeof(*call));
    pthread_condattr_t attributes;

    if (!call)
        return NULL;
    call->closed.done = closed_done;
    call->sent.done = sent_done;
    call->owner = owner;
    call->ended = ended;
    call->deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    atomic_init(&call->cancel, false);
    atomic_init(&call->waits_for, 2);
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return call;
}

void call_free(struct call *call)
{
    call_drop_request(call);
    discard_outgoing(call);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->handle)
        grpc_call_unref(call->handle);
    pthread_cond_destroy(&call->changed);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

void call_begin(struct call *call)
{
    grpc_op operation = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    grpc_call_error error;

    operation.data.recv_close_on_server.cancelled = &call->cancelled;
    error = grpc_call_start_batch(call->handle, &operation, 1, tag_give(&call->closed), NULL);
    if (error == GRPC_CALL_OK)
        return;
    log_error("rpc: gRPC refused to watch a call: %s", grpc_call_error_to_string(error));
    drop(call);
}

bool call_is_late(const struct call *call)
{
    return gpr_time_cmp(call->deadline, gpr_now(call->deadline.clock_type)) <= 0;
}

void call_drop_request(struct call *call)
{
    if (call->request)
        grpc_byte_buffer_destroy(call->request);
    call->request = NULL;
}

int call_reply(struct call *call, const ProtobufCMessage *reply, struct reason *why)
{
    discard_outgoing(call);
    return message_pack(&call->outgoing, reply, why);
}

/* Waits until nothing is under way; with the lock held. A caller that does not read is cancelled:
 * what is under way then ends soon, in failure. */
static void await_sent(struct call *call)
{
    struct timespec limit;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += PATIENCE_SECONDS;
    while (call->sending)
        if (pthread_cond_timedwait(&call->changed, &call->lock, &limit)) {
            grpc_call_cancel_with_status(call->handle, GRPC_STATUS_DEADLINE_EXCEEDED,
                                         "the caller does not read the answer", NULL);
            break;
        }
    while (call->sending)
        pthread_cond_wait(&call->changed, &call->lock);
}

int call_send(struct call *call, grpc_byte_buffer *buffer, struct reason *why)
{
    bool gone;

    pthread_mutex_lock(&call->lock);
    await_sent(call);
    gone = call->broken || atomic_load(&call->cancel);
    if (!gone) {
        call->outgoing = buffer;
        gone = !begin_batch(call);
        if (gone)
            discard_outgoing(call);
        buffer = NULL;
    }
    pthread_mutex_unlock(&call->lock);
    if (buffer)
        grpc_byte_buffer_destroy(buffer);
    if (gone)
        return refuse(why, CONDITION_CANCELLED, "the caller is gone");
    return 0;
}

int call_post(struct call *call, const ProtobufCMessage *message, struct reason *why)
{
    grpc_byte_buffer *buffer;
    int result = message_pack(&buffer, message, why);

    if (result)
        return result;
    pthread_mutex_lock(&call->lock);
    if (call->sending) {
        result = refuse(why, CONDITION_EXHAUSTED, "the message before is still under way");
        grpc_byte_buffer_destroy(buffer);
    } else {
        call->outgoing = buffer;
        if (!begin_batch(call)) {
            discard_outgoing(call);
            result = refuse(why, CONDITION_CANCELLED, "the caller is gone");
        }
    }
    pthread_mutex_unlock(&call->lock);
    return result;
}

bool call_on_close(struct call *call, void (*notice)(struct call *call, void *context),
                   void *context)
{
    bool open;

    pthread_mutex_lock(&call->lock);
    open = !call->is_closed;
    if (open) {
        call->close_notice = notice;
        call->close_context = context;
    }
    pthread_mutex_unlock(&call->lock);
    return open;
}

void call_finish(struct call *call, int result, const struct reason *why)
{
    bool over;

    pthread_mutex_lock(&call->lock);
    if (result && !call->sending)
        discard_outgoing(call);
    call->code = status_of(result);
    status_message(result, why, call->message);
    call->finishing = true;
    over = conclude(call);
    pthread_mutex_unlock(&call->lock);
    if (over)
        drop(call);
}
