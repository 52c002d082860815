/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DAEMON_SIGNALS_H
#define COWSNAP_DAEMON_SIGNALS_H

/* The signals that mean something to the daemon. SIGTERM and SIGINT end it in good order; they are
 * blocked in every thread and taken up by the main thread when it has nothing else to do, so no
 * code ever runs in a handler. One that comes during the start waits until the start is done. */

/* To be called before any other thread runs. SIGPIPE is ignored: a peer that left is an error of
 * the write. */
void signals_block(void);

/* Waits for SIGTERM or SIGINT and returns which. */
int signals_wait(void);

#endif
