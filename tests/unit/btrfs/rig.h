/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_BTRFS_RIG_H
#define COWSNAP_TESTS_BTRFS_RIG_H

/*
 * A root folder for a backend under test, on a tmpfs in a mount namespace of the test's own: mounts
 * and loop devices end with the process, however it ends.
 */

#include "backends/backend.h"
#include "unit/storage/pool_rig.h"

#include <stdbool.h>
#include <stddef.h>

#define RIG_POOL_SIZE (UINT64_C(256) << 20)

struct rig {
    char path[64]; /* of the folder */
    struct backend_options options;
    struct backend *backend; /* NULL while closed */
};

/* Enters a mount namespace. False, having said why, when this machine cannot run such tests: the
 * program should then end with 77. */
bool rig_can_run(void);

/* cmocka set-up and tear-down: *STATE is a struct rig with an open embedded pool (rig_open), or
 * with none yet (rig_bare). */
int rig_bare(void **state);
int rig_open(void **state);
int rig_close(void **state);

/* Opens the backend of RIG, which fails the test when it cannot. */
void rig_start(struct rig *rig);
/* Closes it; mounts stay. */
void rig_stop(struct rig *rig);
/* Unmounts what is on the root's pool folder. */
void rig_unmount(struct rig *rig);

/* A directory fd of a volume's root, for the caller to close. */
int rig_root(struct rig *rig, uint64_t id);

/* A subvolume at NAME, which may be a path, in DIRECTORY. */
void rig_nest(int directory, const char *name);
/* Makes the subvolume NAME in DIRECTORY read-only. */
void rig_freeze(int directory, const char *name);

#endif
