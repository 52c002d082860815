/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/control_client.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/wire.h"

#include <errno.h>
#include <stdio.h>

#define CONTROL "/cowsnap.control.v1.Control/"
#define TYPE(name) &cowsnap__control__v1__##name##__descriptor

typedef Cowsnap__Control__V1__StatusRequest StatusRequest;
typedef Cowsnap__Control__V1__StatusResponse StatusResponse;
typedef Cowsnap__Control__V1__StagesRequest StagesRequest;
typedef Cowsnap__Control__V1__StagesResponse StagesResponse;
typedef Cowsnap__Control__V1__SnapshotsRequest SnapshotsRequest;
typedef Cowsnap__Control__V1__SnapshotsResponse SnapshotsResponse;
typedef Cowsnap__Control__V1__GrowPoolRequest GrowPoolRequest;
typedef Cowsnap__Control__V1__GrowPoolResponse GrowPoolResponse;
typedef Cowsnap__Control__V1__CheckPoolRequest CheckPoolRequest;
typedef Cowsnap__Control__V1__CheckPoolResponse CheckPoolResponse;

int control_client_status(struct client *client, StatusResponse **status, struct reason *why)
{
    StatusRequest message = COWSNAP__CONTROL__V1__STATUS_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "Status",
        .message = &message.base,
        .reply = TYPE(status_response),
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };
    scoped_message ProtobufCMessage *reply = NULL;
    const StatusResponse *response;
    int result = client_unary(client, &request, &reply, NULL, why);

    if (result)
        return result;
    response = (const StatusResponse *)reply;
    if (!response->pool || !response->snapshots || !response->store)
        return failure(why, EPROTO, "read the status: the daemon left out half of it");
    *status = (StatusResponse *)take_pointer(reply);
    return 0;
}

int control_client_stages(struct client *client, StagesResponse **stages, struct reason *why)
{
    StagesRequest message = COWSNAP__CONTROL__V1__STAGES_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "Stages",
        .message = &message.base,
        .reply = TYPE(stages_response),
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };
    ProtobufCMessage *reply = NULL;
    int result = client_unary(client, &request, &reply, NULL, why);

    if (result == 0)
        *stages = (StagesResponse *)reply;
    return result;
}

struct snapshots_visit {
    snapshot_visit *visit;
    void *context;
};

static int visit_snapshots(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const SnapshotsResponse *response = (const SnapshotsResponse *)reply;
    const struct snapshots_visit *each = context;

    for (size_t i = 0; i < response->n_snapshots; i++) {
        const Cowsnap__Control__V1__Snapshot *item = response->snapshots[i];
        struct snapshot_info info = {
            .key = message_bytes(item->key),
            .parent = message_bytes(item->parent),
            .kind = (enum snapshot_kind)item->kind,
            .created = item->created,
            .id = item->id,
            .parent_id = item->parent_id,
            .usage_known = item->usage_known,
            .usage_bytes = item->bytes,
            .usage_inodes = item->inodes,
            .sealed = item->sealed,
        };
        int result = each->visit(each->context, &info, why);

        if (result)
            return result;
    }
    return 0;
}

int control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                             struct reason *why)
{
    SnapshotsRequest message = COWSNAP__CONTROL__V1__SNAPSHOTS_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "Snapshots",
        .message = &message.base,
        .reply = TYPE(snapshots_response),
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };
    struct snapshots_visit each = {visit, context};

    return client_stream(client, &request, visit_snapshots, &each, NULL, why);
}

