/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DAEMON_NOTIFY_H
#define COWSNAP_DAEMON_NOTIFY_H

/* Tells the service manager how far the daemon is: sd_notify(3)'s protocol, one datagram to the
 * socket that NOTIFY_SOCKET names. */

#include "base/result.h"

/* Sends STATE, "READY=1" or "STOPPING=1". Without NOTIFY_SOCKET it does nothing. The daemon works
 * as well untold, so a failure is for the log only. */
int notify_send(const char *state, struct reason *why);

#endif
