/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_CHECK_H
#define COWSNAP_TESTS_CRASH_CHECK_H

/* Compares a daemon that was started again, its pool and the system with the model. */

#include "crash/daemon.h"
#include "crash/model.h"

/* What was found wrong; each was told. */
struct check_counts {
    unsigned lost;    /* snapshots that are not as it was answered, or half of what was not */
    unsigned orphans; /* volumes that no snapshot has; mounts and loop devices left behind */
};

/* With no call under way. What was not answered is from now on what it was found to be. False when
 * the daemon went meanwhile: then the check is to be made again. */
bool check_daemon(struct model *model, struct daemon *daemon, struct client *client,
                  struct check_counts *counts);

/* Before the daemon is started again: that the volumes for which a Cleanup answered are gone. */
void check_cleaned(struct model *model, const struct daemon *daemon, struct check_counts *counts);

#endif
