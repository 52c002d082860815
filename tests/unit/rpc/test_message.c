/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/message.h"

#include "unit/cmocka_setup.h"

#include <containerd/diff.pb-c.h>
#include <containerd/snapshots.pb-c.h>
#include <cowsnap/control.pb-c.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/health.pb-c.h>
#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>

typedef Containerd__Services__Snapshots__V1__PrepareSnapshotRequest PrepareRequest;
#define PREPARE &containerd__services__snapshots__v1__prepare_snapshot_request__descriptor

static const ProtobufCMessageDescriptor *const requests[] = {
    PREPARE,
    &containerd__services__snapshots__v1__commit_snapshot_request__descriptor,
    &containerd__services__snapshots__v1__update_snapshot_request__descriptor,
    &containerd__services__snapshots__v1__list_snapshots_request__descriptor,
    &containerd__services__snapshots__v1__list_snapshots_response__descriptor,
    &containerd__services__diff__v1__apply_request__descriptor,
    &containerd__services__diff__v1__diff_request__descriptor,
    &grpc__health__v1__health_check_request__descriptor,
    &cowsnap__control__v1__status_response__descriptor,
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static struct reason why;

static void a_message_survives_the_way_there_and_back(void **state)
{
    PrepareRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__PREPARE_SNAPSHOT_REQUEST__INIT;
    ProtobufCMessage *message;
    grpc_byte_buffer *buffer;

    (void)state;
    request.key = message_binary(bytes_from("a\0b", 3));
    assert_int_equal(message_pack(&buffer, &request.base, &why), 0);
    assert_int_equal(message_unpack(&message, PREPARE, buffer, &why), 0);
    grpc_byte_buffer_destroy(buffer);
    assert_true(
        bytes_equal(message_bytes(((PrepareRequest *)message)->key), bytes_from("a\0b", 3)));
    message_free(message);
}

static void a_message_may_come_in_many_slices(void **state)
{
    PrepareRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__PREPARE_SNAPSHOT_REQUEST__INIT;
    uint8_t key[3000], wire[3100];
    grpc_slice slices[64];
    size_t length, count = 0;
    grpc_byte_buffer *buffer;
    ProtobufCMessage *message;

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7);
    request.key = message_binary(bytes_from(key, sizeof(key)));
    length = protobuf_c_message_pack(&request.base, wire);
    for (size_t at = 0; at < length; at += 77)
        slices[count++] = grpc_slice_from_copied_buffer((const char *)wire + at,
                                                        length - at < 77 ? length - at : 77);
    buffer = grpc_raw_byte_buffer_create(slices, count);
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(slices[i]);
    assert_int_equal(message_unpack(&message, PREPARE, buffer, &why), 0);
    grpc_byte_buffer_destroy(buffer);
    assert_true(
        bytes_equal(message_bytes(((PrepareRequest *)message)->key), bytes_from(key, sizeof(key))));
    message_free(message);
}

static void an_empty_message_is_one(void **state)
{
    ProtobufCMessage *message;

    (void)state;
    assert_int_equal(message_parse(&message, PREPARE, bytes_from(NULL, 0), &why), 0);
    message_free(message);
    message_free(NULL);
}

static void a_malformed_message_is_invalid_and_named(void **state)
{
    ProtobufCMessage *message;

    (void)state;
    assert_int_equal(message_parse(&message, PREPARE, bytes_of("\x12\x7f"), &why),
                     CONDITION_INVALID);
    assert_null(message);
    assert_string_equal(why.text, "a malformed "
                                  "containerd.services.snapshots.v1.PrepareSnapshotRequest of 2 "
                                  "bytes");
}

