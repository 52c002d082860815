/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_RPC_RIG_H
#define COWSNAP_TESTS_RPC_RIG_H

/*
 * A server over the fakes on a socket in a new folder, and a client of it.
 */

#include "rpc/client.h"
#include "rpc/server.h"

struct rig {
    char folder[64];
    char address[96];
    struct server *server;
    struct client *client;
};

/* cmocka's set-up and tear-down; *STATE is the rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* The server again, with the numbers of workers, of layers at once, and of calls that may wait in
 * NUMBERS; the rest of it is not looked at. */
void rig_restart(struct rig *rig, struct server_options numbers);

#endif
