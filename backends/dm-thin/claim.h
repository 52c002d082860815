/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_CLAIM_H
#define COWSNAP_BACKENDS_DM_THIN_CLAIM_H

#include "backends/dm-thin/metadata.h"
#include "backends/dm-thin/thin_pool.h"

/* Makes the active POOL ours, or finds that it is: its label volume is held from now on (owner),
 * label, base_mapped and inventory are filled. CONDITION_INVALID: it holds somebody else's volumes;
 * CONDITION_UNAVAILABLE: another daemon uses it. */
int claim_pool(struct thin_pool *pool, const struct backend_options *options, struct reason *why);

/* The number of the volume that a thin device of the claimed POOL is (inventory.h). */
uint64_t claim_number(const struct thin_pool *pool, const struct metadata_device *device);

#endif
