/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/snapshots_client.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/wire.h"

#include <containerd/diff.pb-c.h>
#include <containerd/snapshots.pb-c.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOTS "/containerd.services.snapshots.v1.Snapshots/"
#define DIFF "/containerd.services.diff.v1.Diff/"
#define TYPE(name) &containerd__services__snapshots__v1__##name##__descriptor

typedef Containerd__Services__Snapshots__V1__PrepareSnapshotRequest PrepareRequest;
typedef Containerd__Services__Snapshots__V1__MountsRequest MountsRequest;
typedef Containerd__Services__Snapshots__V1__MountsResponse MountsResponse;
typedef Containerd__Services__Snapshots__V1__CommitSnapshotRequest CommitRequest;
typedef Containerd__Services__Snapshots__V1__RemoveSnapshotRequest RemoveRequest;
typedef Containerd__Services__Snapshots__V1__StatSnapshotRequest StatRequest;
typedef Containerd__Services__Snapshots__V1__StatSnapshotResponse StatResponse;
typedef Containerd__Services__Snapshots__V1__UpdateSnapshotRequest UpdateRequest;
typedef Containerd__Services__Snapshots__V1__ListSnapshotsRequest ListRequest;
typedef Containerd__Services__Snapshots__V1__ListSnapshotsResponse ListResponse;
typedef Containerd__Services__Snapshots__V1__UsageRequest UsageRequest;
typedef Containerd__Services__Snapshots__V1__UsageResponse UsageResponse;
typedef Containerd__Services__Snapshots__V1__CleanupRequest CleanupRequest;
typedef Containerd__Services__Snapshots__V1__Info Info;
typedef Containerd__Services__Diff__V1__ApplyRequest ApplyRequest;
typedef Containerd__Services__Diff__V1__ApplyResponse ApplyResponse;

/* A call that should be answered at once. */
static int call(struct client *client, const char *method, const ProtobufCMessage *message,
                const ProtobufCMessageDescriptor *type, ProtobufCMessage **reply,
                struct reason *why)
{
    struct client_request request = {
        .method = method,
        .message = message,
        .reply = type,
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };

    return client_unary(client, &request, reply, NULL, why);
}

/* A call that waits for the disk, however long that takes, and is answered with nothing. */
static int call_without_limit(struct client *client, const char *method,
                              const ProtobufCMessage *message, struct reason *why)
{
    struct client_request request = {
        .method = method, .message = message, .reply = &containerd__types__empty__descriptor};

    return client_unary(client, &request, NULL, NULL, why);
}

/* ---- mounts ---- */

void client_mounts_clear(struct client_mounts *mounts)
{
    free(mounts->memory);
    *mounts = (struct client_mounts){0};
}

static char *copy_text(char **room, ProtobufCBinaryData wire)
{
    char *text = *room;

    if (wire.len)
        memcpy(text, wire.data, wire.len);
    text[wire.len] = '\0';
    *room += wire.len + 1;
    return text;
}

static int read_mounts(struct client_mounts *mounts, const MountsResponse *response,
                       struct reason *why)
{
    size_t text = 0, options = 0;
    struct mount *items;
    char **pointers, *room;

    *mounts = (struct client_mounts){0};
    if (response->n_mounts == 0)
        return 0;
    for (size_t i = 0; i < response->n_mounts; i++) {
        const Containerd__Types__Mount *wire = response->mounts[i];

        text += wire->type.len + wire->source.len + wire->target.len + 3;
        for (size_t k = 0; k < wire->n_options; k++)
            text += wire->options[k].len + 1;
        options += wire->n_options;
    }
    items = calloc(1, response->n_mounts * sizeof(*items) + options * sizeof(*pointers) + text);
    if (!items)
        return failure(why, ENOMEM, "read %zu mounts", response->n_mounts);
    pointers = (char **)(void *)(items + response->n_mounts);
    room = (char *)(pointers + options);
    for (size_t i = 0; i < response->n_mounts; i++) {
        const Containerd__Types__Mount *wire = response->mounts[i];

        items[i].type = copy_text(&room, wire->type);
        items[i].source = copy_text(&room, wire->source);
        items[i].target = copy_text(&room, wire->target);
        items[i].options = pointers;
        items[i].option_count = wire->n_options;
        for (size_t k = 0; k < wire->n_options; k++)
            *pointers++ = copy_text(&room, wire->options[k]);
    }
    mounts->memory = items;
    mounts->list = (struct mounts){items, response->n_mounts};
    return 0;
}

/* Prepare, View and Mounts: mounts come back. */
static int call_for_mounts(struct client *client, const char *method,
                           const ProtobufCMessage *message, struct client_mounts *mounts,
                           struct reason *why)
{
    scoped_message ProtobufCMessage *reply = NULL;
    int result = call(client, method, message, TYPE(mounts_response), &reply, why);

    if (result || !mounts)
        return result;
    return read_mounts(mounts, (const MountsResponse *)reply, why);
}

/* ---- infos ---- */

