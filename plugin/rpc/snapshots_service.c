/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's snapshots service: from messages to plugin/snapshot and back. No rule is decided
 * here. The "snapshotter" of a request names the plugin in containerd's own configuration and says
 * nothing to us.
 */
#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/service.h"
#include "rpc/stream.h"
#include "rpc/wire.h"
#include "snapshot/snapshots.h"

#include <containerd/snapshots.pb-c.h>
#include <errno.h>
#include <stdlib.h>

typedef Containerd__Services__Snapshots__V1__PrepareSnapshotRequest PrepareRequest;
typedef Containerd__Services__Snapshots__V1__PrepareSnapshotResponse PrepareResponse;
typedef Containerd__Services__Snapshots__V1__ViewSnapshotRequest ViewRequest;
typedef Containerd__Services__Snapshots__V1__ViewSnapshotResponse ViewResponse;
typedef Containerd__Services__Snapshots__V1__MountsRequest MountsRequest;
typedef Containerd__Services__Snapshots__V1__MountsResponse MountsResponse;
typedef Containerd__Services__Snapshots__V1__CommitSnapshotRequest CommitRequest;
typedef Containerd__Services__Snapshots__V1__RemoveSnapshotRequest RemoveRequest;
typedef Containerd__Services__Snapshots__V1__StatSnapshotRequest StatRequest;
typedef Containerd__Services__Snapshots__V1__StatSnapshotResponse StatResponse;
typedef Containerd__Services__Snapshots__V1__UpdateSnapshotRequest UpdateRequest;
typedef Containerd__Services__Snapshots__V1__UpdateSnapshotResponse UpdateResponse;
typedef Containerd__Services__Snapshots__V1__ListSnapshotsRequest ListRequest;
typedef Containerd__Services__Snapshots__V1__UsageRequest UsageRequest;
typedef Containerd__Services__Snapshots__V1__UsageResponse UsageResponse;

/* ---- the parts of messages ---- */

/* Prepare, View and Mounts answer the same: mounts, as field 1. */
static int reply_mounts(struct call *call, const struct mounts *mounts, struct reason *why)
{
    MountsResponse response = CONTAINERD__SERVICES__SNAPSHOTS__V1__MOUNTS_RESPONSE__INIT;
    scoped_free Containerd__Types__Mount **wire = NULL;
    int result = wire_mounts_write(&wire, mounts, why);

    if (result)
        return result;
    response.mounts = wire;
    response.n_mounts = mounts->count;
    return call_reply(call, &response.base, why);
}

static int reply_empty(struct call *call, struct reason *why)
{
    Containerd__Types__Empty empty = CONTAINERD__TYPES__EMPTY__INIT;

    return call_reply(call, &empty.base, why);
}

/* Stat and Update answer the same: an Info, as field 1. */
static int reply_info(void *context, const struct snapshot_info *info, struct reason *why)
{
    StatResponse response = CONTAINERD__SERVICES__SNAPSHOTS__V1__STAT_SNAPSHOT_RESPONSE__INIT;
    struct wire_info wire;
    int result = wire_info_write(&wire, info, why);

    if (result)
        return result;
    response.info = &wire.info;
    result = call_reply(context, &response.base, why);
    free(wire.labels);
    return result;
}

/* Labels that are to be stored. */
static int read_labels(struct label **labels, size_t *count, size_t wire_count,
                       Containerd__Types__Label *const *wire, struct reason *why)
{
    int result = wire_labels_read(labels, count, wire_count, wire, why);

    return result ? result : wire_check_labels(*labels, *count, why);
}

/* ---- the methods ---- */

/* Prepare and View */
typedef int make_function(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                          const struct label *labels, size_t label_count, struct mounts *mounts,
                          struct reason *why);

static int make_snapshot(struct call *call, make_function *make, struct snapshots *snapshots,
                         struct bytes key, struct bytes parent, size_t wire_count,
                         Containerd__Types__Label *const *wire, struct reason *why)
{
    scoped(mounts_clear) struct mounts mounts = {0};
    scoped_free struct label *labels = NULL;
    size_t label_count;
    int result = read_labels(&labels, &label_count, wire_count, wire, why);

    if (result == 0)
        result = wire_check_text(key, "key", why);
    if (result == 0)
        result = make(snapshots, key, parent, labels, label_count, &mounts, why);
    if (result)
        return result;
    return reply_mounts(call, &mounts, why);
}

static int handle_prepare(struct call *call, const ProtobufCMessage *message,
                          const struct services *services, struct reason *why)
{
    const PrepareRequest *request = (const PrepareRequest *)message;

    return make_snapshot(call, snapshots_prepare, services->snapshots, message_bytes(request->key),
                         message_bytes(request->parent), request->n_labels, request->labels, why);
}

static int handle_view(struct call *call, const ProtobufCMessage *message,
                       const struct services *services, struct reason *why)
{
    const ViewRequest *request = (const ViewRequest *)message;

    return make_snapshot(call, snapshots_view, services->snapshots, message_bytes(request->key),
                         message_bytes(request->parent), request->n_labels, request->labels, why);
}

