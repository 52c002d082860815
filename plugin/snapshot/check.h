/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_CHECK_H
#define COWSNAP_SNAPSHOT_CHECK_H

/*
 * Compares what the store says with what the pool holds, while both are in use, and mends what is
 * safe to mend. What a crash leaves is settled at the start (recover.c); this is for damage from
 * outside: a volume that somebody removed, a disk that lost what it was told, a store or a pool
 * that was restored without the other.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "snapshot/snapshots.h"

#include <stdbool.h>
#include <stdint.h>

/* What can be wrong. The numbers go over the wire: new ones are added, none changes. */
enum check_kind {
    CHECK_RECORD_UNREADABLE = 1,
    CHECK_VOLUME_MISSING = 2, /* of a snapshot; of a view, that of its parent */
    CHECK_VOLUME_UNKNOWN = 3, /* to every record and intent */
    CHECK_PARENT_MISSING = 4,
    CHECK_PARENT_NOT_COMMITTED = 5,
    CHECK_INDEX_LACKS = 6, /* an index of the store does not lead to a record */
    CHECK_INDEX_STALE = 7, /* or leads to one that is gone, or is another */
    CHECK_CONTENT = 8,     /* a file is not as its layer had it (check_content.h) */
    /* Against what containerd believes; found by the tool (cli/containerd_view.h). */
    CHECK_CONTAINERD_NEEDS = 9, /* something there needs it, and we do not have it */
    CHECK_CONTAINERD_LACKS = 10,
};

/* What becomes of it. These numbers go over the wire as well. */
enum check_outcome {
    CHECK_REPAIRABLE = 1,   /* a repair mends it; none was asked for */
    CHECK_REPAIRED = 2,     /* a volume may still wait for the reaper */
    CHECK_HAS_CHILDREN = 3, /* snapshots that are not to go were made of it: not safe */
    CHECK_IN_USE = 4,       /* somebody is at work on it now: not safe */
    CHECK_BY_HAND = 5,      /* no repair is safe */
    CHECK_WRONG_POOL = 6, /* not one of several snapshots has its volume: it may be another pool */
};

/* One difference. Valid during the call it is handed to. */
struct check_finding {
    enum check_kind kind;
    enum check_outcome outcome;
    uint64_t id;         /* of the record; of the volume where that is what is unknown */
    uint64_t volume;     /* that is missing or unknown; else 0 */
    struct bytes key;    /* of the snapshot; empty where it is not known. What containerd needs
                            and has no key here: <namespace>/<name> */
    const char *problem; /* what is wrong with it, in words: "its volume 7 is missing" */
};
typedef int check_visit(void *context, const struct check_finding *finding, struct reason *why);

/*
 * Calls VISIT for each difference, the highest id first, so children before their parents, with no
 * transaction open and nothing pinned. REPAIR first mends what is safe:
 *   - a volume that nobody knows goes to the reaper;
 *   - the record of a snapshot that has no volume, no children and nobody at work on it goes, so
 *     that its key is free and the next pull makes it anew;
 *   - a record that cannot be read goes, under the same terms, and its volume with it;
 *   - indexes are made to say what the records do.
 * Any number may run at once, beside all other calls: what these are about to make or to end is no
 * difference. A failure of the store or the pool ends it; what was mended by then stays so.
 */
int snapshots_check(struct snapshots *snapshots, bool repair, check_visit *visit, void *context,
                    struct reason *why);

#endif
