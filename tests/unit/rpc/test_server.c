/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does around the handlers: limits, lanes, deadlines, cancellation, streams, stop.
 */
#include "rpc/server.h"

#include "rpc/message.h"
#include "rpc/snapshots_client.h"
#include "rpc/socket.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <containerd/diff.pb-c.h>
#include <containerd/snapshots.pb-c.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOTS "/containerd.services.snapshots.v1.Snapshots/"
#define DIFF "/containerd.services.diff.v1.Diff/"

typedef Containerd__Services__Snapshots__V1__StatSnapshotRequest StatRequest;
typedef Containerd__Services__Snapshots__V1__ListSnapshotsResponse ListResponse;
typedef Containerd__Services__Diff__V1__ApplyRequest ApplyRequest;

static struct reason why;

/* ---- calls step by step ---- */

struct kind {
    const char *method;
    const ProtobufCMessageDescriptor *reply;
};

/* Both take a StatRequest: what Remove takes is alike on the wire. */
static const struct kind stat_call = {
    SNAPSHOTS "Stat", &containerd__services__snapshots__v1__stat_snapshot_response__descriptor};
static const struct kind remove_call = {SNAPSHOTS "Remove", &containerd__types__empty__descriptor};

static struct client_call *begin(struct rig *rig, const struct kind *kind, const char *key,
                                 unsigned timeout_ms)
{
    StatRequest message = CONTAINERD__SERVICES__SNAPSHOTS__V1__STAT_SNAPSHOT_REQUEST__INIT;
    struct client_request request = {
        .method = kind->method,
        .message = &message.base,
        .reply = kind->reply,
        .timeout_ms = timeout_ms,
    };
    struct client_call *call;

    message.key = message_binary(bytes_of(key));
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    return call;
}

/* One that reads, and runs on the thread that polls while it can. */
static struct client_call *begin_stat(struct rig *rig, const char *key, unsigned timeout_ms)
{
    return begin(rig, &stat_call, key, timeout_ms);
}

/* One that runs on a worker. */
static struct client_call *begin_remove(struct rig *rig, const char *key, unsigned timeout_ms)
{
    return begin(rig, &remove_call, key, timeout_ms);
}

static struct client_call *begin_apply(struct rig *rig, const char *digest, unsigned timeout_ms)
{
    ApplyRequest message = CONTAINERD__SERVICES__DIFF__V1__APPLY_REQUEST__INIT;
    Containerd__Types__Descriptor descriptor = CONTAINERD__TYPES__DESCRIPTOR__INIT;
    struct client_request request = {
        .method = DIFF "Apply",
        .message = &message.base,
        .reply = &containerd__services__diff__v1__apply_response__descriptor,
        .timeout_ms = timeout_ms,
    };
    struct client_call *call;

    descriptor.digest = message_binary(bytes_of(digest));
    message.diff = &descriptor;
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    return call;
}

/* Reads the one reply and the status. */
static int end(struct client_call *call)
{
    ProtobufCMessage *reply;

    assert_int_equal(client_next(call, &reply, &why), 0);
    message_free(reply);
    return client_end(call, NULL, &why);
}

static int send_bytes(struct rig *rig, const char *method, const void *data, size_t length)
{
    struct client_request request = {
        .method = method,
        .wire = bytes_from(data, length),
        .reply = &containerd__types__empty__descriptor,
    };

    return client_unary(rig->client, &request, NULL, NULL, &why);
}

/* ---- requests that are refused ---- */

static void an_unknown_method_is_unimplemented(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(send_bytes(rig, SNAPSHOTS "Rename", "", 0), CONDITION_UNIMPLEMENTED);
    assert_string_equal(why.text, "method \"" SNAPSHOTS "Rename\": not implemented");
    assert_int_equal(send_bytes(rig, "/some.other.Service/Call", "xyz", 3),
                     CONDITION_UNIMPLEMENTED);
    assert_int_equal(send_bytes(rig, SNAPSHOTS "Rename", "", 0), CONDITION_UNIMPLEMENTED);
}

