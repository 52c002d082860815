/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_SNAPSHOTS_H
#define COWSNAP_SNAPSHOT_SNAPSHOTS_H

/*
 * The rules of snapshots, as containerd's snapshots service means them: keys, kinds, parents,
 * labels. It is the only caller of the store and of a backend, and knows nothing of gRPC.
 *
 * All functions may be called from any thread, and may block on the disk. Each call happens at one
 * moment between its begin and its end, or, when it is refused or fails, not at all (tests/model
 * holds histories of many threads to that), but for snapshots_list() as it says there. When a
 * commit's name is taken and its key is gone, either may be what it is refused for.
 */

#include "backends/backend.h"
#include "base/bytes.h"
#include "base/result.h"
#include "snapshot/mounts.h"
#include "snapshot/pins.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct snapshots;

struct snapshots_options {
    struct store *store;           /* borrowed; closed after snapshots_close() */
    const struct backend_ops *ops; /* borrowed */
    struct backend *backend;       /* borrowed; closed after snapshots_close() */
    enum mount_style mount_style;
    bool share_layers;   /* answer ALREADY_EXISTS to a Prepare for a layer that is here already */
    bool seal;           /* make committed volumes read-only in the background, where ops can */
    unsigned stock;      /* clones at most that lie ready for parents in demand; 0: none */
    int manifests;       /* folder for what layers wrote; borrowed; 0 or less: none */
    bool forget_volumes; /* end those in the pool when the store is new (see recover.c) */
};

/* Settles what a crash left behind (recover.c), then starts the background threads.
 * CONDITION_PRECONDITION: the store is new and the pool is not. */
int snapshots_open(struct snapshots **snapshots, const struct snapshots_options *options,
                   struct reason *why);
/* Stops the background threads. NULL is allowed; returns NULL. */
struct snapshots *snapshots_close(struct snapshots *snapshots);

/* What is known of one snapshot. Bytes belong to whoever made the structure (see each function). */
struct snapshot_info {
    struct bytes key;
    struct bytes parent; /* key of the parent; empty for none */
    enum snapshot_kind kind;
    int64_t created, updated;   /* nanoseconds since the epoch */
    const struct label *labels; /* sorted by key */
    size_t label_count;
    /* what containerd does not ask for */
    uint64_t id, parent_id;
    bool usage_known; /* the two below were counted */
    uint64_t usage_bytes, usage_inodes;
    bool sealed;
};

/* Called with a snapshot that is valid during the call. */
typedef int snapshot_visit(void *context, const struct snapshot_info *info, struct reason *why);

int snapshots_stat(struct snapshots *snapshots, struct bytes key, snapshot_visit *visit,
                   void *context, struct reason *why);

/* PATHS is the update mask: "labels", "labels.<key>"; none at all replaces the labels. VISIT gets
 * the snapshot as it is afterwards. */
int snapshots_update(struct snapshots *snapshots, struct bytes key, const struct label *labels,
                     size_t label_count, const struct bytes *paths, size_t path_count,
                     snapshot_visit *visit, void *context, struct reason *why);

/* Calls VISIT for each snapshot that matches any of FILTERS (all when there are none), with no
 * transaction open. Up to 128 snapshots are told as they are at one moment. More are read in parts,
 * one after the other: each snapshot is told once at most, as it is at some moment of the call, and
 * one that is there throughout is told; but two of them may be told as of different moments, so one
 * that is committed meanwhile can be told under its old key, or a key told twice, as what it was
 * and as what was prepared under it later. CONDITION_INVALID for a filter that is malformed. */
int snapshots_list(struct snapshots *snapshots, const struct bytes *filters, size_t filter_count,
                   snapshot_visit *visit, void *context, struct reason *why);

int snapshots_usage(struct snapshots *snapshots, struct bytes key, struct volume_usage *usage,
                    struct reason *why);

/* An active (VIEW: read-only) snapshot of PARENT, empty for none. LABELS need no order. */
int snapshots_prepare(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                      const struct label *labels, size_t label_count, struct mounts *mounts,
                      struct reason *why);
int snapshots_view(struct snapshots *snapshots, struct bytes key, struct bytes parent,
                   const struct label *labels, size_t label_count, struct mounts *mounts,
                   struct reason *why);

