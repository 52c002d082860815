/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "diff/diff.h"
#include "rpc/control_pool.h"
#include "rpc/message.h"
#include "rpc/service.h"
#include "rpc/stream.h"
#include "rpc/wire.h"
#include "snapshot/check.h"
#include "snapshot/check_content.h"
#include "snapshot/snapshots.h"

#include <cowsnap/control.pb-c.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

typedef Cowsnap__Control__V1__StatusResponse StatusResponse;
typedef Cowsnap__Control__V1__Snapshot SnapshotItem;
typedef Cowsnap__Control__V1__StagesResponse StagesResponse;
typedef Cowsnap__Control__V1__Stage StageItem;
typedef Cowsnap__Control__V1__GrowPoolRequest GrowPoolRequest;
typedef Cowsnap__Control__V1__GrowPoolResponse GrowPoolResponse;
typedef Cowsnap__Control__V1__CheckPoolResponse CheckPoolResponse;

static int handle_status(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    StatusResponse response = COWSNAP__CONTROL__V1__STATUS_RESPONSE__INIT;
    Cowsnap__Control__V1__Pool pool;
    Cowsnap__Control__V1__Counts counts = COWSNAP__CONTROL__V1__COUNTS__INIT;
    Cowsnap__Control__V1__Store store = COWSNAP__CONTROL__V1__STORE__INIT;
    const struct server_facts *facts = &services->facts;
    scoped_free struct snapshots_figures *figures = calloc(1, sizeof(*figures));
    int result;

    (void)message;
    if (!figures)
        return failure(why, ENOMEM, "collect the status");
    result = snapshots_figures(services->snapshots, figures, why);
    if (result)
        return result;

    pool = control_pool(&figures->pool);
    counts.total = figures->store.snapshots;
    counts.committed = figures->store.committed;
    counts.active = figures->store.active;
    counts.views = figures->store.views;

    store.schema = figures->store.schema;
    store.commits = figures->store.commits;
    store.requests = figures->store.requests;
    store.map_size = figures->store.map_size;
    store.map_used = figures->store.map_used;

    response.version = message_text(COWSNAP_VERSION);
    response.backend = message_text(facts->backend);
    response.io_engine = message_text(facts->io_engine);
    response.root = message_text(facts->root);
    response.address = message_text(facts->address);
    response.content_root = message_text(facts->content_root);
    response.started = services->started;
    response.pid = getpid();
    response.pool = &pool;
    response.snapshots = &counts;
    response.store = &store;
    response.awaiting_removal = figures->awaiting_removal;
    response.awaiting_seal = figures->awaiting_seal;
    response.layers_in_work = figures->holds;
    response.damaged = figures->damaged;
    response.ready_clones = figures->ready_clones;
    return call_reply(call, &response.base, why);
}

static int add_snapshot(void *context, const struct snapshot_info *info, struct reason *why)
{
    SnapshotItem item = COWSNAP__CONTROL__V1__SNAPSHOT__INIT;

    item.id = info->id;
    item.parent_id = info->parent_id;
    item.key = message_binary(info->key);
    item.parent = message_binary(info->parent);
    item.kind = info->kind;
    item.created = info->created;
    item.usage_known = info->usage_known;
    item.bytes = info->usage_bytes;
    item.inodes = info->usage_inodes;
    item.sealed = info->sealed;
    return stream_add(context, &item.base, why);
}

static int handle_snapshots(struct call *call, const ProtobufCMessage *message,
                            const struct services *services, struct reason *why)
{
    scoped(stream_clear) struct stream stream = {.call = call};
    int result = snapshots_list(services->snapshots, NULL, 0, add_snapshot, &stream, why);

    (void)message;
    if (result)
        return result;
    return stream_flush(&stream, why);
}

static int handle_stages(struct call *call, const ProtobufCMessage *message,
                         const struct services *services, struct reason *why)
{
    StagesResponse response = COWSNAP__CONTROL__V1__STAGES_RESPONSE__INIT;
    StageItem items[STAGES], *pointers[STAGES];
    struct diff_figures figures;

    (void)message;
    diff_figures(services->diff, &figures);
    for (unsigned i = 0; i < STAGES; i++) {
        const struct stage_time *time = &figures.stages.of[i];

        items[i] = (StageItem)COWSNAP__CONTROL__V1__STAGE__INIT;
        items[i].name = message_text(stage_name(i));
        items[i].processor_ns = time->processor;
        items[i].waited_ns = time->waited;
        items[i].bytes = time->bytes;
        pointers[i] = &items[i];
    }
    response.layers = figures.layers;
    response.elapsed_ns = figures.stages.elapsed;
    response.n_stages = STAGES;
    response.stages = pointers;
    return call_reply(call, &response.base, why);
}

