/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/health.h"

#include "base/bytes.h"
#include "rpc/message.h"
#include "rpc/service.h"

#include <errno.h>
#include <grpc/health.pb-c.h>
#include <pthread.h>
#include <stdlib.h>

typedef Grpc__Health__V1__HealthCheckRequest CheckRequest;
typedef Grpc__Health__V1__HealthCheckResponse CheckResponse;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus ServingStatus;

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

/* A call of Watch. Whoever takes it off the list ends the call, and only he. */
struct watcher {
    struct watcher *next;
    struct call *call;
    bool known;
};

struct health {
    const struct service *const *services;
    size_t count;

    pthread_mutex_t lock; /* guards all below; taken before the lock of a call */
    bool stopped;
    struct watcher *watchers;
};

int health_open(struct health **opened, const struct service *const *services, size_t count,
                struct reason *why)
{
    struct health *health = calloc(1, sizeof(*health));

    if (!health)
        return failure(why, ENOMEM, "start the health service");
    health->services = services;
    health->count = count;
    pthread_mutex_init(&health->lock, NULL);
    *opened = health;
    return 0;
}

struct health *health_close(struct health *health)
{
    if (!health)
        return NULL;
    pthread_mutex_destroy(&health->lock);
    free(health);
    return NULL;
}

static bool health_knows(const struct health *health, struct bytes name)
{
    if (name.length == 0)
        return true;
    for (size_t i = 0; i < health->count; i++)
        if (bytes_equal(name, bytes_of(health->services[i]->name)))
            return true;
    return false;
}

static int post(struct call *call, ServingStatus status, struct reason *why)
{
    CheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = status;
    return call_post(call, &response.base, why);
}

void health_stop(struct health *health)
{
    struct watcher *watchers;

    pthread_mutex_lock(&health->lock);
    health->stopped = true;
    watchers = health->watchers;
    health->watchers = NULL;
    pthread_mutex_unlock(&health->lock);

    while (watchers) {
        struct watcher *watcher = watchers;
        struct reason why = {0};

        watchers = watcher->next;
        if (watcher->known)
            post(watcher->call, NOT_SERVING, NULL);
        call_finish(watcher->call, refuse(&why, CONDITION_UNAVAILABLE, "the daemon is stopping"),
                    &why);
        free(watcher);
    }
}

/* The one who watched has gone. */
static void forget_watcher(struct call *call, void *context)
{
    struct health *health = context;
    struct watcher **slot, *watcher;
    struct reason why = {0};

    pthread_mutex_lock(&health->lock);
    for (slot = &health->watchers; *slot && (*slot)->call != call;)
        slot = &(*slot)->next;
    watcher = *slot;
    if (watcher)
        *slot = watcher->next;
    pthread_mutex_unlock(&health->lock);
    if (!watcher)
        return;
    call_finish(call, refuse(&why, CONDITION_CANCELLED, "the caller is gone"), &why);
    free(watcher);
}

static int handle_check(struct call *call, const ProtobufCMessage *message,
                        const struct services *services, struct reason *why)
{
    const CheckRequest *request = (const CheckRequest *)message;
    CheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct health *health = services->health;
    struct bytes name = message_bytes(request->service);

    if (!health_knows(health, name))
        return refuse(why, CONDITION_NOT_FOUND, "service %s", quoted(name));
    pthread_mutex_lock(&health->lock);
    response.status = health->stopped ? NOT_SERVING : SERVING;
    pthread_mutex_unlock(&health->lock);
    return call_reply(call, &response.base, why);
}

static int handle_watch(struct call *call, const ProtobufCMessage *message,
                        const struct services *services, struct reason *why)
{
    const CheckRequest *request = (const CheckRequest *)message;
    struct health *health = services->health;
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    int result = 0;

    if (!watcher)
        return failure(why, ENOMEM, "watch the health of a service");
    watcher->call = call;
    watcher->known = health_knows(health, message_bytes(request->service));

    pthread_mutex_lock(&health->lock);
    if (health->stopped)
        result = refuse(why, CONDITION_UNAVAILABLE, "the daemon is stopping");
    else if (!call_on_close(call, forget_watcher, health))
        result = refuse(why, CONDITION_CANCELLED, "the caller is gone");
    else
        result = post(call, watcher->known ? SERVING : SERVICE_UNKNOWN, why);
    if (result == 0) {
        watcher->next = health->watchers;
        health->watchers = watcher;
    }
    pthread_mutex_unlock(&health->lock);
    if (result)
        free(watcher);
    return result;
}

static const struct method methods[] = {
    {"Check", &grpc__health__v1__health_check_request__descriptor, handle_check, LANE_AT_ONCE,
     false},
    {"Watch", &grpc__health__v1__health_check_request__descriptor, handle_watch, LANE_AT_ONCE,
     true},
};

const struct service service_health = {
    .name = "grpc.health.v1.Health",
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
};
