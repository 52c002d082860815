/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_CONTAINERD_VIEW_H
#define COWSNAP_CLI_CONTAINERD_VIEW_H

/*
 * What containerd believes its snapshotter "cowsnap" to have, compared with what cowsnapd has. Both
 * are in use meanwhile, and neither knows of the other's moment, so only this is told:
 *   - a snapshot that something in containerd needed before and after we were asked for ours, and
 *     that is not among them;
 *   - one of ours that containerd listed neither time, made more than a minute ago: its record is
 *     written after ours. containerd's garbage collection removes those.
 * Ours are matched by their keys, which containerd makes as <namespace>/<number>/<name>
 * (core/metadata/snapshot.go); keys of other clients are passed over.
 */

#include "base/arena.h"
#include "base/result.h"
#include "cli/daemon.h"
#include "cli/snapshot_list.h"
#include "snapshot/check.h"

#include <stdint.h>

#define CONTAINERD_VIEW_YOUNG INT64_C(60000000000) /* ns */

/* Names of snapshots, to be sorted for the comparison. */
struct containerd_names {
    struct containerd_name {
        struct bytes name_space, name;
        struct bytes by; /* what needs it, in words; may be empty */
    } * items;
    size_t count, room;
    struct arena bytes;
};

/* One look at containerd. {0} is an empty one; to be ended by containerd_view_clear(), fit for
 * scoped(). */
struct containerd_view {
    struct containerd_names listed, needed;
};

void containerd_view_clear(struct containerd_view *view);
/* Copies. CONTEXT is a struct containerd_names; a containerd_visit (rpc/containerd_client.h). */
int containerd_names_add(void *context, struct bytes name_space, struct bytes name, const char *by,
                         struct reason *why);
void containerd_names_sort(struct containerd_names *names);

/* Calls VISIT for each difference. All names are sorted; NOW is in ns since the epoch. */
int containerd_view_compare(const struct containerd_view *before, const struct snapshot_list *ours,
                            const struct containerd_view *after, int64_t now, check_visit *visit,
                            void *context, struct reason *why);

/* Whether containerd on the socket ADDRESS can be asked: to be known before anything is changed.
 * CONDITION_UNAVAILABLE: nobody listens there. */
int containerd_view_try(const char *address, struct reason *why);

/* Looks at containerd on the socket ADDRESS, at cowsnapd, at containerd again, and compares. */
int containerd_view_check(const struct daemon *daemon, const char *address, check_visit *visit,
                          void *context, struct reason *why);

/* Takes a key that containerd made apart; false for any other. */
bool containerd_key_split(struct bytes key, struct bytes *name_space, struct bytes *name);

#endif