static int handle_grow_pool(struct call *call, const ProtobufCMessage *message,
                            const struct services *services, struct reason *why)
{
    const GrowPoolRequest *request = (const GrowPoolRequest *)message;
    const struct pool_growth growth = {request->size, request->more, request->metadata};
    GrowPoolResponse response = COWSNAP__CONTROL__V1__GROW_POOL_RESPONSE__INIT;
    Cowsnap__Control__V1__Pool before, after;
    scoped_free struct pool_status *status = calloc(2, sizeof(*status));
    int result;

    if (!status)
        return failure(why, ENOMEM, "grow the pool");
    result = snapshots_pool(services->snapshots, &status[0], why);
    if (result == 0)
        result = snapshots_grow_pool(services->snapshots, &growth, why);
    if (result == 0)
        result = snapshots_pool(services->snapshots, &status[1], why);
    if (result)
        return result;
    before = control_pool(&status[0]);
    after = control_pool(&status[1]);
    response.before = &before;
    response.pool = &after;
    return call_reply(call, &response.base, why);
}

static int handle_check_pool(struct call *call, const ProtobufCMessage *message,
                             const struct services *services, struct reason *why)
{
    CheckPoolResponse response = COWSNAP__CONTROL__V1__CHECK_POOL_RESPONSE__INIT;
    struct pool_verdict verdict = {0};
    int result = snapshots_check_pool(services->snapshots, call_cancel(call), &verdict, why);

    (void)message;
    if (result)
        return result;
    response.sound = verdict.sound;
    response.finding = verdict.finding.text;
    return call_reply(call, &response.base, why);
}

static int add_finding(void *context, const struct check_finding *finding, struct reason *why)
{
    Cowsnap__Control__V1__Finding item = COWSNAP__CONTROL__V1__FINDING__INIT;

    item.kind = finding->kind;
    item.outcome = finding->outcome;
    item.id = finding->id;
    item.key = message_binary(finding->key);
    item.problem = message_text(finding->problem);
    return stream_add(context, &item.base, why);
}

static int handle_check(struct call *call, const ProtobufCMessage *message,
                        const struct services *services, struct reason *why)
{
    const Cowsnap__Control__V1__CheckRequest *request =
        (const Cowsnap__Control__V1__CheckRequest *)message;
    scoped(stream_clear) struct stream stream = {.call = call};
    int result = snapshots_check(services->snapshots, request->repair, add_finding, &stream, why);

    if (result)
        return result;
    return stream_flush(&stream, why);
}

static int handle_check_content(struct call *call, const ProtobufCMessage *message,
                                const struct services *services, struct reason *why)
{
    const Cowsnap__Control__V1__CheckContentRequest *request =
        (const Cowsnap__Control__V1__CheckContentRequest *)message;
    Cowsnap__Control__V1__CheckContentResponse last =
        COWSNAP__CONTROL__V1__CHECK_CONTENT_RESPONSE__INIT;
    scoped(stream_clear) struct stream stream = {.call = call};
    scoped_free struct bytes *keys = NULL;
    struct check_tally tally;
    grpc_byte_buffer *buffer;
    int result = wire_strings_read(&keys, request->keys, request->n_keys, why);

    if (!result)
        result = snapshots_check_content(services->snapshots, keys, request->n_keys,
                                         call_cancel(call), add_finding, &stream, &tally, why);
    if (!result)
        result = stream_flush(&stream, why);
    if (result)
        return result;
    last.compared = tally.compared;
    last.unrecorded = tally.unrecorded;
    result = message_pack(&buffer, &last.base, why);
    return result ? result : call_send(call, buffer, why);
}

static const struct method methods[] = {
    {"Status", &cowsnap__control__v1__status_request__descriptor, handle_status, LANE_SHORT, false},
    {"Snapshots", &cowsnap__control__v1__snapshots_request__descriptor, handle_snapshots,
     LANE_SHORT, false},
    {"Stages", &cowsnap__control__v1__stages_request__descriptor, handle_stages, LANE_SHORT, false},
    {"GrowPool", &cowsnap__control__v1__grow_pool_request__descriptor, handle_grow_pool, LANE_SHORT,
     false},
    {"CheckPool", &cowsnap__control__v1__check_pool_request__descriptor, handle_check_pool,
     LANE_LONG, false},
    {"Check", &cowsnap__control__v1__check_request__descriptor, handle_check, LANE_LONG, false},
    {"CheckContent", &cowsnap__control__v1__check_content_request__descriptor, handle_check_content,
     LANE_LONG, false},
};

const struct service service_control = {
    .name = "cowsnap.control.v1.Control",
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
};
