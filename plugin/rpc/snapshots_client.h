/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_SNAPSHOTS_CLIENT_H
#define COWSNAP_RPC_SNAPSHOTS_CLIENT_H

/*
 * The calls of containerd's snapshots and diff services as plain functions over a client, with the
 * structures of plugin/snapshot. Results are those of client_unary(): a condition is what the
 * daemon answered, and WHY its message, the ending (": not found") included. A daemon that says
 * nothing for CLIENT_TIMEOUT seconds is CONDITION_DEADLINE; only Commit and Cleanup, which wait for
 * the disk, have all the time they need, and Apply has a limit of its own.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "rpc/client.h"
#include "snapshot/snapshots.h"

/* Mounts as the daemon sent them. LIST is to be read; one block of memory holds it all. */
struct client_mounts {
    struct mounts list;
    void *memory;
};
void client_mounts_clear(struct client_mounts *mounts);

/* VISIT gets what containerd's Info tells: ids and usage are 0. */
int snapshots_client_stat(struct client *client, struct bytes key, snapshot_visit *visit,
                          void *context, struct reason *why);
int snapshots_client_update(struct client *client, struct bytes key, const struct label *labels,
                            size_t label_count, const struct bytes *paths, size_t path_count,
                            snapshot_visit *visit, void *context, struct reason *why);
int snapshots_client_list(struct client *client, const struct bytes *filters, size_t filter_count,
                          snapshot_visit *visit, void *context, struct reason *why);

/* Which of containerd's own snapshots are meant, when the client is containerd's. */
struct snapshots_scope {
    struct bytes name_space, snapshotter;
};
int snapshots_client_list_in(struct client *client, const struct snapshots_scope *scope,
                             snapshot_visit *visit, void *context, struct reason *why);

int snapshots_client_usage(struct client *client, struct bytes key, struct volume_usage *usage,
                           struct reason *why);
/* MOUNTS may be NULL, here and below; otherwise it is the caller's to client_mounts_clear(). */
int snapshots_client_prepare(struct client *client, struct bytes key, struct bytes parent,
                             const struct label *labels, size_t label_count,
                             struct client_mounts *mounts, struct reason *why);
int snapshots_client_view(struct client *client, struct bytes key, struct bytes parent,
                          const struct label *labels, size_t label_count,
                          struct client_mounts *mounts, struct reason *why);
int snapshots_client_mounts(struct client *client, struct bytes key, struct client_mounts *mounts,
                            struct reason *why);
int snapshots_client_commit(struct client *client, struct bytes name, struct bytes key,
                            struct bytes parent, const struct label *labels, size_t label_count,
                            struct reason *why);
int snapshots_client_remove(struct client *client, struct bytes key, struct reason *why);
int snapshots_client_cleanup(struct client *client, struct reason *why);

/* What Apply answers. Texts are cut when they do not fit. */
struct client_applied {
    char media_type[128];
    char digest[160];
    int64_t size;
};

struct client_apply {
    struct bytes media_type, digest;
    int64_t size;
    const struct mounts *mounts;
    bool sync;
    unsigned timeout_ms; /* 0 for none */
};

int snapshots_client_apply(struct client *client, const struct client_apply *apply,
                           struct client_applied *applied, struct reason *why);

#endif
