/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_HEALTH_H
#define COWSNAP_RPC_HEALTH_H

/*
 * Whether the daemon serves, as grpc.health.v1 tells it: for "" and for each service by name.
 */

#include "base/result.h"

#include <stddef.h>

struct health;
struct service;

/* SERVICES is borrowed. The state is SERVING. */
int health_open(struct health **health, const struct service *const *services, size_t count,
                struct reason *why);

/* NOT_SERVING for good: those who watch are told, and their calls ended. Does not block. */
void health_stop(struct health *health);

/* After the last call. NULL is allowed; returns NULL. */
struct health *health_close(struct health *health);

#endif
