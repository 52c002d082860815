/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_SERVICE_H
#define COWSNAP_RPC_SERVICE_H

/*
 * What a service is: a name, and methods. Each is described in its own file and listed in server.c.
 */

#include "base/result.h"
#include "rpc/call.h"
#include "rpc/server.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct health;

/* What handlers work with. Borrowed. */
struct services {
    struct snapshots *snapshots;
    struct diff *diff;
    struct health *health;
    struct server_facts facts;
    int64_t started; /* seconds since the epoch */
};

/* REQUEST is of the method's request type and lives during the call. A unary method that returns 0
 * has called call_reply(). */
typedef int method_handler(struct call *call, const ProtobufCMessage *request,
                           const struct services *services, struct reason *why);

enum method_lane {
    LANE_READ,  /* on the thread that polls, if another can take over: a read of the store */
    LANE_LOOK,  /* asks the backend, too: as LANE_READ where that is short, else as LANE_SHORT */
    LANE_SHORT, /* on a worker; blocks for milliseconds */
    LANE_LAYER, /* on a worker of those that apply layers, of which there are few: CPU and memory */
    LANE_LONG,  /* on a worker of a third kind: seconds to minutes, mostly waiting */
    LANE_AT_ONCE, /* on the thread that polls: never blocks */
};

struct method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    method_handler *handle;
    enum method_lane lane;
    bool kept; /* a handler that returns 0 keeps the call, and calls call_finish() later */
};

struct service {
    const char *name; /* with its package */
    const struct method *methods;
    size_t count;
};

extern const struct service service_snapshots; /* snapshots_service.c */
extern const struct service service_diff;      /* diff_service.c */
extern const struct service service_health;    /* health_service.c */
extern const struct service service_control;   /* control_service.c */

#endif
