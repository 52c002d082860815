/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_ACCEPTOR_H
#define COWSNAP_RPC_ACCEPTOR_H

/*
 * The thread that takes connections on a listening socket and hands each to gRPC. The socket is
 * ours and not gRPC's, so that its mode and its place are right from the start (socket.h). Only
 * root and the user the daemon runs as are let in (SO_PEERCRED of unix(7)).
 */

#include "base/result.h"

#include <grpc/grpc.h>

struct acceptor;

/* LISTENER (non-blocking) and CORE (started) are borrowed until acceptor_close(). */
int acceptor_open(struct acceptor **acceptor, int listener, grpc_server *core, struct reason *why);

/* No connection is handed over when it has returned. NULL is allowed; returns NULL. */
struct acceptor *acceptor_close(struct acceptor *acceptor);

#endif
