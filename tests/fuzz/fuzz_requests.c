/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer target for what a peer of the socket may send: any bytes, as a request of each kind,
 * are taken or refused with a sentence; what was taken packs to bytes that mean the same. Labels go
 * the whole way to the rules and back.
 */

#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/wire.h"
#include "snapshot/labels.h"

#include <containerd/diff.pb-c.h>
#include <containerd/snapshots.pb-c.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef Containerd__Services__Snapshots__V1__PrepareSnapshotRequest PrepareRequest;

#define SNAPSHOTS(name) &containerd__services__snapshots__v1__##name##__descriptor

static const ProtobufCMessageDescriptor *const requests[] = {
    SNAPSHOTS(prepare_snapshot_request), SNAPSHOTS(view_snapshot_request),
    SNAPSHOTS(mounts_request),           SNAPSHOTS(commit_snapshot_request),
    SNAPSHOTS(update_snapshot_request),  SNAPSHOTS(list_snapshots_request),
    SNAPSHOTS(cleanup_request),          &containerd__services__diff__v1__apply_request__descriptor,
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_labels(const PrepareRequest *request)
{
    scoped(arena_clear) struct arena arena = ARENA_EMPTY;
    scoped_free struct label *labels = NULL;
    scoped_free Containerd__Types__Label **wire = NULL;
    const struct label *clean;
    size_t count, clean_count;

    if (wire_labels_read(&labels, &count, request->n_labels, request->labels, NULL) != 0)
        return;
    check(count <= request->n_labels);
    for (size_t i = 1; i < count; i++)
        check(bytes_compare(labels[i - 1].key, labels[i].key) < 0);
    if (labels_clean(&arena, labels, count, &clean, &clean_count, NULL) != 0)
        return;
    check(clean_count <= count);
    check(wire_labels_write(&wire, clean, clean_count, NULL) == 0);
    for (size_t i = 0; i < clean_count; i++)
        check(bytes_equal(message_bytes(wire[i]->key), clean[i].key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        scoped_message ProtobufCMessage *message = NULL, *again = NULL;
        scoped_free uint8_t *packed = NULL;
        struct reason why = {0};
        int result = message_parse(&message, requests[i], bytes_from(data, size), &why);
        size_t length;

        check((result != 0) == (why.text[0] != '\0'));
        if (result)
            continue;
        length = protobuf_c_message_get_packed_size(message);
        packed = malloc(length + 1);
        check(protobuf_c_message_pack(message, packed) == length);
        /* It may be refused: protobuf-c takes fields of number 0, and writes what it then refuses.
         */
        (void)message_parse(&again, requests[i], bytes_from(packed, length), NULL);
        if (i == 0)
            check_labels((const PrepareRequest *)message);
    }
    return 0;
}
