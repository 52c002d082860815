/* SPDX-License-Identifier: Apache-2.0 */
/* The diff service as containerd calls it, over a fake of what applies layers. */
#include "base/scoped.h"
#include "rpc/message.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <containerd/diff.pb-c.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIFF "/containerd.services.diff.v1.Diff/"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"

typedef Containerd__Services__Diff__V1__ApplyRequest ApplyRequest;
typedef Containerd__Services__Diff__V1__ApplyResponse ApplyResponse;
typedef Containerd__Types__Descriptor Descriptor;
typedef Containerd__Types__Mount WireMount;

static struct reason why;

static ProtobufCBinaryData text(const char *text)
{
    return message_binary(bytes_of(text));
}

/* A request to apply the layer DIGEST; DESCRIPTOR is its room. */
static ApplyRequest request_for(Descriptor *descriptor, const char *digest)
{
    ApplyRequest request = CONTAINERD__SERVICES__DIFF__V1__APPLY_REQUEST__INIT;

    *descriptor = (Descriptor)CONTAINERD__TYPES__DESCRIPTOR__INIT;
    descriptor->media_type = text("application/x");
    descriptor->digest = text(digest);
    request.diff = descriptor;
    return request;
}

static struct client_request call_of(const char *method, const ProtobufCMessage *message)
{
    return (struct client_request){
        .method = method,
        .message = message,
        .reply = &containerd__services__diff__v1__apply_response__descriptor,
    };
}

/* The result of Apply; what it answers is not looked at. */
static int apply(struct rig *rig, const ApplyRequest *message)
{
    struct client_request request = call_of(DIFF "Apply", &message->base);

    return client_unary(rig->client, &request, NULL, NULL, &why);
}

static struct client_call *begin_apply(struct rig *rig, const char *digest, unsigned timeout_ms)
{
    Descriptor descriptor;
    ApplyRequest message = request_for(&descriptor, digest);
    struct client_request request = call_of(DIFF "Apply", &message.base);
    struct client_call *call;

    request.timeout_ms = timeout_ms;
    assert_int_equal(client_begin(&call, rig->client, &request, &why), 0);
    return call;
}

static int end(struct client_call *call)
{
    ProtobufCMessage *reply;

    assert_int_equal(client_next(call, &reply, &why), 0);
    message_free(reply);
    return client_end(call, NULL, &why);
}

/* ---- what is asked ---- */

static void the_descriptor_is_handed_on_as_it_is(void **state)
{
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:1");

    descriptor.media_type = message_binary(bytes_from("a\0b", 3));
    descriptor.size = -5;
    assert_int_equal(apply(*state, &request), 0);
    assert_string_equal(fakes_last(),
                        "apply \"a\\x00b\" \"sha256:1\" -5 mounts=0 sync=0 encrypted=0");
}

static void every_part_of_every_mount_is_handed_on(void **state)
{
    ProtobufCBinaryData options[] = {text("lowerdir=/a:/b"), text(""), text("rw")};
    WireMount overlay = CONTAINERD__TYPES__MOUNT__INIT, bare = CONTAINERD__TYPES__MOUNT__INIT;
    WireMount *mounts[] = {&overlay, &bare};
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:1");

    overlay.type = text("overlay");
    overlay.source = text("none");
    overlay.target = text("sub");
    overlay.options = options;
    overlay.n_options = 3;
    request.mounts = mounts;
    request.n_mounts = 2;
    assert_int_equal(apply(*state, &request), 0);
    assert_string_equal(fakes_last(), "apply \"application/x\" \"sha256:1\" 0 mounts=2 sync=0 "
                                      "encrypted=0 [overlay none sub lowerdir=/a:/b,,rw] [  ]");
}

static void whether_to_sync_is_handed_on(void **state)
{
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:1");

    request.sync_fs = true;
    assert_int_equal(apply(*state, &request), 0);
    assert_non_null(strstr(fakes_last(), "sync=1"));
}

static void a_payload_means_that_the_layer_is_encrypted(void **state)
{
    Containerd__Services__Diff__V1__Payload payload = CONTAINERD__SERVICES__DIFF__V1__PAYLOAD__INIT;
    Containerd__Services__Diff__V1__Payload *payloads[] = {&payload};
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:1");

    request.payloads = payloads;
    request.n_payloads = 1;
    assert_int_equal(apply(*state, &request), 0);
    assert_non_null(strstr(fakes_last(), "encrypted=1"));
}

/* ---- what is refused before anything is touched ---- */

static void a_request_without_a_layer_is_invalid(void **state)
{
    ApplyRequest request = CONTAINERD__SERVICES__DIFF__V1__APPLY_REQUEST__INIT;

    assert_int_equal(apply(*state, &request), CONDITION_INVALID);
    assert_string_equal(why.text, "apply: the request names no layer: invalid argument");
    assert_int_equal(fakes_calls(), 0);
}

