/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the server, and what each does:
 *
 *  - the acceptor (acceptor.c) sleeps on the listening socket and hands each connection to gRPC;
 *  - a poller (pollers.c) sleeps in the completion queue. It does gRPC's input and output, takes
 *    calls as they come, answers those that only look, and gives the others to a lane of workers;
 *  - workers run the handlers. Short calls and long ones have lanes of their own, so that a Prepare
 *    does not wait behind the layers being unpacked;
 *  - gRPC's own timer and executor threads sleep.
 *
 * For each method one call is "armed": gRPC fills it when one arrives, and the next is armed at
 * once.
 *
 * The end: no new connections, health tells it, gRPC stops taking calls, and those under way run to
 * their end or are cancelled when grace is over. Only when the last has gone are the lanes, the
 * completion queue and gRPC itself taken down, in this order: nothing may be started on a
 * completion queue that is shut down.
 */
#include "rpc/server.h"

#include "base/log.h"
#include "base/scoped.h"
#include "rpc/acceptor.h"
#include "rpc/call.h"
#include "rpc/health.h"
#include "rpc/message.h"
#include "rpc/pollers.h"
#include "rpc/service.h"
#include "rpc/socket.h"
#include "rpc/workers.h"

#include <errno.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHORT_WORKERS_LEAST 16
#define SHORT_WORKERS_MOST 64
#define LAYER_WORKERS 8 /* unless the options say otherwise */
#define LONG_WORKERS 4
#define QUEUE_LIMIT 1024
#define STREAMS_BEYOND 1024 /* calls of a connection that can be told that too many wait */
#define HELD_LIMIT ((size_t)4 * MESSAGE_LIMIT) /* bytes of requests that wait for a worker */

static const struct service *const all_services[] = {
    &service_snapshots,
    &service_diff,
    &service_health,
    &service_control,
};
#define SERVICE_COUNT (sizeof(all_services) / sizeof(all_services[0]))

/* One method, or, with METHOD NULL, all that are not registered. */
struct slot {
    struct server *server;
    const struct method *method;
    void *registered;
    atomic_bool bare; /* memory was out when the next call should have been armed */
    char path[128];
};

struct server {
    struct services services;
    struct socket_file socket;
    struct workers *short_lane, *layer_lane, *long_lane;
    grpc_server *core;
    grpc_completion_queue *queue;
    struct acceptor *acceptor;
    struct pollers *pollers;
    bool grpc_ready, looks_are_short;
    struct tag down; /* gRPC's server has shut down */
    atomic_size_t held;
    atomic_bool bare; /* some slot is */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    unsigned armed; /* for gRPC to fill */
    unsigned calls; /* under way */
    bool is_down;

    size_t slot_count;
    struct slot slots[];
};

/* ---- calls ---- */

static void arrived_done(struct tag *tag, bool ok);
static void run_job(struct job *job);

static int slot_arm(struct slot *slot);

static void arm_again(struct server *server)
{
    if (atomic_exchange(&server->bare, false))
        for (size_t i = 0; i < server->slot_count; i++)
            if (atomic_exchange(&server->slots[i].bare, false))
                (void)slot_arm(&server->slots[i]);
}