static void a_malformed_request_is_invalid_and_harms_nobody(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(send_bytes(rig, SNAPSHOTS "Prepare", "\x12\xff\xff", 3), CONDITION_INVALID);
    assert_int_equal(send_bytes(rig, DIFF "Apply", "\x0a\x05\x12\x7f", 4), CONDITION_INVALID);
    assert_int_equal(send_bytes(rig, "/grpc.health.v1.Health/Check", "\xff", 1), CONDITION_INVALID);
    assert_int_equal(fakes_calls(), 0);
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
}

static void a_request_without_its_parts_is_invalid(void **state)
{
    assert_int_equal(send_bytes(*state, SNAPSHOTS "Update", "", 0), CONDITION_INVALID);
    assert_string_equal(why.text, "update: the request names no snapshot: invalid argument");
    assert_int_equal(send_bytes(*state, DIFF "Apply", "", 0), CONDITION_INVALID);
}

/* ---- size ---- */

/* With a key of LENGTH bytes. */
static struct client_call *begin_large(struct rig *rig, const struct kind *kind, size_t length)
{
    StatRequest message = CONTAINERD__SERVICES__SNAPSHOTS__V1__STAT_SNAPSHOT_REQUEST__INIT;
    struct client_request request = {.method = kind->method, .reply = kind->reply};
    uint8_t *key = malloc(length), *wire = malloc(length + 16);
    struct client_call *call;

    memset(key, 'k', length);
    message.key = message_binary(bytes_from(key, length));
    /* as bytes: the client itself packs nothing that is too large */
    request.wire = bytes_from(wire, protobuf_c_message_pack(&message.base, wire));
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    free(wire);
    free(key);
    return call;
}

static int stat_with_key_of(struct rig *rig, size_t length)
{
    return end(begin_large(rig, &stat_call, length));
}

static struct client_call *begin_large_remove(struct rig *rig)
{
    return begin_large(rig, &remove_call, 15u << 20);
}

static void sixteen_mebibytes_are_taken(void **state)
{
    /* the answer holds the key again, and a little more */
    assert_int_equal(stat_with_key_of(*state, (16u << 20) - 4096), 0);
}

static void seventeen_mebibytes_are_refused(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(stat_with_key_of(rig, 17u << 20), CONDITION_EXHAUSTED);
    assert_int_equal(fakes_calls(), 0);
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
}

static void an_answer_too_large_is_refused_before_it_is_sent(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(stat_with_key_of(rig, (16u << 20) - 8), CONDITION_EXHAUSTED);
    assert_int_equal(fakes_calls(), 1);
}

/* ---- streams ---- */

struct tally {
    unsigned messages, entries, most;
    size_t bytes;
};

static int tally(void *context, const ProtobufCMessage *reply, struct reason *reason)
{
    const ListResponse *response = (const ListResponse *)reply;
    struct tally *count = context;
    size_t bytes = protobuf_c_message_get_packed_size(reply);

    (void)reason;
    count->messages++;
    count->entries += (unsigned)response->n_info;
    if (response->n_info > count->most)
        count->most = (unsigned)response->n_info;
    if (bytes > count->bytes)
        count->bytes = bytes;
    return 0;
}

static struct client_request list_request(void)
{
    return (struct client_request){
        .method = SNAPSHOTS "List",
        .wire = bytes_of(""),
        .reply = &containerd__services__snapshots__v1__list_snapshots_response__descriptor,
    };
}

static void a_list_comes_a_hundred_entries_a_message(void **state)
{
    struct rig *rig = *state;
    struct client_request request = list_request();
    struct tally count = {0};

    fakes_set_list(1000, 100);
    assert_int_equal(client_stream(rig->client, &request, tally, &count, NULL, &why), 0);
    assert_int_equal(count.messages, 10);
    assert_int_equal(count.entries, 1000);
    assert_int_equal(count.most, 100);
}

static void an_empty_list_sends_no_message(void **state)
{
    struct rig *rig = *state;
    struct client_request request = list_request();
    struct tally count = {0};

    assert_int_equal(client_stream(rig->client, &request, tally, &count, NULL, &why), 0);
    assert_int_equal(count.messages, 0);
}