/* They become C strings: what stands behind the NUL would be lost, and another path meant. */
static void a_nul_anywhere_in_a_mount_is_invalid(void **state)
{
    static const char *const names[] = {"type", "source", "target", "option"};
    const ProtobufCBinaryData bad = message_binary(bytes_from("a\0b", 3));

    for (int i = 0; i < 4; i++) {
        ProtobufCBinaryData options[] = {text("rw"), text("rbind")};
        WireMount good = CONTAINERD__TYPES__MOUNT__INIT, mount = CONTAINERD__TYPES__MOUNT__INIT;
        WireMount *mounts[] = {&good, &mount};
        Descriptor descriptor;
        ApplyRequest request = request_for(&descriptor, "sha256:1");
        char wanted[128];

        mount.options = options;
        mount.n_options = 2;
        *(i == 0   ? &mount.type
          : i == 1 ? &mount.source
          : i == 2 ? &mount.target
                   : &options[1]) = bad;
        request.mounts = mounts;
        request.n_mounts = 2;
        assert_int_equal(apply(*state, &request), CONDITION_INVALID);
        snprintf(wanted, sizeof(wanted),
                 "apply: the %s \"a\\x00b\" of a mount holds a NUL: invalid argument", names[i]);
        assert_string_equal(why.text, wanted);
    }
    assert_int_equal(fakes_calls(), 0);
}

/* ---- what is answered ---- */

static void the_answer_describes_the_uncompressed_layer(void **state)
{
    struct rig *rig = *state;
    Descriptor descriptor;
    ApplyRequest message = request_for(&descriptor, "sha256:1");
    struct client_request request = call_of(DIFF "Apply", &message.base);
    scoped_message ProtobufCMessage *reply = NULL;
    const Descriptor *applied;

    assert_int_equal(client_unary(rig->client, &request, &reply, NULL, &why), 0);
    applied = ((const ApplyResponse *)reply)->applied;
    assert_non_null(applied);
    assert_true(bytes_equal(message_bytes(applied->media_type), bytes_of(LAYER_TYPE)));
    assert_true(bytes_equal(message_bytes(applied->digest),
                            bytes_of("sha256:00000000000000000000000000000000"
                                     "00000000000000000000000000000005")));
    assert_int_equal(applied->size, 1 << 30);
}

static void a_layer_of_another_kind_is_left_to_the_next_differ(void **state)
{
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:other");

    assert_int_equal(apply(*state, &request), CONDITION_UNIMPLEMENTED);
    assert_string_equal(why.text, "media type \"application/x\": not implemented");
}

static void a_failure_is_told_as_one(void **state)
{
    Descriptor descriptor;
    ApplyRequest request = request_for(&descriptor, "sha256:fails");

    assert_int_equal(apply(*state, &request), -EIO);
    assert_string_equal(why.text, "read layer \"sha256:fails\": Input/output error");
}

/* ---- cancellation ---- */

static void whoever_cancels_the_call_stops_the_layer(void **state)
{
    struct client_call *call = begin_apply(*state, "sha256:cancel", 0);

    fakes_await_cancellable(1);
    client_cancel(call);
    fakes_await_cancelled(1);
    assert_int_equal(end(call), CONDITION_CANCELLED);
}

static void one_call_is_cancelled_and_not_the_other(void **state)
{
    struct client_call *one = begin_apply(*state, "sha256:cancel", 0);
    struct client_call *other = begin_apply(*state, "sha256:gate", 0);

    fakes_await_cancellable(1);
    fakes_await_gate(1);
    client_cancel(one);
    fakes_await_cancelled(1);
    assert_int_equal(end(one), CONDITION_CANCELLED);
    fakes_open_gate();
    assert_int_equal(end(other), 0);
}

/* ---- Diff ---- */

static int diff(struct rig *rig)
{
    Containerd__Services__Diff__V1__DiffRequest message =
        CONTAINERD__SERVICES__DIFF__V1__DIFF_REQUEST__INIT;
    struct client_request request = call_of(DIFF "Diff", &message.base);

    return client_unary(rig->client, &request, NULL, NULL, &why);
}

static void no_diffs_are_made(void **state)
{
    assert_int_equal(diff(*state), CONDITION_UNIMPLEMENTED);
    assert_string_equal(
        why.text,
        "cowsnap makes no diffs: let containerd's \"walking\" differ follow it: not implemented");
}

static void that_is_said_at_once_while_every_worker_is_busy(void **state)
{
    struct client_call *layers[8];

    for (int i = 0; i < 8; i++)
        layers[i] = begin_apply(*state, "sha256:gate", 0);
    fakes_await_gate(8);
    assert_int_equal(diff(*state), CONDITION_UNIMPLEMENTED);
    fakes_open_gate();
    for (int i = 0; i < 8; i++)
        assert_int_equal(end(layers[i]), 0);
}

int main(void)
{
#define in_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        in_rig(the_descriptor_is_handed_on_as_it_is),
        in_rig(every_part_of_every_mount_is_handed_on),
        in_rig(whether_to_sync_is_handed_on),
        in_rig(a_payload_means_that_the_layer_is_encrypted),
        in_rig(a_request_without_a_layer_is_invalid),
        in_rig(a_nul_anywhere_in_a_mount_is_invalid),
        in_rig(the_answer_describes_the_uncompressed_layer),
        in_rig(a_layer_of_another_kind_is_left_to_the_next_differ),
        in_rig(a_failure_is_told_as_one),
        in_rig(whoever_cancels_the_call_stops_the_layer),
        in_rig(one_call_is_cancelled_and_not_the_other),
        in_rig(no_diffs_are_made),
        in_rig(that_is_said_at_once_while_every_worker_is_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