/* Two bytes make an empty label, which is eighty in memory: 8 MiB of them would be half a GiB. */
static void a_message_that_asks_for_much_memory_is_refused(void **state)
{
    size_t length = 8u << 20;
    uint8_t *wire = malloc(length);
    ProtobufCMessage *message;

    (void)state;
    for (size_t i = 0; i < length; i += 2) {
        wire[i] = 0x22;
        wire[i + 1] = 0;
    }
    assert_int_equal(message_parse(&message, PREPARE, bytes_from(wire, length), &why),
                     CONDITION_EXHAUSTED);
    assert_null(message);
    /* as many as a request could have are fine */
    assert_int_equal(message_parse(&message, PREPARE, bytes_from(wire, 1000), &why), 0);
    assert_int_equal(((PrepareRequest *)message)->n_labels, 500);
    message_free(message);
    free(wire);
}

static void one_large_value_is_fine(void **state)
{
    PrepareRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__PREPARE_SNAPSHOT_REQUEST__INIT;
    size_t length = MESSAGE_LIMIT - 5;
    uint8_t *key = calloc(1, length);
    grpc_byte_buffer *buffer;
    ProtobufCMessage *message;

    (void)state;
    request.key = message_binary(bytes_from(key, length));
    assert_int_equal(message_pack(&buffer, &request.base, &why), 0);
    assert_int_equal(message_unpack(&message, PREPARE, buffer, &why), 0);
    message_free(message);
    grpc_byte_buffer_destroy(buffer);

    request.key.len = MESSAGE_LIMIT;
    key = realloc(key, MESSAGE_LIMIT);
    request.key.data = key;
    assert_int_equal(message_pack(&buffer, &request.base, &why), CONDITION_EXHAUSTED);
    assert_null(buffer);
    free(key);
}

static uint64_t seed = 88172645463325252;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* What one parse accepts can be packed again, and what it refuses leaves nothing. */
static void try_all(const uint8_t *wire, size_t length)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        /* exactly as long as told, so that a sanitizer sees a read past the end */
        uint8_t *copy = malloc(length ? length : 1);
        ProtobufCMessage *message;
        int result;

        memcpy(copy, wire, length);
        result = message_parse(&message, requests[i], bytes_from(copy, length), &why);
        free(copy);
        if (result == 0)
            protobuf_c_message_get_packed_size(message);
        else
            assert_null(message);
        message_free(message);
    }
}

static void random_bytes_do_no_harm(void **state)
{
    uint8_t wire[64];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t length = next_random() % (sizeof(wire) + 1);

        for (size_t i = 0; i < length; i++)
            wire[i] = (uint8_t)next_random();
        try_all(wire, length);
    }
}

static void damaged_messages_do_no_harm(void **state)
{
    Containerd__Types__Label label = CONTAINERD__TYPES__LABEL__INIT, *labels[] = {&label, &label};
    PrepareRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__PREPARE_SNAPSHOT_REQUEST__INIT;
    uint8_t whole[256], wire[256];
    size_t length;

    (void)state;
    label.key = message_binary(bytes_of("containerd.io/snapshot.ref"));
    label.value = message_binary(bytes_of("sha256:0123456789abcdef"));
    request.key = message_binary(bytes_of("k8s.io/12/extract-1234 sha256:0"));
    request.parent = message_binary(bytes_of("p"));
    request.labels = labels;
    request.n_labels = 2;
    length = protobuf_c_message_pack(&request.base, whole);
    for (int round = 0; round < 20000; round++) {
        size_t cut = length - next_random() % 4;

        memcpy(wire, whole, length);
        for (uint64_t flips = next_random() % 4; flips > 0; flips--)
            wire[next_random() % length] = (uint8_t)next_random();
        try_all(wire, cut);
    }
}

static int setup(void **state)
{
    (void)state;
    grpc_init();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grpc_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_the_way_there_and_back),
        cmocka_unit_test(a_message_may_come_in_many_slices),
        cmocka_unit_test(an_empty_message_is_one),
        cmocka_unit_test(a_malformed_message_is_invalid_and_named),
        cmocka_unit_test(a_message_that_asks_for_much_memory_is_refused),
        cmocka_unit_test(one_large_value_is_fine),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(damaged_messages_do_no_harm),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