static void large_entries_leave_in_smaller_numbers(void **state)
{
    struct rig *rig = *state;
    struct client_request request = list_request();
    struct tally count = {0};

    fakes_set_list(50, 300000);
    assert_int_equal(client_stream(rig->client, &request, tally, &count, NULL, &why), 0);
    assert_int_equal(count.entries, 50);
    assert_int_equal(count.messages, 25);
    assert_true(count.bytes < 1u << 20);
}

static void a_reader_that_leaves_ends_the_stream(void **state)
{
    struct rig *rig = *state;
    struct client_request request = list_request();
    struct client_call *call;
    ProtobufCMessage *reply;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 4});
    fakes_set_list(100000, 1000);
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    assert_int_equal(client_next(call, &reply, &why), 0);
    assert_non_null(reply);
    message_free(reply);
    client_cancel(call);
    assert_int_equal(client_end(call, NULL, &why), CONDITION_CANCELLED);
    /* the only worker is free again */
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
}

/* ---- deadlines, cancellation, lanes ---- */

static void cancellation_reaches_the_handler(void **state)
{
    struct rig *rig = *state;
    struct client_call *call = begin_apply(rig, "sha256:cancel", 0);

    fakes_await_cancellable(1);
    client_cancel(call);
    fakes_await_cancelled(1);
    assert_int_equal(end(call), CONDITION_CANCELLED);
}

/* ---- HTTP/2 by hand, for a peer that does what no gRPC library would ---- */

struct frames {
    uint8_t data[512];
    size_t length;
};

static void put(struct frames *frames, const void *data, size_t length)
{
    assert_true(frames->length + length <= sizeof(frames->data));
    memcpy(frames->data + frames->length, data, length);
    frames->length += length;
}

/* RFC 9113, 4.1: length, type, flags, stream. */
static void put_frame(struct frames *frames, uint8_t type, uint8_t flags, uint8_t stream,
                      const void *payload, uint8_t length)
{
    const uint8_t header[] = {0, 0, length, type, flags, 0, 0, 0, stream};

    put(frames, header, sizeof(header));
    put(frames, payload, length);
}

/* RFC 7541, 6.2.2: a literal field that is not indexed. */
static void put_field(struct frames *block, const char *name, const char *value)
{
    const uint8_t literal = 0, name_length = (uint8_t)strlen(name),
                  value_length = (uint8_t)strlen(value);

    put(block, &literal, 1);
    put(block, &name_length, 1);
    put(block, name, name_length);
    put(block, &value_length, 1);
    put(block, value, value_length);
}

static void a_client_that_disappears_cancels_its_calls(void **state)
{
    /* a gRPC message: not compressed, 17 bytes; diff { digest: "sha256:cancel" } */
    static const char message[] = "\0\0\0\0\x11\x0a\x0f\x12\x0dsha256:cancel";
    struct rig *rig = *state;
    struct frames block = {0}, frames = {0};
    int fd;

    put_field(&block, ":method", "POST");
    put_field(&block, ":scheme", "http");
    put_field(&block, ":path", DIFF "Apply");
    put_field(&block, ":authority", "localhost");
    put_field(&block, "content-type", "application/grpc");
    put_field(&block, "te", "trailers");
    put(&frames, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    put_frame(&frames, 4, 0, 0, "", 0);                                   /* SETTINGS */
    put_frame(&frames, 1, 4, 1, block.data, (uint8_t)block.length);       /* HEADERS, END_HEADERS */
    put_frame(&frames, 0, 1, 1, message, (uint8_t)(sizeof(message) - 1)); /* DATA, END_STREAM */

    assert_int_equal(socket_connect(&fd, rig->address, &why), 0);
    assert_int_equal(write(fd, frames.data, frames.length), frames.length);
    fakes_await_cancellable(1);
    close(fd);
    fakes_await_cancelled(1);
}

static void a_deadline_reaches_the_handler(void **state)
{
    struct rig *rig = *state;
    unsigned milliseconds = 500;

    /* One that is late is not begun: the next has longer. */
    do {
        assert_int_equal(end(begin_apply(rig, "sha256:cancel", milliseconds)), CONDITION_DEADLINE);
        milliseconds *= 2;
    } while (fakes_cancellable() == 0);
    fakes_await_cancelled(1);
}

static void a_call_whose_deadline_passed_in_the_queue_is_not_begun(void **state)
{
    struct rig *rig = *state;
    struct client_call *first, *late, *last;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 10});
    first = begin_remove(rig, "gate", 0);
    fakes_await_gate(1);
    late = begin_remove(rig, "late", 30);
    assert_int_equal(end(late), CONDITION_DEADLINE);
    /* The server's clock is a little behind the client's. What it answers at once tells that it has
     * also read that the client gave up. */
    assert_int_equal(send_bytes(rig, "/grpc.health.v1.Health/Check", "\xff", 1), CONDITION_INVALID);
    last = begin_remove(rig, "last", 0);
    fakes_open_gate();
    assert_int_equal(end(first), 0);
    assert_int_equal(end(last), 0);
    assert_int_equal(fakes_calls(), 2);
}

