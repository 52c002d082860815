/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_DM_THIN_RIG_H
#define COWSNAP_TESTS_DM_THIN_RIG_H

/*
 * A root folder for the backend under test, on a tmpfs in a mount namespace of the test's own, and
 * its embedded pool. Devices of device-mapper are the machine's: those of the rig are ended with
 * it, also after a test that failed; a test that is killed leaves its pool, whose name begins with
 * "cowsnap-".
 */

#include "backends/backend.h"
#include "backends/dm-thin/device.h"
#include "unit/storage/pool_rig.h"

#include <stdbool.h>
#include <stddef.h>

#define RIG_POOL_SIZE (UINT64_C(512) << 20)
#define RIG_VOLUME_SIZE (UINT64_C(2) << 30)

struct rig {
    char path[64]; /* of the folder */
    struct backend_options options;
    struct backend *backend; /* NULL while closed */
    char pool[DEVICE_NAME];  /* name of its pool, once it was open; "" before */
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
/* Closes it; devices stay. */
void rig_stop(struct rig *rig);
/* Opening it is refused with RESULT and a sentence that holds WORDS. */
void rig_refused(struct rig *rig, int result, const char *words);
/* Ends all devices of the rig's pool, as a reboot does. */
void rig_reboot(struct rig *rig);

/* A directory fd of a volume's root, for the caller to close. */
int rig_root(struct rig *rig, uint64_t id);

/* The device of volume ID as it is now. */
struct device_state rig_device(struct rig *rig, uint64_t id);

/* A device of SIZE bytes, zeros if it was not made before, over the file NAME of the root folder.
 * It lasts as long as the pool on it, or the process. */
void rig_make_device(const struct rig *rig, const char *name, uint64_t size, char path[32]);

/* How many devices of the machine bear the name of the rig's pool. */
unsigned rig_devices(struct rig *rig);

#endif
