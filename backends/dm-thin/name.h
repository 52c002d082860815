/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_NAME_H
#define COWSNAP_BACKENDS_DM_THIN_NAME_H

/*
 * Names of devices. A volume is "<pool>-snap-<number>", and its device-mapper uuid
 * "COWSNAP-<pool>-<number>": a device counts as ours only by both. The pool's other two are
 * "<pool>-label" and "<pool>-base".
 */

#include "backends/dm-thin/device.h"

#include <stdbool.h>
#include <stdint.h>

#define NAME_POOL                                                                                  \
    97 /* room for a pool's name, which leaves 20 digits and "-snap-" for a volume's */

/* Letters, digits and "-_.+:" (libdevmapper writes others in another way), and short enough. */
bool name_is_fit(const char *pool);

void name_volume(const char *pool, uint64_t id, char name[DEVICE_NAME]);
void name_volume_uuid(const char *pool, uint64_t id, char uuid[DEVICE_UUID]);
/* WHAT: "label" or "base". */
void name_part(const char *pool, const char *what, char name[DEVICE_NAME]);
void name_part_uuid(const char *pool, const char *what, char uuid[DEVICE_UUID]);

/* The number that name_volume() made NAME of; 0 for any other name. */
uint64_t name_parse_volume(const char *pool, const char *name);

#endif
