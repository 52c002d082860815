/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1. */
#include "rpc/message.h"
#include "rpc/server.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <grpc/health.pb-c.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckRequest CheckRequest;
typedef Grpc__Health__V1__HealthCheckResponse CheckResponse;

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

static struct reason why;

static int check(struct rig *rig, const char *service, int *status)
{
    CheckRequest message = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct client_request request = {
        .method = "/grpc.health.v1.Health/Check",
        .message = &message.base,
        .reply = &grpc__health__v1__health_check_response__descriptor,
    };
    ProtobufCMessage *reply;
    int result;

    message.service = message_binary(bytes_of(service));
    result = client_unary(rig->client, &request, &reply, NULL, &why);
    if (result == 0) {
        *status = (int)((CheckResponse *)reply)->status;
        message_free(reply);
    }
    return result;
}

static struct client_call *begin_watch(struct rig *rig, const char *service)
{
    CheckRequest message = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct client_request request = {
        .method = "/grpc.health.v1.Health/Watch",
        .message = &message.base,
        .reply = &grpc__health__v1__health_check_response__descriptor,
    };
    struct client_call *call;

    message.service = message_binary(bytes_of(service));
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    return call;
}

/* The next status; -1 at the end. */
static int next_status(struct client_call *call)
{
    ProtobufCMessage *reply;
    int status;

    assert_int_equal(client_next(call, &reply, &why), 0);
    if (!reply)
        return -1;
    status = (int)((CheckResponse *)reply)->status;
    message_free(reply);
    return status;
}

static void each_service_and_the_whole_are_serving(void **state)
{
    const char *const names[] = {
        "",
        "containerd.services.snapshots.v1.Snapshots",
        "containerd.services.diff.v1.Diff",
        "grpc.health.v1.Health",
        "cowsnap.control.v1.Control",
    };
    int status;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(check(*state, names[i], &status), 0);
        assert_int_equal(status, SERVING);
    }
}

static void an_unknown_service_is_not_found(void **state)
{
    int status;

    assert_int_equal(check(*state, "no.such.Service", &status), CONDITION_NOT_FOUND);
    assert_string_equal(why.text, "service \"no.such.Service\": not found");
}

static void health_answers_when_every_worker_is_busy(void **state)
{
    struct rig *rig = *state;
    struct client_request request = {
        .method = "/containerd.services.snapshots.v1.Snapshots/Remove",
        .wire = bytes_of("\x12\x04gate"),
        .reply = &grpc__health__v1__health_check_response__descriptor,
    };
    struct client_call *call;
    ProtobufCMessage *reply;
    int status;

    rig_restart(rig, (struct server_options){.workers = 1, .queue_limit = 1});
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    fakes_await_gate(1);
    assert_int_equal(check(rig, "", &status), 0);
    fakes_open_gate();
    assert_int_equal(client_next(call, &reply, &why), 0);
    message_free(reply);
    assert_int_equal(client_end(call, NULL, &why), 0);
}

/* The last message is NOT_SERVING, then the stream ends. gRPC may drop a message that nobody was
 * reading yet when the stream ends with an error; the status, checked by the caller, it never
 * drops. */
static void assert_told_of_the_end(struct client_call *call)
{
    int status = next_status(call);

    if (status != -1) {
        assert_int_equal(status, NOT_SERVING);
        assert_int_equal(next_status(call), -1);
    }
}

static void who_watches_is_told_of_the_end(void **state)
{
    struct rig *rig = *state;
    struct client_call *whole = begin_watch(rig, "");
    struct client_call *one = begin_watch(rig, "containerd.services.diff.v1.Diff");
    struct client_call *unknown = begin_watch(rig, "later");

    assert_int_equal(next_status(whole), SERVING);
    assert_int_equal(next_status(one), SERVING);
    assert_int_equal(next_status(unknown), SERVICE_UNKNOWN);
    rig->server = server_close(rig->server, 5);
    assert_told_of_the_end(whole);
    assert_told_of_the_end(one);
    assert_int_equal(next_status(unknown), -1);
    assert_int_equal(client_end(whole, NULL, &why), CONDITION_UNAVAILABLE);
    assert_string_equal(why.text, "the daemon is stopping: unavailable");
    assert_int_equal(client_end(one, NULL, &why), CONDITION_UNAVAILABLE);
    assert_int_equal(client_end(unknown, NULL, &why), CONDITION_UNAVAILABLE);
}

static void who_stops_watching_is_forgotten(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 20; i++) {
        struct client_call *call = begin_watch(rig, "");

        if (i % 2)
            assert_int_equal(next_status(call), SERVING);
        client_cancel(call);
        assert_int_equal(client_end(call, NULL, &why), CONDITION_CANCELLED);
    }
    rig->server = server_close(rig->server, 5);
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        in_rig(each_service_and_the_whole_are_serving),   in_rig(an_unknown_service_is_not_found),
        in_rig(health_answers_when_every_worker_is_busy), in_rig(who_watches_is_told_of_the_end),
        in_rig(who_stops_watching_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