static void server_call_ended(struct call *call)
{
    struct server *server = ((struct slot *)call->owner)->server;

    call_free(call);
    arm_again(server);
    pthread_mutex_lock(&server->lock);
    server->calls--;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Lets gRPC fill the next call of a method. What fails is tried again with the memory of the next
 * call that ends, whichever it is. */
static int slot_arm(struct slot *slot)
{
    struct server *server = slot->server;
    struct call *call = call_new(slot, server_call_ended);
    grpc_call_error error;

    if (!call) {
        log_error("rpc: out of memory: calls of %s wait", slot->path);
        atomic_store(&slot->bare, true);
        atomic_store(&server->bare, true);
        return -ENOMEM;
    }
    pthread_mutex_lock(&server->lock);
    server->armed++;
    pthread_mutex_unlock(&server->lock);
    call->arrived.done = arrived_done;
    call->job.run = run_job;
    if (slot->method)
        error = grpc_server_request_registered_call(
            server->core, slot->registered, &call->handle, &call->deadline, &call->metadata,
            &call->request, server->queue, server->queue, tag_give(&call->arrived));
    else
        error =
            grpc_server_request_call(server->core, &call->handle, &call->details, &call->metadata,
                                     server->queue, server->queue, tag_give(&call->arrived));
    if (error == GRPC_CALL_OK)
        return 0;
    log_error("rpc: gRPC refused to serve %s: %s", slot->path, grpc_call_error_to_string(error));
    call_free(call);
    pthread_mutex_lock(&server->lock);
    server->armed--;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return -EINVAL;
}

/* Ends a call whose handler has run, or was not run at all. */
static void finish(struct call *call, int result, const struct reason *why)
{
    const struct slot *slot = call->owner;

    if (result < 0)
        log_error("rpc: %s: %s", slot->path, why->text);
    else if (result > 0)
        log_debug("rpc: %s: %s", slot->path, why->text);
    call_finish(call, result, why);
}

static int handle(struct call *call, struct reason *why)
{
    const struct slot *slot = call->owner;
    struct server *server = slot->server;
    scoped_message ProtobufCMessage *request = NULL;
    size_t held = grpc_byte_buffer_length(call->request);
    int result;

    if (call_is_late(call))
        result = refuse(why, CONDITION_DEADLINE, "the deadline passed before the request began");
    else if (atomic_load(call_cancel(call)))
        result = refuse(why, CONDITION_CANCELLED, "cancelled before the request began");
    else
        result = message_unpack(&request, slot->method->request, call->request, why);
    call_drop_request(call);
    atomic_fetch_sub(&server->held, held);
    if (result)
        return result;
    result = slot->method->handle(call, request, &server->services, why);
    if (result == CONDITION_CANCELLED && call_is_late(call))
        result = CONDITION_DEADLINE;
    return result;
}

static void run_call(struct call *call)
{
    const struct slot *slot = call->owner;
    bool kept = slot->method->kept;
    struct reason why = {0};
    int result = handle(call, &why);

    if (result || !kept)
        finish(call, result, &why);
}

static void run_job(struct job *job)
{
    run_call(call_of(job, job));
}

/* Whether calls of METHOD run on the thread that polls, while another can take over. */
static bool is_short_look(const struct server *server, const struct method *method)
{
    return method->lane == LANE_READ || (method->lane == LANE_LOOK && server->looks_are_short);
}

static struct workers *lane_of(const struct server *server, const struct method *method)
{
    switch (method->lane) {
    case LANE_LAYER:
        return server->layer_lane;
    case LANE_LONG:
        return server->long_lane;
    default:
        return server->short_lane;
    }
}

/* Runs a call that has its request, or finds a worker for it. */
static int dispatch(struct call *call, struct reason *why)
{
    struct slot *slot = call->owner;
    struct server *server = slot->server;
    size_t length = grpc_byte_buffer_length(call->request);
    size_t held = atomic_fetch_add(&server->held, length);
    int result;

    if (slot->method->lane == LANE_AT_ONCE) {
        run_call(call);
        return 0;
    }
    if (is_short_look(server, slot->method) && pollers_begin(server->pollers)) {
        run_call(call);
        pollers_end(server->pollers);
        return 0;
    }
    if (held && held + length > HELD_LIMIT)
        result =
            refuse(why, CONDITION_EXHAUSTED,
                   "the daemon is busy: %zu bytes of requests wait already; try again later", held);
    else
        result = workers_submit(lane_of(server, slot->method), &call->job, why);
    if (result)
        atomic_fetch_sub(&server->held, length);
    return result;
}

static int refuse_unknown(struct call *call, struct reason *why)
{
    grpc_slice method = call->details.method;
    struct bytes name = bytes_from(GRPC_SLICE_START_PTR(method), GRPC_SLICE_LENGTH(method));

    return refuse(why, CONDITION_UNIMPLEMENTED, "method %s", quoted(name));
}

static void arrived_done(struct tag *tag, bool ok)
{
    struct call *call = call_of(tag, arrived);
    struct slot *slot = call->owner;
    struct server *server = slot->server;
    struct reason why = {0};
    int result;

    pthread_mutex_lock(&server->lock);
    server->armed--;
    server->calls += ok;
    if (!ok) /* the server stops */
        pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (!ok) {
        call_free(call);
        return;
    }
    slot_arm(slot);
    call_begin(call);
    if (!slot->method)
        result = refuse_unknown(call, &why);
    else if (!call->request)
        result = refuse(&why, CONDITION_INVALID, "the call carries no message, or one too large");
    else
        result = dispatch(call, &why);
    if (result)
        finish(call, result, &why);
}

/* ---- start ---- */

static void log_from_grpc(gpr_log_func_args *line)
{
    if (line->severity == GPR_LOG_SEVERITY_ERROR)
        log_warn("grpc: %s", line->message);
    else
        log_debug("grpc: %s", line->message);
}

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static unsigned queue_limit(const struct server_options *options)
{
    return options->queue_limit ? options->queue_limit : QUEUE_LIMIT;
}

static int make_core(struct server *server, const struct server_options *options,
                     struct reason *why)
{
    grpc_arg arguments[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, MESSAGE_LIMIT),
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, MESSAGE_LIMIT),
        /* the keys of snapshots are long, but not in headers; of those gRPC's own limit is fine */
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1), /* identity alone */
        integer_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0), /* a unix socket has no bandwidth to probe */
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        /* Each call takes some 30 KiB (measured) before it can be refused. What goes beyond this
         * waits with the client (RFC 9113, 5.1.2). */
        integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)(queue_limit(options) + STREAMS_BEYOND)),
    };
    grpc_channel_args list = {sizeof(arguments) / sizeof(arguments[0]), arguments};
    struct slot *slot = server->slots;

    grpc_init();
    server->grpc_ready = true;
    gpr_set_log_function(log_from_grpc);
    server->core = grpc_server_create(&list, NULL);
    server->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server->core, server->queue, NULL);

    for (size_t i = 0; i < SERVICE_COUNT; i++)
        for (size_t k = 0; k < all_services[i]->count; k++, slot++) {
            slot->server = server;
            slot->method = &all_services[i]->methods[k];
            snprintf(slot->path, sizeof(slot->path), "/%s/%s", all_services[i]->name,
                     slot->method->name);
            slot->registered = grpc_server_register_method(
                server->core, slot->path, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
            if (!slot->registered)
                return failure(why, EINVAL, "register %s with gRPC", slot->path);
        }
    slot->server = server;
    snprintf(slot->path, sizeof(slot->path), "(unknown method)");
    return 0;
}

