/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_CHECK_CONTENT_H
#define COWSNAP_SNAPSHOT_CHECK_CONTENT_H

/*
 * Compares the files of committed snapshots with what their layers had, as it was recorded when
 * they were applied (apply.record_content), to find what a disk, a file system or a person changed
 * in silence. Each layer is compared in its own snapshot.
 */

#include "snapshot/check.h"

#include <stdatomic.h>

struct check_tally {
    uint64_t compared;   /* snapshots */
    uint64_t unrecorded; /* snapshots whose content was not recorded, and cannot be compared */
};

/* Of each difference a finding of CHECK_CONTENT, which a repair leaves alone; CHECK_CONTENT_MOST of
 * one snapshot at most, with one more that says how many there are. KEYS names the snapshots to be
 * looked at; none: all that are committed. CONDITION_NOT_FOUND: there is no committed snapshot of
 * that key. Reads all files; snapshots that are removed meanwhile are passed over. CANCEL may be
 * NULL. */
int snapshots_check_content(struct snapshots *snapshots, const struct bytes *keys, size_t key_count,
                            const atomic_bool *cancel, check_visit *visit, void *context,
                            struct check_tally *tally, struct reason *why);

#define CHECK_CONTENT_MOST 100

#endif
