/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_PRESENCE_H
#define COWSNAP_BACKENDS_PRESENCE_H

#include "backends/backend.h"

/* Whether the pool called NAME, which was MADE before or not, is as PRESENCE wants it; see enum
 * pool_presence for what is returned otherwise. */
int presence_expect(enum pool_presence presence, bool made, const char *name, struct reason *why);

/* The same for a pool that was made: whether it is mounted or active. */
int presence_expect_active(enum pool_presence presence, bool active, const char *name,
                           struct reason *why);

#endif
