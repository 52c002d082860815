/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_CONTROL_CLIENT_H
#define COWSNAP_RPC_CONTROL_CLIENT_H

/*
 * The calls of the control service as plain functions over a client. Results are those of
 * client_unary(); a daemon that says nothing for CLIENT_TIMEOUT seconds is CONDITION_DEADLINE. Only
 * a check, which walks through the whole store and the whole pool, has CONTROL_CHECK_TIMEOUT, and a
 * growth of the pool all the time that it needs: it would go on without the caller.
 */

#include "base/result.h"
#include "rpc/client.h"
#include "snapshot/check_content.h"
#include "snapshot/snapshots.h"

#include <cowsnap/control.pb-c.h>

/* *STATUS is the caller's to message_free(); its pool, snapshots and store are there. */
int control_client_status(struct client *client, Cowsnap__Control__V1__StatusResponse **status,
                          struct reason *why);

/* *STAGES is the caller's to message_free(). */
int control_client_stages(struct client *client, Cowsnap__Control__V1__StagesResponse **stages,
                          struct reason *why);

/* Calls VISIT for every snapshot, in the order of keys, with its id and usage; labels and the time
 * of the last update are not sent, and a kind may be one that this program does not know. */
int control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                             struct reason *why);

/* *RESPONSE is the caller's to message_free(); both pools are there. */
int control_client_grow_pool(struct client *client, const struct pool_growth *growth,
                             Cowsnap__Control__V1__GrowPoolResponse **response, struct reason *why);

/* Waits for as long as it takes. */
int control_client_check_pool(struct client *client, struct pool_verdict *verdict,
                              struct reason *why);

#define CONTROL_CHECK_TIMEOUT 600 /* seconds */

/* snapshots_check() in the daemon. A finding's volume is not sent, and its kind and outcome may be
 * ones that this program does not know. */
int control_client_check(struct client *client, bool repair, check_visit *visit, void *context,
                         struct reason *why);

/* snapshots_check_content() in the daemon, under the same terms; waits for as long as it takes. */
int control_client_check_content(struct client *client, const struct bytes *keys, size_t key_count,
                                 check_visit *visit, void *context, struct check_tally *tally,
                                 struct reason *why);

#endif