static int make_lanes(struct server *server, const struct server_options *options,
                      struct reason *why)
{
    unsigned limit = queue_limit(options);
    unsigned count = options->workers;
    int result;

    if (count == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        /* they wait for disks, and one sync serves all who wait for it together */
        count = processors > 0 ? 4 * (unsigned)processors : SHORT_WORKERS_LEAST;
        if (count < SHORT_WORKERS_LEAST)
            count = SHORT_WORKERS_LEAST;
        if (count > SHORT_WORKERS_MOST)
            count = SHORT_WORKERS_MOST;
    }
    result = workers_open(&server->short_lane, "cowsnap-call", count, limit, why);
    if (result)
        return result;
    count = options->layers ? options->layers : LAYER_WORKERS;
    result = workers_open(&server->layer_lane, "cowsnap-layer", count, limit, why);
    if (result)
        return result;
    return workers_open(&server->long_lane, "cowsnap-long", LONG_WORKERS, limit, why);
}

static void down_done(struct tag *tag, bool ok)
{
    struct server *server = (struct server *)(void *)((char *)tag - offsetof(struct server, down));

    (void)ok;
    pthread_mutex_lock(&server->lock);
    server->is_down = true;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static int start(struct server *server, const struct server_options *options, struct reason *why)
{
    int result;

    result = health_open(&server->services.health, all_services, SERVICE_COUNT, why);
    if (result == 0)
        result = make_lanes(server, options, why);
    if (result == 0)
        result = make_core(server, options, why);
    if (result == 0)
        result = socket_listen(&server->socket, options->address, why);
    if (result)
        return result;

    result = pollers_open(&server->pollers, server->queue, why);
    if (result)
        return result;
    grpc_server_start(server->core);
    for (size_t i = 0; i < server->slot_count; i++) {
        result = slot_arm(&server->slots[i]);
        if (result)
            return failure(why, -result, "serve %s", server->slots[i].path);
    }
    return acceptor_open(&server->acceptor, server->socket.listener, server->core, why);
}

int server_open(struct server **opened, const struct server_options *options, struct reason *why)
{
    size_t slots = 1;
    struct server *server;
    pthread_condattr_t attributes;
    sigset_t all, before;
    int result;

    for (size_t i = 0; i < SERVICE_COUNT; i++)
        slots += all_services[i]->count;
    server = calloc(1, sizeof(*server) + slots * sizeof(server->slots[0]));
    if (!server)
        return failure(why, ENOMEM, "start the server");
    server->slot_count = slots;
    server->services.snapshots = options->snapshots;
    server->services.diff = options->diff;
    server->services.facts = options->facts;
    server->looks_are_short = options->looks_are_short;
    server->services.started = (int64_t)time(NULL);
    server->socket.listener = server->socket.folder = -1;
    server->down.done = down_done;
    atomic_init(&server->held, 0);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);

    /* threads, gRPC's own among them, inherit this: signals are for the main thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = start(server, options, why);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result) {
        server_close(server, 0);
        return result;
    }
    *opened = server;
    return 0;
}

/* ---- stop ---- */

/* Waits until the calls under way have ended and connections are closed; with force when SECONDS
 * have passed. A peer that merely does not close its idle connection gets one second. */
static void drain(struct server *server, unsigned seconds)
{
    struct timespec limit, soon;
    bool idle = false, in_time = true;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += seconds;
    pthread_mutex_lock(&server->lock);
    while (!(server->is_down && server->calls == 0) && in_time) {
        if (server->calls == 0 && !idle) {
            clock_gettime(CLOCK_MONOTONIC, &soon);
            soon.tv_sec += 1;
        }
        idle = server->calls == 0; /* one that gRPC has filled may be on its way here */
        in_time = pthread_cond_timedwait(&server->changed, &server->lock,
                                         idle && soon.tv_sec < limit.tv_sec ? &soon : &limit) == 0;
    }
    if (!in_time) {
        if (server->calls)
            log_warn("rpc: %u calls are still under way after %u s: they are cancelled",
                     server->calls, seconds);
        pthread_mutex_unlock(&server->lock);
        grpc_server_cancel_all_calls(server->core);
        pthread_mutex_lock(&server->lock);
    }
    /* One that gRPC filled just before it went down may still be on its way to a worker. */
    while (!server->is_down || server->calls || server->armed)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

struct server *server_close(struct server *server, unsigned grace_seconds)
{
    if (!server)
        return NULL;
    acceptor_close(server->acceptor);
    socket_close(&server->socket);
    if (server->pollers) {
        health_stop(server->services.health);
        grpc_server_shutdown_and_notify(server->core, server->queue, tag_give(&server->down));
        drain(server, grace_seconds);
    }
    workers_close(server->short_lane);
    workers_close(server->layer_lane);
    workers_close(server->long_lane);
    if (server->queue) {
        grpc_completion_queue_shutdown(server->queue);
        if (server->pollers)
            pollers_close(server->pollers);
        else
            pollers_drain(server->queue);
    }
    if (server->core)
        grpc_server_destroy(server->core);
    if (server->queue)
        grpc_completion_queue_destroy(server->queue);
    if (server->grpc_ready)
        grpc_shutdown();
    health_close(server->services.health);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}
