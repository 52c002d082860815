/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_DAEMON_H
#define COWSNAP_CLI_DAEMON_H

/* The running cowsnapd, as the commands ask it. Sentences say what to do when it cannot be asked.
 */

#include "base/result.h"
#include "cli/command.h"
#include "rpc/client.h"
#include "rpc/control_client.h"

struct daemon {
    char *address; /* --address, or the default */
    struct client *client;
};

/* Connects. DAEMON is to be ended by daemon_disconnect(), also after a failure. */
int daemon_connect(struct daemon *daemon, const struct arguments *arguments, struct reason *why);
void daemon_disconnect(struct daemon *daemon);

/* Puts into WHY what RESULT, of a call to the daemon, means to a person; returns RESULT.
 */
int daemon_explain(const struct daemon *daemon, int result, struct reason *why);

/* control_client_status(), explained. */
int daemon_status(const struct daemon *daemon, Cowsnap__Control__V1__StatusResponse **status,
                  struct reason *why);

#endif