static void too_many_calls_are_refused_and_the_others_served(void **state)
{
    struct rig *rig = *state;
    struct client_call *running, *waiting;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 1});
    running = begin_remove(rig, "gate", 0);
    fakes_await_gate(1);
    waiting = begin_remove(rig, "x", 0);
    assert_int_equal(end(begin_remove(rig, "y", 0)), CONDITION_EXHAUSTED);
    assert_string_equal(
        why.text,
        "the daemon is busy: 1 requests wait already; try again later: resource exhausted");
    fakes_open_gate();
    assert_int_equal(end(running), 0);
    assert_int_equal(end(waiting), 0);
}

/* A call that a thread waits for. */
struct awaited {
    struct client_call *call;
    sem_t *ended;
    int result;
    struct reason why;
    pthread_t thread;
};

static void *await_end(void *argument)
{
    struct awaited *awaited = argument;
    ProtobufCMessage *reply = NULL;

    (void)client_next(awaited->call, &reply, &awaited->why);
    message_free(reply);
    awaited->result = client_end(awaited->call, NULL, &awaited->why);
    sem_post(awaited->ended);
    return NULL;
}

/* Which of five is refused is decided by which arrives last. */
static void requests_that_wait_take_a_bounded_amount_of_memory(void **state)
{
    struct rig *rig = *state;
    struct awaited waiting[5] = {0};
    struct client_call *running;
    unsigned refused = 0;
    sem_t ended;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 100});
    running = begin_remove(rig, "gate", 0);
    fakes_await_gate(1);
    sem_init(&ended, 0, 0);
    for (int i = 0; i < 5; i++) {
        waiting[i].call = begin_large_remove(rig);
        waiting[i].ended = &ended;
        assert_int_equal(pthread_create(&waiting[i].thread, NULL, await_end, &waiting[i]), 0);
    }
    sem_wait(&ended); /* of the one that is refused: the others wait for the gate */
    fakes_open_gate();
    assert_int_equal(end(running), 0);
    for (int i = 0; i < 5; i++) {
        pthread_join(waiting[i].thread, NULL);
        if (waiting[i].result == 0)
            continue;
        assert_int_equal(waiting[i].result, CONDITION_EXHAUSTED);
        assert_non_null(strstr(waiting[i].why.text, "bytes of requests wait already"));
        refused++;
    }
    assert_int_equal(refused, 1);
    sem_destroy(&ended);
    /* what was held has been given back */
    assert_int_equal(end(begin_large_remove(rig)), 0);
}

static void stat_does_not_wait_behind_layers(void **state)
{
    struct rig *rig = *state;
    struct client_call *layers[40];

    for (int i = 0; i < 40; i++)
        layers[i] = begin_apply(rig, "sha256:gate", 0);
    fakes_await_gate(8);
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
    fakes_open_gate();
    for (int i = 0; i < 40; i++)
        assert_int_equal(end(layers[i]), 0);
}

