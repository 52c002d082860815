/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_CLIENT_H
#define COWSNAP_RPC_CLIENT_H

/*
 * A small synchronous gRPC client over one connection to a unix socket, for the tool `cowsnap` and
 * for tests. It does not connect again: open another.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "rpc/status.h"

#include <protobuf-c/protobuf-c.h>

struct client;
struct client_call;

/* Seconds that people and their scripts wait for an answer that should come at once. */
#define CLIENT_TIMEOUT 30

/* How a call ended. */
struct client_status {
    int code;           /* enum status_code */
    char message[4096]; /* as the server sent it; cut when longer */
};

struct client_request {
    const char *method; /* "/package.Service/Method" */
    const ProtobufCMessage *message;
    struct bytes wire; /* sent as it is when MESSAGE is NULL */
    const ProtobufCMessageDescriptor *reply;
    struct bytes name_space; /* of containerd, whom the call is for; empty for any other */
    unsigned timeout_ms;     /* of the whole call; 0 for none */
};

/* CONDITION_UNAVAILABLE: nobody listens at ADDRESS, a path. */
int client_open(struct client **client, const char *address, struct reason *why);
/* After the end of every call. NULL is allowed; returns NULL. */
struct client *client_close(struct client *client);

/* One request, one reply: 0 and *REPLY, the caller's to message_free() (rpc/message.h). Otherwise
 * what status_result() says of the status, with the server's message in WHY. REPLY may be NULL;
 * STATUS may be NULL. Any thread. */
int client_unary(struct client *client, const struct client_request *request,
                 ProtobufCMessage **reply, struct client_status *status, struct reason *why);

/* Called with each message of a stream; a result other than 0 cancels the call and is returned. */
typedef int client_visit(void *context, const ProtobufCMessage *reply, struct reason *why);
int client_stream(struct client *client, const struct client_request *request, client_visit *visit,
                  void *context, struct client_status *status, struct reason *why);

/* ---- the steps of a call, for who needs them one by one ---- */

/* Sends the request. *CALL is to be ended by client_end(); NULL on failure. */
int client_begin(struct client_call **call, struct client *client,
                 const struct client_request *request, struct reason *why);
/* Waits for the next message: 0 and *REPLY, or NULL at the end of the stream. */
int client_next(struct client_call *call, ProtobufCMessage **reply, struct reason *why);
/* Any thread, until client_end(). */
void client_cancel(struct client_call *call);
/* Waits for the status, frees. Returns as client_unary(). A stream must have been read to its end,
 * or cancelled. */
int client_end(struct client_call *call, struct client_status *status, struct reason *why);

#endif