int snapshots_mounts(struct snapshots *snapshots, struct bytes key, struct mounts *mounts,
                     struct reason *why);

/* PARENT is Commit.parent (containerd 2.2): empty, or the parent the snapshot already has; another
 * is CONDITION_INVALID as long as rebase is not served. */
int snapshots_commit(struct snapshots *snapshots, struct bytes name, struct bytes key,
                     struct bytes parent, const struct label *labels, size_t label_count,
                     struct reason *why);

int snapshots_remove(struct snapshots *snapshots, struct bytes key, struct reason *why);

/* The daemon is ending: removals in the background come to their end, for which calls may wait. */
void snapshots_wind_down(struct snapshots *snapshots);

/* Ends the volumes of all removed snapshots and waits for their space. CONDITION_CANCELLED
 * soon after *CANCEL (which may be NULL) is set. */
int snapshots_cleanup(struct snapshots *snapshots, const atomic_bool *cancel, struct reason *why);

/* ---- writing a layer into an active snapshot (the diff service) ---- */

/* A hold on one active snapshot's volume: nobody commits it, and its removal waits, setting CANCEL.
 */
struct snapshot_hold {
    uint64_t id;
    int directory;  /* root of the volume; closed by snapshots_release() */
    struct pin pin; /* the service's own */
};

/* Finds the active snapshot that MOUNTS was made of, by comparing with what this daemon would hand
 * out: nothing in it is used as a path. CONDITION_UNIMPLEMENTED when the mounts are not ours;
 * CONDITION_PRECONDITION when the snapshot is not active, or is held already. *CANCEL is set when
 * the snapshot is removed meanwhile. HOLD and CANCEL must stay where they are until released. */
int snapshots_hold(struct snapshots *snapshots, const struct mounts *mounts, atomic_bool *cancel,
                   struct snapshot_hold *hold, struct reason *why);

/* Ends a hold. WRITTEN, when not NULL, is what the layer put there, durably if SYNCED; it becomes
 * the snapshot's usage. CONDITION_NOT_FOUND when the snapshot was removed meanwhile, with or
 * without WRITTEN; CONDITION_UNAVAILABLE likewise when the pool could not keep what was written. */
int snapshots_release(struct snapshots *snapshots, struct snapshot_hold *hold,
                      const struct volume_usage *written, bool synced, struct reason *why);

/* For each layer that is written into the snapshot: an empty file for what it writes (see
 * layer/manifest.h), to be closed by the caller. -1 without RECORD, when none can be had,
 * or the snapshot holds more than this layer; then what was recorded before counts no more. */
int snapshots_manifest(struct snapshots *snapshots, const struct snapshot_hold *hold, bool record);

/* Whether the pool has room for BYTES and its reserve. CONDITION_EXHAUSTED says how much there is,
 * and what to do. */
int snapshots_room(struct snapshots *snapshots, uint64_t bytes, struct reason *why);

/* Bytes of the pool that a single one takes, alone between two holes of a file. */
uint64_t snapshots_block(struct snapshots *snapshots);

/* ---- for the operator ---- */

struct snapshots_figures {
    struct store_figures store;
    struct pool_status pool;
    uint64_t awaiting_removal; /* volumes the reaper has not ended yet */
    uint64_t awaiting_seal;
    uint64_t ready_clones;
    uint64_t holds;   /* layers being written now */
    uint64_t damaged; /* records that could not be read at the start, or had no volume; when there
                       * was a check since, those that it left so */
};

/* The state of the pool. */
int snapshots_pool(struct snapshots *snapshots, struct pool_status *pool, struct reason *why);

/* As backend_ops.grow and .check; CONDITION_UNIMPLEMENTED where the backend has none. */
int snapshots_grow_pool(struct snapshots *snapshots, const struct pool_growth *growth,
                        struct reason *why);
int snapshots_check_pool(struct snapshots *snapshots, const atomic_bool *cancel,
                         struct pool_verdict *verdict, struct reason *why);

int snapshots_figures(struct snapshots *snapshots, struct snapshots_figures *figures,
                      struct reason *why);

#endif
