/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_DAEMON_H
#define COWSNAP_CLI_DAEMON_H

/* The running cowsnapd, as the commands ask it. Sentences say what to do when it cannot be asked.
 */

#include "base/result.h"
#include "cli/command.h"
#include "config/config.h"
#include "rpc/client.h"
#include "rpc/control_client.h"

struct daemon {
    char *address; /* --address, or that of daemon_settings() */
    struct client *client;
};

/* Fills CONFIG with what CONFIG_FILE says, or, where there is none or it may not be read, with the
 * defaults; to be ended by config_clear(), also after a failure. Results as config_read_file(). */
int daemon_settings(struct config *config, struct reason *why);

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
