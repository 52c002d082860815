/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "diff/diff.h"
#include "rpc/message.h"
#include "rpc/service.h"
#include "snapshot/mounts.h"

#include <containerd/diff.pb-c.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Containerd__Services__Diff__V1__ApplyRequest ApplyRequest;
typedef Containerd__Services__Diff__V1__ApplyResponse ApplyResponse;

/* A C string of what becomes a part of a mount(2). */
static int read_text(char **text, ProtobufCBinaryData wire, const char *what, struct reason *why)
{
    *text = NULL;
    if (wire.len && memchr(wire.data, 0, wire.len))
        return refuse(why, CONDITION_INVALID, "apply: the %s %s of a mount holds a NUL", what,
                      quoted(message_bytes(wire)));
    *text = (char *)bytes_copy(message_bytes(wire));
    if (!*text)
        return failure(why, ENOMEM, "read a mount");
    return 0;
}

static int read_mount(struct mount *mount, const Containerd__Types__Mount *wire, struct reason *why)
{
    scoped_free char *type = NULL, *source = NULL, *target = NULL;
    int result = read_text(&type, wire->type, "type", why);

    if (result == 0)
        result = read_text(&source, wire->source, "source", why);
    if (result == 0)
        result = read_text(&target, wire->target, "target", why);
    if (result)
        return result;
    if (!mount_set(mount, type, source, target))
        return failure(why, ENOMEM, "read a mount");
    for (size_t i = 0; i < wire->n_options; i++) {
        scoped_free char *option = NULL;

        result = read_text(&option, wire->options[i], "option", why);
        if (result)
            return result;
        if (!mount_add_option(mount, option))
            return failure(why, ENOMEM, "read a mount");
    }
    return 0;
}

static int read_mounts(struct mounts *mounts, const ApplyRequest *request, struct reason *why)
{
    if (!mounts_make(mounts, request->n_mounts))
        return failure(why, ENOMEM, "read %zu mounts", request->n_mounts);
    for (size_t i = 0; i < request->n_mounts; i++) {
        int result = read_mount(&mounts->items[i], request->mounts[i], why);

        if (result)
            return result;
    }
    return 0;
}

static int reply_applied(struct call *call, const struct diff_apply_result *applied,
                         struct reason *why)
{
    ApplyResponse response = CONTAINERD__SERVICES__DIFF__V1__APPLY_RESPONSE__INIT;
    Containerd__Types__Descriptor descriptor = CONTAINERD__TYPES__DESCRIPTOR__INIT;

    descriptor.media_type = message_binary(bytes_of(applied->media_type));
    descriptor.digest = message_binary(bytes_of(applied->digest));
    descriptor.size = (int64_t)applied->size;
    response.applied = &descriptor;
    return call_reply(call, &response.base, why);
}

static int handle_apply(struct call *call, const ProtobufCMessage *message,
                        const struct services *services, struct reason *why)
{
    const ApplyRequest *request = (const ApplyRequest *)message;
    scoped(mounts_clear) struct mounts mounts = {0};
    struct diff_apply_result applied = {0};
    struct diff_apply_request apply;
    int result;

    if (!request->diff)
        return refuse(why, CONDITION_INVALID, "apply: the request names no layer");
    result = read_mounts(&mounts, request, why);
    if (result)
        return result;
    apply = (struct diff_apply_request){
        .media_type = message_bytes(request->diff->media_type),
        .digest = message_bytes(request->diff->digest),
        .size = request->diff->size,
        .mounts = &mounts,
        .sync = request->sync_fs,
        .encrypted = request->n_payloads > 0,
        .cancel = call_cancel(call),
    };
    result = diff_apply(services->diff, &apply, &applied, why);
    if (result)
        return result;
    return reply_applied(call, &applied, why);
}

static int handle_diff(struct call *call, const ProtobufCMessage *message,
                       const struct services *services, struct reason *why)
{
    (void)call;
    (void)message;
    (void)services;
    return refuse(why, CONDITION_UNIMPLEMENTED,
                  "cowsnap makes no diffs: let containerd's \"walking\" differ follow it");
}

static const struct method methods[] = {
    {"Apply", &containerd__services__diff__v1__apply_request__descriptor, handle_apply, LANE_LAYER,
     false},
    {"Diff", &containerd__services__diff__v1__diff_request__descriptor, handle_diff, LANE_SHORT,
     false},
};

const struct service service_diff = {
    .name = "containerd.services.diff.v1.Diff",
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
};