static int visit_info(const Info *wire, snapshot_visit *visit, void *context, struct reason *why)
{
    scoped_free struct label *labels = NULL;
    struct snapshot_info info = {
        .key = message_bytes(wire->name),
        .parent = message_bytes(wire->parent),
        .kind = (enum snapshot_kind)wire->kind,
        .created = wire_nanoseconds(wire->created_at),
        .updated = wire_nanoseconds(wire->updated_at),
    };
    int result = wire_labels_read(&labels, &info.label_count, wire->n_labels, wire->labels, why);

    if (result)
        return result;
    info.labels = labels;
    return visit(context, &info, why);
}

/* Stat and Update: an Info comes back. */
static int call_for_info(struct client *client, const char *method, const ProtobufCMessage *message,
                         snapshot_visit *visit, void *context, struct reason *why)
{
    scoped_message ProtobufCMessage *reply = NULL;
    int result = call(client, method, message, TYPE(stat_snapshot_response), &reply, why);

    if (result)
        return result;
    if (!((const StatResponse *)reply)->info)
        return failure(why, EPROTO, "%s: the daemon answered nothing", method);
    return visit_info(((const StatResponse *)reply)->info, visit, context, why);
}

struct list_visit {
    snapshot_visit *visit;
    void *context;
};

static int visit_list(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const ListResponse *response = (const ListResponse *)reply;
    const struct list_visit *list = context;

    for (size_t i = 0; i < response->n_info; i++) {
        int result = visit_info(response->info[i], list->visit, list->context, why);

        if (result)
            return result;
    }
    return 0;
}

/* ---- the calls ---- */

int snapshots_client_stat(struct client *client, struct bytes key, snapshot_visit *visit,
                          void *context, struct reason *why)
{
    StatRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__STAT_SNAPSHOT_REQUEST__INIT;

    request.key = message_binary(key);
    return call_for_info(client, SNAPSHOTS "Stat", &request.base, visit, context, why);
}

int snapshots_client_update(struct client *client, struct bytes key, const struct label *labels,
                            size_t label_count, const struct bytes *paths, size_t path_count,
                            snapshot_visit *visit, void *context, struct reason *why)
{
    UpdateRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__UPDATE_SNAPSHOT_REQUEST__INIT;
    Info info = CONTAINERD__SERVICES__SNAPSHOTS__V1__INFO__INIT;
    Containerd__Types__FieldMask mask = CONTAINERD__TYPES__FIELD_MASK__INIT;
    scoped_free Containerd__Types__Label **wire_labels = NULL;
    scoped_free ProtobufCBinaryData *wire_paths = NULL;
    int result = wire_labels_write(&wire_labels, labels, label_count, why);

    if (result == 0)
        result = wire_strings_write(&wire_paths, paths, path_count, why);
    if (result)
        return result;
    info.name = message_binary(key);
    info.labels = wire_labels;
    info.n_labels = label_count;
    mask.paths = wire_paths;
    mask.n_paths = path_count;
    request.info = &info;
    request.update_mask = &mask;
    return call_for_info(client, SNAPSHOTS "Update", &request.base, visit, context, why);
}

static int list(struct client *client, const ListRequest *message, struct bytes name_space,
                snapshot_visit *visit, void *context, struct reason *why)
{
    struct list_visit each = {visit, context};
    struct client_request request = {
        .method = SNAPSHOTS "List",
        .message = &message->base,
        .reply = TYPE(list_snapshots_response),
        .name_space = name_space,
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };

    return client_stream(client, &request, visit_list, &each, NULL, why);
}

int snapshots_client_list(struct client *client, const struct bytes *filters, size_t filter_count,
                          snapshot_visit *visit, void *context, struct reason *why)
{
    ListRequest message = CONTAINERD__SERVICES__SNAPSHOTS__V1__LIST_SNAPSHOTS_REQUEST__INIT;
    scoped_free ProtobufCBinaryData *wire_filters = NULL;
    int result = wire_strings_write(&wire_filters, filters, filter_count, why);

    if (result)
        return result;
    message.filters = wire_filters;
    message.n_filters = filter_count;
    return list(client, &message, bytes_of(NULL), visit, context, why);
}

int snapshots_client_list_in(struct client *client, const struct snapshots_scope *scope,
                             snapshot_visit *visit, void *context, struct reason *why)
{
    ListRequest message = CONTAINERD__SERVICES__SNAPSHOTS__V1__LIST_SNAPSHOTS_REQUEST__INIT;

    message.snapshotter = message_binary(scope->snapshotter);
    return list(client, &message, scope->name_space, visit, context, why);
}

int snapshots_client_usage(struct client *client, struct bytes key, struct volume_usage *usage,
                           struct reason *why)
{
    UsageRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__USAGE_REQUEST__INIT;
    scoped_message ProtobufCMessage *reply = NULL;
    int result;

