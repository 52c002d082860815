/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_CHECK_REPAIR_H
#define COWSNAP_SNAPSHOT_CHECK_REPAIR_H

#include "snapshot/check.h"

/* Mends what FINDING tells, if that is safe now, and sets its outcome: CHECK_REPAIRED or the reason
 * why not. CONDITION_NOT_FOUND (no sentence): it is not so any more. Of indexes nothing is mended
 * here (check.c). */
int check_repair(struct snapshots *snapshots, struct check_finding *finding, struct reason *why);

#endif
