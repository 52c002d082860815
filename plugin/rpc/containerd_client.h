/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_CONTAINERD_CLIENT_H
#define COWSNAP_RPC_CONTAINERD_CLIENT_H

/* containerd itself, asked over its own socket what it believes of a snapshotter. Its records lie
 * in its namespaces, which a call names in its metadata (containerd's pkg/namespaces). */

#include "rpc/client.h"

/* A snapshot called NAME in NAME_SPACE; BY is what needs it, in words: "container web". */
typedef int containerd_visit(void *context, struct bytes name_space, struct bytes name,
                             const char *by, struct reason *why);

/* Calls VISIT, with BY NULL, for each snapshot of SNAPSHOTTER that containerd has a record of and
 * the snapshotter as well: its List asks the snapshotter for each, and leaves out what that does
 * not have (core/metadata/snapshot.go). Results here and below are those of client_unary(), or
 * VISIT's.
 */
int containerd_client_snapshots(struct client *client, const char *snapshotter,
                                containerd_visit *visit, void *context, struct reason *why);

/* Calls VISIT for each snapshot of SNAPSHOTTER that something in containerd needs, whether it is
 * there or not: a container, or an image that is unpacked, of which a blob's label
 * containerd.io/gc.ref.snapshot.<snapshotter> tells. */
int containerd_client_needs(struct client *client, const char *snapshotter, containerd_visit *visit,
                            void *context, struct reason *why);

#endif