    request.key = message_binary(key);
    result = call(client, SNAPSHOTS "Usage", &request.base, TYPE(usage_response), &reply, why);
    if (result)
        return result;
    *usage = (struct volume_usage){
        .bytes = (uint64_t)((const UsageResponse *)reply)->size,
        .inodes = (uint64_t)((const UsageResponse *)reply)->inodes,
        .exact = true,
    };
    return 0;
}

/* Prepare and View send the same. */
static int make_snapshot(struct client *client, const char *method, struct bytes key,
                         struct bytes parent, const struct label *labels, size_t label_count,
                         struct client_mounts *mounts, struct reason *why)
{
    PrepareRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__PREPARE_SNAPSHOT_REQUEST__INIT;
    scoped_free Containerd__Types__Label **wire_labels = NULL;
    int result = wire_labels_write(&wire_labels, labels, label_count, why);

    if (result)
        return result;
    request.key = message_binary(key);
    request.parent = message_binary(parent);
    request.labels = wire_labels;
    request.n_labels = label_count;
    return call_for_mounts(client, method, &request.base, mounts, why);
}

int snapshots_client_prepare(struct client *client, struct bytes key, struct bytes parent,
                             const struct label *labels, size_t label_count,
                             struct client_mounts *mounts, struct reason *why)
{
    return make_snapshot(client, SNAPSHOTS "Prepare", key, parent, labels, label_count, mounts,
                         why);
}

int snapshots_client_view(struct client *client, struct bytes key, struct bytes parent,
                          const struct label *labels, size_t label_count,
                          struct client_mounts *mounts, struct reason *why)
{
    return make_snapshot(client, SNAPSHOTS "View", key, parent, labels, label_count, mounts, why);
}

int snapshots_client_mounts(struct client *client, struct bytes key, struct client_mounts *mounts,
                            struct reason *why)
{
    MountsRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__MOUNTS_REQUEST__INIT;

    request.key = message_binary(key);
    return call_for_mounts(client, SNAPSHOTS "Mounts", &request.base, mounts, why);
}

int snapshots_client_commit(struct client *client, struct bytes name, struct bytes key,
                            struct bytes parent, const struct label *labels, size_t label_count,
                            struct reason *why)
{
    CommitRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__COMMIT_SNAPSHOT_REQUEST__INIT;
    scoped_free Containerd__Types__Label **wire_labels = NULL;
    int result = wire_labels_write(&wire_labels, labels, label_count, why);

    if (result)
        return result;
    request.name = message_binary(name);
    request.key = message_binary(key);
    request.parent = message_binary(parent);
    request.labels = wire_labels;
    request.n_labels = label_count;
    return call_without_limit(client, SNAPSHOTS "Commit", &request.base, why);
}

int snapshots_client_remove(struct client *client, struct bytes key, struct reason *why)
{
    RemoveRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__REMOVE_SNAPSHOT_REQUEST__INIT;

    request.key = message_binary(key);
    return call(client, SNAPSHOTS "Remove", &request.base, &containerd__types__empty__descriptor,
                NULL, why);
}

int snapshots_client_cleanup(struct client *client, struct reason *why)
{
    CleanupRequest request = CONTAINERD__SERVICES__SNAPSHOTS__V1__CLEANUP_REQUEST__INIT;

    return call_without_limit(client, SNAPSHOTS "Cleanup", &request.base, why);
}

int snapshots_client_apply(struct client *client, const struct client_apply *apply,
                           struct client_applied *applied, struct reason *why)
{
    ApplyRequest message = CONTAINERD__SERVICES__DIFF__V1__APPLY_REQUEST__INIT;
    Containerd__Types__Descriptor descriptor = CONTAINERD__TYPES__DESCRIPTOR__INIT;
    scoped_free Containerd__Types__Mount **mounts = NULL;
    scoped_message ProtobufCMessage *reply = NULL;
    const Containerd__Types__Descriptor *answer;
    struct client_request request = {
        .method = DIFF "Apply",
        .message = &message.base,
        .reply = &containerd__services__diff__v1__apply_response__descriptor,
        .timeout_ms = apply->timeout_ms,
    };
    int result = wire_mounts_write(&mounts, apply->mounts, why);

    if (result)
        return result;
    descriptor.media_type = message_binary(apply->media_type);
    descriptor.digest = message_binary(apply->digest);
    descriptor.size = apply->size;
    message.diff = &descriptor;
    message.mounts = mounts;
    message.n_mounts = apply->mounts->count;
    message.sync_fs = apply->sync;
    result = client_unary(client, &request, &reply, NULL, why);
    if (result)
        return result;
    answer = ((const ApplyResponse *)reply)->applied;
    if (!answer)
        return failure(why, EPROTO, "apply: the daemon answered nothing");
    snprintf(applied->media_type, sizeof(applied->media_type), "%.*s", (int)answer->media_type.len,
             (const char *)answer->media_type.data);
    snprintf(applied->digest, sizeof(applied->digest), "%.*s", (int)answer->digest.len,
             (const char *)answer->digest.data);
    applied->size = answer->size;
    return 0;
}