int control_client_grow_pool(struct client *client, const struct pool_growth *growth,
                             GrowPoolResponse **response, struct reason *why)
{
    GrowPoolRequest message = COWSNAP__CONTROL__V1__GROW_POOL_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "GrowPool",
        .message = &message.base,
        .reply = TYPE(grow_pool_response),
        /* none: whoever gave up would ask for as much more again, of a pool that has grown */
        .timeout_ms = 0,
    };
    scoped_message ProtobufCMessage *reply = NULL;
    int result;

    message.size = growth->size;
    message.more = growth->more;
    message.metadata = growth->metadata;
    result = client_unary(client, &request, &reply, NULL, why);
    if (result)
        return result;
    if (!((const GrowPoolResponse *)reply)->before || !((const GrowPoolResponse *)reply)->pool)
        return failure(why, EPROTO, "grow the pool: the daemon does not tell how it is now");
    *response = (GrowPoolResponse *)take_pointer(reply);
    return 0;
}

int control_client_check_pool(struct client *client, struct pool_verdict *verdict,
                              struct reason *why)
{
    CheckPoolRequest message = COWSNAP__CONTROL__V1__CHECK_POOL_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "CheckPool",
        .message = &message.base,
        .reply = TYPE(check_pool_response),
    };
    scoped_message ProtobufCMessage *reply = NULL;
    int result = client_unary(client, &request, &reply, NULL, why);

    if (result)
        return result;
    verdict->sound = ((const CheckPoolResponse *)reply)->sound;
    snprintf(verdict->finding.text, sizeof(verdict->finding.text), "%s",
             ((const CheckPoolResponse *)reply)->finding);
    return 0;
}

struct findings_visit {
    check_visit *visit;
    void *context;
};

static int visit_items(const struct findings_visit *each, Cowsnap__Control__V1__Finding **items,
                       size_t count, struct reason *why)
{
    for (size_t i = 0; i < count; i++) {
        const Cowsnap__Control__V1__Finding *item = items[i];
        const struct check_finding finding = {
            .kind = (enum check_kind)item->kind,
            .outcome = (enum check_outcome)item->outcome,
            .id = item->id,
            .key = message_bytes(item->key),
            .problem = item->problem,
        };
        int result = each->visit(each->context, &finding, why);

        if (result)
            return result;
    }
    return 0;
}

static int visit_findings(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const Cowsnap__Control__V1__CheckResponse *response =
        (const Cowsnap__Control__V1__CheckResponse *)reply;

    return visit_items(context, response->findings, response->n_findings, why);
}

int control_client_check(struct client *client, bool repair, check_visit *visit, void *context,
                         struct reason *why)
{
    Cowsnap__Control__V1__CheckRequest message = COWSNAP__CONTROL__V1__CHECK_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "Check",
        .message = &message.base,
        .reply = TYPE(check_response),
        .timeout_ms = CONTROL_CHECK_TIMEOUT * 1000,
    };
    struct findings_visit each = {visit, context};

    message.repair = repair;
    return client_stream(client, &request, visit_findings, &each, NULL, why);
}

struct content_visit {
    struct findings_visit findings;
    struct check_tally *tally;
};

static int visit_content(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const Cowsnap__Control__V1__CheckContentResponse *response =
        (const Cowsnap__Control__V1__CheckContentResponse *)reply;
    const struct content_visit *each = context;

    *each->tally = (struct check_tally){response->compared, response->unrecorded};
    return visit_items(&each->findings, response->findings, response->n_findings, why);
}

int control_client_check_content(struct client *client, const struct bytes *keys, size_t key_count,
                                 check_visit *visit, void *context, struct check_tally *tally,
                                 struct reason *why)
{
    Cowsnap__Control__V1__CheckContentRequest message =
        COWSNAP__CONTROL__V1__CHECK_CONTENT_REQUEST__INIT;
    struct client_request request = {
        .method = CONTROL "CheckContent",
        .message = &message.base,
        .reply = TYPE(check_content_response),
    };
    scoped_free ProtobufCBinaryData *list = NULL;
    struct content_visit each = {{visit, context}, tally};
    int result = wire_strings_write(&list, keys, key_count, why);

    if (result)
        return result;
    message.keys = list;
    message.n_keys = key_count;
    *tally = (struct check_tally){0};
    return client_stream(client, &request, visit_content, &each, NULL, why);
}