static int handle_mounts(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    const MountsRequest *request = (const MountsRequest *)message;
    scoped(mounts_clear) struct mounts mounts = {0};
    int result = snapshots_mounts(services->snapshots, message_bytes(request->key), &mounts, why);

    if (result)
        return result;
    return reply_mounts(call, &mounts, why);
}

static int handle_commit(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    const CommitRequest *request = (const CommitRequest *)message;
    scoped_free struct label *labels = NULL;
    size_t label_count;
    int result = read_labels(&labels, &label_count, request->n_labels, request->labels, why);

    if (result == 0)
        result = wire_check_text(message_bytes(request->name), "name", why);
    if (result == 0)
        result = snapshots_commit(services->snapshots, message_bytes(request->name),
                                  message_bytes(request->key), message_bytes(request->parent),
                                  labels, label_count, why);
    if (result)
        return result;
    return reply_empty(call, why);
}

static int handle_remove(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    const RemoveRequest *request = (const RemoveRequest *)message;
    int result = snapshots_remove(services->snapshots, message_bytes(request->key), why);

    if (result)
        return result;
    return reply_empty(call, why);
}

static int handle_stat(struct call *call, const ProtobufCMessage *message,
                       const struct services *services, struct reason *why)
{
    const StatRequest *request = (const StatRequest *)message;

    return snapshots_stat(services->snapshots, message_bytes(request->key), reply_info, call, why);
}

static int handle_update(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    const UpdateRequest *request = (const UpdateRequest *)message;
    const Containerd__Types__FieldMask *mask = request->update_mask;
    scoped_free struct label *labels = NULL;
    scoped_free struct bytes *paths = NULL;
    size_t label_count, path_count = mask ? mask->n_paths : 0;
    int result;

    if (!request->info)
        return refuse(why, CONDITION_INVALID, "update: the request names no snapshot");
    result =
        read_labels(&labels, &label_count, request->info->n_labels, request->info->labels, why);
    if (result == 0)
        result = wire_strings_read(&paths, mask ? mask->paths : NULL, path_count, why);
    if (result)
        return result;
    return snapshots_update(services->snapshots, message_bytes(request->info->name), labels,
                            label_count, paths, path_count, reply_info, call, why);
}

static int add_info(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct wire_info wire;
    int result = wire_info_write(&wire, info, why);

    if (result)
        return result;
    result = stream_add(context, &wire.info.base, why);
    free(wire.labels);
    return result;
}

static int handle_list(struct call *call, const ProtobufCMessage *message,
                       const struct services *services, struct reason *why)
{
    const ListRequest *request = (const ListRequest *)message;
    scoped(stream_clear) struct stream stream = {.call = call};
    scoped_free struct bytes *filters = NULL;
    int result = wire_strings_read(&filters, request->filters, request->n_filters, why);

    if (result == 0)
        result = snapshots_list(services->snapshots, filters, request->n_filters, add_info, &stream,
                                why);
    if (result)
        return result;
    return stream_flush(&stream, why);
}

static int handle_usage(struct call *call, const ProtobufCMessage *message,
                        const struct services *services, struct reason *why)
{
    const UsageRequest *request = (const UsageRequest *)message;
    UsageResponse response = CONTAINERD__SERVICES__SNAPSHOTS__V1__USAGE_RESPONSE__INIT;
    struct volume_usage usage = {0};
    int result = snapshots_usage(services->snapshots, message_bytes(request->key), &usage, why);

    if (result)
        return result;
    response.size = usage.bytes < INT64_MAX ? (int64_t)usage.bytes : INT64_MAX;
    response.inodes = usage.inodes < INT64_MAX ? (int64_t)usage.inodes : INT64_MAX;
    return call_reply(call, &response.base, why);
}

static int handle_cleanup(struct call *call, const ProtobufCMessage *message,
                          const struct services *services, struct reason *why)
{
    int result = snapshots_cleanup(services->snapshots, call_cancel(call), why);

    (void)message;
    if (result)
        return result;
    return reply_empty(call, why);
}

#define REQUEST(name) &containerd__services__snapshots__v1__##name##__descriptor

static const struct method methods[] = {
    {"Prepare", REQUEST(prepare_snapshot_request), handle_prepare, LANE_SHORT, false},
    {"View", REQUEST(view_snapshot_request), handle_view, LANE_SHORT, false},
    {"Mounts", REQUEST(mounts_request), handle_mounts, LANE_LOOK, false},
    {"Commit", REQUEST(commit_snapshot_request), handle_commit, LANE_SHORT, false},
    {"Remove", REQUEST(remove_snapshot_request), handle_remove, LANE_SHORT, false},
    {"Stat", REQUEST(stat_snapshot_request), handle_stat, LANE_READ, false},
    {"Update", REQUEST(update_snapshot_request), handle_update, LANE_SHORT, false},
    {"List", REQUEST(list_snapshots_request), handle_list, LANE_SHORT, false},
    {"Usage", REQUEST(usage_request), handle_usage, LANE_LOOK, false},
    {"Cleanup", REQUEST(cleanup_request), handle_cleanup, LANE_LONG, false},
};

const struct service service_snapshots = {
    .name = "containerd.services.snapshots.v1.Snapshots",
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
};
