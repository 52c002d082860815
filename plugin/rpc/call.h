/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_CALL_H
#define COWSNAP_RPC_CALL_H

/*
 * One call that arrived: its request, whether the caller is still there, its replies and its
 * status.
 */

#include "base/result.h"
#include "rpc/status.h"
#include "rpc/workers.h"

#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What a completion queue gives back. DONE runs on the thread that polls, and blocks only where
 * another can take over (pollers.h). Who hands a tag to gRPC calls tag_give() just before, and the
 * polling thread tag_take() when it comes back: gRPC orders the two in its own way, and this says
 * it in C's, so that ThreadSanitizer, which does not see into gRPC, can watch the rest. */
struct tag {
    void (*done)(struct tag *tag, bool ok);
    atomic_bool given;
};

static inline void *tag_give(struct tag *tag)
{
    atomic_store_explicit(&tag->given, true, memory_order_release);
    return tag;
}

static inline struct tag *tag_take(void *pointer)
{
    struct tag *tag = pointer;

    (void)atomic_load_explicit(&tag->given, memory_order_acquire);
    return tag;
}

/* A call has two things to wait for before it can go: the end of its status, which call_finish()
 * begins, and word from gRPC that the stream is closed. */
struct call {
    struct tag arrived; /* the server's */
    struct tag closed, sent;
    struct job job; /* the server's */

    void *owner;                  /* the server's slot it arrived by */
    void (*ended)(struct call *); /* frees it with call_free(), or uses it again */

    /* filled by gRPC before ARRIVED */
    grpc_call *handle;
    grpc_call_details details; /* of a call to a method that is not registered */
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *request;

    atomic_bool cancel; /* the caller is gone, or its deadline has passed */
    atomic_int waits_for;
    int cancelled; /* filled by gRPC before CLOSED */

    pthread_mutex_t lock; /* guards all below, and batches that send */
    pthread_cond_t changed;
    grpc_byte_buffer *outgoing;
    bool sending;       /* a batch is under way */
    bool broken;        /* one has failed: nobody receives any more */
    bool metadata_sent; /* the first batch has begun */
    bool finishing;     /* the status below is to be sent when nothing is under way */
    bool status_begun;
    enum status_code code;
    char message[STATUS_MESSAGE_ROOM];
    bool is_closed;
    void (*close_notice)(struct call *call, void *context);
    void *close_context;
};

/* ---- for services ---- */

/* Set as soon as nobody waits for the answer any more. A handler may set it, too. */
static inline atomic_bool *call_cancel(struct call *call)
{
    return &call->cancel;
}

/* Packs the reply of a unary call; it goes out with the status. A second replaces the first. */
int call_reply(struct call *call, const ProtobufCMessage *reply, struct reason *why);

/* Sends one message of a stream and takes BUFFER over, also on failure. Waits until the one before
 * has passed flow control, so a stream holds two messages in memory at most. CONDITION_CANCELLED
 * when the caller is gone, or has not read for a long time. Workers only: it blocks. */
int call_send(struct call *call, grpc_byte_buffer *buffer, struct reason *why);

/* Sends one message of a stream without waiting. CONDITION_EXHAUSTED when the one before is still
 * under way; the message is lost then. */
int call_post(struct call *call, const ProtobufCMessage *message, struct reason *why);

/* For a call that is kept: NOTICE runs once on the polling thread when the caller goes. False when
 * he has gone already; NOTICE will not run then. */
bool call_on_close(struct call *call, void (*notice)(struct call *call, void *context),
                   void *context);

/* Ends the call with the status of RESULT, after what is being sent. Once for each call; CALL may
 * be gone when this returns. Does not block. */
void call_finish(struct call *call, int result, const struct reason *why);

/* ---- for the server ---- */

/* The call that MEMBER at POINTER is part of. */
#define call_of(pointer, member)                                                                   \
    ((struct call *)(void *)((char *)(pointer)-offsetof(struct call, member)))

/* A call to be filled by gRPC; NULL when memory is out. */
struct call *call_new(void *owner, void (*ended)(struct call *));
/* After its arrival: begins to watch for the caller's end. */
void call_begin(struct call *call);
/* Whether its time is over. */
bool call_is_late(const struct call *call);
/* The message is not needed any more. */
void call_drop_request(struct call *call);
void call_free(struct call *call);

#endif
