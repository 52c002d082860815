/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_SERVER_H
#define COWSNAP_RPC_SERVER_H

/*
 * The daemon's gRPC side: containerd's snapshots and diff services, gRPC health, and cowsnap's own
 * control service, on one unix socket. Only plugin/rpc knows grpc.h.
 */

#include "base/result.h"
#include "diff/diff.h"
#include "snapshot/snapshots.h"

#include <stdint.h>

struct server;

/* What status tells beyond what snapshots and pool know. Borrowed strings. */
struct server_facts {
    const char *backend, *io_engine, *root, *address, *content_root;
};

struct server_options {
    const char *address;         /* path of the socket; its folder is made (0711) when missing */
    struct snapshots *snapshots; /* borrowed until server_close() */
    struct diff *diff;           /* borrowed until server_close() */
    struct server_facts facts;
    bool looks_are_short; /* as the backend's, backends/backend.h */
    unsigned workers;     /* threads for calls that are short; 0 for a number fit for the machine */
    unsigned layers;      /* layers applied at once, more wait; 0 for eight */
    unsigned queue_limit; /* calls waiting for a worker; more are RESOURCE_EXHAUSTED. 0: default */
};

/* Binds the socket (mode 0600) and serves. A socket file that nobody listens on is replaced; a live
 * one is CONDITION_UNAVAILABLE, and the sentence says what to do. */
int server_open(struct server **server, const struct server_options *options, struct reason *why);

/* Takes no new calls, tells health NOT_SERVING, finishes the calls in flight; those still there
 * after GRACE_SECONDS are cancelled (an Apply undone). Then frees, and removes the socket file.
 * NULL is allowed; returns NULL. */
struct server *server_close(struct server *server, unsigned grace_seconds);

#endif