static void so_many_layers_are_applied_at_once_as_was_said(void **state)
{
    struct rig *rig = *state;
    struct client_call *layers[3];

    rig_restart(rig, (struct server_options){.layers = 2, .queue_limit = 1});
    for (unsigned i = 0; i < 2; i++)
        layers[i] = begin_apply(rig, "sha256:gate", 0);
    fakes_await_gate(2);
    layers[2] = begin_apply(rig, "sha256:gate", 0);
    assert_int_equal(end(begin_apply(rig, "sha256:x", 0)), CONDITION_EXHAUSTED); /* it waits */
    fakes_open_gate();
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(end(layers[i]), 0);
}

/* The first two take the thread that polls and the only worker, in whatever order. */
static void reads_that_last_hold_up_nobody_else(void **state)
{
    struct rig *rig = *state;
    struct client_call *lasting[2], *waiting;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 1});
    for (unsigned i = 0; i < 2; i++) {
        lasting[i] = begin_stat(rig, "gate", 0);
        fakes_await_gate(i + 1);
    }
    waiting = begin_stat(rig, "x", 0);
    assert_int_equal(send_bytes(rig, "/grpc.health.v1.Health/Check", "\xff", 1), CONDITION_INVALID);
    assert_int_equal(end(begin_stat(rig, "y", 0)), CONDITION_EXHAUSTED);
    fakes_open_gate();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(end(lasting[i]), 0);
    assert_int_equal(end(waiting), 0);
}

/* Each takes the turn of the thread that polls, as often as it wants. */
static void the_turn_is_taken_again_and_again(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 20; i++) {
        struct client_call *lasting;

        fakes_reset();
        lasting = begin_stat(rig, "gate", 0);
        fakes_await_gate(1);
        assert_int_equal(send_bytes(rig, "/grpc.health.v1.Health/Check", "\xff", 1),
                         CONDITION_INVALID);
        fakes_open_gate();
        assert_int_equal(end(lasting), 0);
    }
}

static void *stat_many(void *context)
{
    struct rig *rig = context;

    for (int i = 0; i < 200; i++)
        if (end(begin_stat(rig, "x", 0)))
            return context;
    return NULL;
}

static void many_threads_may_call(void **state)
{
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, stat_many, *state), 0);
    for (int i = 0; i < 8; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(fakes_calls(), 1600);
}

/* ---- the end ---- */

struct closing {
    pthread_t thread;
    struct server *server;
    unsigned grace;
};

static void *close_server(void *context)
{
    struct closing *closing = context;

    server_close(closing->server, closing->grace);
    return NULL;
}

/* Begins server_close() on another thread, and returns when it has begun: who watches is told. */
static void begin_close(struct closing *closing, struct rig *rig, unsigned grace,
                        struct client_call *watch)
{
    ProtobufCMessage *reply;

    *closing = (struct closing){.server = rig->server, .grace = grace};
    rig->server = NULL;
    assert_int_equal(pthread_create(&closing->thread, NULL, close_server, closing), 0);
    assert_int_equal(client_next(watch, &reply, &why), 0);
    message_free(reply);
}

static struct client_call *begin_watch(struct rig *rig)
{
    struct client_request request = {
        .method = "/grpc.health.v1.Health/Watch",
        .wire = bytes_of(""),
        .reply = &containerd__types__empty__descriptor, /* its fields are not looked at */
    };
    struct client_call *call;
    ProtobufCMessage *reply;

    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    assert_int_equal(client_next(call, &reply, &why), 0);
    message_free(reply);
    return call;
}

static void stop_finishes_the_call_in_flight(void **state)
{
    struct rig *rig = *state;
    struct client_call *watch = begin_watch(rig);
    struct client_call *call = begin_stat(rig, "gate", 0);
    struct closing closing;

    fakes_await_gate(1);
    begin_close(&closing, rig, 60, watch);
    assert_int_equal(end(watch), CONDITION_UNAVAILABLE);
    fakes_open_gate();
    assert_int_equal(end(call), 0);
    pthread_join(closing.thread, NULL);
    assert_int_equal(access(rig->address, F_OK), -1);
}

