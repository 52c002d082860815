/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/containerd_client.h"

#include "base/scoped.h"
#include "rpc/message.h"
#include "rpc/snapshots_client.h"

#include <containerd/containers.pb-c.h>
#include <containerd/content.pb-c.h>
#include <containerd/namespaces.pb-c.h>
#include <stdio.h>

#define NAMESPACES(name) containerd__services__namespaces__v1__##name##__descriptor
#define CONTAINERS(name) containerd__services__containers__v1__##name##__descriptor
#define CONTENT(name) containerd__services__content__v1__##name##__descriptor

typedef Containerd__Services__Namespaces__V1__ListNamespacesRequest NamespacesRequest;
typedef Containerd__Services__Namespaces__V1__ListNamespacesResponse NamespacesResponse;
typedef Containerd__Services__Containers__V1__ListContainersRequest ContainersRequest;
typedef Containerd__Services__Containers__V1__ListContainerMessage ContainerMessage;
typedef Containerd__Services__Content__V1__ListContentRequest ContentRequest;
typedef Containerd__Services__Content__V1__ListContentResponse ContentResponse;
typedef Containerd__Services__Content__V1__Info ContentInfo;

#define LABEL_ROOM 128
#define BY_ROOM 160

/* One namespace that is asked. */
struct listing {
    struct client *client;
    struct bytes name_space;
    const char *snapshotter;
    char label[LABEL_ROOM]; /* by which a blob names the snapshot of an image */
    containerd_visit *visit;
    void *context;
};

typedef int ask_namespace(struct listing *listing, struct reason *why);

static int in_each_namespace(struct listing *listing, ask_namespace *ask, struct reason *why)
{
    NamespacesRequest message = CONTAINERD__SERVICES__NAMESPACES__V1__LIST_NAMESPACES_REQUEST__INIT;
    scoped_message ProtobufCMessage *reply = NULL;
    const struct client_request request = {
        .method = "/containerd.services.namespaces.v1.Namespaces/List",
        .message = &message.base,
        .reply = &NAMESPACES(list_namespaces_response),
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };
    int result = client_unary(listing->client, &request, &reply, NULL, why);
    const NamespacesResponse *response = (const NamespacesResponse *)reply;

    for (size_t i = 0; !result && i < response->n_namespaces; i++) {
        listing->name_space = message_bytes(response->namespaces[i]->name);
        result = ask(listing, why);
    }
    return result;
}

/* ---- what it lists ---- */

static int visit_snapshot(void *context, const struct snapshot_info *info, struct reason *why)
{
    const struct listing *listing = context;

    return listing->visit(listing->context, listing->name_space, info->key, NULL, why);
}

static int ask_snapshots(struct listing *listing, struct reason *why)
{
    const struct snapshots_scope scope = {listing->name_space, bytes_of(listing->snapshotter)};

    return snapshots_client_list_in(listing->client, &scope, visit_snapshot, listing, why);
}

int containerd_client_snapshots(struct client *client, const char *snapshotter,
                                containerd_visit *visit, void *context, struct reason *why)
{
    struct listing listing = {
        .client = client, .snapshotter = snapshotter, .visit = visit, .context = context};

    return in_each_namespace(&listing, ask_snapshots, why);
}

/* ---- what it needs ---- */

static int visit_container(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const ContainerMessage *message = (const ContainerMessage *)reply;
    const struct listing *listing = context;
    char by[BY_ROOM];

    if (!message->container || message->container->snapshot_key.len == 0 ||
        !bytes_equal(message_bytes(message->container->snapshotter),
                     bytes_of(listing->snapshotter)))
        return 0;
    snprintf(by, sizeof(by), "container %s", quoted(message_bytes(message->container->id)));
    return listing->visit(listing->context, listing->name_space,
                          message_bytes(message->container->snapshot_key), by, why);
}

static int ask_containers(struct listing *listing, struct reason *why)
{
    ContainersRequest message = CONTAINERD__SERVICES__CONTAINERS__V1__LIST_CONTAINERS_REQUEST__INIT;
    const struct client_request request = {
        .method = "/containerd.services.containers.v1.Containers/ListStream",
        .message = &message.base,
        .reply = &CONTAINERS(list_container_message),
        .name_space = listing->name_space,
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };

    return client_stream(listing->client, &request, visit_container, listing, NULL, why);
}

static int visit_blob(const struct listing *listing, const ContentInfo *info, struct reason *why)
{
    char by[BY_ROOM];

    /* a digest; what is none is not shown as it is */
    snprintf(by, sizeof(by), "the image with the configuration %s",
             quoted(message_bytes(info->digest)));
    for (size_t i = 0; i < info->n_labels; i++)
        if (bytes_equal(message_bytes(info->labels[i]->key), bytes_of(listing->label)))
            return listing->visit(listing->context, listing->name_space,
                                  message_bytes(info->labels[i]->value), by, why);
    return 0;
}

static int visit_blobs(void *context, const ProtobufCMessage *reply, struct reason *why)
{
    const ContentResponse *response = (const ContentResponse *)reply;
    int result = 0;

    for (size_t i = 0; !result && i < response->n_info; i++)
        result = visit_blob(context, response->info[i], why);
    return result;
}

static int ask_content(struct listing *listing, struct reason *why)
{
    ContentRequest message = CONTAINERD__SERVICES__CONTENT__V1__LIST_CONTENT_REQUEST__INIT;
    char text[LABEL_ROOM + 16];
    ProtobufCBinaryData filter;
    const struct client_request request = {
        .method = "/containerd.services.content.v1.Content/List",
        .message = &message.base,
        .reply = &CONTENT(list_content_response),
        .name_space = listing->name_space,
        .timeout_ms = CLIENT_TIMEOUT * 1000,
    };

    snprintf(text, sizeof(text), "labels.\"%s\"", listing->label);
    filter = message_binary(bytes_of(text));
    message.filters = &filter;
    message.n_filters = 1;
    return client_stream(listing->client, &request, visit_blobs, listing, NULL, why);
}

static int ask_needs(struct listing *listing, struct reason *why)
{
    int result = ask_containers(listing, why);

    return result ? result : ask_content(listing, why);
}

int containerd_client_needs(struct client *client, const char *snapshotter, containerd_visit *visit,
                            void *context, struct reason *why)
{
    struct listing listing = {
        .client = client, .snapshotter = snapshotter, .visit = visit, .context = context};

    snprintf(listing.label, LABEL_ROOM, "containerd.io/gc.ref.snapshot.%s", snapshotter);
    return in_each_namespace(&listing, ask_needs, why);
}