static void stop_takes_no_new_calls(void **state)
{
    struct rig *rig = *state;
    struct client_call *watch = begin_watch(rig);
    struct client_call *call = begin_stat(rig, "gate", 0);
    struct client *second;
    struct closing closing;

    fakes_await_gate(1);
    begin_close(&closing, rig, 60, watch);
    assert_int_equal(client_open(&second, rig->address, &why), CONDITION_UNAVAILABLE);
    end(watch);
    fakes_open_gate();
    assert_int_equal(end(call), 0);
    pthread_join(closing.thread, NULL);
    assert_int_equal(end(begin_stat(rig, "x", 0)), CONDITION_UNAVAILABLE);
    assert_int_equal(fakes_calls(), 1);
}

static void stop_cancels_what_outlasts_the_grace(void **state)
{
    struct rig *rig = *state;
    struct client_call *running = begin_apply(rig, "sha256:cancel", 0);
    int result;

    fakes_await_cancellable(1);
    rig->server = server_close(rig->server, 0);
    fakes_await_cancelled(1);
    result = end(running);
    assert_true(result == CONDITION_CANCELLED || result == CONDITION_UNAVAILABLE);
}

static void stop_does_not_wait_for_a_client_that_just_stays(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
    rig->server = server_close(rig->server, 1000);
}

static void a_server_can_be_opened_and_closed_many_times(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 10; i++) {
        rig_restart(rig, (struct server_options){.workers = 2, .queue_limit = 2});
        assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
    }
}

static void a_second_server_at_the_same_address_is_refused(void **state)
{
    struct rig *rig = *state;
    struct server_options options = {.address = rig->address};
    struct server *second = NULL;

    assert_int_equal(server_open(&second, &options, &why), CONDITION_UNAVAILABLE);
    assert_null(second);
    assert_non_null(strstr(why.text, "is in use"));
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
}

static void a_connection_that_speaks_something_else_is_dropped(void **state)
{
    struct rig *rig = *state;
    char byte[64];
    int fd;

    assert_int_equal(socket_connect(&fd, rig->address, &why), 0);
    assert_true(write(fd, "GET / HTTP/1.1\r\n\r\nand some more of it", 36) > 0);
    while (read(fd, byte, sizeof(byte)) > 0)
        ;
    close(fd);
    assert_int_equal(end(begin_stat(rig, "x", 0)), 0);
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        in_rig(an_unknown_method_is_unimplemented),
        in_rig(a_malformed_request_is_invalid_and_harms_nobody),
        in_rig(a_request_without_its_parts_is_invalid),
        in_rig(sixteen_mebibytes_are_taken),
        in_rig(seventeen_mebibytes_are_refused),
        in_rig(an_answer_too_large_is_refused_before_it_is_sent),
        in_rig(a_list_comes_a_hundred_entries_a_message),
        in_rig(an_empty_list_sends_no_message),
        in_rig(large_entries_leave_in_smaller_numbers),
        in_rig(a_reader_that_leaves_ends_the_stream),
        in_rig(cancellation_reaches_the_handler),
        in_rig(a_client_that_disappears_cancels_its_calls),
        in_rig(a_deadline_reaches_the_handler),
        in_rig(a_call_whose_deadline_passed_in_the_queue_is_not_begun),
        in_rig(too_many_calls_are_refused_and_the_others_served),
        in_rig(requests_that_wait_take_a_bounded_amount_of_memory),
        in_rig(stat_does_not_wait_behind_layers),
        in_rig(so_many_layers_are_applied_at_once_as_was_said),
        in_rig(reads_that_last_hold_up_nobody_else),
        in_rig(the_turn_is_taken_again_and_again),
        in_rig(many_threads_may_call),
        in_rig(stop_finishes_the_call_in_flight),
        in_rig(stop_takes_no_new_calls),
        in_rig(stop_cancels_what_outlasts_the_grace),
        in_rig(stop_does_not_wait_for_a_client_that_just_stays),
        in_rig(a_server_can_be_opened_and_closed_many_times),
        in_rig(a_second_server_at_the_same_address_is_refused),
        in_rig(a_connection_that_speaks_something_else_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
